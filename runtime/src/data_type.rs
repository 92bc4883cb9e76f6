//! Element types at the border.

use std::fmt;

use octrt_ops::DType;

/// Element type of a model's input or output. The model computes `f16` and `bf16` in `f32`; they are converted at the
/// border, each value to the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an IEEE 754 binary32.
    BF16,
    /// IEEE 754 binary64.
    F64,
    /// 64-bit two's complement.
    I64,
    /// 32-bit two's complement.
    I32,
    /// 16-bit two's complement.
    I16,
    /// 8-bit two's complement.
    I8,
    /// 64-bit unsigned.
    U64,
    /// 32-bit unsigned.
    U32,
    /// 16-bit unsigned.
    U16,
    /// 8-bit unsigned.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl DataType {
    /// All of them.
    pub const ALL: [DataType; 13] = [
        DataType::F32,
        DataType::F16,
        DataType::BF16,
        DataType::F64,
        DataType::I64,
        DataType::I32,
        DataType::I16,
        DataType::I8,
        DataType::U64,
        DataType::U32,
        DataType::U16,
        DataType::U8,
        DataType::Bool,
    ];

    /// Size of one element in bytes.
    pub fn size(self) -> usize {
        match self {
            DataType::F16 | DataType::BF16 => 2,
            other => other.inside().size(),
        }
    }

    /// The name used in every text form: `f32 f16 bf16 f64 i64 i32 i16 i8 u64 u32 u16 u8 bool`.
    pub fn name(self) -> &'static str {
        match self {
            DataType::F16 => "f16",
            DataType::BF16 => "bf16",
            other => other.inside().name(),
        }
    }

    /// The type that the model computes in.
    pub fn inside(self) -> DType {
        match self {
            DataType::F32 | DataType::F16 | DataType::BF16 => DType::F32,
            DataType::F64 => DType::F64,
            DataType::I64 => DType::I64,
            DataType::I32 => DType::I32,
            DataType::I16 => DType::I16,
            DataType::I8 => DType::I8,
            DataType::U64 => DType::U64,
            DataType::U32 => DType::U32,
            DataType::U16 => DType::U16,
            DataType::U8 => DType::U8,
            DataType::Bool => DType::Bool,
        }
    }

    /// Whether the caller's bytes are what the model reads.
    pub(crate) fn is_read_in_place(self) -> bool {
        !matches!(self, DataType::F16 | DataType::BF16)
    }

    /// Whether the model may write into the caller's bytes. `bool`s are computed elsewhere and copied, so that the
    /// caller's are 0 or 1 at all times, also when a run fails halfway.
    pub(crate) fn is_written_in_place(self) -> bool {
        self.is_read_in_place() && self != DataType::Bool
    }
}

impl From<DType> for DataType {
    fn from(d: DType) -> Self {
        match d {
            DType::F32 => DataType::F32,
            DType::F64 => DataType::F64,
            DType::I64 => DataType::I64,
            DType::I32 => DataType::I32,
            DType::I16 => DataType::I16,
            DType::I8 => DataType::I8,
            DType::U64 => DataType::U64,
            DType::U32 => DataType::U32,
            DType::U16 => DataType::U16,
            DType::U8 => DataType::U8,
            DType::Bool => DataType::Bool,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
