//! ONNX operator BatchNormalization.

/// ONNX operator BatchNormalization.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormalization {
    /// Added to the variance.
    pub epsilon: f32,
}

crate::attributes!(BatchNormalization { epsilon });

crate::def::unfinished!(BatchNormalization);
