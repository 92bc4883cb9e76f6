//! What a node of a graph reads, as its operator wants it.

use crate::arg::{Arg, Args};
use crate::error::OpError;
use crate::graph::{Graph, Node};
use crate::tensor::Tensor;

/// Calls `f` with the arguments of `node`.
///
/// # Errors
/// [`OpError::Invalid`] when the type of an input is not known.
pub fn with_args<R>(graph: &Graph, node: &Node, f: impl FnOnce(Args<'_>) -> R) -> Result<R, OpError> {
    let mut args = Vec::with_capacity(node.inputs.len());
    for input in &node.inputs {
        args.push(match input {
            None => None,
            Some(v) => {
                let ty = graph.ty(*v)?;
                Some(Arg { dtype: ty.dtype, shape: &ty.shape, value: graph.constant(*v) })
            }
        });
    }
    Ok(f(Args(&args)))
}

/// The inputs of a node when all of them are constants. A node that has no input at all has constant inputs too.
pub fn constant_inputs<'a>(graph: &'a Graph, node: &Node) -> Option<Vec<Option<&'a Tensor>>> {
    node.inputs
        .iter()
        .map(|v| match v {
            None => Some(None),
            Some(v) => graph.constant(*v).map(Some),
        })
        .collect()
}
