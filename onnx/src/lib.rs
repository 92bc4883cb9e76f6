//! ONNX models to octrt graphs and back.
#![forbid(unsafe_code)]
