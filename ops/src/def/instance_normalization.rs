//! Normalisation of each channel of each image: ONNX `InstanceNormalization`, opsets 1 to 22.
//!
//! ```text
//! y[n, c, s..] = (x[n, c, s..] - mean[n, c]) / sqrt(var[n, c] + epsilon) * scale[c] + b[c]
//! ```
//!
//! Mean and variance are those of `x[n, c, s..]` over `s..`. Inputs, all f32 or all f64: 0 (`input`) `[N, C, s..]`;
//! 1 (`scale`) and 2 (`B`), `[C]`. Output: the type of input 0. Errors: scale or bias of another shape.

use super::group_normalization::{GroupNormalization, Problem, ScalePer};
use crate::arg::known_args;
use crate::compute::Compute;
use crate::{Args, DType, OpError, Operator, Tensor, TensorType};

/// ONNX operator InstanceNormalization.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceNormalization {
    /// Added to the variance.
    pub epsilon: f32,
}

crate::attributes!(InstanceNormalization { epsilon });

impl InstanceNormalization {
    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let op = GroupNormalization {
            groups: 0,
            epsilon: self.epsilon,
            per: ScalePer::Channel,
            stash: DType::F32,
        };
        Problem::new(args, ["input", "scale", "B"], &op, |channels| channels)
    }
}

impl Operator for InstanceNormalization {
    fn name(&self) -> &'static str {
        "InstanceNormalization"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        Ok(self.problem(args)?.compute())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        Ok(vec![self.problem(Args(&args))?.reference(inputs)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn hand_computed() {
        let op = InstanceNormalization { epsilon: 0.0 };
        let x = t([1, 2, 2, 2], &[1.0f32, 3.0, 1.0, 3.0, 10.0, 10.0, 30.0, 30.0]);
        let y = run(&op, &[&x, &t([2], &[1.0f32, 2.0]), &t([2], &[5.0f32, 0.0])]).unwrap();
        assert_eq!(y, t([1, 2, 2, 2], &[4.0f32, 6.0, 4.0, 6.0, -2.0, -2.0, 2.0, 2.0]));
        // One element is its mean.
        let y = run(
            &InstanceNormalization { epsilon: 1.0 },
            &[&t([1, 1], &[7.0f64]), &t([1], &[3.0f64]), &t([1], &[2.0f64])],
        );
        assert_eq!(y.unwrap(), t([1, 1], &[2.0f64]));
        let none = t::<f32>([1, 2, 0], &[]);
        assert_eq!(run(&op, &[&none, &t([2], &[1.0f32; 2]), &t([2], &[1.0f32; 2])]).unwrap(), none);
        let none = t::<f32>([1, 0, 3], &[]);
        let parameter = t::<f32>([0], &[]);
        assert_eq!(run(&op, &[&none, &parameter, &parameter]).unwrap(), none);
    }

    #[test]
    fn errors() {
        let op = InstanceNormalization { epsilon: 0.0 };
        let (x, one) = (t([1, 2, 1], &[1.0f32; 2]), t([1], &[1.0f32]));
        assert_eq!(
            error(&op, &[&x, &one, &one]),
            "input 1 (scale): expected [2] for the channels, found [1]"
        );
        assert!(error(&op, &[&one, &one, &one]).contains("input 0 (input): expected [batch, channels, ..]"));
    }
}
