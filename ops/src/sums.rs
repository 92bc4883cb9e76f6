//! Long reductions in blocks: as exact as sums of floats can be without wider numbers, and open to vectors and threads.
//!
//! A float that is added to a sum of a thousand loses ten bits. [`Compute::reduce_blocked`] therefore combines at most
//! [`BLOCK`] elements one after the other, in as many stages as that takes:
//!
//! ```text
//! rest[i..]       = combine of body over what does not fill blocks, starting with init     (only where there is any)
//! part[i.., b, l] = combine over j of body(i.., (b * J + j) * L + l)
//! dst[i..]        = finish(combine over b, l of part[i.., b, l], starting with rest[i..])
//! ```
//!
//! `L` neighbours along the axis that lies innermost in memory are lanes: vectors are loaded and combined whole. Where
//! no reduced axis lies innermost the parts are `part[b, i..]`, so that the kept axes are vectors as before. The order
//! depends on shapes and on the form of the body alone.

use crate::compute::{Compute, Reduce, ReduceFn};
use crate::dtype::DType;
use crate::expr::{BufId, Expr, Scalar, VarId};
use crate::index::vars;
use crate::shape::TensorType;

/// Most elements that are combined one after the other, but where parts of them would take too much memory.
pub const BLOCK: usize = 128;

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
    /// The result is that of `reduce` but for rounding, `init` and `finish` count once. At most [`BLOCK`] elements, and
    /// elements that are not f32, are reduced by one stage as `reduce` does it; more by several, the last of which
    /// defines the returned buffer. `body` may be any expression of the stage's dimensions and the reduced axes.
    pub fn reduce_blocked(
        &mut self,
        name: &'static str,
        ty: TensorType,
        reduce: Reduce,
        body: Expr,
    ) -> BufId {
        let dtype = body.dtype(&|b| self.buffers.get(b.0 as usize).map(|b| b.ty.dtype), None);
        let identity = match reduce.combine {
            ReduceFn::Sum => Some(Scalar::F32(0.0)),
            ReduceFn::Max => Some(Scalar::lowest(DType::F32)),
            ReduceFn::Min => Some(Scalar::highest(DType::F32)),
            ReduceFn::Prod => Some(Scalar::F32(1.0)),
        };
        let long = dtype == Ok(DType::F32) && count(&reduce.extents) > BLOCK;
        let Some(identity) = identity.filter(|_| long) else { return self.reduce(name, ty, reduce, body) };
        let dims = ty.shape.dims().to_vec();
        let rank = dims.len();
        let split = Split::new(&reduce.extents, lane_axis(&body, rank, &reduce.extents), &dims);
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
        let parts =
            Reduce { extents: split.serial.clone(), combine, init: Expr::Const(identity), finish: Expr::Acc };
        let of_part = split.body(&body, rank);
        let part = self.reduce(name, TensorType::new(DType::F32, split.dims(&dims)), parts, of_part);
        let all = Reduce { extents: split.parts(), combine, init, finish };
        self.reduce_blocked(name, ty, all, Expr::load(part, split.index(rank)))
    }
}

/// The number of elements of these extents, or the largest number.
fn count(extents: &[usize]) -> usize {
    if extents.contains(&0) { 0 } else { extents.iter().fold(1, |n: usize, &d| n.saturating_mul(d)) }
}

/// The reduced axis that lies innermost in every tensor of `body` that it is an axis of.
fn lane_axis(body: &Expr, rank: usize, extents: &[usize]) -> Option<usize> {
    (0..extents.len()).rev().find(|&axis| {
        let variable = Expr::var(rank + axis);
        let mentions = |e: &Expr| {
            let mut found = false;
            e.visit(&mut |e| found |= *e == variable);
            found
        };
        let (mut innermost, mut elsewhere) = (false, false);
        body.visit(&mut |e| {
            if let Expr::Load(_, index) = e
                && let Some((last, others)) = index.split_last()
            {
                innermost |= mentions(last);
                elsewhere |= others.iter().any(mentions);
            }
        });
        innermost && !elsewhere && lanes(extents[axis]).is_some()
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
    fn new(extents: &[usize], lane_axis: Option<usize>, dims: &[usize]) -> Split {
        let lanes = lane_axis.and_then(|axis| lanes(extents[axis]).map(|l| (axis, l)));
        let mut steps = extents.to_vec();
        let mut width = 1;
        if let Some((axis, l)) = lanes {
            steps[axis] /= l;
            width = l;
        }
        let most = (PARTS / count(dims).saturating_mul(width).max(1)).max(FEWEST);
        let limit = count(&steps).div_ceil(most).max(BLOCK);
        let (mut blocks, mut serial) = (vec![1; steps.len()], vec![1; steps.len()]);
        let mut room = limit;
        for axis in (0..steps.len()).rev() {
            let extent = steps[axis];
            if extent <= room {
                serial[axis] = extent;
                room /= extent;
            } else {
                let fewest = extent.div_ceil(room.max(1));
                let even = (fewest..=2 * fewest).find(|&n| extent.is_multiple_of(n));
                blocks[axis] = even.unwrap_or(fewest);
                serial[axis] = extent / blocks[axis];
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
            assert!(count(&stage.reduce.as_ref().unwrap().extents) <= BLOCK, "{shape} over {of:?}: {c:?}");
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
        assert_eq!(check(&[7, BLOCK], &[1]).stages.len(), 1);
        assert_eq!(check(&[4, 7, 7], &[1, 2]).stages.len(), 1);
        assert_eq!(check(&[1, 16 * BLOCK], &[1]).stages.len(), 2);
        let stage = check(&[2, 16 * BLOCK], &[1]).stages.remove(0);
        assert_eq!(stage.body.to_string(), "b0[L0, add(mul(L2, 16), L1)]");
        let stage = check(&[2 * BLOCK, 5], &[0]).stages.remove(0);
        assert_eq!(stage.body.to_string(), "b0[add(mul(L0, 128), L2), L1]");
    }

    #[test]
    fn memory_bounds_the_number_of_blocks() {
        let lanes = Some((0, 16));
        let split = |dims: &[usize]| Split::new(&[1 << 20], lanes.map(|(axis, _)| axis), dims);
        assert_eq!((split(&[]).blocks[0], split(&[]).serial[0]), (512, 128));
        assert_eq!(split(&[1 << 20]).blocks[0], FEWEST);
    }

    #[test]
    fn products_keep_vectors_along_kept_axes() {
        let (a, b) = (Shape::from([2, 300]), Shape::from([300, 8]));
        let mut c = Compute::new();
        let [x, y] =
            [(0, &a), (1, &b)].map(|(i, shape)| c.input(i, &Arg { dtype: DType::F32, shape, value: None }));
        let k = Expr::var(2);
        let body = Expr::load(x, [Expr::var(0), k.clone()]) * Expr::load(y, [k, Expr::var(1)]);
        let reduce =
            |combine| Reduce { extents: vec![300], combine, init: Expr::f32(0.0), finish: Expr::Acc };
        let ty = TensorType::new(DType::F32, [2, 8]);
        let sum = c.reduce_blocked("sum", ty.clone(), reduce(ReduceFn::Sum), body.clone());
        assert_eq!(
            c.stages[0].body.to_string(),
            "mul(b0[L1, add(mul(L0, 100), L3)], b1[add(mul(L0, 100), L3), L2])"
        );
        let max = c.reduce_blocked("max", ty, reduce(ReduceFn::Max), body);
        c.output(sum);
        c.output(max);
        let ones = |shape: &Shape| Tensor::new(shape.clone(), &vec![-1.0f32; shape.numel()]).unwrap();
        let out = c.evaluate(&[Some(&ones(&a)), Some(&ones(&b))]).unwrap();
        assert_eq!(out[0].to_vec::<f32>().unwrap(), [300.0; 16]);
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
