//! Long reductions in blocks: as exact as sums of floats can be without wider numbers, and open to vectors and threads.
//!
//! A float that is added to a sum of a thousand loses ten bits. [`Compute::reduce_blocked`] therefore combines only a few
//! elements one after the other, in as many stages as that takes:
//!
//! ```text
//! rest[i..]       = combine of body over what does not fill blocks, starting with init     (only where there is any)
//! part[i.., b, l] = combine over j of body(i.., (b * J + j) * L + l)
//! dst[i..]        = finish(combine over b, l of part[i.., b, l], starting with rest[i..])
//! ```
//!
//! `L` neighbours along the axis that lies innermost in memory are lanes: vectors are loaded and combined whole. Where
//! no reduced axis lies innermost the parts are `part[b, i..]`, so that the kept axes are vectors as before. Sums of what
//! costs little are taken in pairs: a step adds up to `PAIRS` elements as a tree. The order depends on shapes and on
//! the form of the body alone.

use crate::compute::{Compute, Reduce, ReduceFn, Stage, Whole};
use crate::dtype::DType;
use crate::expr::{BinaryFn, BufId, Expr, Scalar, UnaryFn, VarId};
use crate::index::vars;
use crate::shape::TensorType;

/// Most steps of a stage with lanes, but where parts would take too much memory.
const STEPS: usize = 64;
/// Most elements that are added one after the other without lanes.
const CHAIN: usize = 32;
/// Most trees that are added one after the other.
const TREES: usize = 8;
/// Most elements that are added as a tree.
const PAIRS: usize = 16;
/// Least elements for which a tree is written: steps of a block are a multiple of it.
const GRAIN: usize = 4;
/// Most terms of a sum of products that is one stage, and most steps of a stage of a longer one.
const PRODUCTS: [usize; 2] = [1024, 512];

/// Numbers of lanes: the first that divides the extent.
const LANES: [usize; 3] = [16, 8, 4];
/// Lanes of an extent that none of [`LANES`] divides, when it is at least [`LONG`].
const UNEVEN: usize = 8;
/// See [`UNEVEN`].
const LONG: usize = 32;
/// Most elements of all parts together, when that leaves [`FEWEST`] blocks.
const PARTS: usize = 1 << 22;
/// See [`PARTS`].
const FEWEST: usize = 8;

impl Compute {
    /// Defines a tensor through a reduction of any length: [`Compute::reduce`], whose arguments it takes, in blocks.
    ///
    /// The result is that of `reduce` but for rounding; `init` and `finish` count once. Few elements, and elements that
    /// are not f32, are reduced by one stage as `reduce` does it; more by several, the last of which defines the returned
    /// buffer. `body` may be any expression of the stage's dimensions and the reduced axes. Sums of products of two
    /// tensors, whose terms cancel, are better off with [`Compute::sum_products`].
    pub fn reduce_blocked(
        &mut self,
        name: &'static str,
        ty: TensorType,
        reduce: Reduce,
        body: Expr,
    ) -> BufId {
        let (first, whole) = (self.stages.len(), (reduce.clone(), body.clone()));
        let dst = self.in_blocks(name, ty, reduce, body);
        if self.stages.len() > first + 1 || self.stages.last().is_some_and(|s| s.body != whole.1) {
            // Those of parts are parts of this one.
            self.wholes.retain(|w| w.stages.start < first);
            let (reduce, body) = whole;
            let stage = Stage { name, dst, reduce: Some(reduce), body, update: None };
            self.wholes.push(Whole { stages: first..self.stages.len(), stage });
        }
        dst
    }

    fn in_blocks(&mut self, name: &'static str, ty: TensorType, reduce: Reduce, body: Expr) -> BufId {
        let Some(identity) = self.identity(&reduce, &body) else {
            return self.reduce(name, ty, reduce, body);
        };
        let rank = ty.shape.rank();
        let lane_axis = lane_axis(&body, rank, &reduce.extents, ty.shape.numel());
        let sum = reduce.combine == ReduceFn::Sum;
        let cheap = sum && cheap(&body);
        let total = count(&reduce.extents);
        let pairs = if cheap { pairs(&reduce.extents) } else { vec![1; reduce.extents.len()] };
        let tree = count(&pairs);
        let chain = if tree > 1 { TREES } else { CHAIN };
        if total / tree <= chain || !sum && lane_axis.is_none() {
            return self.in_pairs(name, ty, reduce, body, &pairs);
        }
        let (steps, multiple) = match lane_axis {
            Some(_) => (STEPS, 1),
            None if tree >= GRAIN => (TREES * tree, GRAIN),
            None => (CHAIN, 1),
        };
        let split = Split::new(&reduce.extents, lane_axis, ty.shape.numel(), (steps, multiple));
        self.parts(name, ty, reduce, body, (&split, identity, multiple > 1))
    }

    /// Defines a tensor through a sum of products of two tensors, `body`: [`Compute::reduce`], but for sums so long that
    /// they would lose digits, which are sums of sums. Terms stay what compiled code multiplies and adds in one step.
    pub fn sum_products(&mut self, name: &'static str, ty: TensorType, reduce: Reduce, body: Expr) -> BufId {
        let [whole, steps] = PRODUCTS;
        match self.identity(&reduce, &body) {
            Some(identity) if count(&reduce.extents) > whole && !self.whole_sums => {
                let split = Split::new(&reduce.extents, None, ty.shape.numel(), (steps, 1));
                self.parts(name, ty, reduce, body, (&split, identity, false))
            }
            _ => self.reduce(name, ty, reduce, body),
        }
    }

    /// What changes no f32 that it is combined with; `None` for other types and empty reductions.
    fn identity(&self, reduce: &Reduce, body: &Expr) -> Option<Scalar> {
        let dtype = body.dtype(&|b| self.buffers.get(b.0 as usize).map(|b| b.ty.dtype), None);
        let floats = dtype == Ok(DType::F32) && count(&reduce.extents) > 0;
        let identity = match reduce.combine {
            ReduceFn::Sum => Some(Scalar::F32(0.0)),
            ReduceFn::Max => Some(Scalar::lowest(DType::F32)),
            ReduceFn::Min => Some(Scalar::highest(DType::F32)),
            ReduceFn::Prod => Some(Scalar::F32(1.0)),
        };
        identity.filter(|_| floats)
    }

    /// A stage for what does not fill blocks, one for the parts, and then the reduction of those.
    fn parts(
        &mut self,
        name: &'static str,
        ty: TensorType,
        reduce: Reduce,
        body: Expr,
        (split, identity, in_pairs): (&Split, Scalar, bool),
    ) -> BufId {
        let dims = ty.shape.dims().to_vec();
        let rank = dims.len();
        let Reduce { mut extents, combine, mut init, finish } = reduce;
        for axis in 0..extents.len() {
            let whole = split.whole(axis);
            let rest = extents[axis] - whole;
            if rest > 0 {
                let mut of_rest = extents.clone();
                of_rest[axis] = rest;
                let first = |v: VarId| match v.0 as usize {
                    i if i == rank + axis => Expr::var(i) + Expr::int(whole),
                    i => Expr::var(i),
                };
                let reduce = Reduce { extents: of_rest, combine, init, finish: Expr::Acc };
                let ty = TensorType::new(DType::F32, dims.clone());
                let buf = self.reduce_blocked(name, ty, reduce, body.substitute(&first));
                init = Expr::load(buf, vars(rank));
                extents[axis] = whole;
            }
        }
        let extents = split.serial.clone();
        let pairs = if in_pairs { pairs(&extents) } else { vec![1; extents.len()] };
        let of_parts = Reduce { extents, combine, init: Expr::Const(identity), finish: Expr::Acc };
        let ty_of_parts = TensorType::new(DType::F32, split.dims(&dims));
        let part = self.in_pairs(name, ty_of_parts, of_parts, split.body(&body, rank), &pairs);
        let all = Reduce { extents: split.parts(), combine, init, finish };
        self.reduce_blocked(name, ty, all, Expr::load(part, split.index(rank)))
    }

    /// The sum with `pairs` neighbours along each reduced axis, of which they are divisors, added as a tree first.
    fn in_pairs(
        &mut self,
        name: &'static str,
        ty: TensorType,
        mut reduce: Reduce,
        body: Expr,
        pairs: &[usize],
    ) -> BufId {
        let rank = ty.shape.rank();
        let mut terms = vec![body];
        for (axis, (extent, &n)) in
            reduce.extents.iter_mut().zip(pairs).enumerate().filter(|(_, (_, n))| **n > 1)
        {
            *extent /= n;
            let step = if *extent == 1 { Expr::int(0) } else { Expr::var(rank + axis) * Expr::int(n) };
            let at = |term: &Expr, k: usize| {
                let position = if *extent == 1 { Expr::int(k) } else { step.clone() + Expr::int(k) };
                term.substitute(&|v| {
                    if v.0 as usize == rank + axis { position.clone() } else { Expr::Var(v) }
                })
            };
            terms = terms.iter().flat_map(|term| (0..n).map(|k| at(term, k)).collect::<Vec<_>>()).collect();
        }
        self.reduce(name, ty, reduce, tree(&terms))
    }
}

/// The sum of terms in pairs.
fn tree(terms: &[Expr]) -> Expr {
    match terms {
        [] => Expr::f32(0.0),
        [one] => one.clone(),
        more => {
            let (a, b) = more.split_at(more.len() / 2);
            tree(a) + tree(b)
        }
    }
}

/// How many neighbours of each axis are added as a tree: all of the innermost axes, or a divisor.
fn pairs(extents: &[usize]) -> Vec<usize> {
    let mut room = PAIRS;
    let mut pairs = vec![1; extents.len()];
    for (&extent, n) in extents.iter().zip(&mut pairs).rev() {
        *n = (1..=room.min(extent)).rev().find(|n| extent.is_multiple_of(*n)).unwrap_or(1);
        room = if *n == extent { room / *n } else { 1 };
    }
    pairs
}

/// Whether an expression is worth writing several times: a few loads and simple functions.
fn cheap(body: &Expr) -> bool {
    let (mut functions, mut dear) = (0, false);
    body.visit(&mut |e| match e {
        Expr::Unary(UnaryFn::Neg | UnaryFn::Abs | UnaryFn::Sqrt, _) => functions += 1,
        Expr::Unary(..) | Expr::Cast(..) | Expr::Select(..) | Expr::Binary(BinaryFn::Pow, ..) => dear = true,
        Expr::Load(..) | Expr::Binary(..) => functions += 1,
        _ => {}
    });
    !dear && functions <= 12
}

/// The number of elements of these extents, or the largest number.
fn count(extents: &[usize]) -> usize {
    if extents.contains(&0) { 0 } else { extents.iter().fold(1, |n: usize, &d| n.saturating_mul(d)) }
}

/// The reduced axis that lies innermost in every tensor of `body` that it is an axis of, where lanes of `kept` results take
/// no undue memory.
fn lane_axis(body: &Expr, rank: usize, extents: &[usize], kept: usize) -> Option<usize> {
    let mentions = |e: &Expr, of: &dyn Fn(usize) -> bool| {
        let mut found = false;
        e.visit(&mut |e| found |= matches!(e, Expr::Var(v) if of(v.0 as usize)));
        found
    };
    (0..extents.len()).rev().find(|&axis| {
        let is_axis = |v: usize| v == rank + axis;
        let (mut innermost, mut elsewhere) = (false, false);
        body.visit(&mut |e| {
            if let Expr::Load(_, index) = e
                && let Some((last, others)) = index.split_last()
            {
                let here = mentions(last, &is_axis);
                innermost |= here;
                // Where a kept axis moves along the same elements, windows overlap.
                elsewhere |=
                    here && mentions(last, &|v| v < rank) || others.iter().any(|e| mentions(e, &is_axis));
            }
        });
        let fits = lanes(extents[axis]).is_some_and(|l| kept.saturating_mul(l) <= PARTS);
        innermost && !elsewhere && fits
    })
}

/// Lanes along an axis of this extent.
fn lanes(extent: usize) -> Option<usize> {
    let even = LANES.into_iter().find(|&l| extent.is_multiple_of(l));
    even.or((extent >= LONG).then_some(UNEVEN))
}

/// How reduced axes are cut: the element of block `b`, step `j` and lane `l` is `(b * serial + j) * lanes + l`.
struct Split {
    /// Blocks of each axis.
    blocks: Vec<usize>,
    /// Steps of a block of each axis, which one stage combines.
    serial: Vec<usize>,
    /// The axis that has lanes, and how many.
    lanes: Option<(usize, usize)>,
}

impl Split {
    /// `limit` steps of a stage at most, unless the parts of `kept` results would take too much memory; a multiple of
    /// `grain` along the innermost axis that is cut.
    fn new(
        extents: &[usize],
        lane_axis: Option<usize>,
        kept: usize,
        (limit, grain): (usize, usize),
    ) -> Split {
        let lanes = lane_axis.and_then(|axis| lanes(extents[axis]).map(|l| (axis, l)));
        let mut steps = extents.to_vec();
        let mut width = 1;
        if let Some((axis, l)) = lanes {
            steps[axis] /= l;
            width = l;
        }
        let most = (PARTS / kept.saturating_mul(width).max(1)).max(FEWEST);
        let limit = count(&steps).div_ceil(most).max(limit);
        let (mut blocks, mut serial) = (vec![1; steps.len()], vec![1; steps.len()]);
        let mut room = limit;
        for axis in (0..steps.len()).rev() {
            let extent = steps[axis];
            if extent <= room {
                serial[axis] = extent;
                room /= extent;
            } else {
                let fewest = extent.div_ceil(room.max(1));
                let grain = if room == limit { grain } else { 1 };
                let some = fewest..=fewest.saturating_mul(2);
                let even = some.take(64).find(|&n| extent.is_multiple_of(n.saturating_mul(grain)));
                blocks[axis] = even.unwrap_or(fewest);
                serial[axis] = (extent / blocks[axis]).max(grain) / grain * grain;
                room = 1;
            }
        }
        Split { blocks, serial, lanes }
    }

    fn lanes_of(&self, axis: usize) -> usize {
        self.lanes.map_or(1, |(of, l)| if of == axis { l } else { 1 })
    }

    /// Elements along an axis that fill blocks.
    fn whole(&self, axis: usize) -> usize {
        self.blocks[axis] * self.serial[axis] * self.lanes_of(axis)
    }

    /// Extents of the parts beside the kept axes: blocks where there are several, then lanes.
    fn parts(&self) -> Vec<usize> {
        let blocks = self.blocks.iter().copied().filter(|&n| n > 1);
        blocks.chain(self.lanes.map(|(_, l)| l)).collect()
    }

    /// Extents of the parts.
    fn dims(&self, kept: &[usize]) -> Vec<usize> {
        match self.lanes {
            Some(_) => [kept, &self.parts()].concat(),
            None => [&self.parts(), kept].concat(),
        }
    }

    /// The index of a part, over `rank` kept dimensions and then [`Split::parts`].
    fn index(&self, rank: usize) -> Vec<Expr> {
        let parts = (rank..rank + self.parts().len()).map(Expr::var);
        match self.lanes {
            Some(_) => vars(rank).into_iter().chain(parts).collect(),
            None => parts.chain(vars(rank)).collect(),
        }
    }

    /// The reduced value of the stage that defines parts, from one over `rank` kept dimensions and the reduced axes.
    fn body(&self, body: &Expr, rank: usize) -> Expr {
        let parts = self.parts().len();
        let (kept, mut part) = if self.lanes.is_some() { (0, rank) } else { (parts, 0) };
        let mut positions: Vec<Expr> = (0..rank).map(|i| Expr::var(kept + i)).collect();
        for (axis, (&blocks, &serial)) in self.blocks.iter().zip(&self.serial).enumerate() {
            let mut at = Expr::var(rank + parts + axis);
            if blocks > 1 {
                at = Expr::var(part) * Expr::int(serial) + at;
                part += 1;
            }
            if let Some((_, l)) = self.lanes.filter(|&(of, _)| of == axis) {
                let lane = (if self.lanes.is_some() { rank } else { 0 }) + parts - 1;
                at = at * Expr::int(l) + Expr::var(lane);
            }
            positions.push(at);
        }
        body.substitute(&|v| positions.get(v.0 as usize).cloned().unwrap_or(Expr::Var(v)))
    }
}

#[cfg(test)]
mod tests;
