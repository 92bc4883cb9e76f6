//! ONNX operator ConstantOfShape.

/// ONNX operator ConstantOfShape.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantOfShape {}

crate::attributes!(ConstantOfShape {});

crate::def::unfinished!(ConstantOfShape);
