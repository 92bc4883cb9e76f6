//! ONNX operator Reduce.

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// ONNX `Mean`.
    Mean,
    /// ONNX `Sum`.
    Sum,
    /// ONNX `Max`.
    Max,
    /// ONNX `Min`.
    Min,
}

crate::attr_enum!(ReduceKind { Mean = "mean", Sum = "sum", Max = "max", Min = "min" });

/// ONNX operator Reduce.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// The reduction.
    pub kind: ReduceKind,
    /// Whether reduced axes stay with extent 1.
    pub keep_dims: bool,
    /// Whether an empty list of axes means none rather than all.
    pub noop_with_empty_axes: bool,
}

crate::attributes!(Reduce { kind, keep_dims, noop_with_empty_axes });

crate::def::unfinished!(Reduce);
