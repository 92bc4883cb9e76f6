//! ReLU from a threshold on: `Y = X > alpha ? X : 0`, f32 or f64. Mirrors ONNX ThresholdedRelu-10 and later.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map_floats};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr};
use crate::index::elementwise;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// ReLU from a threshold on.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdedRelu {
    /// The threshold.
    pub alpha: f32,
}

crate::attributes!(ThresholdedRelu { alpha });

impl Operator for ThresholdedRelu {
    fn name(&self) -> &'static str {
        "ThresholdedRelu"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", DType::FLOATS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let literal = |v: f32| Expr::literal(x.dtype, v.into());
        Ok(elementwise("thresholded_relu", &x, |v| {
            Expr::compare(CompareFn::Gt, v.clone(), literal(self.alpha)).select(v, literal(0.0))
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let of = |x: f64| if x > f64::from(self.alpha) { x } else { 0.0 };
        Ok(vec![map_floats(input(inputs, 0, "X")?, of)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let op = ThresholdedRelu { alpha: 1.5 };
        let y = run(&op, &[&t([5], &[-9.0f32, 1.5, 1.75, f32::INFINITY, f32::NAN])]);
        assert_eq!(y, Ok(t([5], &[0.0f32, 0.0, 1.75, f32::INFINITY, 0.0])));
        assert!(error(&op, &[&t([1], &[1i64])]).contains("f32 or f64"));
    }
}
