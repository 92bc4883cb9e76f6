//! ReLU with a slope below zero: `Y = X < 0 ? alpha * X : X`, f32 or f64. Mirrors ONNX LeakyRelu-6 and later.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map_floats};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr};
use crate::index::{from_input, vars};
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// ReLU with a slope below zero.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyRelu {
    /// Slope below zero.
    pub alpha: f32,
}

crate::attributes!(LeakyRelu { alpha });

impl Operator for LeakyRelu {
    fn name(&self) -> &'static str {
        "LeakyRelu"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", DType::FLOATS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        Ok(from_input("leaky_relu", &x, x.ty(), |_, b| {
            let v = Expr::load(b, vars(x.shape.rank()));
            let negative = Expr::compare(CompareFn::Lt, v.clone(), Expr::literal(x.dtype, 0.0));
            negative.select(Expr::literal(x.dtype, self.alpha.into()) * v.clone(), v)
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let slope = |v: f64| if v < 0.0 { f64::from(self.alpha) * v } else { v };
        Ok(vec![map_floats(input(inputs, 0, "X")?, slope)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let x = t([4], &[-2.0f32, 0.0, 3.0, f32::NEG_INFINITY]);
        let y = run(&LeakyRelu { alpha: 0.5 }, &[&x]);
        assert_eq!(y, Ok(t([4], &[-1.0f32, 0.0, 3.0, f32::NEG_INFINITY])));
        assert!(error(&LeakyRelu { alpha: 0.5 }, &[&t([1], &[1i64])]).contains("expected f32"));
    }
}
