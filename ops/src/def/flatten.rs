//! ONNX operator Flatten.

/// ONNX operator Flatten.
#[derive(Clone, Debug, PartialEq)]
pub struct Flatten {
    /// First axis of the second dimension; negative counts from the end.
    pub axis: i64,
}

crate::attributes!(Flatten { axis });

crate::def::unfinished!(Flatten);
