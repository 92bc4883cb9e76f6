//! From an operator's definition to naive loop nests: one nest per stage.

use std::collections::BTreeMap;

use octrt_ops::DType;
use octrt_ops::compute::{BufferKind, Compute, Stage};
use octrt_ops::expr::{BufId, Expr, VarId};

use crate::nest::affine::simplify;
use crate::nest::{Buffer, BufferRole, Define, Form, Loop, Nest, Reduction, Role, Stmt, around};

/// In which order the calls of a stage come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One call, or parts in any order.
    Any,
    /// One call a turn.
    Turns,
}

/// The naive loop nest of `stage` and, for each of its buffers, the buffer of `compute`.
///
/// `dst[i..] = ...` becomes one serial loop per axis, data loops before reduce loops, in the order of the axes:
///
/// ```text
/// for L0 in 32  for L1 in 32  for L2 in 32  reduce L3 in 16  reduce L4 in 3  reduce L5 in 3  b2[0, L0, L1, L2] ...
/// ```
///
/// Axes of extent 1 have no loop: their variable is 0. Buffers are numbered as they occur, the written one last.
///
/// An update has a loop for each of its axes; a stage that runs in turns keeps the loop of its first axis.
pub fn lower(compute: &Compute, stage: &Stage, name: &str, order: Order) -> (Nest, Vec<BufId>) {
    let dims = match &stage.update {
        Some(update) => &update.extents[..],
        None => compute.ty(stage.dst).shape.dims(),
    };
    let reduced = stage.reduce.as_ref().map_or(&[][..], |r| &r.extents);
    let mut loops = Vec::new();
    let mut values = Vec::new();
    let roles = std::iter::repeat_n(Role::Data, dims.len()).chain(std::iter::repeat(Role::Reduce));
    for (axis, (&extent, role)) in dims.iter().chain(reduced).zip(roles).enumerate() {
        let form = if order == Order::Turns && axis == 0 { Form::Turn } else { Form::Serial };
        if extent == 1 && form == Form::Serial {
            values.push(Expr::int(0));
        } else {
            let id = VarId(loops.len() as u32);
            values.push(Expr::Var(id));
            loops.push(Loop { id, extent, role, form });
        }
    }
    if stage.reduce.is_some() && loops.iter().all(|l| l.role == Role::Data) {
        // A reduction of one element keeps a loop, so that its init and finish have their place.
        loops.push(Loop::serial(VarId(loops.len() as u32), 1, Role::Reduce));
    }
    let (renumbered, used) = number_buffers(compute, stage);
    let rebuild = |e: &Expr| {
        let e = e.substitute(&|v| values[v.0 as usize].clone());
        simplify(&rename(&e, &renumbered))
    };
    let index = match &stage.update {
        Some(update) => update.index.iter().map(&rebuild).collect(),
        None => (0..dims.len()).map(|i| rebuild(&Expr::var(i))).collect(),
    };
    let reduce = stage.reduce.as_ref().map(|r| Reduction {
        combine: r.combine,
        init: rebuild(&r.init),
        finish: rebuild(&r.finish),
    });
    let dst = BufId((used.len() - 1) as u32);
    let role = |i: usize| if i == dst.index() { BufferRole::Dst } else { BufferRole::Src };
    let buffers = used.iter().enumerate().map(|(i, &b)| buffer(compute, b, role(i))).collect();
    let update = stage.update.is_some();
    let define = Define { dst, index, when: None, value: rebuild(&stage.body), reduce, update };
    let body = around(loops.into_iter(), vec![Stmt::Define(define)]);
    (Nest { name: name.to_string(), buffers, leaves: Vec::new(), body }, used)
}

fn number_buffers(compute: &Compute, stage: &Stage) -> (BTreeMap<BufId, BufId>, Vec<BufId>) {
    let mut used: Vec<BufId> = Vec::new();
    let mut note = |e: &Expr| {
        e.visit(&mut |e| {
            if let Expr::Load(b, _) = e
                && !used.contains(b)
            {
                used.push(*b);
            }
        })
    };
    note(&stage.body);
    stage.update.iter().flat_map(|u| &u.index).for_each(&mut note);
    if let Some(r) = &stage.reduce {
        note(&r.init);
        note(&r.finish);
    }
    debug_assert!(used.iter().all(|b| (b.0 as usize) < compute.buffers.len()));
    // What a stage loads of its own result lies where it is written.
    used.retain(|&b| b != stage.dst);
    used.push(stage.dst);
    let renumbered = used.iter().enumerate().map(|(i, &b)| (b, BufId(i as u32))).collect();
    (renumbered, used)
}

fn rename(e: &Expr, to: &BTreeMap<BufId, BufId>) -> Expr {
    e.map(&mut |e| match e {
        Expr::Load(b, index) => {
            let b = to.get(b).copied().unwrap_or(*b);
            Some(Expr::Load(b, index.iter().map(|i| rename(i, to)).collect()))
        }
        _ => None,
    })
}

fn buffer(compute: &Compute, b: BufId, role: BufferRole) -> Buffer {
    let buffer = &compute.buffers[b.0 as usize];
    let range = match &buffer.kind {
        BufferKind::Table(t) if t.dtype() == DType::I64 => {
            let values = t.to_vec::<i64>().unwrap_or_default();
            values.iter().min().copied().zip(values.iter().max().copied())
        }
        _ => None,
    };
    Buffer { ty: buffer.ty.clone(), role, range }
}
