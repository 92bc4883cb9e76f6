//! How far a leaf program reaches: the bytes that it may touch around the address in each pointer slot.
//!
//! Pointers are intervals of distances from their slot; a counted loop moves each by the same number of bytes per trip,
//! so that the interval over all trips follows from one. The result holds for every memory whose offset tables keep
//! the given bounds.

use std::collections::BTreeMap;

use super::{Address, Inst, Operand, Program, PtrId, SlotId, Step, Variable};

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

/// What the caller knows of a program's slots.
pub trait Known {
    /// The number in a count or stride slot.
    fn number(&self, slot: SlotId) -> Option<i64>;
    /// The smallest and largest entry of the table that a pointer slot addresses.
    fn entries(&self, slot: SlotId) -> Option<(i64, i64)>;
}

/// A slot and an interval of distances from it, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pointer {
    slot: SlotId,
    lo: i64,
    hi: i64,
}

impl Pointer {
    fn moved(self, lo: i64, hi: i64) -> Option<Pointer> {
        Some(Pointer { slot: self.slot, lo: self.lo.checked_add(lo)?, hi: self.hi.checked_add(hi)? })
    }
}

#[derive(Clone, Default)]
struct State {
    pointers: BTreeMap<PtrId, Pointer>,
    offsets: BTreeMap<Variable, (i64, i64)>,
}

/// The reach of a program that keeps the rules, at most one entry per slot and direction; `None` where something is not
/// known, or a loop assigns a pointer of the statements before it other than by moving it.
pub fn reach(program: &Program, known: &dyn Known) -> Option<Vec<Reach>> {
    let mut analysis =
        Analysis { known, vector_bytes: i64::from(program.width.bytes()), found: BTreeMap::new() };
    analysis.block(&program.body, &mut State::default())?;
    let reach = |((slot, store), (lo, hi))| Reach { slot, store, lo, hi };
    Some(analysis.found.into_iter().map(reach).collect())
}

struct Analysis<'a> {
    known: &'a dyn Known,
    vector_bytes: i64,
    found: BTreeMap<(SlotId, bool), (i64, i64)>,
}

impl Analysis<'_> {
    fn block(&mut self, insts: &[Inst], state: &mut State) -> Option<()> {
        insts.iter().try_for_each(|inst| self.inst(inst, state))
    }

    fn inst(&mut self, inst: &Inst, state: &mut State) -> Option<()> {
        match inst {
            Inst::Pointer { dst, slot } => {
                state.pointers.insert(*dst, Pointer { slot: *slot, lo: 0, hi: 0 });
            }
            Inst::Displace { dst, base, by } => {
                let (lo, hi) = *state.offsets.get(&Variable::Offset(*by))?;
                let moved = state.pointers.get(base)?.moved(lo, hi)?;
                state.pointers.insert(*dst, moved);
            }
            Inst::Advance { ptr, by } => {
                let bytes = match by {
                    Step::Bytes(bytes) => i64::from(*bytes),
                    Step::Slot(slot) => self.known.number(*slot)?,
                };
                let moved = state.pointers.get(ptr)?.moved(bytes, bytes)?;
                state.pointers.insert(*ptr, moved);
            }
            Inst::Offset { dst, table, entry } => {
                let table = *state.pointers.get(table)?;
                self.touch(table.moved(4 * i64::from(*entry), 4 * i64::from(*entry))?, false, 4)?;
                state.offsets.insert(Variable::Offset(*dst), self.known.entries(table.slot)?);
            }
            Inst::Loop { count, body } => self.repeat(*count, body, state)?,
            Inst::Load { from, lanes, .. } => self.access(*from, state, false, 4 * i64::from(*lanes))?,
            Inst::Store { to, lanes, .. } => self.access(*to, state, true, 4 * i64::from(*lanes))?,
            Inst::Broadcast { from, .. } => self.access(*from, state, false, 4)?,
            Inst::Fma { b, .. } | Inst::Binary { b, .. } => match b {
                Operand::Memory(a) => self.access(*a, state, false, self.vector_bytes)?,
                Operand::Broadcast(a) => self.access(*a, state, false, 4)?,
                Operand::Vector(_) => {}
            },
            Inst::Prefetch(_)
            | Inst::Zero(_)
            | Inst::Splat(..)
            | Inst::Copy { .. }
            | Inst::Unordered { .. } => {}
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
        // One trip on a copy tells how far each pointer moves; nothing is recorded.
        let (mut after, found) = (state.clone(), self.found.clone());
        self.block(body, &mut after)?;
        self.found = found;
        let before = state.clone();
        for (id, p) in &mut state.pointers {
            let step = after.pointers.get(id)?.lo.checked_sub(p.lo)?;
            let last = step.checked_mul(trips - 1)?;
            *p = p.moved(last.min(0), last.max(0))?;
        }
        self.block(body, state)?;
        for (id, p) in &before.pointers {
            let step = after.pointers.get(id)?.lo.checked_sub(p.lo)?;
            let all = step.checked_mul(trips)?;
            state.pointers.insert(*id, p.moved(all, all)?);
        }
        state.pointers.retain(|id, _| before.pointers.contains_key(id));
        Some(())
    }

    fn access(&mut self, a: Address, state: &State, store: bool, bytes: i64) -> Option<()> {
        let (lo, hi) = match a.offset {
            Some(o) => *state.offsets.get(&Variable::Offset(o))?,
            None => (0, 0),
        };
        let at = state.pointers.get(&a.base)?.moved(lo, hi)?;
        self.touch(at.moved(a.bytes.into(), a.bytes.into())?, store, bytes)
    }

    fn touch(&mut self, at: Pointer, store: bool, bytes: i64) -> Option<()> {
        let end = at.hi.checked_add(bytes)?;
        let range = self.found.entry((at.slot, store)).or_insert((at.lo, end));
        *range = (range.0.min(at.lo), range.1.max(end));
        Some(())
    }
}

/// Whether a statement, or one in its loops, assigns a pointer or an offset that already has a value, other than by moving it.
fn reassigns(inst: &Inst, state: &State) -> bool {
    match inst {
        Inst::Advance { .. } => false,
        Inst::Loop { body, .. } => body.iter().any(|i| reassigns(i, state)),
        _ => match inst.assigns() {
            Some(Variable::Pointer(p)) => state.pointers.contains_key(&p),
            Some(v @ Variable::Offset(_)) => state.offsets.contains_key(&v),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::text::parse;

    struct Fixed;

    impl Known for Fixed {
        fn number(&self, slot: SlotId) -> Option<i64> {
            [None, None, Some(5), Some(100), None].get(usize::from(slot.0)).copied().flatten()
        }
        fn entries(&self, slot: SlotId) -> Option<(i64, i64)> {
            (slot.0 == 4).then_some((-8, 40))
        }
    }

    fn of(body: &str) -> Option<Vec<(u16, bool, i64, i64)>> {
        let text = format!(
            "leaf \"t\" w8 {{\n  slot 0 \"src\": pointer\n  slot 1 \"dst\": pointer\n  slot 2 \"n\": count\n  slot 3 \"step\": stride\n  slot 4 \"table\": pointer\n{body}}}\n"
        );
        let program = parse(&text).expect("a program");
        let reach = reach(&program, &Fixed)?;
        Some(reach.iter().map(|r| (r.slot.0, r.store, r.lo, r.hi)).collect())
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
}
