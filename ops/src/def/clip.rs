//! ONNX operator Clip.

/// ONNX operator Clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {}

crate::attributes!(Clip {});

crate::def::unfinished!(Clip);
