//! ONNX operator Binary.

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryKind {
    /// ONNX `Add`.
    Add,
    /// ONNX `Sub`.
    Sub,
    /// ONNX `Mul`.
    Mul,
    /// ONNX `Div`.
    Div,
    /// ONNX `Pow`.
    Pow,
    /// ONNX `Max`.
    Max,
    /// ONNX `Min`.
    Min,
    /// ONNX `And`.
    And,
    /// ONNX `Or`.
    Or,
    /// ONNX `Xor`.
    Xor,
}

crate::attr_enum!(BinaryKind { Add = "add", Sub = "sub", Mul = "mul", Div = "div", Pow = "pow", Max = "max", Min = "min", And = "and", Or = "or", Xor = "xor" });

/// ONNX operator Binary.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The function.
    pub kind: BinaryKind,
}

crate::attributes!(Binary { kind });

crate::def::unfinished!(Binary);
