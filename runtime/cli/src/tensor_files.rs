//! Tensors in files: `.npy` (one array), `.npz` (named arrays), `.pb` (an ONNX `TensorProto`).

mod npy;
mod npz;
mod pb;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use half::{bf16, f16};
use octrt::{DataType, InputError, TensorRef};

use crate::failure::Failure;
use crate::output;

/// Largest file that is read as a tensor.
const MAX_FILE_BYTES: u64 = 8 << 30;

/// A tensor that owns its elements, with a name where the file gives one.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The name in the file; empty when it has none.
    pub name: String,
    /// Element type.
    pub dtype: DataType,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The elements, little-endian, row-major.
    pub bytes: Vec<u8>,
}

impl NamedTensor {
    /// The tensor, borrowed.
    ///
    /// # Errors
    /// [`InputError::Elements`] when a `bool` is neither 0 nor 1.
    pub fn view(&self) -> Result<TensorRef<'_>, InputError> {
        TensorRef::from_bytes(self.dtype, &self.shape, &self.bytes)
    }
}

/// Kinds of tensor files, told apart by the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `.npy`
    Npy,
    /// `.npz`
    Npz,
    /// `.pb`
    Pb,
}

impl Kind {
    /// The kind of the file at `path`; none when its extension is no tensor file's.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "npy" => Some(Kind::Npy),
            "npz" => Some(Kind::Npz),
            "pb" => Some(Kind::Pb),
            _ => None,
        }
    }
}

/// The tensors in the file at `path`: one, save for `.npz`.
///
/// # Errors
/// [`Failure::File`], [`Failure::Corrupt`]; [`Failure::Unsupported`] for element types that octrt does not have,
/// [`Failure::Limit`] for files above 8 GiB.
pub fn read(path: &Path, kind: Kind) -> Result<Vec<NamedTensor>, Failure> {
    let name = path.display().to_string();
    if kind == Kind::Npz {
        let file = File::open(path).map_err(Failure::file(&name))?;
        return npz::read(&name, file, MAX_FILE_BYTES);
    }
    let bytes = read_bytes(path, MAX_FILE_BYTES)?;
    match kind {
        Kind::Pb => pb::read(&name, bytes),
        Kind::Npy | Kind::Npz => npy::read(&name, &bytes),
    }
    .map(|t| vec![t])
}

/// All bytes of the file at `path`, which must not be more than `limit`.
///
/// # Errors
/// [`Failure::File`], [`Failure::Limit`].
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|f| f.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(Failure::file(&name))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::Limit { file: name, message: format!("more than {limit} bytes") });
    }
    Ok(bytes)
}

/// Saves a tensor as the `.npy` file at `path`; `bf16`, which that format lacks, as `f32`.
///
/// # Errors
/// [`Failure::File`]; nothing is left behind then.
pub fn save_npy(path: &Path, tensor: TensorRef<'_>) -> anyhow::Result<()> {
    output::write_file(path, |w| Ok(npy::write(w, tensor)?))
}

/// The bytes of `f32` elements as elements of a float type, each the nearest; none for other types.
pub fn from_f32s(dtype: DataType, elements: &[f32]) -> Option<Vec<u8>> {
    fn each<const N: usize>(elements: &[f32], write: fn(f32) -> [u8; N]) -> Option<Vec<u8>> {
        Some(elements.iter().flat_map(|&v| write(v)).collect())
    }
    match dtype {
        DataType::F32 => each(elements, f32::to_le_bytes),
        DataType::F16 => each(elements, |v| f16::from_f32(v).to_le_bytes()),
        DataType::BF16 => each(elements, |v| bf16::from_f32(v).to_le_bytes()),
        DataType::F64 => each(elements, |v| f64::from(v).to_le_bytes()),
        _ => None,
    }
}

fn corrupt(file: &str, message: impl Into<String>) -> Failure {
    Failure::Corrupt { file: file.to_string(), message: message.into() }
}
