//! ONNX operator Cast.

use crate::DType;

/// ONNX operator Cast.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// The new element type.
    pub to: DType,
}

crate::attributes!(Cast { to });

crate::def::unfinished!(Cast);
