//! Names of functions, and how expressions print.

use std::fmt;

use super::{BinaryFn, CompareFn, Expr, Scalar, UnaryFn};

/// Names used in the text form, in the order of the variants.
macro_rules! names {
    ($t:ident { $($v:ident = $s:literal),* $(,)? }) => {
        impl $t {
            /// Every function of the kind.
            pub const ALL: &'static [$t] = &[$($t::$v),*];
            /// The name in the text form.
            pub fn name(self) -> &'static str {
                match self { $($t::$v => $s),* }
            }
        }
    };
}
names!(UnaryFn {
    Neg = "neg", Abs = "abs", Sqrt = "sqrt", Exp = "exp", Log = "log", Tanh = "tanh", Erf = "erf", Floor = "floor",
    Ceil = "ceil", Round = "round", Sin = "sin", Cos = "cos", Atan = "atan", RoundF16 = "round_f16",
    RoundBf16 = "round_bf16", Not = "not",
});
names!(BinaryFn {
    Add = "add", Sub = "sub", Mul = "mul", Div = "div", Rem = "rem", Min = "min", Max = "max", Pow = "pow",
    And = "and", Or = "or", Xor = "xor", Shl = "shl", Shr = "shr",
});
names!(CompareFn { Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge" });

/// Prints as `add(mul(L0, 2), b1[L2, L3])`; literals carry their type except i64: `1.5f32`, `3`, `3i32`, `1u8`, `true`.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Const(s) => write!(f, "{s}"),
            Expr::Var(v) => write!(f, "{v}"),
            Expr::Acc => f.write_str("acc"),
            Expr::Load(b, index) => {
                write!(f, "{b}[")?;
                for (i, e) in index.iter().enumerate() {
                    write!(f, "{}{e}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Expr::Unary(u, a) => write!(f, "{}({a})", u.name()),
            Expr::Binary(o, a, b) => write!(f, "{}({a}, {b})", o.name()),
            Expr::Compare(o, a, b) => write!(f, "{}({a}, {b})", o.name()),
            Expr::Select(c, a, b) => write!(f, "select({c}, {a}, {b})"),
            Expr::Cast(d, a) => write!(f, "{d}({a})"),
            Expr::Bits(a) => write!(f, "bits({a})"),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // `{:?}` is the shortest text that reads back as the same float; of a NaN only that it is one.
            Scalar::F32(v) => write!(f, "{v:?}f32"),
            Scalar::F64(v) => write!(f, "{v:?}f64"),
            Scalar::I64(v) => write!(f, "{v}"),
            Scalar::I32(v) => write!(f, "{v}i32"),
            Scalar::I16(v) => write!(f, "{v}i16"),
            Scalar::I8(v) => write!(f, "{v}i8"),
            Scalar::U64(v) => write!(f, "{v}u64"),
            Scalar::U32(v) => write!(f, "{v}u32"),
            Scalar::U16(v) => write!(f, "{v}u16"),
            Scalar::U8(v) => write!(f, "{v}u8"),
            Scalar::Bool(v) => write!(f, "{v}"),
        }
    }
}
