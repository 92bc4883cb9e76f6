//! ONNX operator SpaceToDepth.

/// ONNX operator SpaceToDepth.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceToDepth {
    /// Edge of the square block.
    pub blocksize: usize,
}

crate::attributes!(SpaceToDepth { blocksize });

crate::def::unfinished!(SpaceToDepth);
