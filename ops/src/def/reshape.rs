//! ONNX operator Reshape.

/// ONNX operator Reshape.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// Whether 0 in the shape means extent 0 rather than the input's extent.
    pub allow_zero: bool,
}

crate::attributes!(Reshape { allow_zero });

crate::def::unfinished!(Reshape);
