//! ONNX operator Unary.

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryKind {
    /// ONNX `Abs`.
    Abs,
    /// ONNX `Neg`.
    Neg,
    /// ONNX `Sqrt`.
    Sqrt,
    /// ONNX `Exp`.
    Exp,
    /// ONNX `Log`.
    Log,
    /// ONNX `Relu`.
    Relu,
    /// ONNX `Sigmoid`.
    Sigmoid,
    /// ONNX `Tanh`.
    Tanh,
    /// ONNX `Erf`.
    Erf,
    /// ONNX `Softplus`.
    Softplus,
    /// ONNX `Softsign`.
    Softsign,
    /// ONNX `HardSwish`.
    HardSwish,
    /// ONNX `Floor`.
    Floor,
    /// ONNX `Ceil`.
    Ceil,
    /// ONNX `Round`.
    Round,
    /// ONNX `Reciprocal`.
    Reciprocal,
    /// ONNX `Not`.
    Not,
}

crate::attr_enum!(UnaryKind { Abs = "abs", Neg = "neg", Sqrt = "sqrt", Exp = "exp", Log = "log", Relu = "relu", Sigmoid = "sigmoid", Tanh = "tanh", Erf = "erf", Softplus = "softplus", Softsign = "softsign", HardSwish = "hard_swish", Floor = "floor", Ceil = "ceil", Round = "round", Reciprocal = "reciprocal", Not = "not" });

/// ONNX operator Unary.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// The function.
    pub kind: UnaryKind,
}

crate::attributes!(Unary { kind });

crate::def::unfinished!(Unary);
