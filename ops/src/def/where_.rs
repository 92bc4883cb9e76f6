//! ONNX operator Where.

/// ONNX operator Where.
#[derive(Clone, Debug, PartialEq)]
pub struct Where {}

crate::attributes!(Where {});

crate::def::unfinished!(Where);
