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

use crate::compute::{Compute, Reduce, ReduceFn};
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
            Some(identity) if count(&reduce.extents) > whole => {
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
mod tests {
    use super::*;
    use crate::Tensor;
    use crate::op::Arg;
    use crate::shape::Shape;

    /// Sums `of` axes of a tensor of these extents; the elements are small integers, so that no order rounds.
    fn check(shape: &[usize], of: &[usize]) -> Compute {
        let shape = Shape::new(shape);
        let elements: Vec<f32> = (0..shape.numel()).map(|i| (i * 7 % 31) as f32 - 11.0).collect();
        let src = Tensor::new(shape.clone(), &elements).unwrap();
        let mut c = Compute::new();
        let x = c.input(0, &Arg { dtype: DType::F32, shape: &shape, value: None });
        let kept: Vec<usize> = (0..shape.rank()).filter(|a| !of.contains(a)).collect();
        let position = |a: usize| match kept.iter().position(|&k| k == a) {
            Some(i) => Expr::var(i),
            None => Expr::var(kept.len() + of.iter().position(|&r| r == a).unwrap()),
        };
        let body = Expr::load(x, (0..shape.rank()).map(position).collect::<Vec<_>>());
        let reduce = Reduce {
            extents: of.iter().map(|&a| shape[a]).collect(),
            combine: ReduceFn::Sum,
            init: Expr::f32(3.0),
            finish: Expr::Acc * Expr::f32(2.0),
        };
        let dims: Vec<usize> = kept.iter().map(|&a| shape[a]).collect();
        let out = c.reduce_blocked("sum", TensorType::new(DType::F32, dims.clone()), reduce, body);
        c.output(out);
        let mut want = vec![3.0; Shape::new(dims.clone()).numel()];
        for (at, v) in shape.indices().zip(&elements) {
            want[kept.iter().fold(0, |flat, &a| flat * shape[a] + at[a])] += v;
        }
        let want: Vec<f32> = want.into_iter().map(|v| v * 2.0).collect();
        let got = c.evaluate(&[Some(&src)]).unwrap();
        assert_eq!(got, [Tensor::new(dims, &want).unwrap()], "{shape} over {of:?}: {c:?}");
        for stage in &c.stages {
            assert!(
                count(&stage.reduce.as_ref().unwrap().extents) <= 2 * STEPS,
                "{shape} over {of:?}: {c:?}"
            );
        }
        c
    }

    #[test]
    fn every_element_counts_once() {
        for n in [1, 2, 127, 128, 129, 131, 144, 197, 255, 256, 1000, 2048, 2049, 4099, 18_385, 40_000] {
            check(&[n], &[0]);
        }
        for n in [100, 128, 129, 300, 1155] {
            check(&[3, n], &[1]);
            check(&[n, 3], &[0]);
            check(&[2, n, 2], &[1]);
            check(&[n, 5], &[0, 1]);
            check(&[5, n], &[1, 0]);
        }
        for shape in [[2, 3, 14, 14], [1, 2, 20, 23], [1, 1, 50, 197], [2, 2, 64, 56], [1, 3, 131, 3]] {
            check(&shape, &[2, 3]);
            check(&shape, &[1, 2]);
            check(&shape, &[0, 3]);
            check(&shape, &[0, 1, 2, 3]);
        }
    }

    #[test]
    fn short_reductions_are_one_stage() {
        let stages = |shape: &[usize], of: &[usize]| -> Vec<String> {
            let c = check(shape, of);
            c.stages.iter().map(|s| format!("{:?} {}", s.reduce.as_ref().unwrap().extents, s.body)).collect()
        };
        assert_eq!(stages(&[7, 3], &[1]), ["[1] add(b0[L0, 0], add(b0[L0, 1], b0[L0, 2]))"]);
        assert_eq!(stages(&[4, 7, 7], &[1, 2]).len(), 1);
        assert_eq!(stages(&[4, 8, 100, 3], &[1, 3]).len(), 1);
        assert_eq!(stages(&[4, 14, 14], &[1, 2]).len(), 2);
        let [parts, lanes] = &stages(&[2, 1024], &[1])[..] else { panic!("two stages") };
        assert_eq!(parts, "[64] b0[L0, add(mul(L2, 16), L1)]");
        assert!(lanes.starts_with("[1] add(add(add(add(b1[L0, 0], b1[L0, 1]), "), "{lanes}");
        let [parts, blocks] = &stages(&[1024, 5], &[0])[..] else { panic!("two stages") };
        assert!(
            parts.starts_with("[8] add(add(add(add(b0[add(mul(L0, 128), add(mul(L2, 16), 0)), L1], "),
            "{parts}"
        );
        assert!(blocks.starts_with("[1] add(add(add(b1[0, L0], b1[1, L0]), "), "{blocks}");
    }

    #[test]
    fn dear_terms_are_written_once() {
        let shape = Shape::from([1000, 8]);
        let mut c = Compute::new();
        let x = c.input(0, &Arg { dtype: DType::F32, shape: &shape, value: None });
        let body = Expr::unary(UnaryFn::Exp, Expr::load(x, [Expr::var(1), Expr::var(0)]));
        let reduce =
            Reduce { extents: vec![1000], combine: ReduceFn::Sum, init: Expr::f32(0.0), finish: Expr::Acc };
        let out = c.reduce_blocked("sum", TensorType::new(DType::F32, [8]), reduce, body);
        c.output(out);
        assert_eq!(c.stages[0].body.to_string(), "exp(b0[add(mul(L0, 25), L2), L1])");
        let elements: Vec<f32> = (0..8000).map(|i| (i * 37 % 1000) as f32 / 1000.0).collect();
        let got =
            c.evaluate(&[Some(&Tensor::new(shape, &elements).unwrap())]).unwrap()[0].to_vec::<f32>().unwrap();
        for (i, got) in got.into_iter().enumerate() {
            let want: f64 = elements.iter().skip(i).step_by(8).map(|&v| f64::from(v.exp())).sum();
            assert!((f64::from(got) - want).abs() < 2.5e-7 * want, "{got} {want}");
        }
    }

    #[test]
    fn memory_bounds_the_number_of_blocks() {
        let split = |kept: usize| Split::new(&[1 << 20], Some(0), kept, (STEPS, 1));
        assert_eq!((split(1).blocks[0], split(1).serial[0]), (1024, 64));
        assert_eq!(split(1 << 20).blocks[0], FEWEST);
        let body = Expr::load(BufId(0), [Expr::var(0), Expr::var(1)]);
        assert_eq!(lane_axis(&body, 1, &[64], 1000), Some(0));
        assert_eq!(lane_axis(&body, 1, &[64], PARTS), None);
    }

    #[test]
    fn products_keep_vectors_along_kept_axes() {
        let (a, b) = (Shape::from([2, 1300]), Shape::from([1300, 8]));
        let mut c = Compute::new();
        let [x, y] =
            [(0, &a), (1, &b)].map(|(i, shape)| c.input(i, &Arg { dtype: DType::F32, shape, value: None }));
        let body = |k: Expr| Expr::load(x, [Expr::var(0), k.clone()]) * Expr::load(y, [k, Expr::var(1)]);
        let reduce = |extent, combine| Reduce {
            extents: vec![extent],
            combine,
            init: Expr::f32(0.0),
            finish: Expr::Acc,
        };
        let ty = TensorType::new(DType::F32, [2, 8]);
        let sum = c.sum_products("sum", ty.clone(), reduce(1300, ReduceFn::Sum), body(Expr::var(2)));
        let at = "add(mul(L0, 325), L3)";
        assert_eq!(c.stages[0].body.to_string(), format!("mul(b0[L1, {at}], b1[{at}, L2])"));
        assert_eq!(c.stages.len(), 2);
        c.sum_products("sum", ty.clone(), reduce(1024, ReduceFn::Sum), body(Expr::var(2)));
        assert_eq!(c.stages.len(), 3);
        let max = c.reduce_blocked("max", ty, reduce(1300, ReduceFn::Max), body(Expr::var(2)));
        assert_eq!(c.stages.len(), 4);
        c.output(sum);
        c.output(max);
        let ones = |shape: &Shape| Tensor::new(shape.clone(), &vec![-1.0f32; shape.numel()]).unwrap();
        let out = c.evaluate(&[Some(&ones(&a)), Some(&ones(&b))]).unwrap();
        assert_eq!(out[0].to_vec::<f32>().unwrap(), [1300.0; 16]);
        assert_eq!(out[1].to_vec::<f32>().unwrap(), [1.0; 16]);
    }

    #[test]
    fn integers_stay_one_stage() {
        let shape = Shape::from([1000]);
        let mut c = Compute::new();
        let x = c.input(0, &Arg { dtype: DType::I64, shape: &shape, value: None });
        let reduce =
            Reduce { extents: vec![1000], combine: ReduceFn::Sum, init: Expr::int(0), finish: Expr::Acc };
        c.reduce_blocked("sum", TensorType::new(DType::I64, []), reduce, Expr::load(x, [Expr::var(0)]));
        assert_eq!(c.stages.len(), 1);
    }
}
