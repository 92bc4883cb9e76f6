//! ONNX operator Compare.

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareKind {
    /// ONNX `Equal`.
    Equal,
    /// ONNX `Less`.
    Less,
    /// ONNX `LessOrEqual`.
    LessOrEqual,
    /// ONNX `Greater`.
    Greater,
    /// ONNX `GreaterOrEqual`.
    GreaterOrEqual,
}

crate::attr_enum!(CompareKind { Equal = "equal", Less = "less", LessOrEqual = "less_or_equal", Greater = "greater", GreaterOrEqual = "greater_or_equal" });

/// ONNX operator Compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// The comparison.
    pub kind: CompareKind,
}

crate::attributes!(Compare { kind });

crate::def::unfinished!(Compare);
