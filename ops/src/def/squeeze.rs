//! ONNX operator Squeeze.

/// ONNX operator Squeeze.
#[derive(Clone, Debug, PartialEq)]
pub struct Squeeze {}

crate::attributes!(Squeeze {});

crate::def::unfinished!(Squeeze);
