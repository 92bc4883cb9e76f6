//! Nests of calls that are written down as they are: copies, borders, transforms.

use std::collections::BTreeMap;
use std::sync::Arc;

use octrt_ops::TensorType;
use octrt_ops::expr::{BufId, Expr, VarId};

use super::join::Renamed;
use super::strides::strides;
use super::{Buffer, BufferRole, Nest, SlotValue, Stmt, pointer};
use crate::leaf::Program;
use crate::nest::{Form, Loop, Role};
use crate::schedule::tensorize::address;
use crate::strategy::refusal::Refusal;

/// What a slot of a called program gets.
#[derive(Clone, Debug)]
pub enum Value {
    /// The address of an element; its last index may lie beyond the extent, in the elements that follow.
    At(BufId, Vec<Expr>),
    /// A count or a stride in bytes.
    Number(i64),
}

/// A call that gives a slot no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leaf program '{program}': slot '{slot}' has no value")]
pub struct MissingSlot {
    /// Name of the leaf program.
    pub program: String,
    /// Name of the slot.
    pub slot: String,
}

/// A nest that is being written: loops get fresh variables, equal programs are kept once.
#[derive(Debug)]
pub struct Builder {
    nest: Nest,
    outer: Loop,
    next: u32,
    open: Vec<(Loop, Vec<Stmt>)>,
}

impl Builder {
    /// A nest whose outermost loop, which threads share, has this extent.
    pub fn new(name: &str, extent: usize) -> Builder {
        let nest = Nest { name: name.into(), buffers: Vec::new(), leaves: Vec::new(), body: Vec::new() };
        let outer = Loop { id: VarId(0), extent, role: Role::Data, form: Form::Parallel };
        Builder { nest, outer, next: 1, open: Vec::new() }
    }

    /// The iteration of the outermost loop.
    pub fn parallel(&self) -> Expr {
        iteration(&self.outer)
    }

    /// Adds a buffer.
    pub fn buffer(&mut self, ty: TensorType, role: BufferRole) -> BufId {
        self.nest.buffer(Buffer::new(ty, role))
    }

    /// Bytes by which the element at an index of a buffer moves with each of these variables.
    pub fn strides<const N: usize>(&self, buffer: BufId, index: &[Expr], along: [VarId; N]) -> [i64; N] {
        self.nest.buffers.get(buffer.0 as usize).map_or([0; N], |b| strides(&b.ty, index, along))
    }

    /// Writes a loop around what `body` writes, which is given the iteration: none where there is one iteration, and nothing
    /// at all where there is none.
    ///
    /// # Errors
    /// Those of `body`; the nest is of no use then.
    pub fn each(
        &mut self,
        extent: usize,
        body: impl FnOnce(&mut Builder, &Expr) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        match extent {
            0 => Ok(()),
            1 => body(self, &Expr::int(0)),
            _ => {
                let l = Loop::serial(VarId(self.next), extent, Role::Data);
                self.next += 1;
                let at = iteration(&l);
                self.open.push((l, Vec::new()));
                body(self, &at)?;
                if let Some((l, stmts)) = self.open.pop() {
                    self.push(Stmt::Loop(l, stmts));
                }
                Ok(())
            }
        }
    }

    /// Writes a call. `value` names the value of each slot of the program.
    ///
    /// # Errors
    /// [`Refusal::Slot`] for a slot that `value` does not know; [`Refusal::Tensorize`] for an index that is no sum of loops.
    pub fn call(&mut self, program: Program, value: &dyn Fn(&str) -> Option<Value>) -> Result<(), Refusal> {
        let around: Vec<&Loop> =
            std::iter::once(&self.outer).chain(self.open.iter().map(|(l, _)| l)).collect();
        let mut slots = Vec::with_capacity(program.slots.len());
        for slot in &program.slots {
            let missing = || MissingSlot { program: program.name.clone(), slot: slot.name.clone() };
            slots.push(match value(&slot.name).ok_or_else(missing)? {
                Value::Number(n) => SlotValue::Number(n),
                Value::At(buffer, index) => pointer(buffer, address(&self.nest, &around, buffer, &index)?),
            });
        }
        let leaf = self.nest.leaf(&Arc::new(program));
        self.push(Stmt::Call { leaf, slots });
        Ok(())
    }

    /// Writes what another nest does, with these buffers in the place of its own, in their order, its tables, and fresh loops,
    /// none of which is shared by threads.
    pub fn embed(&mut self, nest: &Nest, buffers: &[BufId]) {
        let mut others = buffers.iter().copied();
        let mut own = |b: &Buffer| match &b.role {
            BufferRole::Table(_) => Some(self.nest.buffer(b.clone())),
            _ => others.next(),
        };
        let buffers: Vec<BufId> = nest.buffers.iter().map_while(&mut own).collect();
        let mut names = BTreeMap::new();
        for l in nest.loops() {
            names.insert(l.id, VarId(self.next));
            self.next += 1;
        }
        let leaves: Vec<usize> = nest.leaves.iter().map(|program| self.nest.leaf(program)).collect();
        let into = Renamed { names: &names, buffers: &buffers, leaves: &leaves };
        for s in &nest.body {
            let s = into.stmt(s);
            self.push(s);
        }
    }

    fn push(&mut self, stmt: Stmt) {
        match self.open.last_mut() {
            Some((_, stmts)) => stmts.push(stmt),
            None => self.nest.body.push(stmt),
        }
    }

    /// The nest.
    ///
    /// # Errors
    /// [`Refusal::Defect`]: never, there are calls only.
    pub fn finish(mut self) -> Result<Nest, Refusal> {
        self.nest.body = vec![Stmt::Loop(self.outer, self.nest.body)];
        self.nest.canonical().ok_or(Refusal::Defect("a nest that sums elements"))
    }
}

/// The variable of a loop, 0 where there is one iteration.
fn iteration(l: &Loop) -> Expr {
    if l.extent == 1 { Expr::int(0) } else { Expr::Var(l.id) }
}
