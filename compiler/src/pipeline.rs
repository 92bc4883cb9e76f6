//! The stages of compilation on one screen.

use octrt_ops::Graph;

use crate::artifact::Artifact;
use crate::error::CompileError;
use crate::target::Target;

/// What a caller may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The machine to compile for.
    pub target: Target,
}

/// Compiles a graph whose types are known (see [`octrt_ops::graph::infer::specialize`]).
///
/// # Errors
/// [`CompileError::Graph`] when an operator refuses its arguments, [`CompileError::Internal`] for defects of octrt.
pub fn compile(graph: &Graph, options: Options) -> Result<Artifact, CompileError> {
    let _ = (graph, options);
    Err(CompileError::internal("pipeline", "graph", "under construction"))
}
