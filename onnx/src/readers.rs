//! Readers: one function per ONNX operator (or per family with one shape), which adds its meaning to the graph.
//!
//! Each asks for every attribute that the operator has in any opset, so that what is left over is unknown. What some
//! opsets give as an attribute and others as an input becomes an input.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod constant;
pub(crate) mod control;
pub(crate) mod conv;
pub(crate) mod einsum;
pub(crate) mod indexed;
pub(crate) mod legacy;
pub(crate) mod loss;
pub(crate) mod math;
pub(crate) mod norm;
pub(crate) mod pool;
pub(crate) mod quant;
pub(crate) mod recurrent;
pub(crate) mod reduce;
pub(crate) mod resize;
pub(crate) mod shape;
pub(crate) mod vision;
pub(crate) mod window;
