//! Element types.

use std::fmt;
use std::str::FromStr;

use crate::error::OpError;

/// The element type of a tensor. Other ONNX types (f16, f64, ...) are converted at the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// 64-bit two's complement.
    I64,
    /// 32-bit two's complement.
    I32,
    /// 8-bit unsigned.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// All element types.
    pub const ALL: [DType; 5] = [DType::F32, DType::I64, DType::I32, DType::U8, DType::Bool];

    /// Size of one element in bytes.
    pub fn size(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::I64 => 8,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// The name used in every text form: `f32 i64 i32 u8 bool`.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// Whether this is one of the integer types (`bool` is not).
    pub fn is_int(self) -> bool {
        matches!(self, DType::I64 | DType::I32 | DType::U8)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = OpError;
    fn from_str(s: &str) -> Result<Self, OpError> {
        DType::ALL
            .into_iter()
            .find(|d| d.name() == s)
            .ok_or_else(|| OpError::Invalid(format!("unknown element type '{s}'")))
    }
}
