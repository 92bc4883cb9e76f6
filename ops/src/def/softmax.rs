//! ONNX operator Softmax.

/// Variants of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftmaxSpan {
    /// The axis alone (opset 13 on).
    Axis,
    /// The axis and all after it, taken as one (before opset 13).
    Trailing,
}

crate::attr_enum!(SoftmaxSpan { Axis = "axis", Trailing = "trailing" });

/// ONNX operator Softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// Which axes sum to one.
    pub span: SoftmaxSpan,
    /// Whether the logarithm is taken.
    pub log: bool,
}

crate::attributes!(Softmax { axis, span, log });

crate::def::unfinished!(Softmax);
