//! Scaled exponential linear unit: `Y = gamma * (X > 0 ? X : alpha * (exp(X) - 1))`, f32 or f64. Mirrors ONNX Selu-1 to
//! -22.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map_floats};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr, UnaryFn};
use crate::index::elementwise;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Scaled exponential linear unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Selu {
    /// Scale of the exponential.
    pub alpha: f32,
    /// Scale of the result.
    pub gamma: f32,
}

crate::attributes!(Selu { alpha, gamma });

impl Operator for Selu {
    fn name(&self) -> &'static str {
        "Selu"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", DType::FLOATS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let literal = |v: f32| Expr::literal(x.dtype, v.into());
        Ok(elementwise("selu", &x, |v| {
            let below = literal(self.alpha) * (Expr::unary(UnaryFn::Exp, v.clone()) - literal(1.0));
            let positive = Expr::compare(CompareFn::Gt, v.clone(), literal(0.0));
            literal(self.gamma) * positive.select(v, below)
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let (alpha, gamma) = (f64::from(self.alpha), f64::from(self.gamma));
        let of = |x: f64| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() };
        Ok(vec![map_floats(input(inputs, 0, "X")?, of)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let op = Selu { alpha: 2.0, gamma: 3.0 };
        let y = run(&op, &[&t([3], &[-1.0f32, 0.0, 1.0])]).unwrap().to_vec::<f32>().unwrap();
        assert!((y[0] + 3.792_723_4).abs() < 1e-5, "{y:?}");
        assert_eq!(y[1..], [0.0, 3.0]);
        assert!(error(&op, &[&t([1], &[1i64])]).contains("f32 or f64"));
    }
}
