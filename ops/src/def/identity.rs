//! ONNX operator Identity.

/// ONNX operator Identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {}

crate::attributes!(Identity {});

crate::def::unfinished!(Identity);
