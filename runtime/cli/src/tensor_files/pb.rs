//! An ONNX `TensorProto` in a file of its own, as ONNX tests store inputs and outputs.

use octrt::DataType;
use octrt_onnx::{ElemType, OnnxError, read_tensor};

use super::{NamedTensor, corrupt, from_f32s};
use crate::failure::Failure;

/// The tensor in the bytes of a `TensorProto`, in the element type that it has in the file.
///
/// # Errors
/// [`Failure::Corrupt`], [`Failure::Unsupported`] for element types that octrt does not have, [`Failure::Limit`].
pub fn read(file: &str, bytes: Vec<u8>) -> Result<NamedTensor, Failure> {
    let (name, tensor, elem) = read_tensor(bytes.into()).map_err(|e| match e {
        OnnxError::Unsupported(_) => Failure::Unsupported(format!("{file}: {e}")),
        OnnxError::TooLarge { .. } => Failure::Limit { file: file.into(), message: e.to_string() },
        _ => corrupt(file, format!("not a valid TensorProto: {e}")),
    })?;
    let dtype = match elem {
        ElemType::F32 => DataType::F32,
        ElemType::F16 => DataType::F16,
        ElemType::BF16 => DataType::BF16,
        ElemType::F64 => DataType::F64,
        ElemType::I64 => DataType::I64,
        ElemType::I32 => DataType::I32,
        ElemType::I16 => DataType::I16,
        ElemType::I8 => DataType::I8,
        ElemType::U64 => DataType::U64,
        ElemType::U32 => DataType::U32,
        ElemType::U16 => DataType::U16,
        ElemType::U8 => DataType::U8,
        ElemType::Bool => DataType::Bool,
        ElemType::Other(_) => {
            return Err(Failure::Unsupported(format!("{file}: its elements are {elem}")));
        }
    };
    // Floats of other types have come as f32, of which they are exact copies, save for f64.
    let bytes = match tensor.to_vec::<f32>() {
        Ok(elements) => from_f32s(dtype, &elements).unwrap_or_default(),
        Err(_) => tensor.bytes().to_vec(),
    };
    Ok(NamedTensor { name, dtype, shape: tensor.shape().to_vec(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `dims`, `data_type`, `name` "x" and `raw_data` of a TensorProto.
    fn proto(dims: &[u8], data_type: u8, raw: &[u8]) -> Vec<u8> {
        let dims = dims.iter().flat_map(|&d| [0x08, d]);
        let mut bytes: Vec<u8> = dims.collect();
        bytes.extend([0x10, data_type, 0x42, 1, b'x', 0x4a, raw.len() as u8]);
        bytes.extend(raw);
        bytes
    }

    #[test]
    fn elements_keep_their_type() {
        let t = read("f.pb", proto(&[1, 2], 10, &[0, 0x3c, 0, 0xc0])).unwrap();
        assert_eq!((t.name.as_str(), t.dtype, t.shape), ("x", DataType::F16, vec![1, 2]));
        assert_eq!(t.bytes, [0, 0x3c, 0, 0xc0]);
        let t = read("f.pb", proto(&[1], 11, &1.5f64.to_le_bytes())).unwrap();
        assert_eq!((t.dtype, t.bytes), (DataType::F64, 1.5f64.to_le_bytes().to_vec()));
        let t = read("f.pb", proto(&[3], 9, &[0, 1, 1])).unwrap();
        assert_eq!((t.dtype, t.bytes), (DataType::Bool, vec![0, 1, 1]));
    }

    #[test]
    fn broken_files_are_refused() {
        let whole = proto(&[2], 1, &[0; 8]);
        for len in 6..whole.len() {
            assert!(read("f.pb", whole[..len].to_vec()).is_err(), "{len}");
        }
        assert!(matches!(read("f.pb", proto(&[3], 1, &[0; 8])), Err(Failure::Corrupt { .. })));
        assert!(matches!(read("f.pb", proto(&[1], 17, &[0])), Err(Failure::Unsupported(_))));
    }
}
