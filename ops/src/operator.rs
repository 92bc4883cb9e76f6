//! The contract that each operator fulfils.

use crate::arg::Args;
use crate::compute::Compute;
use crate::error::OpError;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// What every operator says of itself. An operator is a plain struct of its attributes.
///
/// `infer`, `compute` and `reference` must not panic whatever the attributes and arguments are.
pub trait Operator {
    /// The ONNX name of the operator, for messages: `Conv`, `HardSwish`.
    fn name(&self) -> &'static str;

    /// Types of the outputs.
    ///
    /// # Errors
    /// [`OpError`] when arguments break the operator's rules; the message says what was expected and found.
    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError>;

    /// The definition that the compiler lowers, for arguments that `infer` accepts.
    ///
    /// # Errors
    /// As `infer`.
    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError>;

    /// Plain evaluation, written independently of `compute`. Every argument has its value.
    ///
    /// # Errors
    /// As `infer`.
    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError>;

    /// Multiply-accumulates of one evaluation, as the field counts them: convolutions and matrix products only.
    fn macs(&self, _args: Args<'_>) -> u64 {
        0
    }

    /// Whether the single output has the bytes of input 0 unchanged, under another shape.
    fn is_view(&self) -> bool {
        false
    }
}
