//! ONNX operator Transpose.

/// ONNX operator Transpose.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// Input axis of each output axis; empty: reversed.
    pub perm: Vec<usize>,
}

crate::attributes!(Transpose { perm });

crate::def::unfinished!(Transpose);
