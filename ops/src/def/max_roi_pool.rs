//! Maxima in the bins of regions of interest: ONNX `MaxRoiPool`, opsets 1 to 22.
//!
//! A region `[batch, x1, y1, x2, y2]`, its corners times `spatial_scale` rounded (halves away from 0), both of them
//! inside, is at least 1 wide and high. Bin `i` of `output` bins along an axis reaches from `floor(i * extent / bins)` to
//! before `ceil((i + 1) * extent / bins)`, counted from the region's beginning, as far as that is inside the image. An
//! empty bin is 0.
//!
//! Input 0 (`X`): `[N, C, H, W]`, f32 or f64; input 1 (`rois`): `[R, 5]` of its type. Output: `[R, C, output[0], output[1]]`.
//! Errors: shapes that do not fit, an image without elements, a batch out of range.

use crate::arg::known_args;
use crate::compute::{Check, Compute, Reduce, ReduceFn, tensor};
use crate::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn, VarId};
use crate::{Arg, Args, DType, OpError, Operator, Shape, Tensor, TensorType, attributes, invalid};

/// ONNX operator MaxRoiPool.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxRoiPool {
    /// Bins along the height and the width.
    pub output: Vec<usize>,
    /// Elements of X for one unit of the regions.
    pub spatial_scale: f32,
}

attributes!(MaxRoiPool { output, spatial_scale });

/// Farther away than any element.
const FAR: i64 = 1 << 40;

struct Problem<'a> {
    x: Arg<'a>,
    rois: Arg<'a>,
    dst: TensorType,
}

impl MaxRoiPool {
    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let rois = args.typed(1, "rois", &[x.dtype])?;
        let ([n, channels, h, w], [height, width]) = (x.shape.dims(), &self.output[..]) else {
            return invalid!(
                "expected X [N,C,H,W] and two output extents, found {} and {:?}",
                x.shape,
                self.output
            );
        };
        if [*n, *h, *w, *height, *width].contains(&0) {
            return invalid!("X {} and the output {:?} must not be empty", x.shape, self.output);
        }
        let [count, 5] = *rois.shape.dims() else {
            return invalid!("input 1 (rois): expected [regions,5], found {}", rois.shape);
        };
        for roi in rois.value.map(Tensor::to_f64s).unwrap_or_default().chunks_exact(5) {
            if roi[0].is_nan() || roi[0] <= -1.0 || roi[0] >= *n as f64 {
                return invalid!("{}, found {}", expected_batch(&x), roi[0]);
            }
        }
        let dst = TensorType::new(x.dtype, [count, *channels, *height, *width]);
        dst.shape.checked_bytes(dst.dtype)?;
        Ok(Problem { x, rois, dst })
    }

    /// Stages `begin` and `end`, `[R, bins]`: the elements of bins along an axis.
    fn bins(&self, c: &mut Compute, p: &Problem<'_>, rois: BufId, axis: usize) -> [BufId; 2] {
        let dtype = p.x.dtype;
        let lit = |v: f64| Expr::literal(dtype, v);
        let corner = |i: usize| {
            let v = Expr::load(rois, [Expr::var(0), Expr::int(i)]) * lit(self.spatial_scale.into());
            let positive = Expr::compare(CompareFn::Ge, v.clone(), lit(0.0));
            let up = Expr::unary(UnaryFn::Floor, v.clone() + lit(0.5));
            positive.select(up, Expr::unary(UnaryFn::Ceil, v - lit(0.5))).cast(DType::I64).clamp(-FAR, FAR)
        };
        let line = TensorType::new(DType::I64, [p.rois.shape[0]]);
        let start = c.map("start", line.clone(), corner(2 - axis));
        let start = Expr::load(start, [Expr::var(0)]);
        let extent = (corner(4 - axis) - start.clone() + Expr::int(1)).max(Expr::int(1));
        let extent = Expr::load(c.map("extent", line, extent), [Expr::var(0)]).cast(dtype);
        let bin = extent / lit(self.output[axis] as f64);
        let d = p.x.shape[2 + axis] as i64;
        let edge = |f: UnaryFn, i: Expr| {
            (Expr::unary(f, i.cast(dtype) * bin.clone()).cast(DType::I64).clamp(0, 2 * FAR) + start.clone())
                .clamp(0, d)
        };
        let ty = TensorType::new(DType::I64, [p.rois.shape[0], self.output[axis]]);
        let begin = edge(UnaryFn::Floor, Expr::var(1));
        let end = edge(UnaryFn::Ceil, Expr::var(1) + Expr::int(1));
        [c.map("begin", ty.clone(), begin), c.map("end", ty, end)]
    }
}

fn expected_batch(x: &Arg<'_>) -> String {
    format!("input 1 (rois): expected a batch from 0 to {}", x.shape[0] - 1)
}

/// Whether `at` is in bin `bin` of region `L0`.
fn in_bin([begin, end]: [BufId; 2], bin: Expr, at: Expr) -> Expr {
    let [begin, end] = [begin, end].map(|b| Expr::load(b, [Expr::var(0), bin.clone()]));
    Expr::compare(CompareFn::Ge, at.clone(), begin).and(Expr::compare(CompareFn::Lt, at, end))
}

/// The maxima of runs of `2^level` elements along rows of width `w` from each element on, `[levels, N, C, H, W]`, as far as
/// the row goes; and how many levels there are.
fn runs(c: &mut Compute, x: BufId, (arg, w): (&Arg<'_>, usize)) -> (BufId, usize) {
    let levels = 1 + w.ilog2() as usize;
    let buf = c.declare(TensorType::new(arg.dtype, [&[levels], arg.shape.dims()].concat()));
    let turn = Expr::var(0);
    let map: Vec<Expr> = (1..4).map(Expr::var).collect();
    let before = (turn.clone() - Expr::int(1)).max(Expr::int(0));
    let at = |column: Expr| Expr::load(buf, [std::slice::from_ref(&before), &map[..], &[column]].concat());
    let half = Expr::binary(BinaryFn::Shl, Expr::int(1), before.clone());
    let next = (Expr::var(4) + half).clamp(0, w as i64 - 1);
    let longer = at(Expr::var(4)).max(at(next));
    let first = Expr::compare(CompareFn::Eq, turn, Expr::int(0));
    let body = first.select(Expr::load(x, (1..5).map(Expr::var).collect::<Vec<_>>()), longer);
    c.repeat(levels, |c| {
        c.define("runs", buf, None, body);
    });
    (buf, levels)
}

impl Operator for MaxRoiPool {
    fn name(&self) -> &'static str {
        "MaxRoiPool"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        let dtype = p.dst.dtype;
        if p.dst.shape.numel() == 0 {
            return Ok(Compute::filled(p.dst, Scalar::zero(dtype)));
        }
        let mut c = Compute::new();
        let (x, rois) = (c.input(0, &p.x), c.input(1, &p.rois));
        let (n, h, w) = (p.x.shape[0], p.x.shape[2], p.x.shape[3]);
        let batch = Expr::load(rois, [Expr::var(0), Expr::int(0)]).cast(DType::I64);
        if p.rois.value.is_none() {
            let reduce = Reduce {
                extents: vec![p.rois.shape[0]],
                combine: ReduceFn::Min,
                init: Expr::int(1),
                finish: Expr::compare(CompareFn::Eq, Expr::Acc, Expr::int(1)),
            };
            let ty = TensorType::new(DType::Bool, Shape::scalar());
            let holds = batch.clone().within(n).select(Expr::int(1), Expr::int(0));
            let ok = c.reduce("in range", ty, reduce, holds);
            c.checks.push(Check { ok, message: format!("{}, found another", expected_batch(&p.x)) });
        }
        let [rows, columns] = [0, 1].map(|axis| self.bins(&mut c, &p, rois, axis));
        let lowest = Expr::Const(Scalar::lowest(dtype));
        let reduce = |n: usize, finish| Reduce {
            extents: vec![n],
            combine: ReduceFn::Max,
            init: lowest.clone(),
            finish,
        };
        // First along rows: [R, C, bins of the width, H]; the maximum of a bin is that of two runs of 2^level elements.
        let levels = runs(&mut c, x, (&p.x, w));
        let (bin, row) = (Expr::var(2), Expr::var(3));
        let [begin, end] = columns.map(|b| Expr::load(b, [Expr::var(0), bin.clone()]));
        let length = (end.clone() - begin.clone()).clamp(1, w as i64);
        let level = (1..u64::BITS as usize).take_while(|l| 1 << l <= w).map(|l| {
            let long = Expr::compare(CompareFn::Ge, length.clone(), Expr::int(1usize << l));
            long.select(Expr::int(1), Expr::int(0))
        });
        let level = level.reduce(|a, b| a + b).unwrap_or_else(|| Expr::int(0));
        let ty = TensorType::new(DType::I64, [p.dst.shape[0], self.output[1]]);
        let bin_at = |e: Expr| e.substitute(&|v| if v == VarId(2) { Expr::var(1) } else { Expr::Var(v) });
        let level = c.map("level", ty, bin_at(level));
        let level = Expr::load(level, [Expr::var(0), bin]);
        let of = |from: Expr| {
            let level = level.clone().clamp(0, levels.1 as i64 - 1);
            let at = [level, batch.clone().clamp(0, n as i64 - 1), Expr::var(1), row.clone()];
            Expr::load(levels.0, [&at[..], &[from.clamp(0, w as i64 - 1)]].concat())
        };
        let last = end - Expr::binary(BinaryFn::Shl, Expr::int(1), level.clone());
        let ty = TensorType::new(dtype, [p.dst.shape[0], p.dst.shape[1], self.output[1], h]);
        let partial = c.map("rows", ty, of(begin).max(of(last)));
        let [height, width, row] = [2, 3, 4].map(Expr::var);
        let body = in_bin(rows, height.clone(), row.clone());
        let element = Expr::load(partial, [Expr::var(0), Expr::var(1), width.clone(), row]);
        let empty = |[begin, end]: [BufId; 2], bin: Expr| {
            let [begin, end] = [begin, end].map(|b| Expr::load(b, [Expr::var(0), bin.clone()]));
            Expr::compare(CompareFn::Ge, begin, end)
        };
        let none = Expr::binary(BinaryFn::Or, empty(rows, height), empty(columns, width));
        let finish = none.select(Expr::literal(dtype, 0.0), Expr::Acc);
        let out = c.reduce("bins", p.dst, reduce(h, finish), body.select(element, lowest.clone()));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let p = self.problem(args)?;
        let (x, rois) = (args.known(0, "X")?.to_f64s(), args.known(1, "rois")?.to_f64s());
        let round = |v: f64| if p.x.dtype == DType::F32 { f64::from(v as f32) } else { v };
        let (h, w) = (p.x.shape[2], p.x.shape[3]);
        let mut out = Vec::new();
        for index in p.dst.shape.indices() {
            let roi = &rois[index[0] * 5..][..5];
            let bin = |axis: usize| {
                let corner = |i: usize| round(roi[i] * f64::from(self.spatial_scale)).round();
                let start = corner(2 - axis);
                let extent = (corner(4 - axis) - start + 1.0).max(1.0);
                let size = round(extent / self.output[axis] as f64);
                let i = index[2 + axis] as f64;
                let d = p.x.shape[2 + axis] as f64;
                let begin = (round(i * size).floor() + start).clamp(0.0, d) as usize;
                begin..(round((i + 1.0) * size).ceil() + start).clamp(0.0, d) as usize
            };
            let image = &x[(roi[0] as usize * p.x.shape[1] + index[1]) * h * w..][..h * w];
            let larger = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
            let elements = bin(0).flat_map(|row| bin(1).map(move |column| image[row * w + column]));
            out.push(Scalar::F64(elements.reduce(larger).unwrap_or(0.0)).cast(p.dst.dtype));
        }
        Ok(vec![tensor(&p.dst, &out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op() -> MaxRoiPool {
        MaxRoiPool { output: vec![3, 2], spatial_scale: 0.7 }
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 1, 2, 4], &[1.0f32, 2.0, 3.0, 4.0, 8.0, 7.0, 6.0, -5.0]);
        let op = MaxRoiPool { output: vec![1, 2], spatial_scale: 1.0 };
        let of = |roi: [f32; 5]| run(&op, &[&x, &t([1, 5], &roi)]).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(of([0.0, 0.0, 0.0, 3.0, 1.0]), [8.0, 6.0]);
        assert_eq!(of([0.0, 1.0, 0.0, 3.0, 0.0]), [3.0, 4.0]);
        assert_eq!(of([0.0, 3.0, 1.0, 3.0, 1.0]), [-5.0, -5.0]);
        assert_eq!(of([0.0, 9.0, 0.0, 9.0, 0.0]), [0.0, 0.0]);
    }

    #[test]
    fn definition_is_reference() {
        let v: Vec<f32> = (0..168).map(|i| (i * 7919 % 101) as f32 / 50.0 - 1.0).collect();
        let x = t([2, 2, 7, 6], &v);
        let rois = [
            [0.0f32, 0.0, 0.0, 5.0, 6.0],
            [1.0, -3.0, -2.0, 20.0, 30.0],
            [0.0, 4.0, 4.0, 2.0, 1.0],
            [1.0, 1.0, 1.0, 1.0, 1.0],
            [1.0, 2.2, 1.1, 5.7, 4.4],
        ];
        let rois = t([5, 5], &rois.concat());
        run(&op(), &[&x, &rois]).unwrap();
        run(&op(), &[&t([2, 2, 7, 6], &x.to_f64s()), &t([5, 5], &rois.to_f64s())]).unwrap();
        let args = [&x, &rois].map(|t| Some(Arg { value: None, ..Arg::from(t) }));
        let c = op().compute(Args(&args)).unwrap();
        let found = c.evaluate(&[Some(&x), Some(&rois)]);
        assert_eq!(found, op().reference(&[Some(&x), Some(&rois)]));
        let bad = t([5, 5], &[2.0f32; 25]);
        assert!(c.evaluate(&[Some(&x), Some(&bad)]).unwrap_err().message().contains("from 0 to 1"));
    }

    #[test]
    fn errors_say_expected_and_found() {
        let x = t([1, 1, 2, 2], &[0.0f32; 4]);
        assert!(error(&op(), &[&x, &t([1, 4], &[0.0f32; 4])]).contains("expected [regions,5], found [1,4]"));
        assert!(error(&op(), &[&x, &t([1, 5], &[1.0f32; 5])]).contains("from 0 to 0, found 1"));
        let flat = MaxRoiPool { output: vec![3], ..op() };
        assert!(error(&flat, &[&x, &t([1, 5], &[0.0f32; 5])]).contains("two output"));
    }
}
