//! ONNX models to octrt graphs and back.
//!
//! [`import`] reads a model of any opset into a [`Graph`](octrt_ops::Graph), [`export`] writes one. Which shapes and
//! constants follow from a model is found later, by [`specialize`](octrt_ops::graph::infer::specialize); only the
//! conditions of If are looked for here, so that what a branch needs that is not taken refuses no model.
//!
//! The way in: bytes -`model`-> messages -`inline`-> nodes without functions -`order`-> topological order
//! -`import` with `readers`, `attr`, `tensor`-> graph, in a `scope`. [`support`] lists the operators and says which reader
//! reads each; `import` hands it down to where nodes are read (`body`), since readers read nodes too: those of branches
//! (`subgraph`).
#![forbid(unsafe_code)]

mod attr;
mod body;
mod dataflow;
mod elem;
mod error;
mod export;
mod external;
mod import;
mod inline;
mod model;
mod names;
mod node;
mod order;
#[rustfmt::skip]
#[allow(clippy::all, missing_docs)]
mod proto;
mod readers;
mod scope;
mod subgraph;
pub mod support;
mod tensor;

#[cfg(test)]
mod tests;

/// Changes with every change of this crate's sources.
pub const FINGERPRINT: &str = env!("OCTRT_FINGERPRINT");

pub use elem::ElemType;
pub use error::{OnnxError, Unsupported};
pub use export::export;
pub use external::{ExternalData, NoExternalData, check_range, validate_location};
pub use import::{Imported, Port, import, unsupported};
pub use prost::bytes::Bytes;
pub use tensor::read_tensor;
