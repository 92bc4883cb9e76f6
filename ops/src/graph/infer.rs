//! Types for every value: a graph with dynamic inputs and the types of one run's inputs give a graph for that run.

pub mod values;

use std::collections::BTreeMap;

use crate::compute::BufferKind;
use crate::error::{GraphError, OpError};
use crate::graph::{Graph, Node, ValueDef};
use crate::op::{Arg, Args};
use crate::shape::{Dim, TensorType};
use crate::tensor::Tensor;

/// Largest number of elements that a value computed from constants alone is evaluated for during inference. Shapes
/// are small; large constant subgraphs (sliced weights) are left to the compiler's constant folding.
const SHAPE_ELEMENTS: usize = 4096;

/// What a run may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one tensor, and of all tensors that nodes define together.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_bytes: isize::MAX as usize }
    }
}

/// The graph for inputs of the types `inputs`: every value has a type, every dimension is fixed, and what depends only
/// on constants and shapes and is small has become a constant.
///
/// # Errors
/// [`GraphError`] when an input does not fit its declaration, an operator refuses its arguments, or a limit is passed.
pub fn specialize(graph: &Graph, inputs: &[TensorType], limits: Limits) -> Result<Graph, GraphError> {
    let mut g = graph.clone();
    check_inputs(graph, inputs)?;
    for (input, ty) in g.inputs.iter_mut().zip(inputs) {
        input.dims = ty.shape.iter().map(|&d| Dim::Fixed(d)).collect();
        g.values[input.value.index()].ty = Some(ty.clone());
    }
    let mut total = 0usize;
    for id in graph.node_ids() {
        let node = graph.node(id);
        let fail = |e| GraphError::new(&node.name, node.op.as_operator().name(), e);
        let types =
            with_args(&g, node, |args| node.op.as_operator().infer(args)).and_then(|t| t).map_err(fail)?;
        if types.len() < node.outputs.len() {
            let message =
                format!("{} outputs are used, the operator has {}", node.outputs.len(), types.len());
            return Err(fail(OpError::Invalid(message)));
        }
        for (&v, ty) in node.outputs.iter().zip(&types) {
            total = total.saturating_add(ty.shape.checked_bytes(ty.dtype).map_err(fail)?);
            if total > limits.max_bytes {
                let limit = limits.max_bytes;
                let message = format!("tensors up to output {ty} need {total} bytes, the limit is {limit}");
                return Err(fail(OpError::TooLarge(message)));
            }
            g.values[v.index()].ty = Some(ty.clone());
        }
        if types.iter().all(|t| t.shape.numel() <= SHAPE_ELEMENTS)
            && let Some(results) = known_results(&g, node, &types).map_err(fail)?
        {
            for (&v, t) in node.outputs.iter().zip(results) {
                g.values[v.index()].def = ValueDef::Const(t);
            }
        }
    }
    remove_constant_nodes(&mut g);
    Ok(g)
}

/// The outputs of a node whose inputs are constants, or of one that makes a list from the types of its inputs alone,
/// as Shape does: whose definition reads none of them.
fn known_results(g: &Graph, node: &Node, types: &[TensorType]) -> Result<Option<Vec<Tensor>>, OpError> {
    let op = node.op.as_operator();
    if let Some(inputs) = constant_inputs(g, node) {
        return op.reference(&inputs).map(Some);
    }
    if types.iter().any(|t| t.shape.rank() > 1) {
        return Ok(None);
    }
    match with_args(g, node, |args| op.compute(args))? {
        Ok(c) if !c.buffers.iter().any(|b| matches!(b.kind, BufferKind::Input(_))) => {
            c.evaluate(&[]).map(Some)
        }
        _ => Ok(None),
    }
}

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

/// Removes nodes all of whose outputs have become constants.
pub fn remove_constant_nodes(g: &mut Graph) {
    let values = &mut g.values;
    let mut kept = Vec::with_capacity(g.nodes.len());
    for node in g.nodes.drain(..) {
        if node.outputs.iter().all(|v| matches!(values[v.index()].def, ValueDef::Const(_))) {
            continue;
        }
        let id = crate::NodeId(kept.len() as u32);
        for (i, v) in node.outputs.iter().enumerate() {
            values[v.index()].def = ValueDef::Node(id, i);
        }
        kept.push(node);
    }
    g.nodes = kept;
}

/// Checks the types of a run's inputs against the graph's declarations.
///
/// # Errors
/// [`GraphError`] naming the input that does not fit.
pub(crate) fn check_inputs(graph: &Graph, types: &[TensorType]) -> Result<(), GraphError> {
    if types.len() != graph.inputs.len() {
        let message = format!("expected {} inputs, found {}", graph.inputs.len(), types.len());
        return Err(GraphError::new(&graph.name, "", OpError::Invalid(message)));
    }
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for (input, ty) in graph.inputs.iter().zip(types) {
        let name = &graph.value(input.value).name;
        let declared = || {
            let dims: Vec<String> = input.dims.iter().map(ToString::to_string).collect();
            format!("{}[{}]", input.dtype, dims.join(","))
        };
        let refuse = |why: String| Err(GraphError::new(name, "", OpError::Invalid(why)));
        if ty.dtype != input.dtype || ty.shape.rank() != input.dims.len() {
            return refuse(format!("input: expected {}, found {ty}", declared()));
        }
        for (dim, &found) in input.dims.iter().zip(ty.shape.iter()) {
            match dim {
                Dim::Fixed(d) if *d != found => {
                    return refuse(format!("input: expected {}, found {ty}", declared()));
                }
                Dim::Dynamic(n) if !n.is_empty() && *named.entry(n).or_insert(found) != found => {
                    return refuse(format!(
                        "input: dimension '{n}' is {} elsewhere, found {ty}",
                        named[n.as_str()]
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
