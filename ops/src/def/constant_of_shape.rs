//! A tensor of one repeated value: `Y[..] = value`.
//!
//! Inputs: the shape (integers, known before the run; empty: a scalar); optionally the value, one element of any
//! type, f32 0 by default. Y has the value's type.
//!
//! Errors: a negative extent, a value with more elements than one or none.
//! Mirrors ONNX ConstantOfShape-9 and later, whose attribute `value` arrives as input 1.

use crate::arg::{Args, known_args};
use crate::axes::{extent, required_ints};
use crate::compute::{Compute, scalars, tensor};
use crate::dtype::DType;
use crate::elements::room;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::scalar_load;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// A tensor of one repeated value.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantOfShape {}

crate::attributes!(ConstantOfShape {});

impl Operator for ConstantOfShape {
    fn name(&self) -> &'static str {
        "ConstantOfShape"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let dims = required_ints(args, 0, "input")?;
        let shape = dims.into_iter().map(|d| extent(d.into(), "input")).collect::<Result<Vec<_>, _>>()?;
        match args.optional(1) {
            Some(v) if v.shape.numel() != 1 => invalid!("value: expected one element, found {}", v.ty()),
            Some(v) => Ok(vec![TensorType::new(v.dtype, shape)]),
            None => Ok(vec![TensorType::new(DType::F32, shape)]),
        }
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let mut c = Compute::new();
        let value = match args.optional(1) {
            Some(v) => scalar_load(&mut c, 1, &v)?,
            None => Expr::f32(0.0),
        };
        let out = c.map("fill", ty, value);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let value = match inputs.get(1).copied().flatten() {
            Some(v) => scalars(v)?[0],
            None => Scalar::F32(0.0),
        };
        ty.shape.checked_bytes(ty.dtype)?;
        let mut elements = room(ty.shape.numel())?;
        elements.resize(ty.shape.numel(), value);
        Ok(vec![tensor(&ty, &elements)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn fills() {
        let of = |dims: &[i64], value: &Tensor| run(&ConstantOfShape {}, &[&t([dims.len()], dims), value]);
        assert_eq!(of(&[2, 1], &t([1], &[7i64])), Ok(t([2, 1], &[7i64, 7])));
        assert_eq!(of(&[], &t([], &[true])), Ok(t([], &[true])));
        assert_eq!(of(&[3, 0], &t([], &[1u8])), Ok(t::<u8>([3, 0], &[])));
        assert_eq!(run(&ConstantOfShape {}, &[&t([1], &[2i64])]), Ok(t([2], &[0.0f32; 2])));
    }

    #[test]
    fn errors() {
        let of = |dims: &[i64], value: &Tensor| error(&ConstantOfShape {}, &[&t([dims.len()], dims), value]);
        assert_eq!(of(&[2, -1], &t([], &[1u8])), "input: expected an extent of at least 0, found -1");
        assert_eq!(of(&[2], &t([2], &[1u8, 2])), "value: expected one element, found u8[2]");
        let huge = t([3], &[i64::MAX, i64::MAX, 2]);
        let refused = ConstantOfShape {}.reference(&[Some(&huge)]);
        assert!(matches!(refused, Err(OpError::TooLarge(_))));
    }
}
