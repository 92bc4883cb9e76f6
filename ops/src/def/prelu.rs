//! ONNX operator PRelu.

/// ONNX operator PRelu.
#[derive(Clone, Debug, PartialEq)]
pub struct PRelu {}

crate::attributes!(PRelu {});

crate::def::unfinished!(PRelu);
