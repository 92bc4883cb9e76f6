//! Reductions over axes: ONNX `ReduceMean`, `ReduceSum`, `ReduceMax`, `ReduceMin`, `ReduceL1`, `ReduceL2`, `ReduceProd`,
//! `ReduceSumSquare`, `ReduceLogSum` and `ReduceLogSumExp`, opsets 1 to 20.
//!
//! | kind | `dst[i..]`, over r.. | of nothing |
//! |---|---|---|
//! | mean | `sum(src[i.., r..]) / n` | NaN, integers 0 |
//! | sum | `sum(src[i.., r..])` | 0 |
//! | max, min | as named; NaN wins; false < true | the lowest, highest value of the type |
//! | l1 | `sum(abs(src[i.., r..]))` | 0 |
//! | l2 | `sqrt(sum(src[i.., r..]^2))` | 0 |
//! | prod | the product of `src[i.., r..]` | 1 |
//! | sum_square | `sum(src[i.., r..]^2)` | 0 |
//! | log_sum | `log(sum(src[i.., r..]))` | `log(0)` |
//! | log_sum_exp | `m + log(sum(exp(src[i.., r..] - m)))`, m the maximum, 0 where that is not finite | `log(0)` |
//!
//! Inputs: 0 (`data`) of any shape: f32, f64, i64, i32, u64 or u32, for maximum and minimum also i8, u8 and bool; 1
//! (`axes`), optional, integers known before the run, negative ones count from the end. Without axes all are reduced,
//! or with `noop_with_empty_axes` none: then each element is a sum of its own. Output: the type of `data`, reduced axes
//! 1 or removed. Integers: sums and products wrap, means truncate, roots and logarithms are those of f64, truncated and
//! limited to the type, which makes `log(0)` its lowest value. Errors: an axis out of range or given twice.

mod reference;

use crate::arg::known_args;
use crate::axes::{optional_ints, resolve_axes};
use crate::compute::{self, Compute, ReduceFn};
use crate::expr::{BufId, CompareFn, Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::statistics::converted;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// ONNX `ReduceMean`.
    Mean,
    /// ONNX `ReduceSum`.
    Sum,
    /// ONNX `ReduceMax`.
    Max,
    /// ONNX `ReduceMin`.
    Min,
    /// ONNX `ReduceL1`.
    L1,
    /// ONNX `ReduceL2`.
    L2,
    /// ONNX `ReduceProd`.
    Prod,
    /// ONNX `ReduceSumSquare`.
    SumSquare,
    /// ONNX `ReduceLogSum`.
    LogSum,
    /// ONNX `ReduceLogSumExp`.
    LogSumExp,
}

crate::attr_enum!(ReduceKind {
    Mean = "mean",
    Sum = "sum",
    Max = "max",
    Min = "min",
    L1 = "l1",
    L2 = "l2",
    Prod = "prod",
    SumSquare = "sum_square",
    LogSum = "log_sum",
    LogSumExp = "log_sum_exp",
});

/// The ONNX operators whose names begin with Reduce.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// The reduction.
    pub kind: ReduceKind,
    /// Whether reduced axes stay with extent 1.
    pub keep_dims: bool,
    /// Whether an empty list of axes means none rather than all.
    pub noop_with_empty_axes: bool,
}

crate::attributes!(Reduce { kind, keep_dims, noop_with_empty_axes });

impl ReduceKind {
    /// The element types that are reduced.
    pub fn dtypes(self) -> &'static [DType] {
        use DType::*;
        match self {
            ReduceKind::Max | ReduceKind::Min => &[F32, F64, I64, I32, U64, U32, I8, U8, Bool],
            _ => &[F32, F64, I64, I32, U64, U32],
        }
    }

    /// How values are combined, and what they start with.
    fn combine(self, dtype: DType) -> (ReduceFn, Scalar) {
        match self {
            ReduceKind::Max => (ReduceFn::Max, Scalar::lowest(dtype)),
            ReduceKind::Min => (ReduceFn::Min, Scalar::highest(dtype)),
            ReduceKind::Prod => (ReduceFn::Prod, Scalar::I64(1).cast(dtype)),
            _ => (ReduceFn::Sum, Scalar::zero(dtype)),
        }
    }

    /// The result for no elements.
    fn of_nothing(self, dtype: DType) -> Scalar {
        match self {
            ReduceKind::Mean => Scalar::F64(f64::NAN).cast(dtype),
            ReduceKind::LogSum | ReduceKind::LogSumExp => Scalar::F64(f64::NEG_INFINITY).cast(dtype),
            _ => self.combine(dtype).1,
        }
    }
}

/// What is reduced to what.
struct Problem {
    src: TensorType,
    /// For each axis of the input, whether it is reduced.
    reduced: Vec<bool>,
    dst: TensorType,
}

impl Reduce {
    fn problem(&self, args: Args<'_>) -> Result<Problem, OpError> {
        let src = args.typed(0, "data", self.kind.dtypes())?.ty();
        let rank = src.shape.rank();
        let axes = optional_ints(args, 1, "axes")?.unwrap_or_default();
        let mut reduced = vec![axes.is_empty() && !self.noop_with_empty_axes; rank];
        for axis in resolve_axes(&axes, rank)? {
            reduced[axis] = true;
        }
        let dims: Vec<usize> = (src.shape.iter().zip(&reduced))
            .filter(|&(_, &r)| self.keep_dims || !r)
            .map(|(&d, &r)| if r { 1 } else { d })
            .collect();
        let dst = TensorType::new(src.dtype, dims);
        Ok(Problem { src, reduced, dst })
    }

    /// The index of the reduced element, over the axes of the result and the reduced axes, and the extents of those.
    fn element(&self, problem: &Problem) -> (Vec<Expr>, Vec<usize>) {
        let (mut index, mut extents, mut kept) = (Vec::new(), Vec::new(), 0);
        for (&d, &r) in problem.src.shape.iter().zip(&problem.reduced) {
            if r {
                index.push(Expr::var(problem.dst.shape.rank() + extents.len()));
                extents.push(d);
                kept += usize::from(self.keep_dims);
            } else {
                index.push(Expr::var(kept));
                kept += 1;
            }
        }
        (index, extents)
    }
}

/// A reduction as a stage, but for what is kind by kind.
struct Stage<'a> {
    c: &'a mut Compute,
    dst: &'a TensorType,
    extents: &'a [usize],
}

impl Stage<'_> {
    /// Reduces `body`, which is of type `work`, by the function of `kind`.
    fn reduce(&mut self, kind: ReduceKind, work: DType, dtype: DType, body: Expr, finish: Expr) -> BufId {
        let (combine, init) = kind.combine(work);
        let reduce =
            compute::Reduce { extents: self.extents.to_vec(), combine, init: Expr::Const(init), finish };
        let ty = TensorType::new(dtype, self.dst.shape.clone());
        self.c.reduce_blocked(kind.name(), ty, reduce, body)
    }

    /// `m + log(sum(exp(x - m)))` of `x`, an f32 or f64 of type `work`.
    fn log_sum_exp(&mut self, x: Expr, work: DType) -> BufId {
        let dtype = self.dst.dtype;
        let zero = || Expr::literal(work, 0.0);
        let magnitude = Expr::unary(UnaryFn::Abs, Expr::Acc);
        let finite = Expr::compare(CompareFn::Lt, magnitude, Expr::literal(work, f64::INFINITY));
        let largest = finite.select(Expr::Acc, zero());
        let max = self.reduce(ReduceKind::Max, work, work, x.clone(), largest);
        let max = Expr::load(max, vars(self.dst.shape.rank()));
        let exp = Expr::unary(UnaryFn::Exp, x - max.clone());
        let log = max + Expr::unary(UnaryFn::Log, Expr::Acc);
        self.reduce(ReduceKind::LogSumExp, work, dtype, exp, converted(log, work, dtype))
    }
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            ReduceKind::Mean => "ReduceMean",
            ReduceKind::Sum => "ReduceSum",
            ReduceKind::Max => "ReduceMax",
            ReduceKind::Min => "ReduceMin",
            ReduceKind::L1 => "ReduceL1",
            ReduceKind::L2 => "ReduceL2",
            ReduceKind::Prod => "ReduceProd",
            ReduceKind::SumSquare => "ReduceSumSquare",
            ReduceKind::LogSum => "ReduceLogSum",
            ReduceKind::LogSumExp => "ReduceLogSumExp",
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let problem = self.problem(args)?;
        let dtype = problem.dst.dtype;
        if problem.src.shape.numel() == 0 {
            return Ok(Compute::filled(problem.dst, self.kind.of_nothing(dtype)));
        }
        let (index, extents) = self.element(&problem);
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "data")?);
        let x = Expr::load(src, index);
        // Roots and logarithms of integers are those of f64. As bytes, the maximum and minimum of bool are or and and.
        let wide = if dtype.is_float() { dtype } else { DType::F64 };
        let bits = if dtype == DType::Bool { DType::U8 } else { dtype };
        let function = |f| converted(Expr::unary(f, converted(Expr::Acc, dtype, wide)), wide, dtype);
        let magnitude = if dtype.is_unsigned() { x.clone() } else { Expr::unary(UnaryFn::Abs, x.clone()) };
        let square = x.clone() * x.clone();
        let n = Expr::literal(dtype, Shape::new(extents.clone()).numel() as f64);
        let mut stage = Stage { c: &mut c, dst: &problem.dst, extents: &extents };
        let kind = self.kind;
        let out = match kind {
            ReduceKind::Mean => stage.reduce(kind, dtype, dtype, x, Expr::Acc / n),
            ReduceKind::Sum | ReduceKind::Prod => stage.reduce(kind, dtype, dtype, x, Expr::Acc),
            ReduceKind::Max | ReduceKind::Min => {
                let finish = converted(Expr::Acc, bits, dtype);
                stage.reduce(kind, bits, dtype, converted(x, dtype, bits), finish)
            }
            ReduceKind::L1 => stage.reduce(kind, dtype, dtype, magnitude, Expr::Acc),
            ReduceKind::L2 => stage.reduce(kind, dtype, dtype, square, function(UnaryFn::Sqrt)),
            ReduceKind::SumSquare => stage.reduce(kind, dtype, dtype, square, Expr::Acc),
            ReduceKind::LogSum => stage.reduce(kind, dtype, dtype, x, function(UnaryFn::Log)),
            ReduceKind::LogSumExp => stage.log_sum_exp(converted(x, dtype, wide), wide),
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let problem = self.problem(Args(&args))?;
        let src = Args(&args).known(0, "data")?;
        Ok(vec![reference::reduce(self.kind, src, &problem.reduced, &problem.dst)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, infer_unknown, run, run_all, t};

    fn reduce(kind: ReduceKind) -> Reduce {
        Reduce { kind, keep_dims: true, noop_with_empty_axes: false }
    }

    /// The result over all axes.
    fn of(kind: ReduceKind, x: &Tensor) -> Vec<f64> {
        run(&reduce(kind), &[x]).unwrap().to_f64s()
    }

    #[test]
    fn hand_computed() {
        use ReduceKind::*;
        let x = t([2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 9.0]);
        let along = |op: &Reduce, axes: &[i64]| run(op, &[&x, &t([axes.len()], axes)]).unwrap();
        assert_eq!(along(&reduce(Mean), &[-1]), t([2, 1], &[2.0f32, 6.0]));
        let flat = Reduce { keep_dims: false, ..reduce(Sum) };
        assert_eq!(along(&flat, &[0]), t([3], &[5.0f32, 7.0, 12.0]));
        assert_eq!(along(&flat, &[]), t([], &[24.0f32]));
        assert_eq!(along(&reduce(Max), &[1, 0]), t([1, 1], &[9.0f32]));
        assert_eq!(along(&reduce(Prod), &[1]), t([2, 1], &[6.0f32, 180.0]));
        assert_eq!(along(&reduce(SumSquare), &[0]), t([1, 3], &[17.0f32, 29.0, 90.0]));
        let x = t([4], &[3.0f64, -4.0, 0.0, -12.0]);
        assert_eq!((of(L1, &x), of(L2, &x)), (vec![19.0], vec![13.0]));
        assert_eq!(of(LogSum, &t([2], &[0.25f32, 0.75])), [0.0]);
    }

    #[test]
    fn no_axes() {
        let x = t([2], &[-2.0f32, 4.0]);
        let results = [
            (ReduceKind::Mean, [-2.0, 4.0]),
            (ReduceKind::L1, [2.0, 4.0]),
            (ReduceKind::L2, [2.0, 4.0]),
            (ReduceKind::Prod, [-2.0, 4.0]),
            (ReduceKind::SumSquare, [4.0, 16.0]),
            (ReduceKind::LogSumExp, [-2.0, 4.0]),
            (ReduceKind::Min, [-2.0, 4.0]),
        ];
        for (kind, expected) in results {
            let op = Reduce { noop_with_empty_axes: true, ..reduce(kind) };
            assert_eq!(run(&op, &[&x, &t::<i64>([0], &[])]).unwrap().to_f64s(), expected, "{kind}");
            assert_eq!(run_all(&op, &[Some(&x), None]).unwrap()[0].to_f64s(), expected, "{kind}");
            let flat = Reduce { keep_dims: false, ..reduce(kind) };
            assert_eq!(run(&flat, &[&t([], &[4.0f32])]).unwrap().to_f64s(), [expected[1]], "{kind}");
        }
    }

    #[test]
    fn integers() {
        use ReduceKind::*;
        assert_eq!(of(Mean, &t([2], &[-1i64, -2])), [-1.0]);
        assert_eq!(of(Sum, &t([2], &[i32::MAX, 1])), [f64::from(i32::MIN)]);
        assert_eq!(of(Prod, &t([2], &[1u32 << 31, 3])), [f64::from(1u32 << 31)]);
        assert_eq!(of(Prod, &t([3], &[-3i64, 5, 7])), [-105.0]);
        assert_eq!(of(L1, &t([2], &[-3i32, 5])), [8.0]);
        assert_eq!(of(L2, &t([2], &[2i64, 3])), [3.0]);
        assert_eq!(of(SumSquare, &t([2], &[u64::MAX, 3])), [10.0]);
        assert_eq!(of(LogSum, &t([2], &[100u32, 1])), [4.0]);
        assert_eq!(of(LogSum, &t([1], &[0i32])), [f64::from(i32::MIN)]);
        assert_eq!(of(LogSumExp, &t([2], &[1_000_000i64, 1_000_000])), [1_000_000.0]);
        assert_eq!(of(Max, &t([2], &[-3i8, -128])), [-3.0]);
        assert_eq!(of(Min, &t([2], &[true, false])), [0.0]);
        assert_eq!(of(Max, &t([2], &[true, false])), [1.0]);
    }

    #[test]
    fn log_sum_exp_is_stable() {
        let of = |x: &[f32]| of(ReduceKind::LogSumExp, &t([x.len()], x))[0];
        assert_eq!(of(&[1000.0, 1000.0]) as f32, (1000.0 + 2f64.ln()) as f32);
        assert_eq!(of(&[-1000.0, -1000.0]) as f32, (-1000.0 + 2f64.ln()) as f32);
        assert_eq!(of(&[f32::NEG_INFINITY, f32::NEG_INFINITY]), f64::NEG_INFINITY);
        assert_eq!(of(&[f32::NEG_INFINITY, 3.0]), 3.0);
        assert_eq!(of(&[f32::INFINITY, 3.0]), f64::INFINITY);
        assert!(of(&[f32::NAN, 3.0]).is_nan());
    }

    #[test]
    fn nothing() {
        use ReduceKind::*;
        let floats = t::<f32>([0, 2], &[]);
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        let results =
            [(Sum, 0.0), (L2, 0.0), (Prod, 1.0), (LogSum, low), (LogSumExp, low), (Max, low), (Min, high)];
        for (kind, expected) in results {
            let y = run(&reduce(kind), &[&floats, &t([1], &[0i64])]).unwrap();
            assert_eq!(y, t([1, 2], &[expected as f32; 2]), "{kind}");
        }
        assert!(of(Mean, &floats)[0].is_nan());
        assert_eq!(of(Mean, &t::<i64>([0], &[])), [0.0]);
        assert_eq!(of(LogSum, &t::<u64>([0], &[])), [0.0]);
        assert_eq!(of(LogSumExp, &t::<i32>([0], &[])), [f64::from(i32::MIN)]);
        let kept = run(&reduce(Sum), &[&floats, &t([1], &[1i64])]).unwrap();
        assert_eq!(kept, t::<f32>([0, 1], &[]));
    }

    #[test]
    fn errors() {
        let fail =
            |axes: &[i64]| error(&reduce(ReduceKind::Max), &[&t([1, 1], &[0u8]), &t([axes.len()], axes)]);
        assert!(fail(&[2]).contains("the 2 axes (negative ones count from the end), found 2"));
        assert!(fail(&[-3]).contains("found -3"));
        assert!(fail(&[1, -1]).contains("1 twice"));
        assert!(error(&reduce(ReduceKind::Sum), &[&t([1], &[true])]).contains("expected f32 or f64 or i64"));
        let [x, axes] = [DType::F32, DType::I64].map(|d| TensorType::new(d, [1]));
        let unknown = infer_unknown(&reduce(ReduceKind::Sum), &[x, axes]);
        assert!(matches!(unknown, Err(OpError::DataDependent(_))));
    }
}
