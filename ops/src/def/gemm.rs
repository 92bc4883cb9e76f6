//! ONNX operator Gemm.

/// ONNX operator Gemm.
#[derive(Clone, Debug, PartialEq)]
pub struct Gemm {
    /// Scale of the product.
    pub alpha: f32,
    /// Scale of the bias.
    pub beta: f32,
    /// Whether A is transposed.
    pub trans_a: bool,
    /// Whether B is transposed.
    pub trans_b: bool,
}

crate::attributes!(Gemm { alpha, beta, trans_a, trans_b });

crate::def::unfinished!(Gemm);
