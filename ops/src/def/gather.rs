//! ONNX operator Gather.

/// ONNX operator Gather.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The axis that is indexed; negative counts from the end.
    pub axis: i64,
}

crate::attributes!(Gather { axis });

crate::def::unfinished!(Gather);
