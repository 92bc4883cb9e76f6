//! Where the largest or smallest element is: ONNX `ArgMax` and `ArgMin`, opsets 1 to 13.
//!
//! ```text
//! dst[i.., j..] = first, or last, r at which src[i.., r, j..] is the maximum, or minimum, over r
//! ```
//!
//! Input 0 (`data`): numbers of any type, rank at least 1. Output: i64, the axis with extent 1 or removed. NaN wins over
//! every number. Errors: an axis out of range or without elements.

use crate::arg::known_args;
use crate::axes::resolve_axis;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::elements::input;
use crate::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar};
use crate::index::vars;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType, invalid};

/// Which element is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The largest: ONNX `ArgMax`.
    Max,
    /// The smallest: ONNX `ArgMin`.
    Min,
}

crate::attr_enum!(Extreme { Max = "max", Min = "min" });

/// Which of several equal elements counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// The first.
    First,
    /// The last.
    Last,
}

crate::attr_enum!(Tie { First = "first", Last = "last" });

/// ONNX operators ArgMax and ArgMin.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgExtreme {
    /// The element.
    pub kind: Extreme,
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// Whether the axis stays with extent 1.
    pub keep_dims: bool,
    /// Which of equal elements.
    pub tie: Tie,
}

crate::attributes!(ArgExtreme { kind, axis, keep_dims, tie });

/// Positions below it are numbers of f32, which hold them exactly.
const EXACT: usize = 1 << f32::MANTISSA_DIGITS;

/// The position over the reduced axes `extents`, taken as one, of the first or last element that is the largest or
/// smallest: an i64 tensor of the dimensions `dims`. `x` is the element of type `dtype`, an expression of these and the reduced
/// axes. Of f32 whose last axis stays, so that results lie side by side, positions are f32 first: all of the search is in numbers
/// of one type, as vectors need.
pub(super) fn position(
    c: &mut Compute,
    (kind, tie): (Extreme, Tie),
    (dims, extents): (&[usize], &[usize]),
    x: Expr,
    dtype: DType,
) -> Result<BufId, OpError> {
    let (combine, init) = match kind {
        Extreme::Max => (ReduceFn::Max, Scalar::lowest(dtype)),
        Extreme::Min => (ReduceFn::Min, Scalar::highest(dtype)),
    };
    let reduce = Reduce { extents: extents.to_vec(), combine, init: Expr::Const(init), finish: Expr::Acc };
    let best = c.reduce_blocked(kind.name(), TensorType::new(dtype, Shape::new(dims)), reduce, x.clone());
    let is_reduced = |e: &Expr| matches!(e, Expr::Var(v) if v.0 as usize >= dims.len());
    let by_rows = matches!(&x, Expr::Load(_, index) if index.last().is_some_and(is_reduced));
    let mut is_best = Expr::compare(CompareFn::Eq, x.clone(), Expr::load(best, vars(dims.len())));
    if dtype.is_float() {
        // If there is a NaN the best is one, which equals nothing.
        is_best = Expr::binary(BinaryFn::Or, is_best, Expr::compare(CompareFn::Ne, x.clone(), x));
    }
    let strides = Shape::new(extents).strides();
    let flat = (strides.iter().enumerate())
        .map(|(i, &s)| Expr::var(dims.len() + i) * Expr::int(s))
        .reduce(|a, b| a + b)
        .unwrap_or_else(|| Expr::int(0));
    let (n, ty) = (Shape::new(extents).numel(), |dtype| TensorType::new(dtype, Shape::new(dims)));
    let by_floats = dtype == DType::F32 && n <= EXACT && !by_rows;
    let combine = match tie {
        Tie::First => ReduceFn::Min,
        Tie::Last => ReduceFn::Max,
    };
    let worst = if tie == Tie::First { n.saturating_sub(1) } else { 0 };
    let (place, worst, own) = if by_floats {
        let places: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let places = c.table(Tensor::new([n], &places)?);
        (Expr::load(places, vec![flat]), Expr::f32(worst as f32), DType::F32)
    } else {
        (flat, Expr::int(worst), DType::I64)
    };
    let reduce = Reduce { extents: extents.to_vec(), combine, init: worst.clone(), finish: Expr::Acc };
    let found = c.reduce("position", ty(own), reduce, is_best.select(place, worst));
    Ok(match own {
        DType::F32 => c.map("index", ty(DType::I64), Expr::load(found, vars(dims.len())).cast(DType::I64)),
        _ => found,
    })
}

impl ArgExtreme {
    /// The element type, the extents before the axis, of it and after it, and the type of the result.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, usize, TensorType), OpError> {
        let src = args.typed(0, "data", DType::NUMBERS)?.ty();
        let axis = resolve_axis(self.axis, src.shape.rank())?;
        let mut dims = src.shape.dims().to_vec();
        if self.keep_dims {
            dims[axis] = 1;
        } else {
            dims.remove(axis);
        }
        let dst = TensorType::new(DType::I64, dims);
        if src.shape[axis] == 0 && dst.shape.numel() > 0 {
            return invalid!("input 0 (data): expected elements along axis {axis}, found {src}");
        }
        Ok((src, axis, dst))
    }
}

impl Operator for ArgExtreme {
    fn name(&self) -> &'static str {
        match self.kind {
            Extreme::Max => "ArgMax",
            Extreme::Min => "ArgMin",
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.2])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (src, axis, dst) = self.problem(args)?;
        if dst.shape.numel() == 0 {
            return Ok(Compute::filled(dst, Scalar::I64(0)));
        }
        let mut c = Compute::new();
        let b = c.input(0, &args.required(0, "data")?);
        let mut index = vars(dst.shape.rank());
        if self.keep_dims {
            index.remove(axis);
            index.iter_mut().skip(axis).zip(axis + 1..).for_each(|(e, i)| *e = Expr::var(i));
        }
        index.insert(axis, Expr::var(dst.shape.rank()));
        let x = Expr::load(b, index);
        let extents = [src.shape[axis]];
        let out = position(&mut c, (self.kind, self.tie), (dst.shape.dims(), &extents), x, src.dtype)?;
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (src, axis, dst) = self.problem(Args(&args))?;
        let x = crate::compute::scalars(input(inputs, 0, "data")?)?;
        let n = src.shape[axis];
        let inner = Shape::new(&src.shape[axis + 1..]).numel();
        let found: Vec<i64> = (0..dst.shape.numel())
            .map(|i| {
                let at = |r: usize| x[(i / inner * n + r) * inner + i % inner];
                let mut best = 0;
                for r in 1..n {
                    // Of two that are equal neither beats the other.
                    let later = match self.tie {
                        Tie::First => beats(self.kind, at(r), at(best)),
                        Tie::Last => !beats(self.kind, at(best), at(r)),
                    };
                    if later {
                        best = r;
                    }
                }
                best as i64
            })
            .collect();
        Ok(vec![Tensor::new(dst.shape, &found)?])
    }
}

/// Whether `a` wins over `b`.
fn beats(kind: Extreme, a: Scalar, b: Scalar) -> bool {
    match (a.int().zip(b.int()), kind) {
        (Some((a, b)), Extreme::Max) => a > b,
        (Some((a, b)), Extreme::Min) => a < b,
        (None, _) => match (a.to_f64(), b.to_f64(), kind) {
            (a, b, _) if a.is_nan() || b.is_nan() => a.is_nan() && !b.is_nan(),
            (a, b, Extreme::Max) => a > b,
            (a, b, Extreme::Min) => a < b,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op(kind: Extreme, axis: i64, tie: Tie) -> ArgExtreme {
        ArgExtreme { kind, axis, keep_dims: false, tie }
    }

    #[test]
    fn hand_computed() {
        let x = t([2, 3], &[1i32, 5, 5, -7, -7, 2]);
        let of = |kind, axis, tie| run(&op(kind, axis, tie), &[&x]).unwrap().to_vec::<i64>().unwrap();
        assert_eq!(of(Extreme::Max, 1, Tie::First), [1, 2]);
        assert_eq!(of(Extreme::Max, 1, Tie::Last), [2, 2]);
        assert_eq!(of(Extreme::Min, -1, Tie::First), [0, 0]);
        assert_eq!(of(Extreme::Min, -1, Tie::Last), [0, 1]);
        assert_eq!(of(Extreme::Max, 0, Tie::First), [0, 0, 0]);
        for axis in [0, 1] {
            let kept = ArgExtreme { keep_dims: true, ..op(Extreme::Min, axis, Tie::First) };
            let dims = if axis == 0 { [1, 3] } else { [2, 1] };
            assert_eq!(run(&kept, &[&x]).unwrap().shape().dims(), dims);
        }
        let x = t([1, 2, 2, 1], &[0u64, u64::MAX, 1 << 63, 7]);
        let y = run(&ArgExtreme { keep_dims: true, ..op(Extreme::Max, 2, Tie::First) }, &[&x]).unwrap();
        assert_eq!(y, t([1, 2, 1, 1], &[1i64, 0]));
    }

    #[test]
    fn nan_wins() {
        let x = t([4], &[1.0f32, f32::NAN, f32::INFINITY, f32::NAN]);
        for kind in [Extreme::Max, Extreme::Min] {
            assert_eq!(run(&op(kind, 0, Tie::First), &[&x]).unwrap(), t([], &[1i64]));
            assert_eq!(run(&op(kind, 0, Tie::Last), &[&x]).unwrap(), t([], &[3i64]));
        }
        let low = t([2], &[f64::NEG_INFINITY; 2]);
        assert_eq!(run(&op(Extreme::Max, 0, Tie::Last), &[&low]).unwrap(), t([], &[1i64]));
        assert_eq!(run(&op(Extreme::Max, 0, Tie::First), &[&low]).unwrap(), t([], &[0i64]));
    }

    #[test]
    fn positions_are_floats_where_results_lie_side_by_side() {
        let x = t(
            [2, 3, 2],
            &[1.0f32, 4.0, 5.0, -1.0, 5.0, 4.0, f32::NAN, 0.0, 0.0, -0.0, 7.0, f32::NEG_INFINITY],
        );
        for keep_dims in [false, true] {
            for (axis, tie, by_floats, expected) in [
                (1, Tie::First, true, &[1i64, 0, 0, 0][..]),
                (1, Tie::Last, true, &[2, 2, 0, 1]),
                (0, Tie::First, true, &[1, 0, 0, 1, 1, 0]),
                (2, Tie::First, false, &[1, 0, 0, 0, 0, 0]),
                (2, Tie::Last, false, &[1, 0, 0, 0, 1, 0]),
            ] {
                let op = ArgExtreme { kind: Extreme::Max, axis, keep_dims, tie };
                let what = format!("axis {axis}, {tie:?}, {keep_dims}");
                assert_eq!(run(&op, &[&x]).unwrap().to_vec::<i64>().unwrap(), expected, "{what}");
                let args = known_args(&[Some(&x)]);
                let compute = op.compute(Args(&args)).unwrap();
                let found = compute.buffers.iter().filter(|b| b.ty.dtype == DType::I64).count();
                let floats = compute.whole_stages().len() == 3;
                assert_eq!((floats, found), (by_floats, 1), "{what}");
            }
        }
    }

    #[test]
    fn nothing_and_errors() {
        let of = |shape: [usize; 2]| run(&op(Extreme::Max, 1, Tie::First), &[&t::<f32>(shape, &[])]);
        assert_eq!(of([0, 3]).unwrap(), t::<i64>([0], &[]));
        assert_eq!(of([0, 0]).unwrap(), t::<i64>([0], &[]));
        assert!(of([2, 0]).unwrap_err().message().contains("expected elements along axis 1, found f32[2,0]"));
        assert!(error(&op(Extreme::Min, 1, Tie::First), &[&t([1], &[1u8])]).contains("the 1 axes"));
        assert!(error(&op(Extreme::Min, 0, Tie::First), &[&t([1], &[true])]).contains("found bool"));
    }
}
