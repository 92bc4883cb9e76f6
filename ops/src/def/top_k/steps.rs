//! The stages of TopK: keys, and the positions of the first `k` of each row in descending order of their keys.

use crate::compute::{Compute, Reduce, ReduceFn, Update};
use crate::dtype::DType;
use crate::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::shape::TensorType;

/// Most elements that are found one after the other, each by two passes over the row.
const FEW: usize = 8;
/// Most elements of a row that are sorted without being selected first.
const SHORT: usize = 256;
/// Most elements that are sorted by counting for each those that come before it.
const COUNTED: usize = 1024;
/// Most bits of a digit by which elements are sorted or selected.
const DIGIT: usize = 11;
/// Fewest bits of a digit by which elements are selected.
const SMALL_DIGIT: usize = 6;

/// Rows of keys.
pub(super) struct Rows {
    /// The keys, `[dims.., n]`.
    keys: BufId,
    /// Their type: i32 or i64.
    ty: DType,
    /// Keys are at least `-2^(bits - 1)` and below `2^(bits - 1)`.
    bits: usize,
    dims: Vec<usize>,
    n: usize,
}

/// Positions in each row.
#[derive(Clone, Copy)]
pub(super) enum List {
    /// All of them.
    All,
    /// The elements of `[dims.., ..]` from `first` on.
    Last { buf: BufId, first: usize },
    /// The elements of `[.., dims..]`.
    First { buf: BufId },
}

impl List {
    /// The position with number `i` in row `row`.
    pub(super) fn at(self, row: &[Expr], i: Expr) -> Expr {
        match self {
            List::All => i,
            List::First { buf } => Expr::load(buf, [&[i], row].concat()),
            List::Last { buf, first: 0 } => Expr::load(buf, [row, &[i]].concat()),
            List::Last { buf, first } => Expr::load(buf, [row, &[i + Expr::int(first)]].concat()),
        }
    }
}

/// An integer for each element along `axis` of `src`: the larger, the earlier the element comes. Equal elements have equal
/// ones.
pub(super) fn keys(c: &mut Compute, src: BufId, axis: usize, largest: bool) -> Rows {
    let TensorType { dtype, shape } = c.ty(src).clone();
    let (mut dims, mut index) = (shape.dims().to_vec(), vars(shape.rank() - 1));
    let n = dims.remove(axis);
    index.insert(axis, Expr::var(shape.rank() - 1));
    let (mut key, ty, bits) = ascending(Expr::load(src, index), dtype);
    if !largest {
        key = Expr::unary(UnaryFn::Not, key);
    }
    let keys = c.map("keys", TensorType::new(ty, [&dims[..], &[n]].concat()), key);
    Rows { keys, ty, bits, dims, n }
}

/// An integer that grows with `x`, its type and its bits.
fn ascending(x: Expr, dtype: DType) -> (Expr, DType, usize) {
    let shifted = |x: Expr, to, half: i64| (x.cast(to) - Expr::int(half).cast(to), to);
    let flipped = |x: Expr, to| {
        let sign = Expr::Const(Scalar::limits(to).0);
        (Expr::binary(BinaryFn::Xor, x.cast(to), sign), to)
    };
    let (key, ty) = match dtype {
        DType::F32 => (of_float(x, dtype, DType::I32), DType::I32),
        DType::F64 => (of_float(x, dtype, DType::I64), DType::I64),
        DType::I16 | DType::I8 => (x.cast(DType::I32), DType::I32),
        DType::U16 => shifted(x, DType::I32, 1 << 15),
        DType::U8 => shifted(x, DType::I32, 1 << 7),
        DType::U32 => flipped(x, DType::I32),
        DType::U64 => flipped(x, DType::I64),
        _ => (x, dtype),
    };
    (key, ty, 8 * dtype.size())
}

/// The bits of a float, all but the sign inverted where that is set; both zeros and all NaN alike.
fn of_float(x: Expr, float: DType, int: DType) -> Expr {
    let zero = || Expr::literal(float, 0.0);
    let is_zero = Expr::compare(CompareFn::Eq, x.clone(), zero());
    let bits = is_zero.select(zero(), x.clone()).bits();
    let highest = || Expr::Const(Scalar::limits(int).1);
    let last_bit = Expr::int(8 * int.size() - 1).cast(int);
    let sign = Expr::binary(BinaryFn::Shr, bits.clone(), last_bit);
    let key = Expr::binary(BinaryFn::Xor, bits, sign.and(highest()));
    Expr::compare(CompareFn::Ne, x.clone(), x).select(highest(), key)
}

fn equals(a: Expr, b: Expr) -> Expr {
    Expr::compare(CompareFn::Eq, a, b)
}

fn greater(a: Expr, b: Expr) -> Expr {
    Expr::compare(CompareFn::Gt, a, b)
}

fn or(a: Expr, b: Expr) -> Expr {
    Expr::binary(BinaryFn::Or, a, b)
}

/// 1 where the condition holds, as i32.
fn counted(condition: Expr) -> Expr {
    let number = |v| Expr::Const(Scalar::I32(v));
    condition.select(number(1), number(0))
}

fn sum(extent: usize) -> Reduce {
    let zero = Expr::Const(Scalar::I32(0));
    Reduce { extents: vec![extent], combine: ReduceFn::Sum, init: zero, finish: Expr::Acc }
}

impl Rows {
    /// A type of the dimensions of the rows, between `before` and `after`.
    fn tensor(&self, dtype: DType, before: &[usize], after: &[usize]) -> TensorType {
        TensorType::new(dtype, [before, &self.dims, after].concat())
    }

    /// The key at position `r` of row `row`.
    fn key(&self, row: &[Expr], r: Expr) -> Expr {
        Expr::load(self.keys, [row, &[r]].concat())
    }

    /// The key of the element with number `i` of a list.
    fn key_of(&self, list: List, row: &[Expr], i: Expr) -> Expr {
        match list {
            List::All => self.key(row, i),
            _ => self.key(row, list.at(row, i).clamp(0, self.n as i64 - 1)),
        }
    }

    /// The positions of the first `k`, in order; `k` is 1 to `n`.
    pub(super) fn order(&self, c: &mut Compute, k: usize) -> List {
        if k == 1 {
            return self.best(c);
        }
        let side = self.n.isqrt();
        if self.n > SHORT && 5 * k <= 4 * side {
            return self.block_by_block(c, k, side);
        }
        if k <= FEW {
            return self.one_by_one(c, k);
        }
        let (list, m) = match self.n {
            n if n <= SHORT || n == k => (List::All, n),
            _ => (self.select(c, k), k),
        };
        if m <= COUNTED { self.sort_by_counting(c, list, m, k) } else { self.sort_by_digits(c, list, m) }
    }

    /// The first of those with the largest key.
    fn best(&self, c: &mut Compute) -> List {
        let rank = self.dims.len();
        let (row, r) = (vars(rank), Expr::var(rank));
        let (lowest, end) = (Expr::Const(Scalar::limits(self.ty).0), Expr::int(self.n - 1));
        let reduce = |combine, init| Reduce { extents: vec![self.n], combine, init, finish: Expr::Acc };
        let key = self.key(&row, r);
        let best = c.reduce("best", self.tensor(self.ty, &[], &[]), reduce(ReduceFn::Max, lowest), key);
        let r = Expr::var(rank + 1);
        let is_best = equals(self.key(&row, r.clone()), Expr::load(best, row));
        let ty = self.tensor(DType::I64, &[], &[1]);
        let body = is_best.select(r, end.clone());
        let found = c.reduce("position", ty, reduce(ReduceFn::Min, end), body);
        List::Last { buf: found, first: 0 }
    }

    /// In turn t, the best of those that come after the one of turn t - 1.
    fn one_by_one(&self, c: &mut Compute, k: usize) -> List {
        let rank = self.dims.len();
        let (best, found) =
            (c.declare(self.tensor(self.ty, &[k], &[])), c.declare(self.tensor(DType::I64, &[k], &[])));
        let row: Vec<Expr> = (1..=rank).map(Expr::var).collect();
        let (turn, r) = (Expr::var(0), Expr::var(rank + 1));
        let before = |b, first: Expr| {
            let index = [&[(turn.clone() - Expr::int(1)).max(Expr::int(0))], &row[..]].concat();
            equals(turn.clone(), Expr::int(0)).select(first, Expr::load(b, index))
        };
        let (lowest, highest) = Scalar::limits(self.ty);
        let key = self.key(&row, r.clone());
        let last = before(best, Expr::Const(highest));
        let later = equals(key.clone(), last.clone()).and(greater(r.clone(), before(found, Expr::int(-1))));
        let follows = or(greater(last, key.clone()), later);
        let reduce = |combine, init| Reduce { extents: vec![self.n], combine, init, finish: Expr::Acc };
        c.repeat(k, |c| {
            let lowest = Expr::Const(lowest);
            let body = follows.clone().select(key.clone(), lowest.clone());
            c.define("best", best, Some(reduce(ReduceFn::Max, lowest)), body);
            let is_best = equals(key, Expr::load(best, vars(rank + 1)));
            let end = Expr::int(self.n - 1);
            let body = follows.and(is_best).select(r, end.clone());
            c.define("position", found, Some(reduce(ReduceFn::Min, end)), body);
        });
        List::First { buf: found }
    }

    /// As [`Rows::one_by_one`], with the best of each block of `side` neighbours at hand: a turn looks at those, and at the
    /// elements of one block. It counts what it has taken of each, for the smallest number may be an element's or may stand
    /// for nothing.
    fn block_by_block(&self, c: &mut Compute, k: usize, side: usize) -> List {
        let rank = self.dims.len();
        let blocks = self.n.div_ceil(side);
        let none = || Expr::int(i64::MIN);
        let reduce =
            |extent, combine, init| Reduce { extents: vec![extent], combine, init, finish: Expr::Acc };
        let (end, number) = (Expr::int(self.n - 1), |e: Expr| e.cast(DType::I64));
        let row = vars(rank);
        let r = Expr::var(rank) * Expr::int(side) + Expr::var(rank + 1);
        let key = number(self.key(&row, r.clone().min(end.clone())));
        let body = greater(Expr::int(self.n), r).select(key, none());
        let ty = self.tensor(DType::I64, &[], &[blocks]);
        let first = c.reduce("block_best", ty, reduce(side, ReduceFn::Max, none()), body);
        let mut declare = |after: &[usize]| c.declare(self.tensor(DType::I64, &[k], after));
        let [at_blocks, taken] = [(); 2].map(|()| declare(&[blocks]));
        let [best, chosen, found, rest] = [(); 4].map(|()| declare(&[]));
        let row: Vec<Expr> = (1..=rank).map(Expr::var).collect();
        let turn = Expr::var(0);
        let earlier = [&[(turn.clone() - Expr::int(1)).max(Expr::int(0))], &row[..]].concat();
        let is_first = || equals(turn.clone(), Expr::int(0));
        let before = |b, first: Expr| is_first().select(first, Expr::load(b, earlier.clone()));
        let now = |b| Expr::load(b, vars(rank + 1));
        let last = Expr::var(rank + 1);
        // An element of the block that the turn has chosen.
        let r = now(chosen) * Expr::int(side) + last.clone();
        let key = number(self.key(&row, r.clone().clamp(0, self.n as i64 - 1)));
        let exists = || greater(Expr::int(self.n), r.clone());
        c.repeat(k, |c| {
            let old = Expr::load(at_blocks, [&earlier[..], std::slice::from_ref(&last)].concat());
            let changed = equals(last.clone(), Expr::load(chosen, earlier.clone()));
            let old = changed.clone().select(Expr::load(rest, earlier.clone()), old);
            let given = Expr::load(first, [&row[..], std::slice::from_ref(&last)].concat());
            c.define("at_blocks", at_blocks, None, is_first().select(given, old));
            let of_block = Expr::load(at_blocks, vars(rank + 2));
            let old = Expr::load(taken, [&earlier[..], std::slice::from_ref(&last)].concat());
            let one_more = changed.select(Expr::int(1), Expr::int(0));
            c.define("taken", taken, None, is_first().select(Expr::int(0), old + one_more));
            let size = (Expr::int(self.n) - last.clone() * Expr::int(side)).min(Expr::int(side));
            let has_more = greater(size, Expr::load(taken, vars(rank + 2)));
            c.define("best", best, Some(reduce(blocks, ReduceFn::Max, none())), of_block.clone());
            let no_block = Expr::int(blocks - 1);
            let is_it = equals(of_block, now(best)).and(has_more);
            let body = is_it.select(last, no_block.clone());
            c.define("block", chosen, Some(reduce(blocks, ReduceFn::Min, no_block)), body);
            let is_best = exists().and(equals(key.clone(), now(best)));
            let later = or(
                greater(before(best, Expr::int(i64::MAX)), key.clone()),
                greater(r.clone(), before(found, Expr::int(-1))),
            );
            let body = is_best.and(later).select(r.clone(), end.clone());
            c.define("position", found, Some(reduce(side, ReduceFn::Min, end)), body);
            let behind = equals(key.clone(), now(best)).and(greater(r.clone(), now(found)));
            let left = exists().and(or(greater(now(best), key.clone()), behind));
            let body = left.select(key, none());
            c.define("rest", rest, Some(reduce(side, ReduceFn::Max, none())), body);
        });
        List::First { buf: found }
    }

    /// The positions of the first `k` in any order, but those of equal keys ascend.
    fn select(&self, c: &mut Compute, k: usize) -> List {
        let rank = self.dims.len();
        let bound = self.bound(c, k);
        let row = vars(rank);
        let r = Expr::var(rank);
        let key = self.key(&row, r.clone());
        let last = Expr::load(bound, row.clone());
        let (is_above, is_last) = (greater(key.clone(), last.clone()), equals(key, last));
        // How many up to here are above in the lower half, how many equal the last in the upper one.
        let (one, upper) = (Expr::int(1), Expr::int(1i64 << 32));
        let number = is_above.clone().select(one.clone(), is_last.clone().select(upper, Expr::int(0)));
        let counts = c.map("flags", self.tensor(DType::I64, &[], &[self.n]), number);
        let at = |r: Expr| [&row[..], &[r]].concat();
        let next = r.clone() + one.clone();
        let running = Expr::load(counts, at(r.clone())) + Expr::load(counts, at(next.clone()));
        let update = Update { extents: [&self.dims[..], &[self.n - 1]].concat(), index: at(next) };
        c.update("counts", counts, update, running);
        let above = |r: Expr| Expr::load(counts, at(r)).and(Expr::int((1i64 << 32) - 1));
        let equal = Expr::binary(BinaryFn::Shr, Expr::load(counts, at(r.clone())), Expr::int(32));
        let after_all = above(Expr::int(self.n - 1)) + equal - one.clone();
        let rest = is_last.select(after_all, Expr::int(k));
        let place = is_above.select(above(r.clone()) - one, rest).clamp(0, k as i64);
        // What is not selected goes behind the end.
        let list = c.map("list", self.tensor(DType::I64, &[], &[k + 1]), Expr::int(0));
        let update = Update { extents: [&self.dims[..], &[self.n]].concat(), index: at(place) };
        c.update("collect", list, update, r);
        List::Last { buf: list, first: 0 }
    }

    /// The key of the element that comes last of the first `k` in each row, digit by digit from the highest. For each digit
    /// the elements are counted whose key has it where the digits before are those found, then those whose key is not below.
    fn bound(&self, c: &mut Compute, k: usize) -> BufId {
        let row = vars(self.dims.len());
        let r = Expr::var(self.dims.len());
        let at = |place: Expr| [&row[..], &[place]].concat();
        // Counts of a row take about as long to clear and add up as the row to count.
        let width = (self.n.ilog2() as usize).saturating_sub(2).clamp(SMALL_DIGIT, DIGIT);
        let passes = self.bits.div_ceil(width);
        let width = self.bits.div_ceil(passes);
        let digits = 1usize << width;
        let int = |v: usize| Expr::int(v).cast(self.ty);
        let down = |e: Expr, bits: usize| Expr::binary(BinaryFn::Shr, e, int(bits));
        let lowest = Expr::Const(Scalar::I64(i64::MIN >> (64 - self.bits)).cast(self.ty));
        let mut found: Option<BufId> = None;
        let mut rest = passes;
        loop {
            rest -= 1;
            let (shift, key) = (rest * width, self.key(&row, r.clone()));
            let digit = down(key.clone() - lowest.clone(), shift).cast(DType::I64).and(Expr::int(digits - 1));
            // Counter 0 is of keys that the digits before put below, the one behind the digits' of those above.
            let before = found.map_or(lowest.clone(), |b| Expr::load(b, row.clone()));
            let counter = digit + Expr::int(1);
            let counter = match found {
                None => counter,
                Some(_) => {
                    let (of_key, of_bound) = (down(key, shift + width), down(before.clone(), shift + width));
                    let above = greater(of_key.clone(), of_bound.clone());
                    let outside = above.select(Expr::int(digits + 1), Expr::int(0));
                    equals(of_key, of_bound).select(counter, outside)
                }
            };
            let counter = counter.clamp(0, digits as i64 + 1);
            let counts =
                c.map("counts", self.tensor(DType::I32, &[], &[digits + 2]), Expr::Const(Scalar::I32(0)));
            let one = Expr::Const(Scalar::I32(1));
            let more = Expr::load(counts, at(counter.clone())) + one;
            let extents = [&self.dims[..], &[self.n]].concat();
            c.update("count", counts, Update { extents, index: at(counter) }, more);
            // From the highest digit down: those of the digit and all above.
            let down_from = Expr::int(digits) - r.clone();
            let next = down_from.clone() + Expr::int(1);
            let running = Expr::load(counts, at(down_from.clone())) + Expr::load(counts, at(next));
            let extents = [&self.dims[..], &[digits]].concat();
            c.update("not_below", counts, Update { extents, index: at(down_from) }, running);
            let not_below = Expr::load(counts, at(r.clone() + Expr::int(1)));
            let enough = Expr::compare(CompareFn::Ge, not_below, Expr::Const(Scalar::I32(k as i32)));
            let body = enough.select(r.clone().cast(self.ty), int(0));
            let finish = before + Expr::binary(BinaryFn::Shl, Expr::Acc, int(shift));
            let reduce = Reduce { extents: vec![digits], combine: ReduceFn::Max, init: int(0), finish };
            let bound = c.reduce("bound", self.tensor(self.ty, &[], &[]), reduce, body);
            if rest == 0 {
                return bound;
            }
            found = Some(bound);
        }
    }

    /// Sorts the `m` elements of a list, of which the first `k` are wanted.
    fn sort_by_counting(&self, c: &mut Compute, list: List, m: usize, k: usize) -> List {
        let rank = self.dims.len();
        let row = vars(rank);
        let (i, j) = (Expr::var(rank), Expr::var(rank + 1));
        let keys = match list {
            List::All => self.keys,
            _ => c.map("keys", self.tensor(self.ty, &[], &[m]), self.key_of(list, &row, i.clone())),
        };
        let key = |i: &Expr| Expr::load(keys, [&row[..], std::slice::from_ref(i)].concat());
        let earlier = equals(key(&j), key(&i)).and(greater(i.clone(), j.clone()));
        let body = counted(or(greater(key(&j), key(&i)), earlier));
        let ranks = c.reduce("rank", self.tensor(DType::I32, &[], &[m]), sum(m), body);
        let order = c.map("order", self.tensor(DType::I64, &[], &[k + 1]), Expr::int(0));
        let place = Expr::load(ranks, vars(rank + 1)).cast(DType::I64).clamp(0, k as i64);
        let index = [&row[..], &[place]].concat();
        let update = Update { extents: [&self.dims[..], &[m]].concat(), index };
        c.update("place", order, update, list.at(&row, i));
        List::Last { buf: order, first: 0 }
    }

    /// Sorts the `m` elements of a list, digit by digit from the lowest. A tensor holds, for each row, how many elements
    /// have smaller digits, for each digit, and behind them the sorted elements.
    fn sort_by_digits(&self, c: &mut Compute, list: List, m: usize) -> List {
        let rank = self.dims.len();
        let row = vars(rank);
        let (i, which) = (Expr::var(rank), Expr::var(rank + 1));
        let at = |place: Expr| [&row[..], &[place]].concat();
        let passes = self.bits.div_ceil(DIGIT);
        let width = self.bits.div_ceil(passes);
        let digits = 1usize << width;
        let first = digits + 1;
        // Descending keys are ascending distances from the highest.
        let highest = Scalar::I64(i64::MAX >> (64 - self.bits)).cast(self.ty);
        let mut sorted = list;
        for pass in 0..passes {
            let distance = Expr::Const(highest) - self.key_of(sorted, &row, i.clone());
            let shift = Expr::int(pass * width).cast(self.ty);
            let digit = Expr::binary(BinaryFn::Shr, distance, shift).cast(DType::I64);
            let digit = digit.and(Expr::int(digits - 1)).clamp(0, digits as i64 - 1);
            let work = c.map("digits", self.tensor(DType::I64, &[], &[first + m]), Expr::int(0));
            let behind = digit.clone() + Expr::int(1);
            let more = Expr::load(work, at(behind.clone())) + Expr::int(1);
            let extents = [&self.dims[..], &[m]].concat();
            c.update("digit_counts", work, Update { extents, index: at(behind) }, more);
            let next = i.clone() + Expr::int(1);
            let running = Expr::load(work, at(i.clone())) + Expr::load(work, at(next.clone()));
            let extents = [&self.dims[..], &[digits - 1]].concat();
            c.update("digit_starts", work, Update { extents, index: at(next) }, running);
            // Each element is stored where its digit starts, which then starts one later.
            let start = Expr::load(work, at(digit.clone()));
            let stores = equals(which.clone(), Expr::int(0));
            let place = start.clone().clamp(0, m as i64 - 1) + Expr::int(first);
            let index = at(stores.clone().select(place, digit));
            let body = stores.select(sorted.at(&row, i.clone()), start + Expr::int(1));
            let extents = [&self.dims[..], &[m, 2]].concat();
            c.update("digit_sort", work, Update { extents, index }, body);
            sorted = List::Last { buf: work, first };
        }
        sorted
    }
}
