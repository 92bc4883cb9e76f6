//! The input itself: `Y = X`, any element type and shape. Mirrors ONNX Identity-1 (for tensors).

use crate::arg::Args;
use crate::compute::Compute;
use crate::elements::input;
use crate::error::OpError;
use crate::index::{rearranged, vars};
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// The input itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {}

crate::attributes!(Identity {});

impl Operator for Identity {
    fn name(&self) -> &'static str {
        "Identity"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.required(0, "input")?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.required(0, "input")?;
        Ok(rearranged("copy", &x, x.ty(), vars(x.shape.rank())))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![input(inputs, 0, "input")?.clone()])
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
    fn copies_every_type() {
        for x in [t([2, 1], &[1.5f32, -0.0]), t([], &[true]), t::<i64>([0, 3], &[]), t([1], &[7u8])] {
            assert_eq!(run(&Identity {}, &[&x]), Ok(x.clone()));
        }
        assert_eq!(error(&Identity {}, &[]), "input 0 (input) is missing");
    }
}
