//! Reading a file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use octrt_compiler::artifact::Constant;
use octrt_compiler::records::Convolution;
use octrt_compiler::strategy::decision::Decision;
use octrt_compiler::target::Target;
use octrt_compiler::{Options, Precision, Records};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::tensor::SharedBytes;
use octrt_ops::{Dim, Graph, OpError, Tensor, TensorType, ValueId};
use twox_hash::XxHash3_64;

use super::manifest::{Blob, Decided, Manifest, Origin, Port, Value, Weight, tensor_type};
use super::{CHUNK, HEADER, MAGIC, PAGE, Packed, Recipe, VERSION, parse_graph, recipes};
use crate::about::About;
use crate::arena::{ALIGN, Arena};
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::ports::{PortInfo, Ports, fixed_types};
use crate::source::ModelFile;
use crate::tensor::{self, TensorRef};
use crate::threads::Threads;

/// Manifests of at most so many bytes are read whatever the limit is.
const SMALL_MANIFEST: usize = 256 << 10;

/// Bytes of memory that reading a manifest takes for each of its bytes, at most: a number of a list is a token, and a string
/// of its own.
const EXPANSION: usize = 128;

/// A compiled model as it is in memory.
pub(crate) struct Compiled {
    pub(crate) about: About,
    pub(crate) ports: Ports<Vec<PortInfo>>,
    pub(crate) options: Options,
    /// What was decided by records.
    pub(crate) records: Records,
    /// What inputs hold that decide shapes, by their position.
    pub(crate) values: BTreeMap<usize, tensor::Tensor>,
    /// After all passes; constants that are packed are zeros here.
    pub(crate) graph: Graph,
    pub(crate) recipes: Vec<Recipe>,
    pub(crate) packed: Packed,
}

impl Compiled {
    /// Checks that the packed weights of the file are those that the compiled graph with these constants wants.
    ///
    /// # Errors
    /// Says which one is not, what is expected and what was found.
    pub(crate) fn check_weights(&self, constants: &[Constant]) -> Result<(), String> {
        let wanted = recipes(constants);
        if wanted.len() != self.recipes.len() {
            return Err(format!("expected {} packed weights, found {}", wanted.len(), self.recipes.len()));
        }
        for (i, (wanted, found)) in wanted.iter().zip(&self.recipes).enumerate() {
            if wanted != found {
                return Err(format!("packed weight {i}: expected {wanted}, found {found}"));
            }
        }
        let packed = constants.iter().filter(|c| matches!(c, Constant::Packed(..)));
        for (i, (c, found)) in packed.zip(&self.packed.ranges).enumerate() {
            let (wanted, found) = (c.ty().bytes(), found.len());
            if wanted != found {
                return Err(format!("packed weight {i}: expected {wanted} bytes, found {found}"));
            }
        }
        Ok(())
    }
}

/// Whether these are the first bytes of a compiled model.
pub(crate) fn is_compiled(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Reads a file, checking every byte of it.
///
/// # Errors
/// [`Error::Stale`] when another octrt has written it, [`Error::Corrupt`] when it is damaged or makes no sense,
/// [`Error::Memory`], [`Error::TooLarge`] and [`Error::Compile`] above the limits.
pub(crate) fn read(
    model: &str,
    file: Arc<ModelFile>,
    limits: Limits,
    threads: &Threads,
) -> Result<Compiled, Error> {
    let corrupt = |message: String| Error::Corrupt { model: model.to_string(), message };
    let bytes = (*file).as_ref();
    let (manifest, begin) = manifest(model, bytes, limits)?;
    let data = bytes.get(begin..).unwrap_or(&[]);
    if data.len() as u64 != manifest.data_bytes {
        let (expected, found) = (manifest.data_bytes, data.len());
        return Err(corrupt(format!("expected {expected} bytes of data, found {found}")));
    }
    check_data(data, &manifest.chunks, threads).map_err(corrupt)?;
    let options = options(&manifest).map_err(corrupt)?;
    let records = decisions(manifest.decisions).map_err(corrupt)?;
    let mut places = Places { next: 0, len: data.len() as u64 };
    let blobs = blobs(&manifest.blobs, data, &mut places, limits).map_err(|e| e.into_error(model))?;
    let mut recipes = Vec::with_capacity(manifest.weights.len());
    let mut ranges = Vec::with_capacity(manifest.weights.len());
    for Weight { packing, dtype, dims, at, bytes } in manifest.weights {
        recipes.push(Recipe { packing, source: tensor_type(&dtype, &dims).map_err(corrupt)? });
        let range = places.take(at, bytes).map_err(corrupt)?;
        ranges.push(begin + range.start..begin + range.end);
    }
    places.end().map_err(corrupt)?;
    let ports = |ports: Vec<Port>| ports.into_iter().map(Port::info).collect::<Result<Vec<_>, _>>();
    let inputs = ports(manifest.inputs).map_err(corrupt)?;
    let ports = Ports { inputs, outputs: ports(manifest.outputs).map_err(corrupt)? };
    let values = values(manifest.values, &ports.inputs).map_err(corrupt)?;
    let graph = parse_graph(&manifest.graph, &blobs).map_err(corrupt)?;
    let types = fixed_types(&ports.inputs).unwrap_or_default();
    let graph = specialize(&graph, &types, limits).map_err(|e| match e.source {
        OpError::TooLarge(_) => Error::graph(model, e),
        _ => corrupt(e.to_string()),
    })?;
    check_ports(&graph, &ports).map_err(corrupt)?;
    let (about, packed) = (manifest.about.into(), Packed { file: file.clone(), ranges });
    Ok(Compiled { about, ports, options, records, values, graph, recipes, packed })
}

/// What records have decided. A decision that does not serve its convolution is passed over as in a file of records.
fn decisions(stored: Vec<Decided>) -> Result<Records, String> {
    let mut ways: BTreeMap<Convolution, Vec<Decision>> = BTreeMap::new();
    for Decided { problem, choice } in stored {
        let convolution = problem.parse().map_err(|e| format!("a decision for '{problem}': {e}"))?;
        let decision = Decision::try_from(choice).map_err(|e| format!("a decision for '{problem}': {e}"))?;
        ways.entry(convolution).or_default().push(decision);
    }
    let mut records = Records::NONE;
    ways.into_iter().for_each(|(convolution, ways)| records.insert(convolution, ways));
    Ok(records)
}

/// What inputs hold, by the position of the input.
fn values(stored: Vec<Value>, inputs: &[PortInfo]) -> Result<BTreeMap<usize, tensor::Tensor>, String> {
    let mut values = BTreeMap::new();
    for Value { input, bytes } in stored {
        let found = inputs.iter().position(|p| p.name == input);
        let i = found.ok_or_else(|| format!("a value is stored of '{input}', which is no input"))?;
        let port = &inputs[i];
        let dims = port.dims.iter().flatten().map(|d| match d {
            Dim::Fixed(n) => *n,
            Dim::Dynamic(_) => 0,
        });
        let shape: Vec<usize> = dims.collect();
        let value = TensorRef::from_bytes(port.dtype, &shape, &bytes).map_err(|e| e.to_string());
        let value = value.and_then(|v| v.to_owned().map_err(|e| e.to_string()));
        let value = value.map_err(|e| format!("the value of '{input}': {e}"))?;
        if values.insert(i, value).is_some() {
            return Err(format!("two values are stored of '{input}'"));
        }
    }
    Ok(values)
}

/// The manifest, and where the data begin.
fn manifest(model: &str, bytes: &[u8], limits: Limits) -> Result<(Manifest, usize), Error> {
    let model = model.to_string();
    let corrupt = |message: String| Error::Corrupt { model: model.clone(), message };
    let header = header(&model, bytes)?;
    let end = usize::try_from(header.manifest_bytes).ok().and_then(|n| n.checked_add(HEADER));
    let Some(text) = end.and_then(|end| bytes.get(HEADER..end)) else {
        let len = header.manifest_bytes;
        return Err(corrupt(format!("the manifest of {len} bytes is longer than the file")));
    };
    let limit = SMALL_MANIFEST.max(limits.max_bytes / EXPANSION);
    if text.len() > limit {
        let message = format!("the manifest has {} bytes, the limit is {limit}", text.len());
        return Err(Error::TooLarge { model, message });
    }
    // The file may be mapped: what is checked and what is read must be the same bytes, whatever happens to it.
    let text = text.to_vec();
    if XxHash3_64::oneshot(&text) != header.manifest_sum {
        return Err(corrupt("the manifest is damaged: its checksum does not fit".to_string()));
    }
    let begin = (HEADER + text.len()).next_multiple_of(PAGE);
    match bytes.get(HEADER + text.len()..begin) {
        Some(gap) if gap.iter().all(|&b| b == 0) => {}
        Some(_) => return Err(corrupt("expected zeros between the manifest and the data".to_string())),
        None => return Err(corrupt("the file ends behind the manifest".to_string())),
    }
    let json = |e: serde_json::Error| corrupt(format!("the manifest: {e}"));
    // Another octrt may say other things in its manifest.
    check_origin(&model, &serde_json::from_slice(&text).map_err(json)?)?;
    Ok((serde_json::from_slice(&text).map_err(json)?, begin))
}

/// What the first bytes say.
struct Header {
    manifest_bytes: u64,
    manifest_sum: u64,
}

fn header(model: &str, bytes: &[u8]) -> Result<Header, Error> {
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
        let (expected, found) = (number(16), bytes.len());
        return Err(corrupt(format!(
            "the file is truncated or longer than it was: expected {expected} bytes, found {found}"
        )));
    }
    Ok(Header { manifest_bytes: number(24), manifest_sum: number(32) })
}

fn check_origin(model: &str, origin: &Origin) -> Result<(), Error> {
    if origin.compiler == fingerprint() {
        return Ok(());
    }
    let expected = format!("octrt {}, compiler {}", env!("CARGO_PKG_VERSION"), fingerprint());
    let found = format!("octrt {}, compiler {}", origin.octrt, origin.compiler);
    let message = format!("expected the work of {expected}, found that of {found}");
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

/// Checks that the graph has these ports: names and types, in order.
fn check_ports(graph: &Graph, ports: &Ports<Vec<PortInfo>>) -> Result<(), String> {
    let found = |name: &str, v: ValueId| (name.to_string(), graph.value(v).ty.clone());
    let inputs = graph.inputs.iter().map(|i| found(&graph.value(i.value).name, i.value)).collect();
    let outputs = graph.outputs.iter().map(|o| found(&o.name, o.value)).collect();
    for (what, said, found) in [("inputs", &ports.inputs, inputs), ("outputs", &ports.outputs, outputs)] {
        let types = fixed_types(said).unwrap_or_default();
        let said: NamedTypes = said.iter().map(|p| p.name.clone()).zip(types.into_iter().map(Some)).collect();
        if said != found {
            let (said, found) = (list(&said), list(&found));
            return Err(format!("the {what} are declared as {said}, but the graph has {found}"));
        }
    }
    Ok(())
}

type NamedTypes = Vec<(String, Option<TensorType>)>;

fn list(ports: &NamedTypes) -> String {
    let port = |(name, ty): &(String, Option<TensorType>)| match ty {
        Some(ty) => format!("'{name}': {ty}"),
        None => format!("'{name}'"),
    };
    if ports.is_empty() { "none".to_string() } else { ports.iter().map(port).collect::<Vec<_>>().join(", ") }
}

/// Hands out the data from the beginning to the end: parts lie one behind the other, so that a file has no more in it than
/// it has bytes.
struct Places {
    /// Where the next part must begin, a multiple of [`ALIGN`].
    next: u64,
    len: u64,
}

impl Places {
    /// The `len` bytes of the next part, which is said to lie at `at`.
    fn take(&mut self, at: u64, len: u64) -> Result<Range<usize>, String> {
        let end = at.checked_add(len).filter(|&end| at == self.next && end <= self.len);
        let Some(end) = end else {
            let (next, all) = (self.next, self.len);
            return Err(format!("expected {len} bytes at {next} of {all} bytes of data, found them at {at}"));
        };
        self.next = end.next_multiple_of(ALIGN as u64);
        Ok(at as usize..end as usize)
    }

    fn end(self) -> Result<(), String> {
        if self.next == self.len {
            return Ok(());
        }
        Err(format!("expected {} bytes of data, found {}", self.next, self.len))
    }
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
fn blobs(
    stored: &[Blob],
    data: &[u8],
    places: &mut Places,
    limits: Limits,
) -> Result<Vec<Tensor>, BlobError> {
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
            let range = places.take(at, ty.bytes() as u64)?;
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
