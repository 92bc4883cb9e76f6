//! Which bytes around a pointer slot a leaf program reads and writes: sets that can be compared, where
//! [`reach`](super::reach) has the intervals around them.
//!
//! ```text
//! p1 = slot 1                             reads   (what the program itself has stored is not read of memory)
//! o0 = table p2[3]                        writes  bytes 0..32 + 64 * {0..5}
//! loop slot 4 {                                   bytes 16..48 + entry 3 of slot 2
//!   store [p1], v0
//!   p1 += 64
//! }
//! ```

use super::SlotId;
use super::verify::MAX_LOOPS;

/// An entry of a table that is part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The pointer slot of the table.
    pub(super) table: SlotId,
    /// Where the entry lies: bytes from the address in the slot, at the first trips.
    byte: i64,
    /// Further bytes for each trip of each loop.
    steps: [i64; MAX_LOOPS],
}

impl Entry {
    /// The entry at a place; `None` where an entry says where.
    pub(super) fn new(at: Place) -> Option<Entry> {
        let Place { slot: table, byte, steps, entries } = at;
        (entries == [None; 2]).then_some(Entry { table, byte, steps })
    }
}

/// An address that a program forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The pointer slot that it starts from.
    pub(super) slot: SlotId,
    /// Bytes from there, at the first trips.
    pub(super) byte: i64,
    /// Further bytes for each trip of each loop.
    pub(super) steps: [i64; MAX_LOOPS],
    /// What is added to it.
    pub(super) entries: [Option<Entry>; 2],
}

impl Place {
    /// The address in a slot.
    pub(super) fn new(slot: SlotId) -> Place {
        Place { slot, byte: 0, steps: [0; MAX_LOOPS], entries: [None; 2] }
    }

    pub(super) fn moved(self, bytes: i64) -> Option<Place> {
        Some(Place { byte: self.byte.checked_add(bytes)?, ..self })
    }

    /// Moved by an entry; `None` where it is one too many.
    pub(super) fn displaced(mut self, by: Entry) -> Option<Place> {
        *self.entries.iter_mut().find(|e| e.is_none())? = Some(by);
        Some(self)
    }
}

/// A load or a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) at: Place,
    pub(super) store: bool,
    pub(super) bytes: i64,
}

/// A loop that moves an address by equal steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// From one iteration to the next, in bytes.
    pub step: i64,
    /// How far the table's address moves with it, in bytes.
    pub table_step: i64,
    /// Iterations; 2 or more.
    pub extent: i64,
}

/// A set of runs of bytes around a slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// The first byte of the first run.
    pub byte: i64,
    /// Where the entry lies that is added, in bytes from the table's address.
    pub entry: Option<i64>,
    /// Where the other runs are, in [`normal`] form.
    pub terms: Vec<Term>,
    /// Length of each run.
    pub bytes: i64,
}

/// What a program reads before it writes it, and what it writes, around one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The slot.
    pub slot: SlotId,
    /// The slot of the table of all entries; `None` where there are none.
    pub table: Option<SlotId>,
    /// What may have been there before, in order.
    pub reads: Vec<Piece>,
    /// What is written, in order.
    pub writes: Vec<Piece>,
}

impl Footprint {
    /// One for each slot of some accesses of a program whose loops have these numbers of trips; `None` where an address is
    /// made from two entries, or those of a slot from two tables.
    pub(super) fn of(accesses: &[Access], trips: [i64; MAX_LOOPS]) -> Option<Vec<Footprint>> {
        let mut all: Vec<Footprint> = Vec::new();
        for access in accesses {
            let slot = access.at.slot;
            let i = all.iter().position(|f| f.slot == slot).unwrap_or_else(|| {
                all.push(Footprint { slot, table: None, reads: Vec::new(), writes: Vec::new() });
                all.len() - 1
            });
            all[i].add(access, trips)?;
        }
        for f in &mut all {
            for pieces in [&mut f.reads, &mut f.writes] {
                pieces.sort_unstable();
                pieces.dedup();
            }
        }
        Some(all)
    }

    fn add(&mut self, access: &Access, trips: [i64; MAX_LOOPS]) -> Option<()> {
        let Place { byte, steps, entries, .. } = access.at;
        let entry = match entries {
            [entry, None] => entry,
            _ => return None,
        };
        let table = entry.map(|e| e.table);
        if table.is_some() && self.table.is_some_and(|t| Some(t) != table) {
            return None;
        }
        self.table = self.table.or(table);
        let table_steps = entry.map_or([0; MAX_LOOPS], |e| e.steps);
        let loops = steps.into_iter().zip(table_steps).zip(trips);
        let mut piece = Piece {
            byte,
            entry: entry.map(|e| e.byte),
            terms: loops.map(|((step, table_step), extent)| Term { step, table_step, extent }).collect(),
            bytes: access.bytes,
        };
        let mut entry = piece.entry.unwrap_or(0);
        normal(&mut piece.byte, &mut entry, &mut piece.terms);
        piece.entry = piece.entry.map(|_| entry);
        if access.store {
            self.writes.push(piece)
        } else {
            self.reads.push(piece)
        }
        Some(())
    }

    /// Whether all bytes of a piece are written.
    pub fn writes(&self, piece: &Piece) -> bool {
        let same = |w: &Piece| (w.byte, w.entry, &w.terms) == (piece.byte, piece.entry, &piece.terms);
        let at = self.writes.partition_point(|w| w < piece);
        self.writes[at..].first().is_some_and(same)
    }
}

/// Brings terms into one form for equal sets of addresses: they lead forwards, are sorted, and those that make one run are
/// one. Loops that move nothing go. `byte` and `entry` become the first ones.
pub fn normal(byte: &mut i64, entry: &mut i64, terms: &mut Vec<Term>) {
    terms.retain(|t| t.extent > 1 && (t.step, t.table_step) != (0, 0));
    for t in terms.iter_mut().filter(|t| (t.step, t.table_step) < (0, 0)) {
        *byte += t.step * (t.extent - 1);
        *entry += t.table_step * (t.extent - 1);
        (t.step, t.table_step) = (-t.step, -t.table_step);
    }
    terms.sort_unstable();
    terms.dedup_by(|next, t| {
        let all = [t.step, t.table_step].map(|step| step.checked_mul(t.extent));
        let joins = all == [Some(next.step), Some(next.table_step)];
        if joins {
            t.extent *= next.extent;
        }
        joins
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_have_one_form() {
        let form = |byte: i64, terms: &[(i64, i64, i64)]| {
            let (mut byte, mut entry) = (byte, 0);
            let term = |&(step, table_step, extent)| Term { step, table_step, extent };
            let mut terms = terms.iter().map(term).collect();
            normal(&mut byte, &mut entry, &mut terms);
            (byte, entry, terms)
        };
        let run = form(0, &[(32, 0, 24)]);
        assert_eq!(form(0, &[(192, 0, 4), (32, 0, 6)]), run);
        assert_eq!(form(576, &[(-192, 0, 4), (0, 0, 9), (32, 0, 6), (7, 0, 1)]), run);
        assert_ne!(form(0, &[(192, 0, 4), (32, 0, 5)]), run);
        // A loop that moves both goes back in both.
        assert_eq!(form(64, &[(-32, 4, 3)]), (0, 8, vec![Term { step: 32, table_step: -4, extent: 3 }]));
        assert_eq!(form(0, &[(0, 24, 4), (0, 4, 6)]).2, vec![Term { step: 0, table_step: 4, extent: 24 }]);
    }
}
