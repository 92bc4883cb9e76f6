//! The rules of nests of several statements: calls, and definitions with the loops that have nothing else inside.
//!
//! * the outermost statement is one loop, `parallel` or of turns: what follows holds alike for both; loops inside, but for
//!   those of definitions, are serial data loops;
//! * every definition keeps the rules that [`definition`] has for one beside others, and its elements in `Dst` lie at sums of
//!   loops;
//! * tables are of i32;
//! * every leaf keeps the [rules of leaf programs](crate::leaf::verify);
//! * every call gives each slot of its leaf a value of the slot's kind; counts are not negative;
//! * distances name loops around the call only; they, strides and entries of tables are multiples of 4, so that what a leaf
//!   reads from a table is an entry of it;
//! * every byte that a call may touch, over all iterations, lies in the buffer of its slot, and is written only in `Dst`
//!   and `Scratch`: this makes machine code safe. How far a leaf reaches is found by [`reach`](crate::leaf::reach);
//! * something writes each buffer that is `Dst`;
//! * what a statement reads of `Dst` was written before by the same iteration of the parallel loop: see
//!   [`written`];
//! * iterations of the parallel loop write different bytes of `Dst`: see [`apart`]. The last two make the results
//!   the same for any number of threads.
//!
//! A nest may be refused that keeps the last two, where the proof does not see how. That none is taken that breaks them is
//! held against [`races`](crate::nest::interp::races) in tests, by random changes of nests.

use octrt_ops::DType;

use octrt_ops::expr::{BufId, VarId};

use super::elements::Elements;
use super::table::{ELEMENT, Table, table};
use super::touch::{By, Touched};
use super::{Leaves, Violation, apart, definition, written};
use crate::leaf::reach::{Known, Reach, Reached, reach};
use crate::leaf::{Program, SlotId, SlotKind};
use crate::nest::{BufferRole, Definition, Distance, Form, Loop, Nest, Role, SlotValue, Stmt};

/// Checks every rule in the header of this file, of a nest that keeps those of loops and buffers.
pub(super) fn check(nest: &Nest, leaves: &mut Leaves) -> Result<(), Violation> {
    for (i, b) in nest.buffers.iter().enumerate() {
        let id = BufId(i as u32);
        if let BufferRole::Table(t) = &b.role
            && (t.dtype() != DType::I32 || *t.ty() != b.ty)
        {
            return Err(format!("{id}: expected a table {} of i32, found {}", b.ty, t.ty()).into());
        }
        if let BufferRole::Table(t) = &b.role
            && let Some(entry) = t.to_i64s().unwrap_or_default().iter().find(|e| *e % ELEMENT != 0)
        {
            return Err(format!("{id}: expected multiples of {ELEMENT}, found {entry}").into());
        }
    }
    nest.leaves.iter().try_for_each(|leaf| leaves.verify(leaf).map_err(|e| e.to_string()))?;
    let tables: Vec<Option<Table>> = nest.buffers.iter().map(table).collect();
    let mut checker =
        Checker { nest, loops: Vec::new(), tables: &tables, reaches: Vec::new(), statements: Vec::new() };
    let Some((outer, body)) = nest.outer() else {
        return Err(Violation::Statements("another outermost statement".into()));
    };
    checker.loops.push(outer);
    checker.block(body)?;
    let touched: Vec<Touched<'_>> = checker.statements.iter().map(|s| s.touched(&checker.reaches)).collect();
    let writes = written::check(nest, &touched, &tables)?;
    if let Some(dst) = nest.dsts().find(|dst| writes.iter().all(|w| w.buffer != *dst)) {
        return Err(format!("nothing writes {dst}").into());
    }
    Ok(apart::check(nest, &tables, &writes)?)
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
    loops: Vec<&'a Loop>,
    tables: &'a [Option<Table>],
    /// Reaches found so far: calls in the same nest differ mostly in their addresses.
    reaches: Vec<(ReachKey, Reached)>,
    /// What the statements so far touch.
    statements: Vec<Statement<'a>>,
}

/// What a statement touches.
enum Statement<'a> {
    /// A call: its program, its slots, and the position of what the program touches among the reaches found so far.
    Call(&'a Program, &'a [SlotValue], usize),
    /// A definition with its loops.
    Elements(Elements),
}

impl Statement<'_> {
    fn touched<'b>(&'b self, reaches: &'b [(ReachKey, Reached)]) -> Touched<'b> {
        match self {
            Statement::Call(program, slots, found) => {
                let footprints = &reaches[*found].1.footprints;
                Touched { by: By::Call(program), slots, footprints, loops: &[] }
            }
            Statement::Elements(e) => {
                let by = By::Definition(e.dst);
                Touched { by, slots: &e.slots, footprints: &e.footprints, loops: &e.loops }
            }
        }
    }
}

impl<'a> Checker<'a> {
    fn block(&mut self, stmts: &'a [Stmt]) -> Result<(), Violation> {
        for stmt in stmts {
            match (stmt.chain(), stmt) {
                ((loops, Some(define)), _) => {
                    let around = self.loops.len();
                    let loops = self.loops.iter().copied().chain(loops).collect();
                    let definition = Definition { buffers: &self.nest.buffers, loops, define };
                    definition::check_part(&definition)?;
                    self.statements.push(Statement::Elements(Elements::of(&definition, around)?));
                }
                (_, Stmt::Loop(l, body)) => {
                    if (l.role, l.form) != (Role::Data, Form::Serial) {
                        let message = format!("expected a serial data loop around statements, found `{l}`");
                        return Err(Violation::Calls(message));
                    }
                    self.loops.push(l);
                    self.block(body)?;
                    self.loops.pop();
                }
                (_, Stmt::Call { leaf, slots }) => self.call(*leaf, slots)?,
                (_, Stmt::Define(_)) => {}
            }
        }
        Ok(())
    }

    fn call(&mut self, leaf: usize, slots: &'a [SlotValue]) -> Result<(), String> {
        let program = self.nest.leaves.get(leaf).ok_or_else(|| format!("there is no leaf {leaf}"))?;
        check_slots(program, slots)?;
        for (slot, value) in program.slots.iter().zip(slots) {
            let SlotValue::Pointer(buffer, at) = value else { continue };
            let fail = |what: String| Err(format!("'{}': slot '{}': {what}", program.name, slot.name));
            if self.nest.buffers.get(buffer.index()).is_none() {
                return fail(format!("there is no buffer {buffer}"));
            }
            let around = |id: &VarId| self.loops.iter().any(|l| l.id == *id);
            if let Some((id, _)) = at.terms.iter().find(|(id, _)| !around(id)) {
                return fail(format!("{id} is no loop around the call"));
            }
        }
        let found = self.reach(leaf, program, slots)?;
        self.statements.push(Statement::Call(program, slots, found));
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
            let extent = self.loops.iter().find(|l| l.id == *id).map(|l| l.extent);
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
