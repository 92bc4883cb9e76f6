//! Nests that run once in each turn of a repeat.

use octrt_ops::TensorType;

use super::{Buffer, Form, Loop, Nest, Role, SlotValue, Stmt};

/// A tensor of which a nest sees another part in each turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// The whole of it.
    pub ty: TensorType,
    /// Bytes before the part of the first turn.
    pub first: i64,
    /// Bytes from the part of a turn to that of the next one.
    pub step: i64,
}

/// A nest of calls, and of nothing else, that computes, in each of so many turns, what `nest` computes, on the parts of
/// buffers that `moved` says; those without see the same in each turn. One thread runs a turn.
pub fn in_turns(nest: &Nest, turns: usize, moved: &[Option<Moved>]) -> Nest {
    let turn = nest.fresh();
    let place = |(i, buffer): (usize, &Buffer)| match moved.get(i) {
        Some(Some(m)) => Buffer { ty: m.ty.clone(), ..buffer.clone() },
        _ => buffer.clone(),
    };
    let mut body = nest.body.clone();
    body.iter_mut().for_each(|s| {
        each(s, &mut |s| match s {
            Stmt::Loop(l, _) if l.form == Form::Parallel => l.form = Form::Serial,
            Stmt::Call { slots, .. } => slots.iter_mut().for_each(|slot| {
                if let SlotValue::Pointer(b, at) = slot
                    && let Some(Some(m)) = moved.get(b.index())
                {
                    *at = at.clone().offset(m.first).plus(turn, m.step);
                }
            }),
            _ => {}
        });
    });
    let outer = Loop { id: turn, extent: turns, role: Role::Data, form: Form::Turn };
    Nest {
        buffers: nest.buffers.iter().enumerate().map(place).collect(),
        body: vec![Stmt::Loop(outer, body)],
        ..nest.clone()
    }
}

/// Does something with a statement and all inside.
fn each(s: &mut Stmt, f: &mut dyn FnMut(&mut Stmt)) {
    f(s);
    if let Stmt::Loop(_, body) = s {
        body.iter_mut().for_each(|s| each(s, f));
    }
}
