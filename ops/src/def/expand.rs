//! ONNX operator Expand.

/// ONNX operator Expand.
#[derive(Clone, Debug, PartialEq)]
pub struct Expand {}

crate::attributes!(Expand {});

crate::def::unfinished!(Expand);
