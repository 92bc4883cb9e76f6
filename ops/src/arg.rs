//! What an operator is given: its inputs, as far as they are known before anything runs.

use crate::dtype::DType;
use crate::error::OpError;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// One input of an operator, as known before anything runs.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: &'a Shape,
    /// The elements, when they are known before anything runs.
    pub value: Option<&'a Tensor>,
}

impl<'a> From<&'a Tensor> for Arg<'a> {
    fn from(t: &'a Tensor) -> Self {
        Arg { dtype: t.dtype(), shape: t.shape(), value: Some(t) }
    }
}

impl<'a> Arg<'a> {
    /// The argument as a type.
    pub fn ty(&self) -> TensorType {
        TensorType { dtype: self.dtype, shape: self.shape.clone() }
    }
}

/// The inputs of an operator by position; an omitted optional input is `None` or beyond the end.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a>(pub &'a [Option<Arg<'a>>]);

impl<'a> Args<'a> {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no inputs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Input `i`, which the operator cannot do without; `name` is the ONNX name, for the message.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is omitted.
    pub fn required(&self, i: usize, name: &str) -> Result<Arg<'a>, OpError> {
        self.optional(i).ok_or_else(|| OpError::Invalid(format!("input {i} ({name}) is missing")))
    }

    /// Input `i`, if given.
    pub fn optional(&self, i: usize) -> Option<Arg<'a>> {
        self.0.get(i).copied().flatten()
    }

    /// Input `i`, which must be of one of these element types.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is omitted or of another type.
    pub fn typed(&self, i: usize, name: &str, dtypes: &[DType]) -> Result<Arg<'a>, OpError> {
        let arg = self.required(i, name)?;
        if dtypes.contains(&arg.dtype) {
            return Ok(arg);
        }
        let names: Vec<&str> = dtypes.iter().map(|d| d.name()).collect();
        Err(OpError::Invalid(format!(
            "input {i} ({name}): expected {}, found {}",
            names.join(" or "),
            arg.ty()
        )))
    }

    /// The elements of input `i`, which a shape depends on.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is omitted, [`OpError::DataDependent`] when it is not known before the run.
    pub fn known(&self, i: usize, name: &str) -> Result<&'a Tensor, OpError> {
        self.required(i, name)?.value.ok_or_else(|| {
            OpError::DataDependent(format!("input {i} ({name}) must be known before the model runs"))
        })
    }

    /// The integers of input `i`, which a shape depends on; `None` when it is omitted.
    ///
    /// # Errors
    /// [`OpError::DataDependent`] when it is not known before the run, [`OpError::Invalid`] when not integers.
    pub fn known_ints(&self, i: usize, name: &str) -> Result<Option<Vec<i64>>, OpError> {
        match self.optional(i) {
            None => Ok(None),
            Some(_) => self
                .known(i, name)?
                .to_i64s()
                .map(Some)
                .map_err(|e| OpError::Invalid(format!("input {i} ({name}): {}", e.message()))),
        }
    }
}

/// `inputs` as arguments whose values are all known.
pub fn known_args<'a>(inputs: &[Option<&'a Tensor>]) -> Vec<Option<Arg<'a>>> {
    inputs.iter().map(|t| t.map(Arg::from)).collect()
}
