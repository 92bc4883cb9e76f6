//! ONNX operator Elu.

/// ONNX operator Elu.
#[derive(Clone, Debug, PartialEq)]
pub struct Elu {
    /// Scale of the exponential.
    pub alpha: f32,
}

crate::attributes!(Elu { alpha });

crate::def::unfinished!(Elu);
