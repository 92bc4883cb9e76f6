//! Piecewise linear sigmoid: `Y = max(0, min(1, alpha * X + beta))`, f32; NaN stays. Mirrors ONNX HardSigmoid-6 and
//! later.

use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map1};
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::{from_input, vars};
use crate::op::{Args, Operator, known_args};
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Piecewise linear sigmoid.
#[derive(Clone, Debug, PartialEq)]
pub struct HardSigmoid {
    /// Slope.
    pub alpha: f32,
    /// Offset.
    pub beta: f32,
}

crate::attributes!(HardSigmoid { alpha, beta });

impl Operator for HardSigmoid {
    fn name(&self) -> &'static str {
        "HardSigmoid"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", &[DType::F32])?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", &[DType::F32])?;
        Ok(from_input("hard_sigmoid", &x, x.ty(), |_, b| {
            let line = Expr::f32(self.alpha) * Expr::load(b, vars(x.shape.rank())) + Expr::f32(self.beta);
            line.min(Expr::f32(1.0)).max(Expr::f32(0.0))
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let of = |v: f32| (self.alpha * v + self.beta).clamp(0.0, 1.0);
        Ok(vec![map1(input(inputs, 0, "X")?, of)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let op = HardSigmoid { alpha: 0.25, beta: 0.5 };
        let y = run(&op, &[&t([5], &[-9.0f32, 0.0, 1.0, 9.0, f32::NAN])]).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(y[..4], [0.0, 0.5, 0.75, 1.0]);
        assert!(y[4].is_nan());
        assert!(error(&op, &[&t([1], &[1i64])]).contains("expected f32"));
    }
}
