//! ONNX operator Slice.

/// ONNX operator Slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {}

crate::attributes!(Slice {});

crate::def::unfinished!(Slice);
