//! Nests of calls that are written down by their distances in bytes.

use std::sync::Arc;

use octrt_ops::TensorType;
use octrt_ops::expr::{BufId, VarId};

use super::{Buffer, BufferRole, MissingSlot, Nest, SlotValue, Stmt};
use crate::leaf::Program;
use crate::loop_ir::{Form, Loop, Role};

/// A nest that is being written: loops get fresh ids, equal leaves are kept once.
#[derive(Debug)]
pub struct NestBuilder {
    nest: Nest,
    extent: usize,
    loops: u32,
    open: Vec<(VarId, usize, Vec<Stmt>)>,
    /// Loops of one iteration, which are not written.
    units: Vec<VarId>,
}

impl NestBuilder {
    /// A nest whose outermost loop has this extent.
    pub fn new(name: &str, extent: usize) -> NestBuilder {
        let nest = Nest { name: name.into(), buffers: Vec::new(), leaves: Vec::new(), body: Vec::new() };
        NestBuilder { nest, extent, loops: 1, open: Vec::new(), units: Vec::new() }
    }

    /// The variable of the outermost loop.
    pub fn parallel(&self) -> VarId {
        VarId(0)
    }

    /// Adds a buffer.
    pub fn buffer(&mut self, ty: TensorType, role: BufferRole) -> BufId {
        self.nest.buffers.push(Buffer { ty, role });
        BufId((self.nest.buffers.len() - 1) as u32)
    }

    /// Writes a loop around what `body` writes; one of a single iteration is left out, with what its variable moves, and
    /// one of none writes nothing.
    ///
    /// # Errors
    /// Those of `body`; the nest is of no use then.
    pub fn each<E>(
        &mut self,
        extent: usize,
        body: impl FnOnce(&mut NestBuilder, VarId) -> Result<(), E>,
    ) -> Result<(), E> {
        if extent == 0 {
            return Ok(());
        }
        let id = VarId(self.loops);
        self.loops += 1;
        if extent == 1 {
            self.units.push(id);
            return body(self, id);
        }
        self.open.push((id, extent, Vec::new()));
        body(self, id)?;
        if let Some((id, extent, body)) = self.open.pop() {
            let l = Loop { id, extent, role: Role::Data, form: Form::Serial };
            self.push(Stmt::Loop(l, body));
        }
        Ok(())
    }

    /// Writes a call. `value` names the value of each slot of the program.
    ///
    /// # Errors
    /// [`MissingSlot`] for a slot that `value` does not know.
    pub fn call(
        &mut self,
        program: Program,
        value: &dyn Fn(&str) -> Option<SlotValue>,
    ) -> Result<(), MissingSlot> {
        let missing = |slot: &str| MissingSlot { program: program.name.clone(), slot: slot.to_string() };
        let given = |s: &crate::leaf::Slot| value(&s.name).ok_or_else(|| missing(&s.name));
        let mut slots: Vec<SlotValue> = program.slots.iter().map(given).collect::<Result<_, _>>()?;
        for slot in &mut slots {
            if let SlotValue::Pointer(_, at) = slot {
                at.terms.retain(|(l, _)| !self.units.contains(l));
            }
        }
        let leaf = match self.nest.leaves.iter().position(|l| **l == program) {
            Some(i) => i,
            None => {
                self.nest.leaves.push(Arc::new(program));
                self.nest.leaves.len() - 1
            }
        };
        self.push(Stmt::Call { leaf, slots });
        Ok(())
    }

    fn push(&mut self, stmt: Stmt) {
        match self.open.last_mut() {
            Some((_, _, body)) => body.push(stmt),
            None => self.nest.body.push(stmt),
        }
    }

    /// The nest.
    pub fn finish(mut self) -> Nest {
        let l = Loop { id: VarId(0), extent: self.extent, role: Role::Data, form: Form::Parallel };
        self.nest.body = vec![Stmt::Loop(l, self.nest.body)];
        self.nest
    }
}
