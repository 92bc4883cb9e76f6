//! What statements touch of results.

use octrt_ops::expr::BufId;

use super::table::Table;
use crate::leaf::footprint::{Footprint, Piece, Term, normal};
use crate::leaf::{Program, SlotId};
use crate::nest::SlotValue;

/// A statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum By<'a> {
    /// A call of a program.
    Call(&'a Program),
    /// A definition of elements of a buffer.
    Definition(BufId),
}

impl By<'_> {
    /// What a message says of it and of one of its slots, with these words between.
    pub(super) fn named(self, between: &str, slot: SlotId) -> String {
        match self {
            By::Call(program) => {
                let slot = program.slots.get(usize::from(slot.0)).map_or("_", |s| &s.name);
                format!("'{}'{between} '{slot}'", program.name)
            }
            By::Definition(dst) => format!("a definition of {dst}"),
        }
    }
}

/// All that a statement touches of `Dst`.
#[derive(Clone, Copy, Debug)]
pub struct Touched<'a> {
    /// The statement.
    pub by: By<'a>,
    /// Its slots.
    pub slots: &'a [SlotValue],
    /// What it touches around them.
    pub footprints: &'a [Footprint],
    /// How loops of its own move each slot, in normal form; none for calls.
    pub loops: &'a [Vec<Term>],
}

/// What a statement touches of `Dst` through one slot: the pieces of a footprint, moved by loops.
#[derive(Clone, Debug, PartialEq)]
pub struct Touch<'a> {
    /// The buffer.
    pub buffer: BufId,
    /// Where the slot leads to, at the first iterations.
    pub byte: i64,
    /// The table of the footprint's entries, and the byte there that its slot leads to.
    pub table: Option<(BufId, i64)>,
    /// Loops that are open, by depth: the parallel one is 0.
    pub open: Vec<(usize, Term)>,
    /// Loops that have run to their ends, in normal form.
    pub closed: Vec<Term>,
    /// The statement.
    pub by: By<'a>,
    /// What it touches around the slot.
    pub footprint: &'a Footprint,
}

impl Touch<'_> {
    /// Closes the loops from a depth on.
    pub(super) fn close(&mut self, depth: usize) {
        let inner = self.open.iter().position(|(d, _)| *d >= depth).unwrap_or(self.open.len());
        if inner == self.open.len() {
            return;
        }
        self.closed.extend(self.open.drain(inner..).map(|(_, term)| term));
        let (table, mut entry) = self.table.unzip();
        normal(&mut self.byte, entry.get_or_insert(0), &mut self.closed);
        self.table = table.zip(entry);
    }

    /// Whether the pieces of another touch lie around the same addresses.
    pub(super) fn alike(&self, other: &Touch<'_>) -> bool {
        (self.buffer, self.byte, self.table, &self.open, &self.closed)
            == (other.buffer, other.byte, other.table, &other.open, &other.closed)
    }

    /// The first byte of a piece in the first iteration of the parallel loop, and the one behind the last.
    pub(super) fn hull(&self, piece: &Piece, tables: &[Option<Table>]) -> (i64, i64) {
        let inner = self.open.iter().filter(|(depth, _)| *depth > 0).map(|(_, term)| term);
        let far = inner.chain(&self.closed).chain(&piece.terms).map(|t| t.step * (t.extent - 1));
        let (before, behind) = far.fold((0, 0), |(lo, hi), far| (lo + far.min(0), hi + far.max(0)));
        let table =
            self.table.filter(|_| piece.entry.is_some()).and_then(|(b, _)| tables[b.index()].as_ref());
        let (least, most) = table.map_or((0, 0), |t| (t.least, t.most));
        let first = self.byte + piece.byte;
        (first + before + least, first + behind + piece.bytes + most)
    }
}
