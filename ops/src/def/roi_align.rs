//! Samples in the bins of regions of interest: ONNX `RoiAlign`, opsets 10 to 22.
//!
//! A region `[x1, y1, x2, y2]` times `spatial_scale` (minus 0.5 with `half_pixel`; without, it is at least 1 wide and
//! high) is cut into `output` bins, and a bin into a grid of samples: `sampling_ratio` along each axis, or, where that is
//! 0, the extent of a bin rounded up. A sample is interpolated linearly between four elements of the image
//! `batch_indices` says; more than one element outside of it, it is 0. A bin is the mean of its samples or, in mode `Max`,
//! the largest of the four weighted elements of all its samples (not of the samples: ONNX Runtime and the tests of the
//! standard have it so), 0 where there are none.
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `X` | `[N, C, H, W]` | f32 or f64, as 1 |
//! | 1 `rois` | `[R, 4]` | |
//! | 2 `batch_indices` | `[R]` | i64, each below N |
//!
//! Output: `[R, C, output[0], output[1]]`. Where `sampling_ratio` is 0 and the regions are not known before the run, they
//! may be one bin larger than the image: larger ones fail the run. Errors: shapes that do not fit, an image without
//! elements, a batch index out of range.

mod reference;

use crate::arg::known_args;
use crate::compute::{Check, Compute, Reduce, ReduceFn};
use crate::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::{Arg, Args, DType, OpError, Operator, Shape, Tensor, TensorType, attr_enum, attributes, invalid};

/// What becomes of the samples of a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoiMode {
    /// Their mean.
    Average,
    /// The largest of their weighted elements.
    Max,
}

attr_enum!(RoiMode { Average = "average", Max = "max" });

/// ONNX operator RoiAlign.
#[derive(Clone, Debug, PartialEq)]
pub struct RoiAlign {
    /// What becomes of samples.
    pub mode: RoiMode,
    /// Whether regions are moved by half an element.
    pub half_pixel: bool,
    /// Bins along the height and the width.
    pub output: Vec<usize>,
    /// Samples of a bin along each axis; 0: by its extent.
    pub sampling_ratio: usize,
    /// Elements of X for one unit of the regions.
    pub spatial_scale: f32,
}

attributes!(RoiAlign { mode, half_pixel, output, sampling_ratio, spatial_scale });

/// Most samples along an axis.
const MOST: usize = 1 << 20;
/// An index that stands for zero.
const OUTSIDE: i64 = -1;
/// An index beyond the samples of a bin.
const BEYOND: i64 = -2;

struct Problem<'a> {
    x: Arg<'a>,
    rois: Arg<'a>,
    images: Arg<'a>,
    dst: TensorType,
    /// Most samples of a bin along the height and the width.
    samples: [usize; 2],
}

impl RoiAlign {
    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let rois = args.typed(1, "rois", &[x.dtype])?;
        let images = args.typed(2, "batch_indices", &[DType::I64])?;
        let ([_, channels, h, w], [height, width]) = (x.shape.dims(), &self.output[..]) else {
            return invalid!(
                "expected X [N,C,H,W] and two output extents, found {} and {:?}",
                x.shape,
                self.output
            );
        };
        if *h == 0 || *w == 0 || *height == 0 || *width == 0 {
            return invalid!("X {} and the output {:?} must not be empty", x.shape, self.output);
        }
        let [count, 4] = *rois.shape.dims() else {
            return invalid!("input 1 (rois): expected [regions,4], found {}", rois.shape);
        };
        if images.shape.dims() != [count] {
            return invalid!("input 2 (batch_indices): expected [{count}], found {}", images.shape);
        }
        let outside = |i: &i64| usize::try_from(*i).map_or(true, |i| i >= x.shape[0]);
        if let Some(bad) =
            images.value.map(Tensor::to_i64s).transpose()?.iter().flatten().find(|i| outside(i))
        {
            return invalid!("{}, found {bad}", expected_images(&x));
        }
        let dst = TensorType::new(x.dtype, [count, *channels, *height, *width]);
        dst.shape.checked_bytes(dst.dtype)?;
        let mut p = Problem { x, rois, images, dst, samples: [self.sampling_ratio; 2] };
        if self.sampling_ratio == 0 {
            p.samples = self.adaptive(&p);
        }
        if p.samples.iter().any(|&n| n > MOST) {
            return Err(OpError::TooLarge(format!("a bin has {:?} samples, the limit is {MOST}", p.samples)));
        }
        Ok(p)
    }

    /// Most samples of a bin along each axis, at least 1: of the known regions, or as many as fit the image.
    fn adaptive(&self, p: &Problem<'_>) -> [usize; 2] {
        [0, 1].map(|axis| match p.rois.value {
            None => p.x.shape[2 + axis].div_ceil(self.output[axis]) + 1,
            Some(rois) => {
                let rois = rois.to_f64s();
                let most = rois.chunks_exact(4).map(|roi| self.place(roi, axis, p.x.dtype).samples);
                most.fold(1, usize::max)
            }
        })
    }

    /// Where a region lies along an axis, rounded as the type rounds.
    fn place(&self, roi: &[f64], axis: usize, dtype: DType) -> reference::Place {
        let r = |v: f64| if dtype == DType::F32 { f64::from(v as f32) } else { v };
        let offset = if self.half_pixel { 0.5 } else { 0.0 };
        let at = |i: usize| r(r(roi[i] * f64::from(self.spatial_scale)) - offset);
        let (start, end) = (at(1 - axis), at(3 - axis));
        let extent = r(end - start);
        let extent = if self.half_pixel { extent } else { extent.max(1.0) };
        let bin = r(extent / self.output[axis] as f64);
        let samples =
            if self.sampling_ratio > 0 { self.sampling_ratio } else { bin.ceil().max(0.0) as usize };
        reference::Place { start, bin, samples }
    }
}

fn expected_images(x: &Arg<'_>) -> String {
    format!("input 2 (batch_indices): expected 0 to {}", x.shape[0].saturating_sub(1))
}

/// The stages of one axis: regions to elements with weights, `[R, bins, samples, 2]`.
struct Taps {
    index: BufId,
    weight: BufId,
    /// `[R]`: samples of a bin.
    count: BufId,
}

impl RoiAlign {
    fn taps(&self, c: &mut Compute, p: &Problem<'_>, rois: BufId, axis: usize) -> Taps {
        let (dtype, regions) = (p.x.dtype, p.rois.shape[0]);
        let lit = |v: f64| Expr::literal(dtype, v);
        let line = TensorType::new(dtype, [regions]);
        let offset = if self.half_pixel { 0.5 } else { 0.0 };
        let of = |i: usize| {
            let v = Expr::load(rois, [Expr::var(0), Expr::int(i)]) * lit(self.spatial_scale.into());
            v - lit(offset)
        };
        let start = c.map("start", line.clone(), of(1 - axis));
        let extent = of(3 - axis) - Expr::load(start, [Expr::var(0)]);
        let extent = if self.half_pixel { extent } else { extent.max(lit(1.0)) };
        let bin = c.map("bin", line, extent / lit(self.output[axis] as f64));
        let most = p.samples[axis];
        let counts = TensorType::new(DType::I64, [regions]);
        let needed = Expr::unary(UnaryFn::Ceil, Expr::load(bin, [Expr::var(0)])).cast(DType::I64);
        if self.sampling_ratio == 0 && p.rois.value.is_none() {
            self.check_samples(c, p, needed.clone(), axis);
        }
        let count = if self.sampling_ratio > 0 { Expr::int(most) } else { needed.clamp(0, most as i64) };
        let count = c.map("samples", counts, count);
        let [start, bin] = [start, bin].map(|b| Expr::load(b, [Expr::var(0)]));
        let samples = Expr::load(count, [Expr::var(0)]);
        let [o, s] = [1, 2].map(Expr::var);
        let middle =
            (s.clone().cast(dtype) + lit(0.5)) * bin.clone() / samples.clone().max(Expr::int(1)).cast(dtype);
        let place = c.map(
            "place",
            TensorType::new(dtype, [regions, self.output[axis], most]),
            start + o.cast(dtype) * bin + middle,
        );
        let d = p.x.shape[2 + axis];
        let at = Expr::load(place, vars(3));
        let below = Expr::compare(CompareFn::Lt, at.clone(), lit(-1.0));
        let above = Expr::compare(CompareFn::Gt, at.clone(), lit(d as f64));
        let outside = Expr::binary(BinaryFn::Or, below, above);
        let at = at.max(lit(0.0));
        let low = Expr::unary(UnaryFn::Floor, at.clone()).cast(DType::I64).clamp(0, d as i64 - 1);
        let last = Expr::compare(CompareFn::Ge, low.clone(), Expr::int(d - 1));
        let rest = last.select(lit(0.0), at - low.clone().cast(dtype));
        let first = Expr::compare(CompareFn::Eq, Expr::var(3), Expr::int(0));
        let ty = |dtype| TensorType::new(dtype, [regions, self.output[axis], most, 2]);
        let index = first.clone().select(low.clone(), (low + Expr::int(1)).min(Expr::int(d - 1)));
        let beyond = Expr::compare(CompareFn::Ge, s, samples);
        let index = beyond.select(Expr::int(BEYOND), outside.select(Expr::int(OUTSIDE), index));
        let weight = first.select(lit(1.0) - rest.clone(), rest);
        Taps {
            index: c.map("index", ty(DType::I64), index),
            weight: c.map("weight", ty(dtype), weight),
            count,
        }
    }

    /// A check that no bin needs more samples than there are.
    fn check_samples(&self, c: &mut Compute, p: &Problem<'_>, needed: Expr, axis: usize) {
        let most = p.samples[axis];
        let fits = Expr::compare(CompareFn::Le, needed, Expr::int(most));
        let message = format!(
            "input 1 (rois): with sampling_ratio 0 a region may have at most {} elements of an axis of {}",
            most.saturating_mul(self.output[axis]),
            p.x.shape[2 + axis]
        );
        check_all(c, &[p.rois.shape[0]], fits, message);
    }
}

/// A check that `holds` at every index of these extents.
fn check_all(c: &mut Compute, extents: &[usize], holds: Expr, message: String) {
    let reduce = Reduce {
        extents: extents.to_vec(),
        combine: ReduceFn::Min,
        init: Expr::int(1),
        finish: Expr::compare(CompareFn::Eq, Expr::Acc, Expr::int(1)),
    };
    let ty = TensorType::new(DType::Bool, Shape::scalar());
    let ok = c.reduce("in range", ty, reduce, holds.select(Expr::int(1), Expr::int(0)));
    c.checks.push(Check { ok, message });
}

impl Operator for RoiAlign {
    fn name(&self) -> &'static str {
        "RoiAlign"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        if p.dst.shape.numel() == 0 || p.x.shape[0] == 0 {
            let zero = Scalar::zero(p.dst.dtype);
            return Ok(Compute::filled(p.dst, zero));
        }
        let dtype = p.dst.dtype;
        let mut c = Compute::new();
        let [x, rois, images] = [(0, &p.x), (1, &p.rois), (2, &p.images)].map(|(i, a)| c.input(i, a));
        let image = Expr::load(images, [Expr::var(0)]);
        if p.images.value.is_none() {
            check_all(
                &mut c,
                &[p.images.shape[0]],
                image.clone().within(p.x.shape[0]),
                format!("{}, found another", expected_images(&p.x)),
            );
        }
        let axes = [0, 1].map(|axis| self.taps(&mut c, &p, rois, axis));
        // Variables: region, channel, bins; then samples of both axes, elements of both axes.
        let mut at = vec![image.clamp(0, p.x.shape[0] as i64 - 1), Expr::var(1)];
        let (mut outside, mut beyond): (Option<Expr>, Option<Expr>) = (None, None);
        let mut weights = Vec::new();
        for (axis, taps) in axes.iter().enumerate() {
            let here = [0, 2 + axis, 4 + axis, 6 + axis].map(Expr::var);
            let index = Expr::load(taps.index, here.clone());
            let or = |all: Option<Expr>, e: Expr| {
                Some(match all {
                    None => e,
                    Some(all) => Expr::binary(BinaryFn::Or, all, e),
                })
            };
            outside = or(outside, Expr::compare(CompareFn::Lt, index.clone(), Expr::int(0)));
            beyond = or(beyond, Expr::compare(CompareFn::Eq, index.clone(), Expr::int(BEYOND)));
            at.push(index.clamp(0, p.x.shape[2 + axis] as i64 - 1));
            weights.push(Expr::load(taps.weight, here));
        }
        let zero = Expr::literal(dtype, 0.0);
        let value = weights.into_iter().fold(Expr::load(x, at), |v, w| v * w);
        let value = outside.map_or(value.clone(), |o| o.select(zero.clone(), value));
        let counts = axes.each_ref().map(|taps| Expr::load(taps.count, [Expr::var(0)]));
        let [rows, columns] = counts;
        let count = rows * columns;
        let (combine, init, body, finish) = match self.mode {
            RoiMode::Average => {
                let count = count.max(Expr::int(1)).cast(dtype);
                (ReduceFn::Sum, zero, value, Expr::Acc / count)
            }
            RoiMode::Max => {
                let lowest = Expr::Const(Scalar::lowest(dtype));
                let body = beyond.map_or(value.clone(), |b| b.select(lowest.clone(), value));
                let some = Expr::compare(CompareFn::Gt, count, Expr::int(0));
                (ReduceFn::Max, lowest, body, some.select(Expr::Acc, zero))
            }
        };
        let extents = vec![p.samples[0], p.samples[1], 2, 2];
        let out = c.reduce_blocked("bins", p.dst, Reduce { extents, combine, init, finish }, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let p = self.problem(args)?;
        let (x, rois) = (args.known(0, "X")?, args.known(1, "rois")?);
        let images = args.known(2, "batch_indices")?.to_i64s()?;
        Ok(vec![reference::align(self, x, rois, &images, &p.dst)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op() -> RoiAlign {
        RoiAlign {
            mode: RoiMode::Average,
            half_pixel: true,
            output: vec![1, 2],
            sampling_ratio: 1,
            spatial_scale: 1.0,
        }
    }

    fn image() -> Tensor {
        let v: Vec<f32> = (0..168).map(|i| (i * 7919 % 101) as f32 / 50.0 - 1.0).collect();
        t([2, 2, 7, 6], &v)
    }

    fn rois() -> [Tensor; 2] {
        let rois = [
            [0.0f32, 0.0, 5.0, 6.0],
            [-3.0, -2.0, 8.0, 8.0],
            [4.0, 4.0, 2.0, 1.0],
            [1.0, 1.0, 1.0, 1.0],
            [100.0, 100.0, 104.0, 103.0],
            [2.2, 1.1, 5.7, 4.4],
        ];
        [t([6, 4], &rois.concat()), t([6], &[0i64, 1, 0, 1, 0, 1])]
    }

    #[test]
    fn hand_computed() {
        // Bins [0, 1] and [1, 2] of the row [1, 3, 7, 9], samples at 0.5 and 1.5.
        let x = t([1, 1, 1, 4], &[1.0f32, 3.0, 7.0, 9.0]);
        let rois = t([1, 4], &[0.5f32, 0.5, 2.5, 0.5]);
        let of = |op: RoiAlign| run(&op, &[&x, &rois, &t([1], &[0i64])]).unwrap();
        assert_eq!(of(op()), t([1, 1, 1, 2], &[2.0f32, 5.0]));
        assert_eq!(of(RoiAlign { mode: RoiMode::Max, ..op() }), t([1, 1, 1, 2], &[1.5f32, 3.5]));
    }

    #[test]
    fn definition_is_reference() {
        let (x, [rois, images]) = (image(), rois());
        for mode in [RoiMode::Average, RoiMode::Max] {
            for sampling_ratio in [0, 1, 2, 3] {
                for half_pixel in [false, true] {
                    let output = vec![3, 2];
                    let op = RoiAlign { mode, half_pixel, output, sampling_ratio, spatial_scale: 0.7 };
                    run(&op, &[&x, &rois, &images]).unwrap();
                    let args = [&x, &rois, &images].map(|t| Some(Arg { value: None, ..Arg::from(t) }));
                    let c = op.compute(Args(&args)).unwrap();
                    let found = c.evaluate(&[Some(&x), Some(&rois), Some(&images)]).unwrap();
                    let want = op.reference(&[Some(&x), Some(&rois), Some(&images)]).unwrap();
                    let pairs = found[0].to_f64s().into_iter().zip(want[0].to_f64s());
                    pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{op:?}: {found:?}, {want:?}"));
                }
            }
        }
        let wide = [t(x.shape().clone(), &x.to_f64s()), t([6, 4], &rois.to_f64s()), images];
        run(&op(), &wide.iter().collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn facts_of_the_run_are_checked() {
        let x = image();
        let adaptive = RoiAlign { sampling_ratio: 0, ..op() };
        let found = |roi: [f32; 4], image: i64| {
            let (rois, images) = (t([1, 4], &roi), t([1], &[image]));
            let args = [&x, &rois, &images].map(|t| Some(Arg { value: None, ..Arg::from(t) }));
            adaptive.compute(Args(&args)).unwrap().evaluate(&[Some(&x), Some(&rois), Some(&images)])
        };
        assert!(found([0.0, 0.0, 6.0, 7.0], 1).is_ok());
        assert!(found([0.0, 0.0, 6.0, 7.0], 2).unwrap_err().message().contains("expected 0 to 1"));
        assert!(found([0.0, 0.0, 6.0, 70.0], 1).unwrap_err().message().contains("at most 8 elements"));
        let known = |roi: [f32; 4]| run(&adaptive, &[&x, &t([1, 4], &roi), &t([1], &[0i64])]);
        assert!(known([0.0, 0.0, 6.0, 70.0]).is_ok());
        assert!(known([0.0, 0.0, 6.0, 1e30]).is_err());
    }

    #[test]
    fn errors_say_expected_and_found() {
        let (x, [rois, images]) = (image(), rois());
        assert!(error(&op(), &[&x, &rois, &t([5], &[0i64; 5])]).contains("expected [6], found [5]"));
        assert!(error(&op(), &[&x, &t([6], &[0.0f32; 6]), &images]).contains("expected [regions,4]"));
        assert!(error(&op(), &[&x, &rois, &t([6], &[2i64; 6])]).contains("expected 0 to 1, found 2"));
        assert!(error(&RoiAlign { output: vec![2], ..op() }, &[&x, &rois, &images]).contains("two output"));
        assert!(error(&RoiAlign { output: vec![2, 0], ..op() }, &[&x, &rois, &images]).contains("empty"));
    }
}
