//! Conversion to the element type of another tensor: [`Cast`](crate::def::cast::Cast) of input 0 to the type of
//! input 1, whose shape and elements do not matter. Mirrors ONNX CastLike-15 and later.

use crate::arg::Args;
use crate::compute::Compute;
use crate::def::cast::{conversion, converted};
use crate::elements::input;
use crate::error::OpError;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Converts to the element type of another tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct CastLike {}

crate::attributes!(CastLike {});

impl Operator for CastLike {
    fn name(&self) -> &'static str {
        "CastLike"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, like) = (args.required(0, "input")?, args.required(1, "target_type")?);
        Ok(vec![TensorType { dtype: like.dtype, shape: x.shape.clone() }])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (x, like) = (args.required(0, "input")?, args.required(1, "target_type")?);
        Ok(conversion(&x, like.dtype))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let (x, like) = (input(inputs, 0, "input")?, input(inputs, 1, "target_type")?);
        Ok(vec![converted(x, like.dtype())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn takes_only_the_type() {
        let x = t([2], &[1.5f32, -2.5]);
        assert_eq!(run(&CastLike {}, &[&x, &t::<i64>([0, 7], &[])]), Ok(t([2], &[1i64, -2])));
        assert_eq!(error(&CastLike {}, &[&x]), "input 1 (target_type) is missing");
    }
}
