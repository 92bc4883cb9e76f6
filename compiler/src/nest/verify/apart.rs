//! Iterations of the parallel loop write different bytes of `Dst`.
//!
//! All that an iteration writes lies in an interval, and the intervals of any two are apart. Where iterations take turns
//! in memory, as runs of pixels do whose blocks of channels lie far from each other, bytes are counted from the last
//! multiple of a *period*, one of the strides of `Dst`: loops that move by multiples of it move nothing then.
//!
//! ```text
//! for L0 in 4 parallel {                                   bytes 448*L0 .. 448*L0 + 448, counted in each 1792
//!   for L1 in 8  for L2 in 14  { call 0 "conv" (..., dst = b3 + 448*L0 + 1792*L1 + 32*L2) }
//! }
//! ```
//!
//! Bytes that are different when they are counted so are different. Entries of tables are looked up.

use super::table::{ELEMENT, Table};
use super::touch::Touch;
use crate::leaf::footprint::Term;
use crate::nest::Nest;
use octrt_ops::expr::BufId;

/// Most iterations of the parallel loop that are looked at one by one.
const ITERATIONS: i64 = 1 << 20;

/// Most entries of tables that are looked up for all of them.
const ENTRIES: i64 = 1 << 28;

/// Proves it of every buffer, from all that is written.
///
/// # Errors
/// Two iterations that are not known to write different bytes.
pub(super) fn check(nest: &Nest, tables: &[Option<Table>], writes: &[Touch<'_>]) -> Result<(), String> {
    nest.dsts().try_for_each(|dst| {
        let of_it: Vec<&Touch<'_>> = writes.iter().filter(|w| w.buffer == dst).collect();
        of_buffer(nest, tables, dst, &of_it)
    })
}

fn of_buffer(nest: &Nest, tables: &[Option<Table>], dst: BufId, writes: &[&Touch<'_>]) -> Result<(), String> {
    if nest.parallel_extent() == 1 || writes.is_empty() {
        return Ok(());
    }
    let ty = &nest.buffers[dst.index()].ty;
    let mut strides = vec![ELEMENT];
    for extent in ty.shape.dims().iter().skip(1).rev() {
        strides.push(strides.last().unwrap_or(&ELEMENT) * *extent as i64);
    }
    strides.dedup();
    let mut closest: Option<Clash<'_>> = None;
    for period in std::iter::once(None).chain(strides.into_iter().rev().map(Some)) {
        match Spans::of(writes, tables, period).apart(nest.parallel_extent() as i64, period) {
            Ok(()) => return Ok(()),
            Err(clash) => closest = closest.into_iter().chain(clash).min_by_key(|c| c.bytes),
        }
    }
    let Some((outer, _)) = nest.outer() else { return Err("no loop that is parallel or of turns".into()) };
    let what = format!("{} may write the same bytes of {dst}", outer.id);
    Err(closest.map_or_else(|| format!("iterations of {what}: too many to look at"), |c| c.message(&what)))
}

/// Two iterations, an interval that each writes within, and how many bytes are in both.
struct Clash<'a> {
    found: [Interval<'a>; 2],
    period: Option<i64>,
    bytes: i64,
}

impl Clash<'_> {
    fn message(&self, what: &str) -> String {
        let [a, b] = &self.found;
        let within = |i: &Interval<'_>, end: usize| {
            let touch = i.ends[end];
            let named = touch.by.named(" by slot", touch.footprint.slot);
            format!("{named} within {}..{}", i.lo, i.hi)
        };
        let counted = self.period.map(|p| format!(" of each {p}")).unwrap_or_default();
        format!("iterations {} and {} of {what}: {}, {}{counted}", a.at, b.at, within(a, 1), within(b, 0))
    }
}

/// What an iteration writes lies within these bytes.
#[derive(Clone, Copy)]
struct Interval<'a> {
    at: i64,
    lo: i64,
    hi: i64,
    /// Who writes at either end.
    ends: [&'a Touch<'a>; 2],
}

/// A touch writes within bytes `lo + step * i .. hi + step * i` in iteration `i`, after any entry of a window.
#[derive(Clone)]
struct Span<'a> {
    lo: i64,
    hi: i64,
    step: i64,
    window: Option<Window<'a>>,
    touch: &'a Touch<'a>,
}

/// Entries `first + step * i ..= last + step * i` of a table in iteration `i`.
#[derive(Clone, PartialEq)]
struct Window<'a> {
    table: BufId,
    entries: &'a [i32],
    first: i64,
    last: i64,
    step: i64,
}

impl Window<'_> {
    /// The smallest and the largest entry in an iteration.
    fn bounds(&self, at: i64) -> Option<(i64, i64)> {
        let [first, last] = [self.first, self.last].map(|entry| usize::try_from(entry + self.step * at).ok());
        let entries = self.entries.get(first?..=last?)?;
        Some(((*entries.iter().min()?).into(), (*entries.iter().max()?).into()))
    }
}

/// How far terms lead to either side.
fn hull(steps: impl Iterator<Item = (i64, i64)>) -> (i64, i64) {
    let far = steps.map(|(step, extent)| step * (extent - 1));
    far.fold((0, 0), |(before, behind), far| (before + far.min(0), behind + far.max(0)))
}

impl<'a> Span<'a> {
    /// All that a touch writes: what is at entries of a table, and what is not.
    fn of(touch: &'a Touch<'a>, tables: &'a [Option<Table>], period: Option<i64>) -> Vec<Span<'a>> {
        let parallel = touch.open.first().map(|(_, term)| *term);
        let mut spans: [Option<Span<'a>>; 2] = [None, None];
        for piece in &touch.footprint.writes {
            let terms = || touch.closed.iter().chain(&piece.terms);
            let moves = |t: &&Term| period.is_none_or(|p| t.step % p != 0);
            let (before, behind) = hull(terms().filter(moves).map(|t| (t.step, t.extent)));
            let first = touch.byte + piece.byte;
            let first = period.map_or(first, |p| first.rem_euclid(p));
            let window = touch.table.zip(piece.entry).map(|((table, byte), entry)| {
                let (before, behind) = hull(terms().map(|t| (t.table_step, t.extent)));
                Window {
                    table,
                    entries: tables[table.index()].as_ref().map_or(&[], |t| &t.entries),
                    first: (byte + entry + before) / ELEMENT,
                    last: (byte + entry + behind) / ELEMENT,
                    step: parallel.map_or(0, |t| t.table_step) / ELEMENT,
                }
            });
            let step = parallel.map_or(0, |t| t.step);
            let span = Span { lo: first + before, hi: first + behind + piece.bytes, step, window, touch };
            let same = &mut spans[usize::from(span.window.is_some())];
            match same {
                Some(same) => same.join(span),
                None => *same = Some(span),
            }
        }
        spans.into_iter().flatten().collect()
    }

    /// Both, of one touch.
    fn join(&mut self, other: Span<'a>) {
        (self.lo, self.hi) = (self.lo.min(other.lo), self.hi.max(other.hi));
        if let (Some(a), Some(b)) = (&mut self.window, other.window) {
            (a.first, a.last) = (a.first.min(b.first), a.last.max(b.last));
        }
    }

    /// The bytes in an iteration.
    fn bytes(&self, at: i64) -> Option<(i64, i64)> {
        let (least, most) = self.window.as_ref().map_or(Some((0, 0)), |w| w.bounds(at))?;
        Some((self.lo + self.step * at + least, self.hi + self.step * at + most))
    }

    /// The span with the bounds of a window that is the same in all iterations in place of the window.
    fn without_still_window(mut self) -> Span<'a> {
        if let Some((least, most)) = self.window.as_ref().filter(|w| w.step == 0).and_then(|w| w.bounds(0)) {
            (self.lo, self.hi) = (self.lo + least, self.hi + most);
            self.window = None;
        }
        self
    }
}

/// All that is written.
struct Spans<'a>(Vec<Span<'a>>);

impl<'a> Spans<'a> {
    fn of(writes: &[&'a Touch<'a>], tables: &'a [Option<Table>], period: Option<i64>) -> Spans<'a> {
        let mut all: Vec<Span<'a>> = Vec::new();
        for span in writes.iter().flat_map(|w| Span::of(w, tables, period)).map(Span::without_still_window) {
            let same =
                |s: &Span<'_>| (s.lo, s.hi, s.step, &s.window) == (span.lo, span.hi, span.step, &span.window);
            if !all.iter().any(same) {
                all.push(span);
            }
        }
        Spans(all)
    }

    /// What is written in an iteration; `None` where entries are not known.
    fn interval(&self, at: i64) -> Option<Interval<'a>> {
        let mut all: Option<Interval<'a>> = None;
        for span in &self.0 {
            let (lo, hi) = span.bytes(at)?;
            let i = all.get_or_insert(Interval { at, lo, hi, ends: [span.touch; 2] });
            if lo < i.lo {
                (i.lo, i.ends[0]) = (lo, span.touch);
            }
            if hi > i.hi {
                (i.hi, i.ends[1]) = (hi, span.touch);
            }
        }
        all
    }

    /// Proves that iterations write different bytes, counted from multiples of a period.
    fn apart(&self, extent: i64, period: Option<i64>) -> Result<(), Option<Clash<'a>>> {
        let step = self.0.first().map_or(0, |s| s.step);
        let even = self.0.iter().all(|s| s.window.is_none() && s.step == step);
        let looks = |s: &Span<'_>| s.window.as_ref().map_or(0, |w| w.last - w.first + 1);
        let entries = self.0.iter().map(looks).sum::<i64>().saturating_mul(extent);
        if !even && (extent > ITERATIONS || entries > ENTRIES) {
            return Err(None);
        }
        // Where all move by equal steps, the others lie as the first two do.
        let first = if even { 2.min(extent) } else { extent };
        let mut all = Vec::new();
        for at in (0..first).chain((extent - 1).max(first)..extent) {
            all.push(self.interval(at).ok_or(None)?);
        }
        all.sort_unstable_by_key(|i| (i.lo, i.at));
        let clash = |a: Interval<'a>, b: Interval<'a>, bytes| Clash { found: [a, b], period, bytes };
        if let Some([a, b]) = all.array_windows().find(|[a, b]| a.hi > b.lo) {
            return Err(Some(clash(*a, *b, a.hi.min(b.hi) - b.lo)));
        }
        match (period, all.first(), all.last()) {
            (Some(p), Some(a), Some(b)) if b.hi - a.lo > p => Err(Some(clash(*b, *a, b.hi - a.lo - p))),
            _ => Ok(()),
        }
    }
}
