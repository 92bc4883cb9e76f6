//! ONNX operator LeakyRelu.

/// ONNX operator LeakyRelu.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyRelu {
    /// Slope below zero.
    pub alpha: f32,
}

crate::attributes!(LeakyRelu { alpha });

crate::def::unfinished!(LeakyRelu);
