//! What is read of `Dst` was written before in the same iteration of the parallel loop.
//!
//! ```text
//! for L0 in 4 parallel {
//!   for L1 in 9  { call 0 "first" (..., dst = b3 + 288*L0 + 32*L1) }
//!   for L2 in 7 {
//!     for L3 in 9  { call 1 "next" (..., base = b3 + 288*L0 + 32*L3, dst = b3 + 288*L0 + 32*L3) }
//!   }
//! }
//! ```
//!
//! When a loop has run to its end, what its calls wrote through a slot is the same set of bytes at every value of the loops
//! that are still open: `288*L0 + 32 * {0..9}` after `L1`. A read is looked for, for each open loop, among what was written
//! in that loop's body: the loops inside that body are closed for the read as they are for the writes, and the sets must be
//! the same, but for a leaf that writes more than the other reads. So `next` reads what `first` has written, whatever `L2`
//! is. Sets that are not the same are looked at [run by run](super::covered). What a leaf reads of its own stores is not counted ([`Footprint`]).

use super::covered::covered;
use super::table::Table;
use super::touch::{Touch, Touched};
use crate::leaf::SlotId;
use crate::leaf::footprint::{Footprint, Piece, Term};
use crate::nest::{Distance, Nest, SlotValue, Stmt};
use octrt_ops::expr::VarId;

/// Proves that every read of `Dst` is of bytes that the same iteration of the parallel loop has written before. Returns what
/// is written, with all loops but the parallel one closed; equal sets once. The nest keeps the rules of bounds; `touched` has
/// what each statement touches, in order.
///
/// # Errors
/// The first read that is not known to be of such bytes.
pub(super) fn check<'a>(
    nest: &'a Nest,
    touched: &[Touched<'a>],
    tables: &[Option<Table>],
) -> Result<Vec<Touch<'a>>, String> {
    let (outer, body) = nest.outer().ok_or("no loop that is parallel or of turns")?;
    let loops = vec![(outer.id, outer.extent as i64)];
    let mut walk = Walk { nest, tables, statements: touched.iter(), loops, scopes: vec![Vec::new()] };
    walk.block(body)?;
    Ok(walk.scopes.pop().unwrap_or_default())
}

struct Walk<'a, 'b> {
    nest: &'a Nest,
    tables: &'b [Option<Table>],
    /// What the statements to come touch.
    statements: std::slice::Iter<'b, Touched<'a>>,
    /// Variables and extents of the loops around the current statement.
    loops: Vec<(VarId, i64)>,
    /// What was written so far in the body of each.
    scopes: Vec<Vec<Touch<'a>>>,
}

impl<'a> Walk<'a, '_> {
    fn block(&mut self, stmts: &'a [Stmt]) -> Result<(), String> {
        for stmt in stmts {
            match stmt {
                _ if stmt.chain().1.is_some() => self.statement()?,
                Stmt::Loop(l, body) => {
                    self.loops.push((l.id, l.extent as i64));
                    self.scopes.push(Vec::new());
                    self.block(body)?;
                    self.leave();
                }
                Stmt::Call { .. } | Stmt::Define(_) => self.statement()?,
            }
        }
        Ok(())
    }

    /// Closes the innermost loop.
    fn leave(&mut self) {
        self.loops.pop();
        for mut touch in self.scopes.pop().unwrap_or_default() {
            touch.close(self.loops.len());
            self.wrote(touch);
        }
    }

    fn wrote(&mut self, touch: Touch<'a>) {
        if let Some(scope) = self.scopes.last_mut()
            && !scope.contains(&touch)
        {
            scope.push(touch);
        }
    }

    fn statement(&mut self) -> Result<(), String> {
        let of = *self.statements.next().ok_or("a statement that nothing is known of")?;
        let touches: Vec<Touch<'a>> = of.footprints.iter().filter_map(|f| self.touch(of, f)).collect();
        touches.iter().try_for_each(|touch| self.read(touch))?;
        touches.into_iter().filter(|t| !t.footprint.writes.is_empty()).for_each(|t| self.wrote(t));
        Ok(())
    }

    fn touch(&self, of: Touched<'a>, footprint: &'a Footprint) -> Option<Touch<'a>> {
        let pointer = |slot: SlotId| match &of.slots[usize::from(slot.0)] {
            SlotValue::Pointer(b, at) => Some((*b, at)),
            SlotValue::Number(_) => None,
        };
        let (buffer, at) = pointer(footprint.slot)?;
        let table = footprint.table.and_then(pointer);
        let step = |at: &Distance, id| {
            at.terms.iter().filter(|(l, _)| *l == id).map(|(_, factor)| *factor).sum::<i64>()
        };
        let term = |(depth, &(id, extent)): (usize, &(VarId, i64))| {
            let table_step = table.map_or(0, |(_, at)| step(at, id));
            (depth, Term { step: step(at, id), table_step, extent })
        };
        let several = self.loops.iter().enumerate().filter(|(_, (_, extent))| *extent > 1);
        let moves = |(_, t): &(usize, Term)| (t.step, t.table_step) != (0, 0);
        Some(Touch {
            buffer,
            byte: at.base,
            table: table.map(|(b, at)| (b, at.base)),
            open: several.map(term).filter(moves).collect(),
            closed: of.loops.get(usize::from(footprint.slot.0)).cloned().unwrap_or_default(),
            by: of.by,
            footprint,
        })
    }

    /// Whether what was written in the body of one of the loops around, before, has all of these bytes.
    fn covers(&self, touch: &Touch<'_>, missing: &[&Piece]) -> bool {
        let bytes = self.nest.buffers[touch.buffer.index()].ty.bytes() as i64;
        let extents: Vec<i64> = self.loops.iter().map(|(_, extent)| *extent).collect();
        let mut closed = touch.clone();
        (0..self.scopes.len()).rev().any(|depth| {
            closed.close(depth + 1);
            let writes: Vec<&Touch<'_>> =
                self.scopes[depth].iter().filter(|w| w.buffer == touch.buffer).collect();
            let around = (&extents[..=depth], bytes);
            !writes.is_empty() && covered((&closed, missing), &writes, around, self.tables)
        })
    }

    /// Looks for what is read among what was written.
    fn read(&self, touch: &Touch<'_>) -> Result<(), String> {
        let mut missing: Vec<&Piece> = touch.footprint.reads.iter().collect();
        let mut closed = touch.clone();
        for (depth, scope) in self.scopes.iter().enumerate().rev() {
            closed.close(depth + 1);
            for written in scope.iter().filter(|w| w.alike(&closed)) {
                missing.retain(|piece| !written.footprint.writes(piece));
            }
        }
        if !missing.is_empty() && self.covers(touch, &missing) {
            return Ok(());
        }
        let Some(piece) = missing.first() else { return Ok(()) };
        let (lo, hi) = touch.hull(piece, self.tables);
        let named = touch.by.named(": slot", touch.footprint.slot);
        let (parallel, dst) = (self.loops[0].0, touch.buffer);
        Err(format!(
            "{named}: iteration 0 of {parallel} reads bytes {lo}..{hi} of {dst}, which it is not known to \
             have written before"
        ))
    }
}
