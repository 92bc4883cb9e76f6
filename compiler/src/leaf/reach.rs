//! How far a leaf program reaches: the bytes that it may touch around the address in each pointer slot.
//!
//! A pointer is a place: bytes from its slot, further bytes for each trip of the loops around it, and entries of tables.
//! A counted loop moves each by the same number of bytes per trip, so that the places of all trips follow from one. What
//! is touched around a slot is known as an interval, for every memory whose offset tables keep the given bounds, and, for
//! slots of which the caller wants it, as a [`Footprint`].

use std::collections::BTreeMap;

use super::footprint::{Access, Entry, Footprint, Place};
use super::verify::MAX_LOOPS;
use super::{Address, Inst, OffId, Operand, Program, PtrId, SlotId, Step, Variable};

/// Bytes from the address in a slot, `lo` included, `hi` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The pointer slot.
    pub slot: SlotId,
    /// Whether they are written; else read.
    pub store: bool,
    /// The first byte.
    pub lo: i64,
    /// The byte behind the last.
    pub hi: i64,
}

/// No program reaches farther, in bytes: sums and products of distances are numbers then.
const FAR: i64 = 1 << 60;

/// What the caller knows of a program's slots.
pub trait Known {
    /// The number in a count or stride slot.
    fn number(&self, slot: SlotId) -> Option<i64>;
    /// The smallest and largest entry of the table that a pointer slot addresses.
    fn entries(&self, slot: SlotId) -> Option<(i64, i64)>;
    /// Whether the footprint around a pointer slot is wanted.
    fn wanted(&self, slot: SlotId) -> bool;
}

/// What a program touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// At most one entry per slot and direction.
    pub reaches: Vec<Reach>,
    /// One for each slot that is wanted and touched.
    pub footprints: Vec<Footprint>,
}

/// What a program that keeps the rules touches; `None` where something is not known, a loop assigns a pointer of the
/// statements before it other than by moving it, or an address in a wanted slot is made from several tables.
pub fn reach(program: &Program, known: &dyn Known) -> Option<Reached> {
    let mut analysis = Analysis {
        known,
        vector_bytes: i64::from(program.width.bytes()),
        loops: 0,
        trips: [1; MAX_LOOPS],
        dry: false,
        found: BTreeMap::new(),
        accesses: Vec::new(),
    };
    analysis.block(&program.body, &mut State::default())?;
    let reach = |((slot, store), (lo, hi))| Reach { slot, store, lo, hi };
    let footprints = Footprint::of(&analysis.accesses, analysis.trips)?;
    Some(Reached { reaches: analysis.found.into_iter().map(reach).collect(), footprints })
}

/// What variables hold, by their numbers.
#[derive(Clone, Default)]
struct State {
    pointers: Vec<Option<Place>>,
    offsets: Vec<Option<Entry>>,
}

impl State {
    fn pointer(&self, p: PtrId) -> Option<Place> {
        self.pointers.get(usize::from(p.0)).copied().flatten()
    }

    fn offset(&self, o: OffId) -> Option<Entry> {
        self.offsets.get(usize::from(o.0)).copied().flatten()
    }

    fn set_pointer(&mut self, p: PtrId, place: Place) {
        assign(&mut self.pointers, p.0, place);
    }

    fn set_offset(&mut self, o: OffId, entry: Entry) {
        assign(&mut self.offsets, o.0, entry);
    }
}

fn assign<T: Clone>(all: &mut Vec<Option<T>>, number: u16, value: T) {
    let number = usize::from(number);
    if all.len() <= number {
        all.resize(number + 1, None);
    }
    all[number] = Some(value);
}

struct Analysis<'a> {
    known: &'a dyn Known,
    vector_bytes: i64,
    /// Loops entered so far: the number of the next one.
    loops: usize,
    /// Trips of each loop.
    trips: [i64; MAX_LOOPS],
    /// Whether pointers are followed only.
    dry: bool,
    found: BTreeMap<(SlotId, bool), (i64, i64)>,
    accesses: Vec<Access>,
}

impl Analysis<'_> {
    fn block(&mut self, insts: &[Inst], state: &mut State) -> Option<()> {
        insts.iter().try_for_each(|inst| self.inst(inst, state))
    }

    fn inst(&mut self, inst: &Inst, state: &mut State) -> Option<()> {
        match inst {
            Inst::Pointer { dst, slot } => {
                state.set_pointer(*dst, Place::new(*slot));
            }
            Inst::Displace { dst, base, by } => {
                let moved = state.pointer(*base)?.displaced(state.offset(*by)?)?;
                state.set_pointer(*dst, moved);
            }
            Inst::Advance { ptr, by } => {
                let bytes = match by {
                    Step::Bytes(bytes) => i64::from(*bytes),
                    Step::Slot(slot) => self.known.number(*slot)?,
                };
                let moved = state.pointer(*ptr)?.moved(bytes)?;
                state.set_pointer(*ptr, moved);
            }
            Inst::Offset { dst, table, entry } => {
                let at = state.pointer(*table)?.moved(4 * i64::from(*entry))?;
                if !self.dry {
                    self.touch(at, false, 4)?;
                }
                state.set_offset(*dst, Entry::new(at)?);
            }
            Inst::Loop { count, body } => self.repeat(*count, body, state)?,
            Inst::Load { from, lanes, .. } => self.access(*from, state, false, 4 * i64::from(*lanes))?,
            Inst::Store { to, lanes, .. } => self.access(*to, state, true, 4 * i64::from(*lanes))?,
            Inst::Broadcast { from, .. } => self.access(*from, state, false, 4)?,
            Inst::Fma { b, .. } | Inst::Horner { c: b, .. } | Inst::Binary { b, .. } => match b {
                Operand::Memory(a) => self.access(*a, state, false, self.vector_bytes)?,
                Operand::Broadcast(a) => self.access(*a, state, false, 4)?,
                Operand::Vector(_) | Operand::Splat(_) => {}
            },
            Inst::Prefetch(..)
            | Inst::Zero(_)
            | Inst::Splat(..)
            | Inst::Copy { .. }
            | Inst::Shuffle { .. }
            | Inst::Unary { .. }
            | Inst::Shift { .. }
            | Inst::Compare { .. }
            | Inst::Select { .. } => {}
        }
        Some(())
    }

    fn repeat(&mut self, count: SlotId, body: &[Inst], state: &mut State) -> Option<()> {
        let trips = self.known.number(count)?;
        if trips <= 0 {
            return Some(());
        }
        if body.iter().any(|i| reassigns(i, state)) {
            return None;
        }
        let this = self.loops;
        *self.trips.get_mut(this)? = trips;
        // One trip on a copy tells how far each pointer moves.
        let (before, mut after) = (state.clone(), state.clone());
        let dry = std::mem::replace(&mut self.dry, true);
        self.loops = this + 1;
        self.block(body, &mut after)?;
        self.dry = dry;
        let step = |i: usize, p: &Place| after.pointers.get(i)?.as_ref()?.byte.checked_sub(p.byte);
        if !dry {
            for (i, p) in state.pointers.iter_mut().enumerate() {
                if let Some(p) = p {
                    p.steps[this] = step(i, p)?;
                }
            }
            self.loops = this + 1;
            self.block(body, state)?;
        }
        // What the loop is the first to assign is not read after it.
        *state = before;
        for (i, p) in state.pointers.iter_mut().enumerate() {
            if let Some(p) = p {
                *p = p.moved(step(i, p)?.checked_mul(trips)?)?;
            }
        }
        Some(())
    }

    fn access(&mut self, a: Address, state: &State, store: bool, bytes: i64) -> Option<()> {
        if self.dry {
            return Some(());
        }
        let at = state.pointer(a.base)?.moved(a.bytes.into())?;
        let at = match a.offset {
            Some(o) => at.displaced(state.offset(o)?)?,
            None => at,
        };
        self.touch(at, store, bytes)
    }

    fn touch(&mut self, at: Place, store: bool, bytes: i64) -> Option<()> {
        let (mut lo, mut hi) = (at.byte, at.byte.checked_add(bytes)?);
        // Loops that the program has not do not move it.
        for (step, trips) in at.steps.iter().zip(self.trips) {
            if *step != 0 {
                let far = step.checked_mul(trips - 1)?;
                if !(-FAR..=FAR).contains(&far) {
                    return None;
                }
                (lo, hi) = (lo.checked_add(far.min(0))?, hi.checked_add(far.max(0))?);
            }
        }
        for entry in at.entries.iter().flatten() {
            let (least, most) = self.known.entries(entry.table)?;
            (lo, hi) = (lo.checked_add(least)?, hi.checked_add(most)?);
        }
        if lo < -FAR || hi > FAR {
            return None;
        }
        let range = self.found.entry((at.slot, store)).or_insert((lo, hi));
        *range = (range.0.min(lo), range.1.max(hi));
        if self.known.wanted(at.slot) {
            let access = Access { at, store, bytes };
            // A load of what the program has stored at the same place reads nothing of what was there before.
            if store || !self.accesses.iter().rev().any(|a| a.store && a.at == at && a.bytes >= bytes) {
                self.accesses.push(access);
            }
        }
        Some(())
    }
}

/// Whether a statement, or one in its loops, assigns a pointer or an offset that already has a value, other than by moving it.
fn reassigns(inst: &Inst, state: &State) -> bool {
    match inst {
        Inst::Advance { .. } => false,
        Inst::Loop { body, .. } => body.iter().any(|i| reassigns(i, state)),
        _ => match inst.assigns() {
            Some(Variable::Pointer(p)) => state.pointer(p).is_some(),
            Some(Variable::Offset(o)) => state.offset(o).is_some(),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::footprint::{Piece, Term};
    use crate::leaf::text::parse;

    struct Fixed;

    impl Known for Fixed {
        fn number(&self, slot: SlotId) -> Option<i64> {
            [None, None, Some(5), Some(100), None].get(usize::from(slot.0)).copied().flatten()
        }
        fn entries(&self, slot: SlotId) -> Option<(i64, i64)> {
            (slot.0 == 4).then_some((-8, 40))
        }
        fn wanted(&self, slot: SlotId) -> bool {
            slot.0 == 1
        }
    }

    fn reached(body: &str) -> Option<Reached> {
        let text = format!(
            "leaf \"t\" w8 {{\n  slot 0 \"src\": pointer\n  slot 1 \"dst\": pointer\n  slot 2 \"n\": count\n  slot 3 \"step\": stride\n  slot 4 \"table\": pointer\n{body}}}\n"
        );
        let program = parse(&text).expect("a program");
        reach(&program, &Fixed)
    }

    fn of(body: &str) -> Option<Vec<(u16, bool, i64, i64)>> {
        Some(reached(body)?.reaches.iter().map(|r| (r.slot.0, r.store, r.lo, r.hi)).collect())
    }

    #[test]
    fn loops_multiply() {
        let body = "  p0 = slot 0\n  p1 = slot 1\n  v0 = zero\n  loop slot 2 {\n    v0 += v0 * [p0 + 4]\n    p0 += slot 3\n  }\n  v1 = load [p0] lanes 2\n  store [p1 - 32], v1\n";
        // Trips read at 4, 104 .. 404; afterwards at 500.
        assert_eq!(of(body), Some(vec![(0, false, 4, 508), (1, true, -32, 0)]));
    }

    #[test]
    fn tables_bound_offsets() {
        let body = "  p0 = slot 0\n  p1 = slot 4\n  o0 = table p1[3]\n  v0 = broadcast [p0 + o0 + 4]\n";
        assert_eq!(of(body), Some(vec![(0, false, -4, 48), (4, false, 12, 16)]));
    }

    #[test]
    fn a_pointer_assigned_again_in_a_loop_is_not_followed() {
        let body = "  p0 = slot 0\n  loop slot 2 {\n    p0 = slot 1\n    p0 += 4\n  }\n";
        assert_eq!(of(body), None);
    }

    #[test]
    fn footprints_tell_runs_apart() {
        let body = "  p0 = slot 0\n  p1 = slot 1\n  p2 = slot 4\n  v0 = load [p1 + 8] lanes 2\n  loop slot 2 {\n    store [p1], v0\n    v1 = load [p1] lanes 3\n    p1 += slot 3\n  }\n  o0 = table p2[3]\n  store [p1 + o0 - 500] lanes 4, v0\n";
        let piece = |byte, entry, terms: &[(i64, i64)], bytes| Piece {
            byte,
            entry,
            terms: terms.iter().map(|&(step, extent)| Term { step, table_step: 0, extent }).collect(),
            bytes,
        };
        let footprint = Footprint {
            slot: SlotId(1),
            table: Some(SlotId(4)),
            reads: vec![piece(8, None, &[], 8)],
            writes: vec![piece(0, None, &[(100, 5)], 32), piece(0, Some(12), &[], 16)],
        };
        assert_eq!(reached(body).map(|r| r.footprints), Some(vec![footprint]));
    }
}
