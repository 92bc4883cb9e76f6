//! Whether all bytes that a statement reads are among those that others wrote before, looked at run by run.
//!
//! Sets that are cut in other ways than each other have no form in common: pixels that tiles of a convolution write, and
//! windows that a pooling reads of them. So every run of bytes is marked, or looked up, for each iteration of the loops around
//! both; for one of those loops once where it moves all of them alike.

use super::table::{ELEMENT, Table};
use super::touch::Touch;
use crate::leaf::footprint::{Piece, Term};

/// Most runs of bytes that are looked at.
const RUNS: i64 = 1 << 24;

/// Most words of marks that are cleared for all iterations.
const WORDS: i64 = 1 << 28;

/// Whether `pieces` of what one statement reads are within what `writes` cover, of the same buffer of so many bytes, at every
/// value of the loops around them, whose extents are given by depth; all deeper ones are closed.
pub(super) fn covered(
    (read, pieces): (&Touch<'_>, &[&Piece]),
    writes: &[&Touch<'_>],
    (extents, bytes): (&[i64], i64),
    tables: &[Option<Table>],
) -> bool {
    let writes: Vec<Runs<'_>> =
        writes.iter().flat_map(|w| Runs::of(w, w.footprint.writes.iter(), tables)).collect();
    let reads: Vec<Runs<'_>> = Runs::of(read, pieces.iter().copied(), tables).collect();
    let all = || writes.iter().chain(&reads);
    let alike = |depth: usize| {
        let mut steps = all().map(|r| r.step(depth));
        let first = steps.next().unwrap_or((0, 0));
        first.1 == 0 && steps.all(|step| step == first)
    };
    let extents: Vec<i64> =
        extents.iter().enumerate().map(|(depth, n)| if alike(depth) { 1 } else { *n }).collect();
    let count = |n: i64, by: i64| n.checked_mul(by).filter(|n| *n <= RUNS);
    let iterations = extents.iter().try_fold(1, |n, extent| count(n, *extent));
    let runs = all().try_fold(0i64, |n, r| Some(n + r.terms.iter().try_fold(1, |n, t| count(n, t.extent))?));
    let Some(iterations) =
        iterations.zip(runs).filter(|(n, runs)| count(*n, *runs).is_some()).map(|(n, _)| n)
    else {
        return false;
    };
    if (bytes / ELEMENT / 64 + 1).checked_mul(iterations).is_none_or(|words| words > WORDS) {
        return false;
    }
    let mut marks = Marks::of(bytes);
    (0..iterations).all(|number| {
        let mut rest = number;
        let mut at = Vec::with_capacity(extents.len());
        for extent in &extents {
            at.push(rest % extent);
            rest /= extent;
        }
        marks.clear();
        writes.iter().all(|w| w.each(&at, &mut |byte, n| marks.mark(byte, n)))
            && reads.iter().all(|r| r.each(&at, &mut |byte, n| marks.has(byte, n)))
    })
}

/// A piece of a touch: runs of equal length.
struct Runs<'a> {
    touch: &'a Touch<'a>,
    byte: i64,
    /// The entries of its table, and where the first that is added lies.
    entry: Option<(&'a [i32], i64)>,
    terms: Vec<Term>,
    bytes: i64,
}

impl<'a> Runs<'a> {
    fn of<'b: 'a>(
        touch: &'b Touch<'b>,
        pieces: impl Iterator<Item = &'b Piece> + 'a,
        tables: &'b [Option<Table>],
    ) -> impl Iterator<Item = Runs<'a>> {
        pieces.map(move |piece| {
            let entries = |table: usize| tables[table].as_ref().map_or(&[][..], |t| &t.entries);
            let entry = touch.table.zip(piece.entry);
            let entry = entry.map(|((table, byte), entry)| (entries(table.index()), byte + entry));
            let mut terms: Vec<Term> = touch.closed.iter().chain(&piece.terms).copied().collect();
            let mut bytes = piece.bytes;
            while let Some(i) = terms.iter().position(|t| (t.step, t.table_step) == (bytes, 0)) {
                bytes *= terms.swap_remove(i).extent;
            }
            Runs { touch, byte: touch.byte + piece.byte, entry, terms, bytes }
        })
    }

    /// How a loop around moves it and its entry.
    fn step(&self, depth: usize) -> (i64, i64) {
        let own = self.touch.open.iter().filter(|(d, _)| *d == depth);
        own.fold((0, 0), |(step, table), (_, t)| {
            (step + t.step, table + if self.entry.is_some() { t.table_step } else { 0 })
        })
    }

    /// Whether `f` holds for the first byte and the length of each run.
    fn each(&self, at: &[i64], f: &mut dyn FnMut(i64, i64) -> bool) -> bool {
        let (mut byte, mut entry) = (self.byte, self.entry.map_or(0, |(_, byte)| byte));
        for (depth, at) in at.iter().enumerate() {
            let (step, table_step) = self.step(depth);
            (byte, entry) = (byte + step * at, entry + table_step * at);
        }
        self.within(&self.terms, (byte, entry), f)
    }

    fn within(&self, terms: &[Term], (byte, entry): (i64, i64), f: &mut dyn FnMut(i64, i64) -> bool) -> bool {
        if let Some((t, terms)) = terms.split_first() {
            return (0..t.extent)
                .all(|i| self.within(terms, (byte + t.step * i, entry + t.table_step * i), f));
        }
        match self.entry {
            None => f(byte, self.bytes),
            Some((entries, _)) => {
                let found = usize::try_from(entry / ELEMENT).ok().and_then(|i| entries.get(i));
                found.is_some_and(|far| f(byte + i64::from(*far), self.bytes))
            }
        }
    }
}

/// A bit for each element of a buffer.
struct Marks {
    words: Vec<u64>,
}

impl Marks {
    fn of(bytes: i64) -> Marks {
        Marks { words: vec![0; usize::try_from(bytes / ELEMENT / 64 + 1).unwrap_or(0)] }
    }

    fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Each word of a run of bytes, with the bits that are in the run, from the first on for which `f` holds.
    fn all(&mut self, byte: i64, n: i64, mut f: impl FnMut(&mut u64, u64) -> bool) -> bool {
        let (Ok(first), Ok(end)) = (usize::try_from(byte / ELEMENT), usize::try_from((byte + n) / ELEMENT))
        else {
            return false;
        };
        let mut at = first;
        while at < end {
            let (word, bit) = (at / 64, at % 64);
            let bits = (end - at).min(64 - bit);
            let mask = (u64::MAX >> (64 - bits)) << bit;
            if !self.words.get_mut(word).is_some_and(|word| f(word, mask)) {
                return false;
            }
            at += bits;
        }
        true
    }

    fn mark(&mut self, byte: i64, n: i64) -> bool {
        self.all(byte, n, |word, mask| {
            *word |= mask;
            true
        })
    }

    fn has(&mut self, byte: i64, n: i64) -> bool {
        self.all(byte, n, |word, mask| *word & mask == mask)
    }
}
