//! ONNX operator HardSigmoid.

/// ONNX operator HardSigmoid.
#[derive(Clone, Debug, PartialEq)]
pub struct HardSigmoid {
    /// Slope.
    pub alpha: f32,
    /// Offset.
    pub beta: f32,
}

crate::attributes!(HardSigmoid { alpha, beta });

crate::def::unfinished!(HardSigmoid);
