//! Gaussian error linear unit: `Y = X * P(x <= X)` of the normal distribution. Mirrors ONNX Gelu-20.
//!
//! | approximate | formula |
//! |---|---|
//! | erf (ONNX: none) | `0.5 * X * (1 + erf(X / sqrt(2)))` |
//! | tanh | `0.5 * X * (1 + tanh(sqrt(2 / pi) * (X + 0.044715 * X^3)))` |
//!
//! Input 0 (`X`): f32 or f64, any shape; the output has its type.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map_floats};
use crate::error::OpError;
use crate::expr::{Expr, UnaryFn, erf};
use crate::index::elementwise;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// How the distribution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeluForm {
    /// By the error function.
    Erf,
    /// By the hyperbolic tangent.
    Tanh,
}

crate::attr_enum!(GeluForm { Erf = "erf", Tanh = "tanh" });

/// Gaussian error linear unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Gelu {
    /// How the distribution is computed.
    pub approximate: GeluForm,
}

crate::attributes!(Gelu { approximate });

const CUBIC: f64 = 0.044715;
/// `sqrt(2 / pi)`
const ROOT: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;

impl Operator for Gelu {
    fn name(&self) -> &'static str {
        "Gelu"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", DType::FLOATS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let literal = |v| Expr::literal(x.dtype, v);
        Ok(elementwise("gelu", &x, |v| {
            let curve = match self.approximate {
                GeluForm::Erf => Expr::unary(UnaryFn::Erf, v.clone() * literal(FRAC_1_SQRT_2)),
                GeluForm::Tanh => {
                    let square = v.clone() * v.clone();
                    let inner = v.clone() * (literal(ROOT) + literal(ROOT * CUBIC) * square);
                    Expr::unary(UnaryFn::Tanh, inner)
                }
            };
            literal(0.5) * v * (literal(1.0) + curve)
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let curve = |x: f64| match self.approximate {
            GeluForm::Erf => erf(x / 2f64.sqrt()),
            GeluForm::Tanh => ((2.0 / std::f64::consts::PI).sqrt() * (x + CUBIC * x.powi(3))).tanh(),
        };
        Ok(vec![map_floats(input(inputs, 0, "X")?, |x| 0.5 * x * (1.0 + curve(x)))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let x = t([4], &[-1.0f32, 0.0, 1.0, 10.0]);
        for (approximate, below, above) in
            [(GeluForm::Erf, -0.158_655_26, 0.841_344_7), (GeluForm::Tanh, -0.158_808, 0.841_192)]
        {
            let y = run(&Gelu { approximate }, &[&x]).unwrap().to_vec::<f32>().unwrap();
            assert!((y[0] - below).abs() < 1e-6 && (y[2] - above).abs() < 1e-6, "{y:?}");
            assert_eq!((y[1], y[3]), (0.0, 10.0));
        }
        let wide = run(&Gelu { approximate: GeluForm::Erf }, &[&t([1], &[1.0f64])]).unwrap();
        assert!((wide.to_vec::<f64>().unwrap()[0] - 0.841_344_746_068_542_9).abs() < 1e-15);
        assert!(error(&Gelu { approximate: GeluForm::Erf }, &[&t([1], &[1i64])]).contains("f32 or f64"));
    }
}
