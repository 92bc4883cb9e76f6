//! Broadcasts to a shape: `Y` has the shape that the input's and the wanted one broadcast to, so that an extent 1 in
//! either takes the other's extent; elements are repeated. Any element type.
//!
//! Inputs: input, shape (integers, known before the run).
//!
//! Errors: a negative extent, shapes that do not broadcast. Mirrors ONNX Expand-8 to -13 and later.

use crate::arg::{Args, known_args};
use crate::axes::{extent, required_ints};
use crate::compute::Compute;
use crate::elements::{broadcast_positions, input, take};
use crate::error::OpError;
use crate::index::{broadcast_index, rearranged};
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Broadcasts to a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Expand {}

crate::attributes!(Expand {});

impl Operator for Expand {
    fn name(&self) -> &'static str {
        "Expand"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.required(0, "input")?;
        let wanted = required_ints(args, 1, "shape")?;
        let wanted = wanted.into_iter().map(|d| extent(d.into(), "shape")).collect::<Result<Vec<_>, _>>()?;
        Ok(vec![TensorType { dtype: x.dtype, shape: x.shape.broadcast(&Shape::new(wanted))? }])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let x = args.required(0, "input")?;
        let index = broadcast_index(x.shape, ty.shape.rank());
        Ok(rearranged("expand", &x, ty, index))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let x = input(inputs, 0, "input")?;
        let positions: Vec<_> = broadcast_positions(x.shape(), &ty.shape)?.into_iter().map(Some).collect();
        Ok(vec![take(x, &positions, ty.shape, &[])?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn expands_both_ways() {
        let x = t([3, 1], &[1u8, 2, 3]);
        let to = |x: &Tensor, dims: &[i64]| run(&Expand {}, &[x, &t([dims.len()], dims)]).unwrap();
        assert_eq!(to(&x, &[3, 2]), t([3, 2], &[1u8, 1, 2, 2, 3, 3]));
        assert_eq!(to(&x, &[2]), t([3, 2], &[1u8, 1, 2, 2, 3, 3]));
        assert_eq!(to(&x, &[2, 1, 1]), t([2, 3, 1], &[1u8, 2, 3, 1, 2, 3]));
        assert_eq!(to(&x, &[]), x);
        assert_eq!(to(&x, &[0]), t::<u8>([3, 0], &[]));
    }

    #[test]
    fn errors() {
        let x = t([3], &[1u8, 2, 3]);
        assert_eq!(error(&Expand {}, &[&x, &t([1], &[2i64])]), "shapes [3] and [2] do not broadcast");
        assert!(error(&Expand {}, &[&x, &t([1], &[-1i64])]).contains("found -1"));
        let huge = t([2], &[i64::MAX, i64::MAX]);
        let refused = Expand {}.reference(&[Some(&t([], &[1u8])), Some(&huge)]);
        assert!(matches!(refused, Err(OpError::TooLarge(_))));
    }
}
