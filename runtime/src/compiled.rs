//! Files of compiled models, `.octrt`: what a graph became for one set of input shapes, and for what those inputs hold that
//! decide shapes, but for machine code.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | [`MAGIC`] |
//! | 8..12 | [`VERSION`], little-endian as all numbers |
//! | 12..16 | 0 |
//! | 16..24 | length of the file |
//! | 24..32 | length of the manifest |
//! | 32..40 | XXH3 of the manifest |
//! | 40..48 | XXH3 of bytes 0..40 |
//! | 64.. | the manifest, JSON: [`manifest::Manifest`] |
//! | from the next multiple of 4096 on | data: constants of the graph, then packed weights, each at the next multiple of 64; zeros between them |
//!
//! The manifest has the graph after all passes as text, what records have decided for its convolutions, where its constants and the packed weights lie in the data, and an
//! XXH3 for every [`CHUNK`] of the data. Constants that are packed are there in packed form only.
//!
//! When such a file is loaded, the graph is verified, its types are inferred, and it is lowered, scheduled and turned into
//! code as if it came from ONNX: nothing that the file says decides where code reads or writes. Packed weights are numbers
//! that code multiplies with; that they are what *this* compiler would have packed is what the manifest's fingerprint and
//! recipes are for.

mod manifest;
mod read;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use octrt_compiler::artifact::Constant;
use octrt_compiler::place::program::Program;
use octrt_compiler::{CompileError, Options, Records, pipeline};
use octrt_ops::graph::{text, verify};
use octrt_ops::{Graph, Tensor, TensorType};

use crate::about::About;
use crate::ports::{PortInfo, Ports};
use crate::tensor;
use crate::weights::Packed;

pub(crate) use read::{Compiled, is_compiled, read};
pub(crate) use write::write;

/// The first bytes of a file: no text, and damaged by programs that change line ends or the eighth bit.
pub(crate) const MAGIC: [u8; 8] = *b"\x89OCTRT\r\n";

/// Version of the layout of the file.
const VERSION: u32 = 4;

/// Bytes before the manifest.
const HEADER: usize = 64;

/// The data begin at a multiple of this, a page.
const PAGE: usize = 4096;

/// Bytes of data under one checksum.
const CHUNK: usize = 4 << 20;

/// A constant of at most so many bytes is stored as it is, even when it is packed too: the compiler may look at it.
const SMALL: usize = 64 << 10;

/// What a file says.
pub(crate) struct Contents {
    pub(crate) about: About,
    pub(crate) ports: Ports<Vec<PortInfo>>,
    pub(crate) options: Options,
    /// What was decided by records, for the convolutions of the graph.
    pub(crate) records: Records,
    /// What inputs hold that decide shapes, by their position: constants of the graph.
    pub(crate) values: BTreeMap<usize, tensor::Tensor>,
    /// After all passes.
    pub(crate) graph: Graph,
    /// Those of the compiled graph.
    pub(crate) constants: Vec<Constant>,
}

/// How a weight was packed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recipe {
    /// The recipe, as it prints.
    packing: String,
    /// The type of the weight before.
    source: TensorType,
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.packing, self.source)
    }
}

/// How the packed ones of a compiled graph's constants were packed.
pub(crate) fn recipes(constants: &[Constant]) -> Vec<Recipe> {
    let recipe = |c: &Constant| match c {
        Constant::Plain(_) => None,
        Constant::Packed(packing, t) => Some(Recipe { packing: packing.to_string(), source: t.ty().clone() }),
    };
    constants.iter().filter_map(recipe).collect()
}

/// The graph of a text, without types.
fn parse_graph(text: &str, blobs: &[Tensor]) -> Result<Graph, String> {
    let graph = text::parse_printed(text, blobs).map_err(|e| format!("the graph: {e}"))?;
    verify::verify(&graph).map_err(|e| e.to_string())?;
    Ok(graph)
}

/// Lowers a graph and what a file would make of it; an error where the two become different programs, so that a file must
/// not be written.
fn check(graph: &Graph, reloaded: &Graph, options: Options, records: &Records) -> Result<(), CompileError> {
    let (a, b) =
        (pipeline::program(graph, options, records)?, pipeline::program(reloaded, options, records)?);
    let plain = |p: &Program| -> Vec<Constant> {
        p.constants.iter().filter(|c| matches!(c, Constant::Plain(_))).cloned().collect()
    };
    let same = a.inputs == b.inputs
        && a.outputs == b.outputs
        && a.nests == b.nests
        && a.steps == b.steps
        && a.copies == b.copies
        && (a.arena_bytes, a.scratch_bytes) == (b.arena_bytes, b.scratch_bytes)
        && recipes(&a.constants) == recipes(&b.constants)
        && plain(&a) == plain(&b);
    let differ = || CompileError::internal("store", &graph.name, "the stored graph would become other code");
    if same { Ok(()) } else { Err(differ()) }
}
