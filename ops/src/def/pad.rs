//! ONNX operator Pad.

/// Variants of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadMode {
    /// A value (input `constant_value`, 0 by default).
    Constant,
    /// The input mirrored at its border elements.
    Reflect,
    /// The border element.
    Edge,
    /// The other side of the input.
    Wrap,
}

crate::attr_enum!(PadMode { Constant = "constant", Reflect = "reflect", Edge = "edge", Wrap = "wrap" });

/// ONNX operator Pad.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// What the border holds.
    pub mode: PadMode,
}

crate::attributes!(Pad { mode });

crate::def::unfinished!(Pad);
