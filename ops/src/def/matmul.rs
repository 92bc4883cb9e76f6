//! ONNX operator MatMul.

/// ONNX operator MatMul.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMul {}

crate::attributes!(MatMul {});

crate::def::unfinished!(MatMul);
