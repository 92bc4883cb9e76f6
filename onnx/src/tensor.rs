//! `TensorProto` to [`Tensor`]: every encoding of the format, converted to an element type of the graph.

use std::sync::Arc;

use half::{bf16, f16};
use octrt_ops::tensor::SharedBytes;
use octrt_ops::{DType, OpError, Shape, Tensor, TensorType};
use prost::Message;
use prost::bytes::Bytes;

use crate::elem::ElemType;
use crate::error::{Fault, OnnxError, corrupt, unsupported};
use crate::external::{ExternalData, NoExternalData, validate_location};
use crate::proto::TensorProto;
use crate::proto::tensor_proto::{DataLocation, DataType};

/// Reads a file that holds one tensor (a `TensorProto`), as ONNX tests store inputs and outputs: its name, its elements,
/// and the type they had in the file.
///
/// # Errors
/// [`OnnxError`] as [`import`](crate::import) for an initializer.
pub fn read_tensor(bytes: Bytes) -> Result<(String, Tensor, ElemType), OnnxError> {
    let decoded = TensorProto::decode(bytes).map_err(|e| Fault::Corrupt(e.to_string()).at("tensor"));
    let proto = decoded?;
    let loaded = load(&proto, &NoExternalData).map_err(|e| e.at(format!("tensor '{}'", proto.name)))?;
    Ok((proto.name, loaded.tensor, ElemType::from_onnx(proto.data_type)))
}

/// A tensor of the model.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The elements; f16 and bf16 have become f32, integers of less than 8 bits those of 8.
    pub(crate) tensor: Tensor,
    /// What a user should know of the elements: `2 of 64 elements are NaN`.
    pub(crate) remarks: Vec<String>,
}

/// The tensor in `proto`. Elements that the graph can hold as they are stay where they are (in the model's bytes or in
/// what `external` returns); others are converted: f16 and bf16 to f32, integers of 4 and 2 bits to those of 8. Sizes are
/// checked before anything is allocated.
///
/// # Errors
/// [`Fault::Corrupt`] when dimensions, encoding and number of elements contradict each other, [`Fault::Unsupported`] for
/// other element types and for segments, [`Fault::ExternalData`], [`Fault::TooLarge`].
pub(crate) fn load(proto: &TensorProto, external: &dyn ExternalData) -> Result<Loaded, Fault> {
    if proto.segment.is_some() {
        return unsupported!("the tensor is stored in segments");
    }
    let elem = ElemType::from_onnx(proto.data_type);
    if let Some(packed) = Packed::of(elem) {
        return packed.load(proto, external);
    }
    let (Some(dtype), Some(size)) = (elem.dtype(), elem.size()) else {
        return unsupported!("its elements are {elem}");
    };
    let shape = shape(proto, dtype)?;
    let bytes = shape.numel().checked_mul(size).filter(|b| isize::try_from(*b).is_ok());
    let bytes = bytes.ok_or_else(|| too_large(elem, &shape))?;
    let mut remarks = Vec::new();
    let tensor = if proto.data_location == DataLocation::External as i32 {
        let data = read_external(proto, bytes, external)?;
        from_bytes(elem, shape, data)
    } else if !proto.raw_data.is_empty() {
        only_field(proto, "raw_data")?;
        from_bytes(elem, shape, sized(Arc::new(proto.raw_data.clone()), bytes, "raw_data")?)
    } else {
        from_typed(elem, shape, proto)
    }?;
    remark_not_finite(&tensor, &mut remarks);
    Ok(Loaded { tensor, remarks })
}

fn too_large(elem: ElemType, shape: &Shape) -> Fault {
    Fault::TooLarge(format!("{elem}{shape} is beyond the address space"))
}

fn shape(proto: &TensorProto, dtype: DType) -> Result<Shape, Fault> {
    let shape = Shape::from_i64(&proto.dims).map_err(|e| Fault::Corrupt(e.message().into()))?;
    shape.checked_bytes(dtype).map_err(|e| Fault::TooLarge(e.message().into()))?;
    Ok(shape)
}

/// `data`, which must have `expected` bytes.
fn sized(data: SharedBytes, expected: usize, field: &str) -> Result<SharedBytes, Fault> {
    match (*data).as_ref().len() {
        found if found == expected => Ok(data),
        found => corrupt!("{field} should have {expected} bytes by the dimensions, it has {found}"),
    }
}

/// Checks that no field but `expected` holds elements.
fn only_field(proto: &TensorProto, expected: &str) -> Result<(), Fault> {
    let fields = [
        ("raw_data", proto.raw_data.len()),
        ("float_data", proto.float_data.len()),
        ("int32_data", proto.int32_data.len()),
        ("int64_data", proto.int64_data.len()),
        ("double_data", proto.double_data.len()),
        ("uint64_data", proto.uint64_data.len()),
        ("string_data", proto.string_data.len()),
    ];
    match fields.iter().find(|(name, len)| *name != expected && *len > 0) {
        Some((name, _)) => corrupt!("elements are in {name}; expected in {expected}"),
        None => Ok(()),
    }
}

fn read_external(
    proto: &TensorProto,
    bytes: usize,
    external: &dyn ExternalData,
) -> Result<SharedBytes, Fault> {
    let entry = |key: &str| proto.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let Some(location) = entry("location") else { return corrupt!("external data without a location") };
    let fault = |message: String| Fault::ExternalData { location: location.into(), message };
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| Fault::Corrupt(format!("external data: {key} '{text}' is not a size"))),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    if let Some(found) = length.filter(|l| *l != bytes as u64) {
        return corrupt!("external data should have {bytes} bytes by the dimensions, its length is {found}");
    }
    let path = validate_location(location).map_err(fault)?;
    if bytes == 0 {
        return Ok(Arc::new(Vec::new()));
    }
    let data = external.read(&path, offset, bytes as u64).map_err(fault)?;
    match (*data).as_ref().len() {
        found if found == bytes => Ok(data),
        found => Err(fault(format!("{bytes} bytes were expected, {found} were read"))),
    }
}

fn op_error(e: OpError) -> Fault {
    match e {
        OpError::TooLarge(m) => Fault::TooLarge(m),
        other => Fault::Corrupt(other.message().into()),
    }
}

/// A tensor from the little-endian bytes of its elements, of which there are as many as the shape needs.
fn from_bytes(elem: ElemType, shape: Shape, data: SharedBytes) -> Result<Tensor, Fault> {
    let bytes = (*data).as_ref();
    match elem {
        ElemType::F16 => {
            from_floats(shape, bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()))
        }
        ElemType::BF16 => {
            from_floats(shape, bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()))
        }
        ElemType::Bool if bytes.iter().any(|b| *b > 1) => {
            let bools: Vec<bool> = bytes.iter().map(|b| *b != 0).collect();
            Tensor::new(shape, &bools).map_err(op_error)
        }
        other => {
            let dtype =
                other.dtype().ok_or_else(|| Fault::Unsupported(format!("its elements are {other}")))?;
            Tensor::from_shared(TensorType { dtype, shape }, data, 0).map_err(op_error)
        }
    }
}

/// A tensor from the field that holds elements of its type one by one.
fn from_typed(elem: ElemType, shape: Shape, proto: &TensorProto) -> Result<Tensor, Fault> {
    let field = match elem {
        ElemType::F32 => "float_data",
        ElemType::F64 => "double_data",
        ElemType::I64 => "int64_data",
        ElemType::U64 | ElemType::U32 => "uint64_data",
        _ => "int32_data",
    };
    only_field(proto, field)?;
    let found = match elem {
        ElemType::F32 => proto.float_data.len(),
        ElemType::F64 => proto.double_data.len(),
        ElemType::I64 => proto.int64_data.len(),
        ElemType::U64 | ElemType::U32 => proto.uint64_data.len(),
        _ => proto.int32_data.len(),
    };
    if found != shape.numel() {
        let expected = shape.numel();
        return corrupt!("{field} should have {expected} elements by the dimensions, it has {found}");
    }
    let ints = &proto.int32_data;
    match elem {
        ElemType::F32 => Tensor::new(shape, &proto.float_data).map_err(op_error),
        ElemType::I64 => Tensor::new(shape, &proto.int64_data).map_err(op_error),
        ElemType::I32 => Tensor::new(shape, ints).map_err(op_error),
        ElemType::F64 => Tensor::new(shape, &proto.double_data).map_err(op_error),
        ElemType::U64 => Tensor::new(shape, &proto.uint64_data).map_err(op_error),
        ElemType::U32 => Tensor::new(shape, &narrow::<u32, _>(&proto.uint64_data)?).map_err(op_error),
        ElemType::I16 => Tensor::new(shape, &narrow::<i16, _>(ints)?).map_err(op_error),
        ElemType::I8 => Tensor::new(shape, &narrow::<i8, _>(ints)?).map_err(op_error),
        ElemType::U16 => Tensor::new(shape, &narrow::<u16, _>(ints)?).map_err(op_error),
        ElemType::F16 => {
            from_floats(shape, narrow::<u16, _>(ints)?.into_iter().map(|b| f16::from_bits(b).to_f32()))
        }
        ElemType::BF16 => {
            from_floats(shape, narrow::<u16, _>(ints)?.into_iter().map(|b| bf16::from_bits(b).to_f32()))
        }
        ElemType::U8 => Tensor::new(shape, &narrow::<u8, _>(ints)?).map_err(op_error),
        ElemType::Bool => {
            let bools: Vec<bool> = ints.iter().map(|v| *v != 0).collect();
            Tensor::new(shape, &bools).map_err(op_error)
        }
        ElemType::Other(_) => unsupported!("its elements are {elem}"),
    }
}

/// The elements of a field as the smaller type that they stand for.
fn narrow<T: TryFrom<S>, S: Copy + std::fmt::Display>(field: &[S]) -> Result<Vec<T>, Fault> {
    let one = |v: &S| {
        T::try_from(*v).map_err(|_| Fault::Corrupt(format!("the element {v} is out of the type's range")))
    };
    field.iter().map(one).collect()
}

/// Integers of less than 8 bits, several to a byte, the first one lowest.
#[derive(Clone, Copy)]
struct Packed {
    bits: usize,
    dtype: DType,
}

impl Packed {
    fn of(elem: ElemType) -> Option<Self> {
        let ElemType::Other(code) = elem else { return None };
        let (bits, dtype) = match DataType::try_from(code).ok()? {
            DataType::Int4 => (4, DType::I8),
            DataType::Uint4 => (4, DType::U8),
            DataType::Int2 => (2, DType::I8),
            DataType::Uint2 => (2, DType::U8),
            _ => return None,
        };
        Some(Packed { bits, dtype })
    }

    /// The tensor in `proto`, each element with a byte of its own.
    fn load(self, proto: &TensorProto, external: &dyn ExternalData) -> Result<Loaded, Fault> {
        let shape = shape(proto, self.dtype)?;
        let bytes = shape.numel().div_ceil(8 / self.bits);
        let data: SharedBytes = if proto.data_location == DataLocation::External as i32 {
            read_external(proto, bytes, external)?
        } else if proto.raw_data.is_empty() {
            only_field(proto, "int32_data")?;
            sized(Arc::new(narrow::<u8, _>(&proto.int32_data)?), bytes, "int32_data")?
        } else {
            only_field(proto, "raw_data")?;
            sized(Arc::new(proto.raw_data.clone()), bytes, "raw_data")?
        };
        let packed = (*data).as_ref();
        let mut unpacked = Vec::with_capacity(shape.numel());
        for i in 0..shape.numel() {
            let place = i * self.bits;
            let high = packed[place / 8] << (8 - self.bits - place % 8);
            unpacked.push(match self.dtype {
                DType::I8 => (high.cast_signed() >> (8 - self.bits)).cast_unsigned(),
                _ => high >> (8 - self.bits),
            });
        }
        let ty = TensorType { dtype: self.dtype, shape };
        Ok(Loaded { tensor: Tensor::from_bytes(ty, unpacked).map_err(op_error)?, remarks: Vec::new() })
    }
}

fn from_floats(shape: Shape, elements: impl Iterator<Item = f32>) -> Result<Tensor, Fault> {
    let mut bytes = Vec::with_capacity(shape.numel().saturating_mul(4));
    elements.for_each(|v| bytes.extend_from_slice(&v.to_le_bytes()));
    Tensor::from_bytes(TensorType { dtype: DType::F32, shape }, bytes).map_err(op_error)
}

fn remark_not_finite(tensor: &Tensor, remarks: &mut Vec<String>) {
    const EXPONENT: u32 = 0x7f80_0000;
    const MANTISSA: u32 = 0x007f_ffff;
    if tensor.dtype() != DType::F32 {
        return;
    }
    let bits = || tensor.bytes().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b));
    let odd = |b: u32| b & EXPONENT == EXPONENT;
    if tensor.magnitude().is_finite() {
        return;
    }
    let (mut nans, mut infinities) = (0usize, 0usize);
    for b in bits().filter(|b| odd(*b)) {
        *(if b & MANTISSA == 0 { &mut infinities } else { &mut nans }) += 1;
    }
    for (count, what) in [(nans, "NaN"), (infinities, "infinite")] {
        if count > 0 {
            remarks.push(format!("{count} of {} elements are {what}", tensor.numel()));
        }
    }
}
