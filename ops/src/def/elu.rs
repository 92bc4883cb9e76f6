//! Exponential linear unit: `Y = X < 0 ? alpha * (exp(X) - 1) : X`, f32 or f64. Mirrors ONNX Elu-6 and later.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map_floats};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr, UnaryFn};
use crate::index::{from_input, vars};
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Exponential linear unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Elu {
    /// Scale of the exponential.
    pub alpha: f32,
}

crate::attributes!(Elu { alpha });

impl Operator for Elu {
    fn name(&self) -> &'static str {
        "Elu"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", DType::FLOATS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        Ok(from_input("elu", &x, x.ty(), |_, b| {
            let v = Expr::load(b, vars(x.shape.rank()));
            let literal = |n| Expr::literal(x.dtype, n);
            let below = literal(self.alpha.into()) * (Expr::unary(UnaryFn::Exp, v.clone()) - literal(1.0));
            Expr::compare(CompareFn::Lt, v.clone(), literal(0.0)).select(below, v)
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let below = |v: f64| f64::from(self.alpha) * v.exp_m1();
        Ok(vec![map_floats(input(inputs, 0, "X")?, |v| if v < 0.0 { below(v) } else { v })?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let x = t([4], &[-1.0f32, 0.0, 3.0, f32::NEG_INFINITY]);
        let y = run(&Elu { alpha: 2.0 }, &[&x]).unwrap().to_vec::<f32>().unwrap();
        assert!((y[0] - -1.264_241_1).abs() < 1e-6, "{}", y[0]);
        assert_eq!(y[1..], [0.0, 3.0, -2.0]);
        assert!(error(&Elu { alpha: 1.0 }, &[&t([1], &[1i64])]).contains("expected f32"));
    }
}
