//! The `.npy` format, versions 1 to 3 (numpy's `numpy/lib/format.py`): a header that is a Python dictionary of three
//! entries, then the elements. Structured, complex, object and text arrays are not read.

use std::io::{self, Write};

use half::bf16;
use octrt::{DataType, TensorRef};

use super::{NamedTensor, corrupt};
use crate::failure::Failure;

const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy's own limit for headers of files that are not trusted.
const MAX_HEADER: usize = 10_000;
/// More dimensions than numpy has.
const MAX_RANK: usize = 64;

/// The array in the bytes of an `.npy` file; elements in big-endian or column-major order are put in order.
///
/// # Errors
/// [`Failure::Corrupt`]; [`Failure::Unsupported`] for element types that octrt does not have.
pub fn read(file: &str, bytes: &[u8]) -> Result<NamedTensor, Failure> {
    let (header, data) = split(bytes).map_err(|m| corrupt(file, m))?;
    let header = Header::parse(header).map_err(|m| corrupt(file, format!("header of the array: {m}")))?;
    let Some((dtype, endian)) = element_type(&header.descr) else {
        let message = format!("{file}: elements of numpy type '{}' are not supported", header.descr);
        return Err(Failure::Unsupported(message));
    };
    let count = header.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let expected = count.and_then(|n| n.checked_mul(dtype.size()));
    if expected != Some(data.len()) {
        let expected = expected.map_or("more than can be addressed".to_string(), |n| n.to_string());
        let message = format!(
            "an array of '{}' and shape {:?} has {expected} bytes, found {}",
            header.descr,
            header.shape,
            data.len()
        );
        return Err(corrupt(file, message));
    }
    let mut bytes = data.to_vec();
    if endian == Endian::Big {
        bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
    if dtype == DataType::Bool {
        bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
    if header.order == Order::ColumnMajor {
        bytes = to_row_major(&bytes, &header.shape, dtype.size());
    }
    Ok(NamedTensor { name: String::new(), dtype, shape: header.shape, bytes })
}

/// Writes a tensor as `.npy` version 1; `bf16`, which numpy lacks, as `f32`.
pub fn write(w: &mut dyn Write, tensor: TensorRef<'_>) -> io::Result<()> {
    let dims: String = tensor.shape().iter().map(|d| format!("{d}, ")).collect();
    // A tuple of one has a comma, the others end without one.
    let shape = if tensor.shape().len() == 1 { dims.trim_end() } else { dims.trim_end_matches(", ") };
    let descr = descr(tensor.dtype());
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Elements begin at a multiple of 64 bytes, the header ends with a line feed.
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| io::Error::other("too many dimensions"))?;
    w.write_all(MAGIC)?;
    w.write_all(&[1, 0])?;
    w.write_all(&length.to_le_bytes())?;
    w.write_all(header.as_bytes())?;
    if tensor.dtype() != DataType::BF16 {
        return w.write_all(tensor.bytes());
    }
    let wide = |b: &[u8; 2]| f32::from(bf16::from_le_bytes(*b)).to_le_bytes();
    tensor.bytes().as_chunks::<2>().0.iter().try_for_each(|b| w.write_all(&wide(b)))
}

/// The header's text and the elements.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("not an .npy file")?;
    let truncated = "truncated in the header of the array";
    let (version, rest) = rest.split_at_checked(2).ok_or(truncated)?;
    let (length, rest) = match version[0] {
        1 => {
            let (n, rest) = rest.split_first_chunk::<2>().ok_or(truncated)?;
            (usize::from(u16::from_le_bytes(*n)), rest)
        }
        2 | 3 => {
            let (n, rest) = rest.split_first_chunk::<4>().ok_or(truncated)?;
            (u32::from_le_bytes(*n) as usize, rest)
        }
        v => return Err(format!("version {v} of the format is not known")),
    };
    if length > MAX_HEADER {
        return Err(format!("the header has {length} bytes, at most {MAX_HEADER} are read"));
    }
    let (header, data) = rest.split_at_checked(length).ok_or(truncated)?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is no text")?;
    Ok((header, data))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endian {
    Little,
    Big,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    RowMajor,
    ColumnMajor,
}

#[derive(Debug, PartialEq, Eq)]
struct Header {
    descr: String,
    order: Order,
    shape: Vec<usize>,
}

impl Header {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }`: the three entries, in any order.
    fn parse(text: &str) -> Result<Self, String> {
        let mut s = Scanner(text.trim());
        let (mut descr, mut order, mut shape) = (None, None, None);
        s.expect("{")?;
        while !s.skip("}") {
            let key = s.string()?;
            s.expect(":")?;
            match key.as_str() {
                "descr" => descr = Some(s.string()?),
                "fortran_order" => order = Some(s.order()?),
                "shape" => shape = Some(s.shape()?),
                other => return Err(format!("unknown entry '{other}'")),
            }
            if !s.skip(",") {
                s.expect("}")?;
                break;
            }
        }
        if !s.0.trim().is_empty() {
            return Err(s.unexpected("the end"));
        }
        Ok(Header {
            descr: descr.ok_or("no entry 'descr'")?,
            order: order.ok_or("no entry 'fortran_order'")?,
            shape: shape.ok_or("no entry 'shape'")?,
        })
    }
}

/// The rest of the text.
struct Scanner<'a>(&'a str);

impl Scanner<'_> {
    fn skip(&mut self, token: &str) -> bool {
        match self.0.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.skip(token) { Ok(()) } else { Err(self.unexpected(&format!("'{token}'"))) }
    }

    fn unexpected(&self, expected: &str) -> String {
        let found: String = self.0.trim_start().chars().take(20).collect();
        format!("expected {expected}, found '{found}'")
    }

    fn string(&mut self) -> Result<String, String> {
        for quote in ['\'', '"'] {
            let rest = self.0.trim_start().strip_prefix(quote);
            if let Some((text, rest)) = rest.and_then(|r| r.split_once(quote)) {
                let text = text.to_string();
                self.0 = rest;
                return Ok(text);
            }
        }
        Err(self.unexpected("a text in quotes"))
    }

    fn order(&mut self) -> Result<Order, String> {
        if self.skip("False") {
            Ok(Order::RowMajor)
        } else if self.skip("True") {
            Ok(Order::ColumnMajor)
        } else {
            Err(self.unexpected("True or False"))
        }
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        self.expect("(")?;
        let mut shape = Vec::new();
        while !self.skip(")") {
            let text = self.0.trim_start();
            let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let extent = text[..digits].parse().map_err(|_| self.unexpected("an extent"))?;
            self.0 = &text[digits..];
            shape.push(extent);
            if shape.len() > MAX_RANK {
                return Err(format!("more than {MAX_RANK} dimensions"));
            }
            if !self.skip(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(shape)
    }
}

/// The numpy type's letters and what they stand for; `bf16` is written as `f32`.
const TYPES: [(&str, DataType); 12] = [
    ("f4", DataType::F32),
    ("f2", DataType::F16),
    ("f8", DataType::F64),
    ("i8", DataType::I64),
    ("i4", DataType::I32),
    ("i2", DataType::I16),
    ("i1", DataType::I8),
    ("u8", DataType::U64),
    ("u4", DataType::U32),
    ("u2", DataType::U16),
    ("u1", DataType::U8),
    ("b1", DataType::Bool),
];

fn element_type(descr: &str) -> Option<(DataType, Endian)> {
    let (endian, letters) = match descr.split_at_checked(1)? {
        ("<" | "|" | "=", letters) => (Endian::Little, letters),
        (">", letters) => (Endian::Big, letters),
        _ => return None,
    };
    TYPES.iter().find(|(l, _)| *l == letters).map(|(_, t)| (*t, endian))
}

fn descr(dtype: DataType) -> String {
    let dtype = if dtype == DataType::BF16 { DataType::F32 } else { dtype };
    let letters = TYPES.iter().find(|(_, t)| *t == dtype).map_or("f4", |(l, _)| l);
    format!("{}{letters}", if dtype.size() == 1 { '|' } else { '<' })
}

/// Elements whose first index runs fastest, in the order in which the last one does.
fn to_row_major(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, &d| {
            let this = *stride;
            *stride *= d;
            Some(this)
        })
        .collect();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0; shape.len()];
    for _ in 0..bytes.len() / size {
        let at: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        out.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        for (i, &d) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests;
