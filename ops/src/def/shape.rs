//! ONNX operator ShapeOf.

/// ONNX operator ShapeOf.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeOf {
    /// First axis; negative counts from the end.
    pub start: i64,
    /// Axis after the last; none: all.
    pub end: Option<i64>,
}

crate::attributes!(ShapeOf { start, end });

crate::def::unfinished!(ShapeOf);
