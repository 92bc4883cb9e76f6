//! ONNX operator Unsqueeze.

/// ONNX operator Unsqueeze.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsqueeze {}

crate::attributes!(Unsqueeze {});

crate::def::unfinished!(Unsqueeze);
