//! Conversion of the element type: `Y = to(X)`, same shape, every pair of types.
//!
//! Floats become integers by truncation towards zero and saturate, NaN becomes 0 (ONNX leaves both open); integers
//! become narrower by dropping bits, and floats by rounding to nearest, halves to even. To bool: `x != 0`, so NaN is
//! true. From bool: 0 or 1.
//!
//! Mirrors ONNX Cast-6 to -13 and later. A cast to f16 or bf16 is [`super::round_float::RoundFloat`] of an f32.

use crate::arg::{Arg, Args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, room};
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::{from_input, vars};
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Converts the element type.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// The new element type.
    pub to: DType,
}

crate::attributes!(Cast { to });

/// The definition of `x` converted to `to`.
pub fn conversion(x: &Arg<'_>, to: DType) -> Compute {
    let ty = TensorType { dtype: to, shape: x.shape.clone() };
    let index = vars(x.shape.rank());
    let same = x.dtype == to;
    let of = |e: Expr| if same { e } else { e.cast(to) };
    from_input("cast", x, ty, |_, b| of(Expr::load(b, index)))
}

/// `x` converted to `to`.
///
/// # Errors
/// None in practice: every pair of types can be converted.
pub fn converted(x: &Tensor, to: DType) -> Result<Tensor, OpError> {
    let mut bytes = room(x.numel().saturating_mul(to.size()))?;
    for element in x.bytes().chunks_exact(x.dtype().size()) {
        Scalar::read(x.dtype(), element).cast(to).write(&mut bytes);
    }
    Tensor::from_bytes(TensorType { dtype: to, shape: x.shape().clone() }, bytes)
}

impl Operator for Cast {
    fn name(&self) -> &'static str {
        "Cast"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.required(0, "input")?;
        Ok(vec![TensorType { dtype: self.to, shape: x.shape.clone() }])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        Ok(conversion(&args.required(0, "input")?, self.to))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![converted(input(inputs, 0, "input")?, self.to)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn every_pair() {
        let cast = |x: &Tensor, to| run(&Cast { to }, &[x]).unwrap();
        let floats = t([5], &[-1.7f32, 0.0, 2.9, 1e20, f32::NAN]);
        assert_eq!(cast(&floats, DType::I32), t([5], &[-1i32, 0, 2, i32::MAX, 0]));
        assert_eq!(cast(&floats, DType::I64), t([5], &[-1i64, 0, 2, i64::MAX, 0]));
        assert_eq!(cast(&floats, DType::U8), t([5], &[0u8, 0, 2, 255, 0]));
        assert_eq!(cast(&floats, DType::Bool), t([5], &[true, false, true, true, true]));
        assert_eq!(cast(&floats, DType::F32), floats);
        let ints = t([4], &[-1i64, 0, 257, (1 << 32) + 5]);
        assert_eq!(cast(&ints, DType::I32), t([4], &[-1i32, 0, 257, 5]));
        assert_eq!(cast(&ints, DType::U8), t([4], &[255u8, 0, 1, 5]));
        assert_eq!(cast(&ints, DType::F32), t([4], &[-1.0f32, 0.0, 257.0, 4294967296.0]));
        assert_eq!(cast(&ints, DType::Bool), t([4], &[true, false, true, true]));
        let bools = t([2], &[true, false]);
        assert_eq!(cast(&bools, DType::F32), t([2], &[1.0f32, 0.0]));
        assert_eq!(cast(&bools, DType::I64), t([2], &[1i64, 0]));
        assert_eq!(cast(&t([1], &[200u8]), DType::I32), t([1], &[200i32]));
        assert_eq!(error(&Cast { to: DType::F32 }, &[]), "input 0 (input) is missing");
    }
}
