//! ONNX operator DepthToSpace.

/// Variants of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthOrder {
    /// Depth, column, row: the block index is outermost.
    Dcr,
    /// Column, row, depth: the channel index is outermost.
    Crd,
}

crate::attr_enum!(DepthOrder { Dcr = "dcr", Crd = "crd" });

/// ONNX operator DepthToSpace.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthToSpace {
    /// Edge of the square block.
    pub blocksize: usize,
    /// Order of the channels.
    pub mode: DepthOrder,
}

crate::attributes!(DepthToSpace { blocksize, mode });

crate::def::unfinished!(DepthToSpace);
