//! Rounding to a narrower float: what ONNX `Cast` to float16 or bfloat16 does to a value, which is carried on in f32.
//!
//! `Y = nearest value of the format to X`, halves to even; beyond its largest value infinite; NaN stays. Input 0 (`X`):
//! f32, any shape; the output has its type.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map1};
use crate::error::OpError;
use crate::expr::{Expr, UnaryFn, round_bf16, round_f16};
use crate::index::{from_input, vars};
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Formats of floats that are no element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatFormat {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an f32.
    BF16,
}

crate::attr_enum!(FloatFormat { F16 = "f16", BF16 = "bf16" });

/// Rounds every element to a narrower float.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundFloat {
    /// The narrower float.
    pub to: FloatFormat,
}

crate::attributes!(RoundFloat { to });

impl Operator for RoundFloat {
    fn name(&self) -> &'static str {
        "Cast"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", &[DType::F32])?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", &[DType::F32])?;
        let function = match self.to {
            FloatFormat::F16 => UnaryFn::RoundF16,
            FloatFormat::BF16 => UnaryFn::RoundBf16,
        };
        let element = |b| Expr::unary(function, Expr::load(b, vars(x.shape.rank())));
        Ok(from_input("round_float", &x, x.ty(), |_, b| element(b)))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let x = input(inputs, 0, "X")?;
        Ok(vec![match self.to {
            FloatFormat::F16 => map1(x, round_f16)?,
            FloatFormat::BF16 => map1(x, round_bf16)?,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let x = t([4], &[70000.0f32, 1.0001, -65504.0, 1e-8]);
        let half = run(&RoundFloat { to: FloatFormat::F16 }, &[&x]);
        assert_eq!(half, Ok(t([4], &[f32::INFINITY, 1.0, -65504.0, 0.0])));
        let brain = run(&RoundFloat { to: FloatFormat::BF16 }, &[&t([2], &[1.003f32, 70000.0])]);
        assert_eq!(brain, Ok(t([2], &[1.0f32, 70144.0])));
        assert!(error(&RoundFloat { to: FloatFormat::F16 }, &[&t([1], &[1i64])]).contains("expected f32"));
    }
}
