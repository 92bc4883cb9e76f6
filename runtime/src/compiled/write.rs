//! Writing a file.

use std::hash::Hasher;
use std::io::{self, Write};

use octrt_compiler::Records;
use octrt_compiler::artifact::Constant;
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::text;
use octrt_ops::{Tensor, TensorType};
use twox_hash::XxHash3_64;

use super::manifest::{Blob, Decided, Manifest, Port, Value, Weight};
use super::read::absent;
use super::{CHUNK, Contents, HEADER, MAGIC, PAGE, Recipe, SMALL, VERSION, check, parse_graph, recipes};
use crate::arena::ALIGN;
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::ports::PortInfo;

/// Writes a file: `packed` are the bytes of the packed weights in the order of the compiled graph.
///
/// # Errors
/// [`Error::Internal`] when the file could not be loaded again, [`Error::Compile`], and those of writing as
/// [`Error::Io`] without a path.
pub(crate) fn write(contents: Contents, packed: &[&[u8]], out: &mut dyn Write) -> Result<(), Error> {
    let blobs = text::blobs(&contents.graph);
    let keep = |t: &Tensor| t.ty().bytes() <= SMALL || !is_packed_only(t, &contents.constants);
    let graph = text::print(&contents.graph);
    verify_again(&contents, &graph, &blobs, keep)?;
    let mut data = Data::default();
    let blob = |t: &Tensor| {
        let at = keep(t).then(|| data.place(t.bytes()));
        Blob { dtype: t.dtype().name().to_string(), dims: t.shape().dims().to_vec(), at }
    };
    let stored = blobs.iter().map(blob).collect();
    let weight = |(recipe, bytes): (Recipe, &&'_ [u8])| {
        let TensorType { dtype, shape } = &recipe.source;
        let (dtype, dims) = (dtype.name().to_string(), shape.dims().to_vec());
        Weight { packing: recipe.packing, dtype, dims, at: 0, bytes: bytes.len() as u64 }
    };
    let mut weights: Vec<Weight> = recipes(&contents.constants).into_iter().zip(packed).map(weight).collect();
    let kept: Vec<&Tensor> = blobs.iter().filter(|t| keep(t)).collect();
    for (weight, bytes) in weights.iter_mut().zip(packed) {
        weight.at = data.place(bytes);
    }
    let parts: Vec<&[u8]> = kept.iter().map(|t| t.bytes()).chain(packed.iter().copied()).collect();
    let Contents { about, ports, options, records, values, .. } = contents;
    let value = |(i, t): (usize, crate::tensor::Tensor)| {
        let input = ports.inputs.get(i).map(|p| p.name.clone()).unwrap_or_default();
        Value { input, bytes: t.bytes().to_vec() }
    };
    let manifest = Manifest {
        octrt: env!("CARGO_PKG_VERSION").to_string(),
        compiler: fingerprint().to_string(),
        target: options.target.to_string(),
        precision: options.precision.to_string(),
        inputs: stored_ports(&ports.inputs)?,
        outputs: stored_ports(&ports.outputs)?,
        values: values.into_iter().map(value).collect(),
        about: about.into(),
        graph,
        blobs: stored,
        decisions: decisions(&records),
        weights,
        data_bytes: data.end as u64,
        chunks: checksums(&parts),
    };
    let manifest = serde_json::to_vec(&manifest).map_err(|e| Error::Internal(e.to_string()))?;
    send(&manifest, &parts, data.end, out)
        .map_err(|source| Error::Io { path: std::path::PathBuf::new(), source })
}

/// Each convolution with the way in which it is carried out.
fn decisions(records: &Records) -> Vec<Decided> {
    let all = records.iter().flat_map(|(c, decisions)| decisions.iter().map(move |d| (c, *d)));
    all.map(|(c, d)| Decided { problem: c.to_string(), choice: d.into() }).collect()
}

fn send(manifest: &[u8], parts: &[&[u8]], data_bytes: usize, out: &mut dyn Write) -> io::Result<()> {
    let begin = (HEADER + manifest.len()).next_multiple_of(PAGE);
    out.write_all(&header(manifest, begin + data_bytes))?;
    out.write_all(manifest)?;
    out.write_all(&vec![0; begin - HEADER - manifest.len()])?;
    parts.iter().try_for_each(|part| {
        out.write_all(part)?;
        out.write_all(gap(part))
    })
}

fn stored_ports(ports: &[PortInfo]) -> Result<Vec<Port>, Error> {
    let open = || Error::Internal("a compiled graph has open shapes".to_string());
    ports.iter().map(|p| Port::new(p).ok_or_else(open)).collect()
}

/// Whether the compiled graph has this constant of the graph in packed form, and in no other.
fn is_packed_only(t: &Tensor, constants: &[Constant]) -> bool {
    let same = |c: &&Constant| c.source().unscaled().0.as_ptr() == t.unscaled().0.as_ptr();
    let mut uses = constants.iter().filter(same).peekable();
    uses.peek().is_some() && uses.all(|c| matches!(c, Constant::Packed(..)))
}

/// Whether the stored graph, without the weights that are not stored, becomes the same program.
fn verify_again(
    contents: &Contents,
    graph: &str,
    blobs: &[Tensor],
    keep: impl Fn(&Tensor) -> bool,
) -> Result<(), Error> {
    let internal = |e: String| Error::Internal(format!("the model cannot be stored: {e}"));
    let types: Vec<TensorType> = blobs.iter().filter(|t| !keep(t)).map(|t| t.ty().clone()).collect();
    let mut empty = absent(&types).map_err(|e| internal(e.to_string()))?.into_iter();
    let blobs: Option<Vec<Tensor>> =
        blobs.iter().map(|t| if keep(t) { Some(t.clone()) } else { empty.next() }).collect();
    let blobs = blobs.ok_or_else(|| internal("a weight is missing".to_string()))?;
    let inputs: Option<Vec<TensorType>> = crate::ports::fixed_types(&contents.ports.inputs);
    let inputs = inputs.ok_or_else(|| internal("an input has open dimensions".to_string()))?;
    let reloaded = parse_graph(graph, &blobs).map_err(internal)?;
    let reloaded = specialize(&reloaded, &inputs, Limits::default()).map_err(|e| internal(e.to_string()))?;
    let fail = |source| Error::Compile { model: contents.graph.name.clone(), source };
    check(&contents.graph, &reloaded, contents.options, &contents.records).map_err(fail)
}

/// The first bytes of a file of `len` bytes.
fn header(manifest: &[u8], len: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&(len as u64).to_le_bytes());
    header[24..32].copy_from_slice(&(manifest.len() as u64).to_le_bytes());
    header[32..40].copy_from_slice(&XxHash3_64::oneshot(manifest).to_le_bytes());
    let sum = XxHash3_64::oneshot(&header[..40]);
    header[40..48].copy_from_slice(&sum.to_le_bytes());
    header
}

/// Hands out places in the data.
#[derive(Default)]
struct Data {
    end: usize,
}

impl Data {
    fn place(&mut self, part: &[u8]) -> u64 {
        let at = self.end;
        self.end += part.len() + gap(part).len();
        at as u64
    }
}

/// The zeros between a part of the data and the next one.
fn gap(part: &[u8]) -> &'static [u8] {
    const ZEROS: [u8; ALIGN] = [0; ALIGN];
    &ZEROS[..part.len().next_multiple_of(ALIGN) - part.len()]
}

/// Checksums of the chunks of the data.
fn checksums(parts: &[&[u8]]) -> Vec<u64> {
    let (mut sums, mut open, mut len) = (Vec::new(), XxHash3_64::new(), 0);
    for mut bytes in parts.iter().flat_map(|part| [part, gap(part)]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK - len));
            open.write(now);
            (bytes, len) = (rest, len + now.len());
            if len == CHUNK {
                sums.push(open.finish());
                (open, len) = (XxHash3_64::new(), 0);
            }
        }
    }
    sums.extend((len > 0).then(|| open.finish()));
    sums
}
