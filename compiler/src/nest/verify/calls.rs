//! The rules of nests of calls.
//!
//! * the outermost statement is one loop, `parallel`; loops inside are serial data loops;
//! * tables are of i32;
//! * every leaf keeps the [rules of leaf programs](crate::leaf::verify);
//! * every call gives each slot of its leaf a value of the slot's kind; counts are not negative;
//! * distances name loops around the call only; they, strides and entries of tables are multiples of 4, so that what a leaf
//!   reads from a table is an entry of it;
//! * every byte that a call may touch, over all iterations, lies in the buffer of its slot, and is written only in `Dst`
//!   and `Scratch`: this makes machine code safe. How far a leaf reaches is found by [`reach`](crate::leaf::reach);
//! * what a call reads of `Dst` was written before by the same iteration of the parallel loop: see
//!   [`written`];
//! * iterations of the parallel loop write different bytes of `Dst`: see [`apart`]. These two make the result
//!   the same for any number of threads.
//!
//! A nest may be refused that keeps the last two, where the proof does not see how. That none is taken that breaks them is
//! held against [`races`](crate::nest::interp::races) in tests, by random changes of nests.

use octrt_ops::DType;

use octrt_ops::expr::{BufId, VarId};

use super::table::{ELEMENT, Table, table};
use super::{Leaves, apart, written};
use crate::leaf::reach::{Known, Reach, Reached, reach};
use crate::leaf::{Program, SlotId, SlotKind};
use crate::nest::{BufferRole, Distance, Form, Nest, Role, SlotValue, Stmt};

/// Checks every rule in the header of this file, of a nest that keeps those of loops and buffers.
pub(super) fn check(nest: &Nest, leaves: &mut Leaves) -> Result<(), String> {
    for (i, b) in nest.buffers.iter().enumerate() {
        let id = BufId(i as u32);
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
    nest.leaves.iter().try_for_each(|leaf| leaves.verify(leaf).map_err(|e| e.to_string()))?;
    let tables: Vec<Option<Table>> = nest.buffers.iter().map(table).collect();
    let mut checker =
        Checker { nest, loops: Vec::new(), tables: &tables, reaches: Vec::new(), calls: Vec::new() };
    let Some((outer, body)) = nest.parallel() else {
        return Err("expected one outermost loop, `parallel`".into());
    };
    checker.loops.push((outer.id, outer.extent));
    checker.block(body)?;
    let reached: Vec<&Reached> = checker.calls.iter().map(|i| &checker.reaches[*i].1).collect();
    let writes = written::check(nest, &reached, &tables)?;
    apart::check(nest, &tables, &writes)
}

/// What one call tells of its slots.
struct Call<'a> {
    nest: &'a Nest,
    slots: &'a [SlotValue],
    tables: &'a [Option<Table>],
}

impl Call<'_> {
    fn buffer(&self, slot: SlotId) -> Option<BufId> {
        match self.slots.get(usize::from(slot.0))? {
            SlotValue::Pointer(b, _) => Some(*b),
            SlotValue::Number(_) => None,
        }
    }
}

impl Known for Call<'_> {
    fn number(&self, slot: SlotId) -> Option<i64> {
        match self.slots.get(usize::from(slot.0))? {
            SlotValue::Number(n) => Some(*n),
            SlotValue::Pointer(..) => None,
        }
    }
    fn entries(&self, slot: SlotId) -> Option<(i64, i64)> {
        let table = self.tables.get(self.buffer(slot)?.index())?.as_ref()?;
        Some((table.least, table.most))
    }
    fn wanted(&self, slot: SlotId) -> bool {
        let buffer = self.buffer(slot).and_then(|b| self.nest.buffers.get(b.index()));
        buffer.is_some_and(|b| b.role == BufferRole::Dst)
    }
}

/// What decides how far a leaf reaches: the leaf, and for each slot its number, the bounds of its table, and whether it
/// leads to `Dst`.
type ReachKey = (usize, Vec<(Option<i64>, Option<(i64, i64)>, bool)>);

struct Checker<'a> {
    nest: &'a Nest,
    /// Loops around the current statement.
    loops: Vec<(VarId, usize)>,
    tables: &'a [Option<Table>],
    /// Reaches found so far: calls in the same nest differ mostly in their addresses.
    reaches: Vec<(ReachKey, Reached)>,
    /// Positions in `reaches` of the calls so far.
    calls: Vec<usize>,
}

impl Checker<'_> {
    fn block(&mut self, stmts: &[Stmt]) -> Result<(), String> {
        for stmt in stmts {
            match stmt {
                Stmt::Loop(l, body) => {
                    self.loops.push((l.id, l.extent));
                    if (l.role, l.form) != (Role::Data, Form::Serial) {
                        return Err(format!("expected a serial data loop around calls, found `{l}`"));
                    }
                    self.block(body)?;
                    self.loops.pop();
                }
                Stmt::Call { leaf, slots } => self.call(*leaf, slots)?,
                Stmt::Define(d) => return Err(format!("expected calls, found a definition of {}", d.dst)),
            }
        }
        Ok(())
    }

    fn call(&mut self, leaf: usize, slots: &[SlotValue]) -> Result<(), String> {
        let program = self.nest.leaves.get(leaf).ok_or_else(|| format!("there is no leaf {leaf}"))?;
        check_slots(program, slots)?;
        // Also of what a call of no trips does not touch.
        let terms = slots.iter().flat_map(|s| match s {
            SlotValue::Pointer(_, at) => &at.terms[..],
            SlotValue::Number(_) => &[],
        });
        for (id, _) in terms {
            if !self.loops.iter().any(|(l, _)| l == id) {
                return Err(format!("'{}': {id} is no loop around the call", program.name));
            }
        }
        let found = self.reach(leaf, program, slots)?;
        self.calls.push(found);
        for r in &self.reaches[found].1.reaches {
            let slot = &program.slots[usize::from(r.slot.0)].name;
            let Some(SlotValue::Pointer(buffer, at)) = slots.get(usize::from(r.slot.0)) else {
                return Err(format!("'{}': slot '{slot}' is no pointer", program.name));
            };
            self.bounds(*buffer, at, *r).map_err(|e| format!("'{}': slot '{slot}': {e}", program.name))?;
        }
        Ok(())
    }

    /// The position in `reaches` of what a call touches.
    fn reach(&mut self, leaf: usize, program: &Program, slots: &[SlotValue]) -> Result<usize, String> {
        let call = Call { nest: self.nest, slots, tables: self.tables };
        let of = |s: SlotId| (call.number(s), call.entries(s), call.wanted(s));
        let key: ReachKey = (leaf, (0..slots.len()).map(|i| of(SlotId(i as u16))).collect());
        if let Some(at) = self.reaches.iter().position(|(k, _)| *k == key) {
            return Ok(at);
        }
        let found = reach(program, &call)
            .ok_or_else(|| format!("how far '{}' reaches is not known", program.name))?;
        self.reaches.push((key, found));
        Ok(self.reaches.len() - 1)
    }

    fn bounds(&self, buffer: BufId, at: &Distance, r: Reach) -> Result<(), String> {
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
