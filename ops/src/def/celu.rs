//! Continuously differentiable exponential linear unit: `Y = X < 0 ? alpha * (exp(X / alpha) - 1) : X`, f32 or f64.
//! Mirrors ONNX Celu-12.

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

/// Continuously differentiable exponential linear unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Celu {
    /// Scale of the exponential and of its argument.
    pub alpha: f32,
}

crate::attributes!(Celu { alpha });

impl Operator for Celu {
    fn name(&self) -> &'static str {
        "Celu"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", DType::FLOATS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let literal = |v: f32| Expr::literal(x.dtype, v.into());
        Ok(elementwise("celu", &x, |v| {
            let exp = Expr::unary(UnaryFn::Exp, v.clone() / literal(self.alpha));
            let below = literal(self.alpha) * (exp - literal(1.0));
            Expr::compare(CompareFn::Lt, v.clone(), literal(0.0)).select(below, v)
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let alpha = f64::from(self.alpha);
        let of = |x: f64| if x < 0.0 { alpha * (x / alpha).exp_m1() } else { x };
        Ok(vec![map_floats(input(inputs, 0, "X")?, of)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let y = run(&Celu { alpha: 2.0 }, &[&t([3], &[-2.0f32, 0.0, 3.0])]).unwrap().to_vec::<f32>().unwrap();
        assert!((y[0] + 1.264_241_1).abs() < 1e-6, "{y:?}");
        assert_eq!(y[1..], [0.0, 3.0]);
        assert!(error(&Celu { alpha: 1.0 }, &[&t([1], &[1i64])]).contains("f32 or f64"));
    }
}
