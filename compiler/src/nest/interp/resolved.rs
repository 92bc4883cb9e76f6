//! Statements with loops as positions among those around them, so that running one looks nothing up.

use octrt_ops::expr::VarId;

use super::element::Elements;
use crate::nest::{Definition, Form, Loop, Nest, Role, SlotValue, Stmt, has_call};

/// A statement.
#[derive(Debug)]
pub enum Op {
    /// A loop.
    Loop {
        /// Iterations.
        extent: i64,
        /// How it is executed.
        form: Form,
        /// What it holds.
        body: Vec<Op>,
    },
    /// A definition, with all loops that have nothing else inside.
    Elements(Box<Elements>),
    /// A call of a leaf program.
    Call {
        /// Which.
        leaf: usize,
        /// What it is given.
        slots: Vec<Slot>,
    },
}

/// What a slot of a leaf program gets.
#[derive(Debug)]
pub enum Slot {
    /// A count or a stride.
    Number(i64),
    /// An address.
    Pointer {
        /// The buffer.
        region: usize,
        /// Bytes from its first.
        base: i64,
        /// Further bytes for each iteration of loops, which are named by their positions.
        terms: Vec<(usize, i64)>,
    },
}

/// The statements of a nest.
pub fn resolve(nest: &Nest) -> Result<Vec<Op>, String> {
    block(nest, &nest.body, &mut Vec::new())
}

fn block<'a>(nest: &'a Nest, stmts: &'a [Stmt], around: &mut Vec<&'a Loop>) -> Result<Vec<Op>, String> {
    stmts.iter().map(|s| stmt(nest, s, around)).collect()
}

fn stmt<'a>(nest: &'a Nest, s: &'a Stmt, around: &mut Vec<&'a Loop>) -> Result<Op, String> {
    match s {
        Stmt::Loop(l, _)
            if !matches!(l.form, Form::Parallel | Form::Turn)
                && let (loops, Some(define)) = s.chain() =>
        {
            let outside = around.len();
            let loops = around.iter().copied().chain(loops).collect();
            let definition = Definition { buffers: &nest.buffers, loops, define };
            Ok(Op::Elements(Box::new(Elements::new(&definition, outside)?)))
        }
        Stmt::Loop(l, _) if l.role == Role::Reduce && !has_call(std::slice::from_ref(s)) => {
            Err(format!("{}: expected a perfect nest inside a reduce loop", l.id))
        }
        Stmt::Loop(l, body) => {
            around.push(l);
            let body = block(nest, body, around)?;
            around.pop();
            let extent = i64::try_from(l.extent).map_err(|e| e.to_string())?;
            Ok(Op::Loop { extent, form: l.form, body })
        }
        Stmt::Define(define) => {
            let definition = Definition { buffers: &nest.buffers, loops: around.clone(), define };
            Ok(Op::Elements(Box::new(Elements::new(&definition, around.len())?)))
        }
        Stmt::Call { leaf, slots } => {
            let slots = slots.iter().map(|v| slot(v, around)).collect::<Result<_, _>>()?;
            Ok(Op::Call { leaf: *leaf, slots })
        }
    }
}

fn slot(v: &SlotValue, around: &[&Loop]) -> Result<Slot, String> {
    let SlotValue::Pointer(b, at) = v else {
        let SlotValue::Number(n) = v else { return Err("no value".into()) };
        return Ok(Slot::Number(*n));
    };
    let position = |id: VarId| around.iter().position(|l| l.id == id);
    let term = |(id, factor): &(VarId, i64)| {
        position(*id).map(|at| (at, *factor)).ok_or_else(|| format!("{id} is no loop around a call"))
    };
    let terms = at.terms.iter().map(term).collect::<Result<_, _>>()?;
    Ok(Slot::Pointer { region: b.index(), base: at.base, terms })
}
