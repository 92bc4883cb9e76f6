//! ONNX operator Split.

/// ONNX operator Split.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// Number of outputs.
    pub num_outputs: usize,
}

crate::attributes!(Split { axis, num_outputs });

crate::def::unfinished!(Split);
