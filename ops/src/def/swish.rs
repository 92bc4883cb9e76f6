//! `Y = X * sigmoid(alpha * X)`, f32 or f64. Mirrors ONNX Swish-24.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map_floats};
use crate::error::OpError;
use crate::expr::{Expr, UnaryFn};
use crate::index::elementwise;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// `x * sigmoid(alpha * x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Swish {
    /// Scale within the sigmoid.
    pub alpha: f32,
}

crate::attributes!(Swish { alpha });

impl Operator for Swish {
    fn name(&self) -> &'static str {
        "Swish"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", DType::FLOATS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let literal = |v: f32| Expr::literal(x.dtype, v.into());
        Ok(elementwise("swish", &x, |v| {
            let decay = Expr::unary(UnaryFn::Exp, literal(-self.alpha) * v.clone());
            v / (literal(1.0) + decay)
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let alpha = f64::from(self.alpha);
        Ok(vec![map_floats(input(inputs, 0, "X")?, |x| x * (1.0 / (1.0 + (-alpha * x).exp())))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let y = run(&Swish { alpha: 2.0 }, &[&t([4], &[-1.0f32, 0.0, 1.0, 50.0])]).unwrap();
        let y = y.to_vec::<f32>().unwrap();
        assert!((y[0] + 0.119_202_92).abs() < 1e-6 && (y[2] - 0.880_797_1).abs() < 1e-6, "{y:?}");
        assert_eq!((y[1], y[3]), (0.0, 50.0));
        assert!(error(&Swish { alpha: 1.0 }, &[&t([1], &[1i64])]).contains("f32 or f64"));
    }
}
