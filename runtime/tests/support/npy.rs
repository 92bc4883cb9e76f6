//! Tensors in NumPy's file format, versions 1 to 3: little-endian, C order.

use std::path::Path;

use half::f16;
use octrt_ops::{DType, Tensor, TensorType};

/// The tensor in the file at `path`; float16 and float64 become f32.
pub fn read(path: &Path) -> Tensor {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The text between `after` and `end` in `header`.
fn field<'a>(header: &'a str, after: &str, end: &str) -> Result<&'a str, String> {
    let rest = header.split_once(after).ok_or_else(|| format!("no {after} in {header}"))?.1;
    rest.split_once(end).map(|(f, _)| f.trim()).ok_or_else(|| format!("no {end} in {rest}"))
}

pub fn parse(bytes: &[u8]) -> Result<Tensor, String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not an npy file")?;
    let (len, rest) = match rest {
        [1, 0, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, 0, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err("unknown version".into()),
    };
    let (header, data) = rest.split_at_checked(len).ok_or("the header is cut off")?;
    let header = std::str::from_utf8(header).map_err(|e| e.to_string())?;
    if field(header, "'fortran_order':", ",")? != "False" {
        return Err("not in C order".into());
    }
    let extents = field(header, "'shape': (", ")")?.split(',').map(str::trim).filter(|d| !d.is_empty());
    let shape: Vec<usize> =
        extents.map(|d| d.parse().map_err(|e| format!("{d}: {e}"))).collect::<Result<_, String>>()?;
    let made = |dtype| Tensor::from_bytes(TensorType::new(dtype, shape.clone()), data.to_vec());
    let floats = |elements: Vec<f32>| Tensor::new(shape.clone(), &elements);
    match field(header, "'descr': '", "'")? {
        "<f4" => made(DType::F32),
        "<i8" => made(DType::I64),
        "<i4" => made(DType::I32),
        "|u1" => made(DType::U8),
        "|b1" => made(DType::Bool),
        "<f2" => floats(data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()),
        "<f8" => made(DType::F64),
        other => return Err(format!("elements of {other}")),
    }
    .map_err(|e| e.to_string())
}
