//! ONNX operator Concat.

/// ONNX operator Concat.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// The axis; negative counts from the end.
    pub axis: i64,
}

crate::attributes!(Concat { axis });

crate::def::unfinished!(Concat);
