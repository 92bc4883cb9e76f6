//! Piecewise linear sigmoid: `Y = max(0, min(1, alpha * X + beta))`, f32 or f64; NaN stays. Mirrors ONNX HardSigmoid-6
//! and later.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map1};
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::{from_input, vars};
use crate::operator::Operator;
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
        Ok(vec![args.typed(0, "X", DType::FLOATS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        Ok(from_input("hard_sigmoid", &x, x.ty(), |_, b| {
            let literal = |v| Expr::literal(x.dtype, v);
            let v = Expr::load(b, vars(x.shape.rank()));
            let line = literal(self.alpha.into()) * v + literal(self.beta.into());
            line.min(literal(1.0)).max(literal(0.0))
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let x = input(inputs, 0, "X")?;
        let (alpha, beta) = (f64::from(self.alpha), f64::from(self.beta));
        Ok(vec![match x.dtype() {
            DType::F64 => map1(x, |v: f64| (alpha * v + beta).clamp(0.0, 1.0))?,
            _ => map1(x, |v: f32| (self.alpha * v + self.beta).clamp(0.0, 1.0))?,
        }])
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
