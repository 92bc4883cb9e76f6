//! ONNX operator CastLike.

/// ONNX operator CastLike.
#[derive(Clone, Debug, PartialEq)]
pub struct CastLike {}

crate::attributes!(CastLike {});

crate::def::unfinished!(CastLike);
