//! ONNX operator Range.

/// ONNX operator Range.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {}

crate::attributes!(Range {});

crate::def::unfinished!(Range);
