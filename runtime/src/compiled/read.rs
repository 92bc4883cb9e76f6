//! Reading a file.

use std::ops::Range;
use std::sync::Arc;

use octrt_compiler::FINGERPRINT;
use octrt_compiler::target::Target;
use octrt_compiler::{Options, Precision};
use octrt_ops::graph::infer::Limits;
use octrt_ops::tensor::SharedBytes;
use octrt_ops::{Tensor, TensorType};
use twox_hash::XxHash3_64;

use super::manifest::{Blob, Manifest, Port, Weight, tensor_type};
use super::{CHUNK, HEADER, MAGIC, PAGE, Packed, Recipe, VERSION, parse_graph};
use crate::arena::{ALIGN, Arena};
use crate::error::Error;
use crate::model::About;
use crate::ports::{PortInfo, Ports, fixed_types};
use crate::source::ModelFile;
use crate::threads::Threads;

/// A compiled model as it is in memory.
pub(crate) struct Compiled {
    pub(crate) about: About,
    pub(crate) ports: Ports<Vec<PortInfo>>,
    pub(crate) options: Options,
    /// After all passes; constants that are packed are zeros here.
    pub(crate) graph: octrt_ops::Graph,
    pub(crate) recipes: Vec<Recipe>,
    pub(crate) packed: Packed,
}

/// Whether these are the first bytes of a compiled model.
pub(crate) fn is_compiled(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Reads a file, checking every byte of it.
///
/// # Errors
/// [`Error::Stale`] when another octrt has written it, [`Error::Corrupt`] when it is damaged or makes no sense,
/// [`Error::Memory`], [`Error::TooLarge`].
pub(crate) fn read(
    model: &str,
    file: Arc<ModelFile>,
    limits: Limits,
    threads: &Threads,
) -> Result<Compiled, Error> {
    let corrupt = |message: String| Error::Corrupt { model: model.to_string(), message };
    let bytes = (*file).as_ref();
    let (manifest, begin) = manifest(model, bytes)?;
    check_compiler(model, &manifest)?;
    let data = bytes.get(begin..).unwrap_or(&[]);
    if data.len() as u64 != manifest.data_bytes {
        let (expected, found) = (manifest.data_bytes, data.len());
        return Err(corrupt(format!("expected {expected} bytes of data, found {found}")));
    }
    check_data(data, &manifest.chunks, threads).map_err(corrupt)?;
    let options = options(&manifest).map_err(corrupt)?;
    let ports = |ports: Vec<Port>| ports.into_iter().map(Port::info).collect::<Result<Vec<_>, _>>();
    let inputs = ports(manifest.inputs).map_err(corrupt)?;
    let outputs = ports(manifest.outputs).map_err(corrupt)?;
    let types = fixed_types(&inputs).unwrap_or_default();
    let blobs = blobs(&manifest.blobs, data, limits).map_err(|e| e.into_error(model))?;
    let graph = parse_graph(&manifest.graph, &blobs, &types, limits).map_err(corrupt)?;
    let mut recipes = Vec::with_capacity(manifest.weights.len());
    let mut ranges = Vec::with_capacity(manifest.weights.len());
    for Weight { packing, dtype, dims, at, bytes } in manifest.weights {
        recipes.push(Recipe { packing, source: tensor_type(&dtype, &dims).map_err(corrupt)? });
        let range = place(data, at, bytes).map_err(corrupt)?;
        ranges.push(begin + range.start..begin + range.end);
    }
    let (about, ports) = (manifest.about.into(), Ports { inputs, outputs });
    let packed = Packed { file: file.clone(), ranges };
    Ok(Compiled { about, ports, options, graph, recipes, packed })
}

/// The manifest, and where the data begin.
fn manifest(model: &str, bytes: &[u8]) -> Result<(Manifest, usize), Error> {
    let model = model.to_string();
    let corrupt = |message: String| Error::Corrupt { model: model.clone(), message };
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Err(corrupt(format!("expected at least {HEADER} bytes, found {}", bytes.len())));
    };
    let number = |at: usize| header[at..at + 8].iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    let version = number(8) as u32;
    if version != VERSION {
        let message = format!("expected version {VERSION} of the format, found {version}");
        return Err(Error::Stale { model, message });
    }
    if XxHash3_64::oneshot(&header[..40]) != number(40) || header[48..].iter().any(|&b| b != 0) {
        return Err(corrupt("the header is damaged: its checksum does not fit".to_string()));
    }
    if number(16) != bytes.len() as u64 {
        return Err(corrupt(format!(
            "the file is truncated or longer than it was: expected {} bytes, found {}",
            number(16),
            bytes.len()
        )));
    }
    let end = usize::try_from(number(24)).ok().and_then(|n| n.checked_add(HEADER));
    let Some(text) = end.and_then(|end| bytes.get(HEADER..end)) else {
        return Err(corrupt(format!("the manifest of {} bytes is longer than the file", number(24))));
    };
    // The file may be mapped: what is checked and what is read must be the same bytes, whatever happens to it.
    let text = text.to_vec();
    if XxHash3_64::oneshot(&text) != number(32) {
        return Err(corrupt("the manifest is damaged: its checksum does not fit".to_string()));
    }
    let manifest = serde_json::from_slice(&text).map_err(|e| corrupt(format!("the manifest: {e}")))?;
    Ok((manifest, (HEADER + text.len()).next_multiple_of(PAGE)))
}

fn check_compiler(model: &str, manifest: &Manifest) -> Result<(), Error> {
    if manifest.compiler == FINGERPRINT {
        return Ok(());
    }
    let (version, message) = (&manifest.octrt, env!("CARGO_PKG_VERSION"));
    let found = format!("octrt {version}, compiler {}", manifest.compiler);
    let message =
        format!("expected the work of octrt {message}, compiler {FINGERPRINT}, found that of {found}");
    Err(Error::Stale { model: model.to_string(), message })
}

fn check_data(data: &[u8], sums: &[u64], threads: &Threads) -> Result<(), String> {
    let chunks: Vec<(usize, &[u8])> = data.chunks(CHUNK).enumerate().collect();
    if chunks.len() != sums.len() {
        return Err(format!("expected {} checksums of data, found {}", chunks.len(), sums.len()));
    }
    let fits = threads.map(chunks, |(i, chunk)| XxHash3_64::oneshot(chunk) == sums[i]);
    match fits.iter().position(|fits| !fits) {
        None => Ok(()),
        Some(i) => {
            Err(format!("the data are damaged: the checksum of chunk {i} of {} does not fit", sums.len()))
        }
    }
}

fn options(manifest: &Manifest) -> Result<Options, String> {
    let target: Target = manifest.target.parse()?;
    let precision: Precision = manifest.precision.parse()?;
    Ok(Options { target, precision })
}

/// Where `len` bytes from `at` on lie in the data.
fn place(data: &[u8], at: u64, len: u64) -> Result<Range<usize>, String> {
    let end = at.checked_add(len).filter(|&end| end <= data.len() as u64 && at.is_multiple_of(ALIGN as u64));
    let outside = || {
        format!(
            "{len} bytes at {at} lie outside of {} bytes of data, or not at a multiple of {ALIGN}",
            data.len()
        )
    };
    let end = end.ok_or_else(outside)?;
    Ok(at as usize..end as usize)
}

/// Why constants cannot be had.
enum BlobError {
    Corrupt(String),
    Memory(Error),
}

impl BlobError {
    fn into_error(self, model: &str) -> Error {
        match self {
            BlobError::Corrupt(message) => Error::Corrupt { model: model.to_string(), message },
            BlobError::Memory(e) => e,
        }
    }
}

/// The constants of the graph that are not in its text; copies, for the reason that the manifest is one.
fn blobs(stored: &[Blob], data: &[u8], limits: Limits) -> Result<Vec<Tensor>, BlobError> {
    let types = stored.iter().map(|b| tensor_type(&b.dtype, &b.dims)).collect::<Result<Vec<_>, _>>();
    let types = types.map_err(BlobError::Corrupt)?;
    let largest = types.iter().map(TensorType::bytes).max().unwrap_or(0);
    if largest > limits.max_bytes {
        let why = format!("the limit is {}", limits.max_bytes);
        return Err(BlobError::Memory(Error::Memory { what: "a constant".to_string(), bytes: largest, why }));
    }
    let is_absent = |(b, _): &(&Blob, &TensorType)| b.at.is_none();
    let empty: Vec<TensorType> =
        stored.iter().zip(&types).filter(is_absent).map(|(_, ty)| ty.clone()).collect();
    let mut empty = absent(&empty).map_err(BlobError::Memory)?.into_iter();
    let tensor = |(blob, ty): (&Blob, TensorType)| match blob.at {
        None => empty.next().ok_or_else(|| "a constant is missing".to_string()),
        Some(at) => {
            let range = place(data, at, ty.bytes() as u64)?;
            Tensor::from_bytes(ty, data[range].to_vec()).map_err(|e| e.to_string())
        }
    };
    stored.iter().zip(types).map(tensor).collect::<Result<_, _>>().map_err(BlobError::Corrupt)
}

/// Tensors whose elements nobody has, for the compiler to know their types. They are zeros, and take no memory, since the
/// system maps untouched pages to one page of zeros.
pub(super) fn absent(types: &[TensorType]) -> Result<Vec<Tensor>, Error> {
    let largest = types.iter().map(TensorType::bytes).max().unwrap_or(0);
    let zeros: SharedBytes = Arc::new(Zeros(Arena::new(largest, "constants")?));
    let tensor = |ty: &TensorType| Tensor::from_shared(ty.clone(), zeros.clone(), 0);
    let tensors = types.iter().map(tensor).collect::<Result<Vec<_>, _>>();
    tensors.map_err(|e| Error::Internal(e.to_string()))
}

struct Zeros(Arena);

impl AsRef<[u8]> for Zeros {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}
