//! Element types of ONNX and what they become in a graph.

use std::fmt;

use octrt_ops::DType;
use octrt_ops::def::round_float::FloatFormat;

use crate::proto::tensor_proto::DataType;

/// The element type of a tensor as the model declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElemType {
    /// `float`
    F32,
    /// `float16`, computed in f32
    F16,
    /// `bfloat16`, computed in f32
    BF16,
    /// `double`
    F64,
    /// `int64`
    I64,
    /// `int32`
    I32,
    /// `int16`
    I16,
    /// `int8`
    I8,
    /// `uint64`
    U64,
    /// `uint32`
    U32,
    /// `uint16`
    U16,
    /// `uint8`
    U8,
    /// `bool`
    Bool,
    /// A type that octrt does not compute with, by its number in `TensorProto.DataType`.
    Other(i32),
}

impl ElemType {
    /// From the number in `TensorProto.DataType`.
    pub fn from_onnx(code: i32) -> Self {
        match DataType::try_from(code) {
            Ok(DataType::Float) => ElemType::F32,
            Ok(DataType::Float16) => ElemType::F16,
            Ok(DataType::Bfloat16) => ElemType::BF16,
            Ok(DataType::Double) => ElemType::F64,
            Ok(DataType::Int64) => ElemType::I64,
            Ok(DataType::Int32) => ElemType::I32,
            Ok(DataType::Int16) => ElemType::I16,
            Ok(DataType::Int8) => ElemType::I8,
            Ok(DataType::Uint64) => ElemType::U64,
            Ok(DataType::Uint32) => ElemType::U32,
            Ok(DataType::Uint16) => ElemType::U16,
            Ok(DataType::Uint8) => ElemType::U8,
            Ok(DataType::Bool) => ElemType::Bool,
            _ => ElemType::Other(code),
        }
    }

    /// From its name in `TensorProto.DataType`, in large or small letters; none when there is no such type.
    pub fn from_name(name: &str) -> Option<Self> {
        DataType::from_str_name(&name.to_uppercase()).map(|t| ElemType::from_onnx(t as i32))
    }

    /// The element type inside the graph; none when octrt does not compute with it.
    pub fn dtype(self) -> Option<DType> {
        match self {
            ElemType::F32 | ElemType::F16 | ElemType::BF16 => Some(DType::F32),
            ElemType::F64 => Some(DType::F64),
            ElemType::I64 => Some(DType::I64),
            ElemType::I32 => Some(DType::I32),
            ElemType::I16 => Some(DType::I16),
            ElemType::I8 => Some(DType::I8),
            ElemType::U64 => Some(DType::U64),
            ElemType::U32 => Some(DType::U32),
            ElemType::U16 => Some(DType::U16),
            ElemType::U8 => Some(DType::U8),
            ElemType::Bool => Some(DType::Bool),
            ElemType::Other(_) => None,
        }
    }

    /// Bytes of one element; none when octrt does not compute with it.
    pub fn size(self) -> Option<usize> {
        match self {
            ElemType::F16 | ElemType::BF16 => Some(2),
            other => other.dtype().map(DType::size),
        }
    }

    /// The float that values of the type are rounded to, which the graph carries in f32; none where it has the type.
    pub fn narrow_float(self) -> Option<FloatFormat> {
        match self {
            ElemType::F16 => Some(FloatFormat::F16),
            ElemType::BF16 => Some(FloatFormat::BF16),
            _ => None,
        }
    }

    /// The number in `TensorProto.DataType`.
    pub fn onnx(self) -> i32 {
        match self {
            ElemType::F32 => DataType::Float as i32,
            ElemType::F16 => DataType::Float16 as i32,
            ElemType::BF16 => DataType::Bfloat16 as i32,
            ElemType::F64 => DataType::Double as i32,
            ElemType::I64 => DataType::Int64 as i32,
            ElemType::I32 => DataType::Int32 as i32,
            ElemType::I16 => DataType::Int16 as i32,
            ElemType::I8 => DataType::Int8 as i32,
            ElemType::U64 => DataType::Uint64 as i32,
            ElemType::U32 => DataType::Uint32 as i32,
            ElemType::U16 => DataType::Uint16 as i32,
            ElemType::U8 => DataType::Uint8 as i32,
            ElemType::Bool => DataType::Bool as i32,
            ElemType::Other(code) => code,
        }
    }
}

impl From<DType> for ElemType {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => ElemType::F32,
            DType::F64 => ElemType::F64,
            DType::I64 => ElemType::I64,
            DType::I32 => ElemType::I32,
            DType::I16 => ElemType::I16,
            DType::I8 => ElemType::I8,
            DType::U64 => ElemType::U64,
            DType::U32 => ElemType::U32,
            DType::U16 => ElemType::U16,
            DType::U8 => ElemType::U8,
            DType::Bool => ElemType::Bool,
        }
    }
}

impl fmt::Display for ElemType {
    /// The name ONNX gives it, in small letters: `float`, `float16`, `uint4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DataType::try_from(self.onnx()) {
            Ok(t) => f.write_str(&t.as_str_name().to_lowercase()),
            Err(_) => write!(f, "element type {}", self.onnx()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        for code in -1..40 {
            assert_eq!(ElemType::from_onnx(code).onnx(), code);
        }
        assert_eq!(ElemType::from_onnx(3).to_string(), "int8");
        assert_eq!(ElemType::from_onnx(99).to_string(), "element type 99");
        assert_eq!(ElemType::BF16.dtype(), Some(DType::F32));
        for dtype in DType::ALL {
            let elem = ElemType::from(dtype);
            assert_eq!(
                (elem.dtype(), elem.size(), elem.narrow_float()),
                (Some(dtype), Some(dtype.size()), None)
            );
            assert_eq!(ElemType::from_onnx(elem.onnx()), elem);
        }
        assert_eq!(ElemType::from_name("float"), Some(ElemType::F32));
        assert_eq!(ElemType::from_name("INT64"), Some(ElemType::I64));
        assert_eq!(ElemType::from_name("real"), None);
    }
}
