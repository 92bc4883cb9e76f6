//! Reshapes to a matrix: a view. `[d0, .., dn]` becomes `[d0 * .. * d(axis-1), d(axis) * .. * dn]`; an empty product
//! is 1. Any element type.
//!
//! Errors: an axis outside `-rank..=rank`. Mirrors ONNX Flatten-1 to -11 and later.

use crate::arg::{Args, known_args};
use crate::axes::product;
use crate::compute::Compute;
use crate::elements::input;
use crate::error::OpError;
use crate::index::{rearranged, view_index};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// A matrix of the same elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Flatten {
    /// First axis of the second dimension; negative counts from the end.
    pub axis: i64,
}

crate::attributes!(Flatten { axis });

impl Operator for Flatten {
    fn name(&self) -> &'static str {
        "Flatten"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.required(0, "input")?;
        let rank = x.shape.rank();
        let at = i128::from(self.axis) + if self.axis < 0 { rank as i128 } else { 0 };
        match usize::try_from(at) {
            Ok(at) if at <= rank => {
                let shape = [product(&x.shape[..at])?, product(&x.shape[at..])?];
                Ok(vec![TensorType::new(x.dtype, shape)])
            }
            _ => invalid!("axis: expected -{rank} to {rank}, found {}", self.axis),
        }
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let x = args.required(0, "input")?;
        let index = view_index(&ty.shape, x.shape);
        Ok(rearranged("flatten", &x, ty, index))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        Ok(vec![input(inputs, 0, "input")?.reshaped(ty.shape)?])
    }

    fn is_view(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn shapes() {
        let x = t([2, 3, 2], &(0..12).collect::<Vec<i32>>());
        for (axis, want) in
            [(0, [1, 12]), (1, [2, 6]), (2, [6, 2]), (3, [12, 1]), (-1, [6, 2]), (-3, [1, 12])]
        {
            let y = run(&Flatten { axis }, &[&x]).unwrap();
            assert_eq!(y, x.reshaped(want).unwrap(), "axis {axis}");
        }
        assert_eq!(run(&Flatten { axis: 0 }, &[&t([], &[5u8])]), Ok(t([1, 1], &[5u8])));
        assert_eq!(run(&Flatten { axis: 1 }, &[&t::<f32>([0, 4], &[])]), Ok(t::<f32>([0, 4], &[])));
    }

    #[test]
    fn errors() {
        let x = t([2, 1], &[1u8, 2]);
        assert_eq!(error(&Flatten { axis: 3 }, &[&x]), "axis: expected -2 to 2, found 3");
        assert_eq!(
            error(&Flatten { axis: i64::MIN }, &[&x]),
            format!("axis: expected -2 to 2, found {}", i64::MIN)
        );
    }
}
