//! One at the first largest element, zero elsewhere: ONNX `Hardmax`, opsets 1 to 13.
//!
//! ```text
//! dst[i.., r..] = 1 where r is the first position of the maximum of src[i.., r..] over r.., else 0
//! ```
//!
//! `r..` is the axis (opset 13 on), or the axis and all after it (before). Input 0 (`input`): f32 or f64, any shape; the
//! output has its type. NaN wins over every number. Errors: an axis out of range.

use super::arg_extreme::{Extreme, Tie, position};
use super::softmax::SoftmaxSpan;
use crate::arg::known_args;
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::elements::{from_f64s, input};
use crate::expr::{CompareFn, Expr, Scalar};
use crate::index::vars;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

/// ONNX operator Hardmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Hardmax {
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// Which axes have one largest element.
    pub span: SoftmaxSpan,
}

crate::attributes!(Hardmax { axis, span });

impl Hardmax {
    /// The type, and the axes that have one largest element: `first .. end`.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, usize, usize), OpError> {
        let ty = args.typed(0, "input", DType::FLOATS)?.ty();
        let rank = ty.shape.rank();
        let axis = resolve_axis(self.axis, rank)?;
        Ok((ty, axis, if self.span == SoftmaxSpan::Axis { axis + 1 } else { rank }))
    }
}

impl Operator for Hardmax {
    fn name(&self) -> &'static str {
        "Hardmax"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (ty, first, end) = self.problem(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "input")?);
        let rank = ty.shape.rank();
        let (row, kept) = (end - first, rank - (end - first));
        // Kept axes are the variables L0 .., the row's the ones after them.
        let index: Vec<Expr> = (0..rank)
            .map(|i| match i {
                i if i < first => Expr::var(i),
                i if i < end => Expr::var(kept + i - first),
                i => Expr::var(i - row),
            })
            .collect();
        let dims = [&ty.shape[..first], &ty.shape[end..]].concat();
        let extents = &ty.shape[first..end];
        let place = (Extreme::Max, Tie::First);
        let found = position(&mut c, place, (&dims, extents), Expr::load(src, index), ty.dtype)?;
        let all = vars(rank);
        let found = Expr::load(found, [&all[..first], &all[end..]].concat());
        let flat = (Shape::new(extents).strides().iter().zip(first..))
            .map(|(&s, i)| Expr::var(i) * Expr::int(s))
            .reduce(|a, b| a + b)
            .unwrap_or_else(|| Expr::int(0));
        let [one, zero] = [1.0, 0.0].map(|v| Expr::literal(ty.dtype, v));
        let y = c.map("hardmax", ty, Expr::compare(CompareFn::Eq, flat, found).select(one, zero));
        c.output(y);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (ty, first, end) = self.problem(Args(&args))?;
        let x = input(inputs, 0, "input")?.to_f64s();
        let mut y = vec![0.0; x.len()];
        let [row, inner] = [&ty.shape[first..end], &ty.shape[end..]].map(|d| Shape::new(d).numel());
        for i in 0..x.len().checked_div(row).unwrap_or(0) {
            let at = |r: usize| (i / inner * row + r) * inner + i % inner;
            let nan = (0..row).find(|&r| x[at(r)].is_nan());
            let max = (0..row).map(|r| x[at(r)]).fold(f64::NEG_INFINITY, f64::max);
            if let Some(r) = nan.or((0..row).find(|&r| x[at(r)] == max)) {
                y[at(r)] = 1.0;
            }
        }
        Ok(vec![from_f64s(&ty, &y)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn hand_computed() {
        let x = t([2, 2, 2], &[1.0f32, 3.0, 3.0, 2.0, -1.0, -1.0, f32::NEG_INFINITY, -5.0]);
        let of = |axis, span| run(&Hardmax { axis, span }, &[&x]).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(of(-1, SoftmaxSpan::Axis), [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(of(1, SoftmaxSpan::Axis), [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(of(1, SoftmaxSpan::Trailing), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(of(0, SoftmaxSpan::Trailing), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let nan = t([3], &[2.0f64, f64::NAN, f64::NAN]);
        assert_eq!(
            run(&Hardmax { axis: 0, span: SoftmaxSpan::Axis }, &[&nan]).unwrap(),
            t([3], &[0.0f64, 1.0, 0.0])
        );
        for shape in [[0, 2], [2, 0]] {
            let none = t::<f32>(shape, &[]);
            assert_eq!(run(&Hardmax { axis: 1, span: SoftmaxSpan::Axis }, &[&none]).unwrap(), none);
        }
    }

    #[test]
    fn errors() {
        let op = Hardmax { axis: 1, span: SoftmaxSpan::Trailing };
        assert!(error(&op, &[&t([1], &[1.0f32])]).contains("the 1 axes"));
        assert!(error(&op, &[&t([1, 1], &[1i64])]).contains("expected f32 or f64"));
    }
}
