//! Softmax and its logarithm: ONNX `Softmax` and `LogSoftmax`, opsets 1 to 13.
//!
//! ```text
//! max[i..] = max over r.. of src[i.., r..]        sum[i..] = sum over r.. of exp(src[i.., r..] - max[i..])
//! dst[i.., r..] = exp(src[i.., r..] - max[i..]) / sum[i..]                                  Softmax
//! dst[i.., r..] = src[i.., r..] - max[i..] - log(sum[i..])                               LogSoftmax
//! ```
//!
//! `r` is the axis (opset 13 on), or the axis and all after it (before). Input 0 (`input`): f32 or f64, any shape; the
//! output has its type. Errors: an axis out of range.

use crate::arg::known_args;
use crate::axes::resolve_axis;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::elements::floats;
use crate::expr::{Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::tensor::filled;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

/// Variants of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftmaxSpan {
    /// The axis alone (opset 13 on).
    Axis,
    /// The axis and all after it, taken as one (before opset 13).
    Trailing,
}

crate::attr_enum!(SoftmaxSpan { Axis = "axis", Trailing = "trailing" });

/// ONNX operators Softmax and LogSoftmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// Which axes sum to one.
    pub span: SoftmaxSpan,
    /// Whether the logarithm is taken.
    pub log: bool,
}

crate::attributes!(Softmax { axis, span, log });

impl Softmax {
    /// The type, and the axes that sum to one: `first .. end`.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, usize, usize), OpError> {
        let ty = args.typed(0, "input", DType::FLOATS)?.ty();
        let rank = ty.shape.rank();
        match self.span {
            SoftmaxSpan::Axis => resolve_axis(self.axis, rank).map(|a| (ty, a, a + 1)),
            SoftmaxSpan::Trailing => resolve_axis(self.axis, rank).map(|a| (ty, a, rank)),
        }
    }
}

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (ty, first, end) = self.problem(args)?;
        let dtype = ty.dtype;
        if ty.shape.numel() == 0 {
            return Ok(Compute::filled(ty, Scalar::zero(dtype)));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "input")?);
        let rank = ty.shape.rank();
        let kept: Vec<usize> = (0..rank).filter(|i| !(first..end).contains(i)).collect();
        let rows = TensorType::new(dtype, kept.iter().map(|&i| ty.shape[i]).collect::<Vec<_>>());
        // The element of a row: kept axes are the variables L0 .., the row's the ones after them.
        let index: Vec<Expr> = (0..rank)
            .map(|i| match i {
                i if i < first => Expr::var(i),
                i if i < end => Expr::var(kept.len() + i - first),
                i => Expr::var(i - (end - first)),
            })
            .collect();
        let load = Expr::load(src, index);
        let reduce = |combine, init| Reduce {
            extents: ty.shape[first..end].to_vec(),
            combine,
            init: Expr::literal(dtype, init),
            finish: Expr::Acc,
        };
        let max =
            c.reduce_blocked("max", rows.clone(), reduce(ReduceFn::Max, f64::NEG_INFINITY), load.clone());
        let exp = Expr::unary(UnaryFn::Exp, load - Expr::load(max, vars(kept.len())));
        let sum = c.reduce_blocked("sum", rows, reduce(ReduceFn::Sum, 0.0), exp);
        let row: Vec<Expr> = kept.iter().map(|&i| Expr::var(i)).collect();
        let element = Expr::load(src, vars(rank));
        let shifted = element - Expr::load(max, row.clone());
        let sum = Expr::load(sum, row);
        let out = if self.log {
            c.map("log_softmax", ty, shifted - Expr::unary(UnaryFn::Log, sum))
        } else {
            c.map("softmax", ty, Expr::unary(UnaryFn::Exp, shifted) / sum)
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (ty, first, end) = self.problem(Args(&args))?;
        if ty.shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(ty, Vec::new())?]);
        }
        let src = Args(&args).known(0, "input")?.to_f64s();
        let mut dst = filled(&ty.shape, 0.0)?;
        let [outer, row, inner] =
            [&ty.shape[..first], &ty.shape[first..end], &ty.shape[end..]].map(|d| Shape::new(d).numel());
        for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
            let at = |r: usize| (o * row + r) * inner + i;
            let value = |r: usize| src[at(r)];
            let max = (0..row).map(value).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..row).map(|r| (value(r) - max).exp()).sum();
            for r in 0..row {
                let shifted = value(r) - max;
                dst[at(r)] = if self.log { shifted - sum.ln() } else { shifted.exp() / sum };
            }
        }
        Ok(vec![floats(ty, dst)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(op: Softmax, shape: &[usize], src: &[f32]) -> Result<Vec<f32>, OpError> {
        op.reference(&[Some(&Tensor::new(shape.to_vec(), src)?)])?[0].to_vec()
    }

    #[test]
    fn hand_computed() {
        let axis = |axis, span| Softmax { axis, span, log: false };
        let ln3 = 3.0f32.ln();
        let src = [0.0, ln3, 1e4, 1e4 + ln3];
        let close = |found: Vec<f32>, expected: [f32; 4]| {
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-3), "{found:?}");
        };
        close(run(axis(-1, SoftmaxSpan::Axis), &[2, 2], &src).unwrap(), [0.25, 0.75, 0.25, 0.75]);
        close(run(axis(0, SoftmaxSpan::Axis), &[2, 2], &src).unwrap(), [0.0, 0.0, 1.0, 1.0]);
        close(run(axis(0, SoftmaxSpan::Trailing), &[2, 2], &src).unwrap(), [0.0, 0.0, 0.25, 0.75]);
        let log = Softmax { axis: 1, span: SoftmaxSpan::Axis, log: true };
        let quarter = 0.25f32.ln();
        let y = run(log, &[2, 2], &src).unwrap();
        close(y, [quarter, quarter + ln3, quarter, quarter + ln3]);
    }

    #[test]
    fn errors_say_expected_and_found() {
        use SoftmaxSpan::{Axis, Trailing};
        for (axis, span) in [(2, Axis), (-3, Axis), (2, Trailing), (-3, Trailing)] {
            let error = run(Softmax { axis, span, log: false }, &[1, 1], &[0.0]).unwrap_err();
            assert!(
                error
                    .message()
                    .contains(&format!("the 2 axes (negative ones count from the end), found {axis}"))
            );
        }
        let lowest = Softmax { axis: i64::MIN, span: SoftmaxSpan::Axis, log: false };
        assert!(run(lowest, &[1], &[0.0]).is_err());
    }
}
