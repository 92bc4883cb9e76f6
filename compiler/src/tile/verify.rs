//! The rules of tile nests.
//!
//! * loop ids are unique, extents are 1 or more; exactly one buffer is `Dst`; tables are of i32; every buffer can be
//!   addressed;
//! * every leaf keeps the [rules of leaf programs](crate::leaf::verify);
//! * every call gives each slot of its leaf a value of the slot's kind; counts are not negative;
//! * distances name loops around the call only; they, strides and entries of tables are multiples of 4, so that what a leaf
//!   reads from a table is an entry of it;
//! * every byte that a call may touch, over all iterations, lies in the buffer of its slot, and is written only in `Dst`
//!   and `Scratch`: this makes machine code safe. How far a leaf reaches is found by [`reach`](crate::leaf::reach).
//!
//! That iterations of the parallel loop write different bytes, and read of them only what they wrote, is shown by [`interp`](super::interp::races) in tests.

use octrt_ops::{DType, Tensor};

use super::{BufferId, BufferRole, Distance, LoopId, SlotValue, Stmt, TileNest};
use crate::leaf::reach::{Known, Reach, reach};
use crate::leaf::{self, Program, SlotId, SlotKind};

/// A rule that a nest breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tile nest '{nest}': {violation}")]
pub struct VerifyError {
    /// Name of the nest.
    pub nest: String,
    /// What is wrong, where, expected and found.
    pub violation: String,
}

/// Checks every rule in the header of this file.
///
/// # Errors
/// The first rule that is broken.
pub fn verify(nest: &TileNest) -> Result<(), VerifyError> {
    check(nest).map_err(|violation| VerifyError { nest: nest.name.clone(), violation })
}

fn check(nest: &TileNest) -> Result<(), String> {
    let written = nest.buffers.iter().filter(|b| b.role == BufferRole::Dst).count();
    if written != 1 {
        return Err(format!("expected one written buffer, found {written}"));
    }
    for (i, b) in nest.buffers.iter().enumerate() {
        let id = BufferId(i as u32);
        b.ty.shape.checked_bytes(b.ty.dtype).map_err(|e| format!("{id}: {e}"))?;
        if let BufferRole::Table(t) = &b.role
            && (t.dtype() != DType::I32 || *t.ty() != b.ty)
        {
            return Err(format!("{id}: expected a table {} of i32, found {}", b.ty, t.ty()));
        }
        if let BufferRole::Table(t) = &b.role
            && let Some(entry) = t.to_i64s().unwrap_or_default().iter().find(|e| *e % ELEMENT != 0)
        {
            return Err(format!("{id}: expected multiples of {ELEMENT}, found {entry}"));
        }
    }
    nest.leaves.iter().try_for_each(|leaf| leaf::verify::verify(leaf).map_err(|e| e.to_string()))?;
    let mut checker = Checker {
        nest,
        loops: Vec::new(),
        seen: Vec::new(),
        tables: table_bounds(nest),
        reaches: Vec::new(),
    };
    checker.enter(nest.parallel, nest.extent)?;
    checker.block(&nest.body)
}

/// Smallest and largest entry of each table.
fn table_bounds(nest: &TileNest) -> Vec<Option<(i64, i64)>> {
    let bounds = |t: &Tensor| {
        let entries = t.to_vec::<i32>().ok()?;
        Some((i64::from(*entries.iter().min()?), i64::from(*entries.iter().max()?)))
    };
    let table = |b: &super::TileBuffer| match &b.role {
        BufferRole::Table(t) => bounds(t),
        _ => None,
    };
    nest.buffers.iter().map(table).collect()
}

/// What one call tells of its slots.
struct Call<'a> {
    slots: &'a [SlotValue],
    tables: &'a [Option<(i64, i64)>],
}

impl Known for Call<'_> {
    fn number(&self, slot: SlotId) -> Option<i64> {
        match self.slots.get(usize::from(slot.0))? {
            SlotValue::Number(n) => Some(*n),
            SlotValue::Pointer(..) => None,
        }
    }
    fn entries(&self, slot: SlotId) -> Option<(i64, i64)> {
        match self.slots.get(usize::from(slot.0))? {
            SlotValue::Pointer(b, _) => self.tables.get(b.index()).copied().flatten(),
            SlotValue::Number(_) => None,
        }
    }
}

/// What decides how far a leaf reaches: the leaf, its numbers and the tables in its pointer slots.
type ReachKey = (usize, Vec<Option<i64>>, Vec<Option<(i64, i64)>>);

struct Checker<'a> {
    nest: &'a TileNest,
    /// Loops around the current statement.
    loops: Vec<(LoopId, usize)>,
    seen: Vec<LoopId>,
    tables: Vec<Option<(i64, i64)>>,
    /// Reaches found so far: calls in the same nest differ mostly in their addresses.
    reaches: Vec<(ReachKey, Vec<Reach>)>,
}

impl Checker<'_> {
    fn enter(&mut self, id: LoopId, extent: usize) -> Result<(), String> {
        if self.seen.contains(&id) {
            return Err(format!("loop {id}: expected an id of its own"));
        }
        if extent == 0 || i64::try_from(extent).is_err() {
            return Err(format!("loop {id}: expected an extent of 1 or more, found {extent}"));
        }
        self.seen.push(id);
        self.loops.push((id, extent));
        Ok(())
    }

    fn block(&mut self, stmts: &[Stmt]) -> Result<(), String> {
        for stmt in stmts {
            match stmt {
                Stmt::Loop { id, extent, body } => {
                    self.enter(*id, *extent)?;
                    self.block(body)?;
                    self.loops.pop();
                }
                Stmt::Call { leaf, slots } => self.call(*leaf, slots)?,
            }
        }
        Ok(())
    }

    fn call(&mut self, leaf: usize, slots: &[SlotValue]) -> Result<(), String> {
        let program = self.nest.leaves.get(leaf).ok_or_else(|| format!("there is no leaf {leaf}"))?;
        check_slots(program, slots)?;
        for r in self.reach(leaf, program, slots)? {
            let slot = &program.slots[usize::from(r.slot.0)].name;
            let Some(SlotValue::Pointer(buffer, at)) = slots.get(usize::from(r.slot.0)) else {
                return Err(format!("'{}': slot '{slot}' is no pointer", program.name));
            };
            self.bounds(*buffer, at, r).map_err(|e| format!("'{}': slot '{slot}': {e}", program.name))?;
        }
        Ok(())
    }

    fn reach(&mut self, leaf: usize, program: &Program, slots: &[SlotValue]) -> Result<Vec<Reach>, String> {
        let call = Call { slots, tables: &self.tables };
        let ids = || (0..slots.len()).map(|i| SlotId(i as u16));
        let key: ReachKey =
            (leaf, ids().map(|s| call.number(s)).collect(), ids().map(|s| call.entries(s)).collect());
        if let Some((_, found)) = self.reaches.iter().find(|(k, _)| *k == key) {
            return Ok(found.clone());
        }
        let found = reach(program, &call)
            .ok_or_else(|| format!("how far '{}' reaches is not known", program.name))?;
        self.reaches.push((key, found.clone()));
        Ok(found)
    }

    fn bounds(&self, buffer: BufferId, at: &Distance, r: Reach) -> Result<(), String> {
        let b =
            self.nest.buffers.get(buffer.index()).ok_or_else(|| format!("there is no buffer {buffer}"))?;
        if r.store && !matches!(b.role, BufferRole::Dst | BufferRole::Scratch) {
            return Err(format!("writes {buffer}, which is only read"));
        }
        let (mut lo, mut hi) = (i128::from(at.base), i128::from(at.base));
        for (id, factor) in &at.terms {
            let extent = self.loops.iter().find(|(l, _)| l == id).map(|(_, e)| *e);
            let last = extent.ok_or_else(|| format!("{id} is no loop around the call"))? as i128 - 1;
            let far = i128::from(*factor) * last;
            (lo, hi) = (lo + far.min(0), hi + far.max(0));
        }
        let (lo, hi) = (lo + i128::from(r.lo), hi + i128::from(r.hi));
        let bytes = b.ty.bytes();
        if lo < 0 || hi > bytes as i128 {
            return Err(format!("touches bytes {lo}..{hi} of {buffer}, which has {bytes}"));
        }
        Ok(())
    }
}

/// Bytes of an element: what everything is a multiple of.
const ELEMENT: i64 = 4;

/// A part of a slot's value that is no such multiple.
fn unaligned(kind: SlotKind, value: &SlotValue) -> Option<i64> {
    let all = match value {
        SlotValue::Pointer(_, at) => at.terms.iter().map(|(_, factor)| *factor).chain([at.base]).collect(),
        SlotValue::Number(n) if kind == SlotKind::Stride => vec![*n],
        SlotValue::Number(_) => Vec::new(),
    };
    all.into_iter().find(|bytes| bytes % ELEMENT != 0)
}

fn check_slots(program: &Program, slots: &[SlotValue]) -> Result<(), String> {
    if program.slots.len() != slots.len() {
        let (expected, found) = (program.slots.len(), slots.len());
        return Err(format!("'{}': expected {expected} slots, found {found}", program.name));
    }
    for (slot, value) in program.slots.iter().zip(slots) {
        let fits = match (slot.kind, value) {
            (SlotKind::Pointer, SlotValue::Pointer(..)) | (SlotKind::Stride, SlotValue::Number(_)) => true,
            (SlotKind::Count, SlotValue::Number(n)) => *n >= 0,
            _ => false,
        };
        if !fits {
            return Err(format!(
                "'{}': slot '{}' is a {}, found {value:?}",
                program.name, slot.name, slot.kind
            ));
        }
        if let Some(bytes) = unaligned(slot.kind, value) {
            let what = format!("expected multiples of {ELEMENT} bytes, found {bytes}");
            return Err(format!("'{}': slot '{}': {what}", program.name, slot.name));
        }
    }
    Ok(())
}
