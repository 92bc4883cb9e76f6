//! ONNX operator GlobalPool.

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalPoolKind {
    /// ONNX `Average`.
    Average,
    /// ONNX `Max`.
    Max,
}

crate::attr_enum!(GlobalPoolKind { Average = "average", Max = "max" });

/// ONNX operator GlobalPool.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalPool {
    /// What is taken over all positions.
    pub kind: GlobalPoolKind,
}

crate::attributes!(GlobalPool { kind });

crate::def::unfinished!(GlobalPool);
