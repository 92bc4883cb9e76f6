//! Types for every value: a graph with dynamic inputs and the types of one run's inputs give a graph for that run.

pub mod values;

use std::collections::BTreeMap;

use crate::compute::BufferKind;
use crate::error::{GraphError, OpError};
use crate::graph::branch::Branches;
use crate::graph::rewrite::compact;
use crate::graph::{Graph, Node, NodeId, ValueDef, ValueId, fold};
use crate::shape::{Dim, TensorType};
use crate::tensor::Tensor;

pub use crate::graph::args::{constant_inputs, with_args};

/// Largest number of elements that a value computed from constants alone is evaluated for during inference. Shapes
/// are small; large constant subgraphs (sliced weights) are left to the compiler's constant folding, but for those that a
/// shape depends on.
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

/// The graph for inputs of the types `inputs`: every value has a type, every dimension is fixed, what depends only
/// on constants and shapes and is small has become a constant, and of the branches of each [`If`](crate::def::if_) only the
/// one that is taken is left. The inputs and outputs stay what they are; ids of nodes and values do not.
///
/// # Errors
/// [`GraphError`] when an input does not fit its declaration, an operator refuses its arguments, the condition of an If is
/// not known, or a limit is passed.
pub fn specialize(graph: &Graph, inputs: &[TensorType], limits: Limits) -> Result<Graph, GraphError> {
    let mut g = graph.clone();
    check_inputs(graph, inputs)?;
    for (input, ty) in g.inputs.iter_mut().zip(inputs) {
        input.dims = ty.shape.iter().map(|&d| Dim::Fixed(d)).collect();
        g.values[input.value.index()].ty = Some(ty.clone());
    }
    let mut branches = Branches::of(graph);
    let mut total = 0usize;
    for id in graph.node_ids() {
        branches.visit(&mut g, id, |g| {
            infer_node(g, id)?;
            let node = g.node(id);
            let fail = |e| GraphError::new(&node.name, node.op.as_operator().name(), e);
            for ty in node.outputs.iter().filter_map(|v| g.value(*v).ty.as_ref()) {
                total = total.saturating_add(ty.shape.checked_bytes(ty.dtype).map_err(fail)?);
                if total > limits.max_bytes {
                    let limit = limits.max_bytes;
                    let message =
                        format!("tensors up to output {ty} need {total} bytes, the limit is {limit}");
                    return Err(fail(OpError::TooLarge(message)));
                }
            }
            evaluate_small(g, id)
        })?;
    }
    branches.finish(&mut g)?;
    remove_constant_nodes(&mut g);
    Ok(if branches.any() { compact(g).graph } else { g })
}

/// Gives the outputs of a node their types. Where a shape depends on a value that follows from constants alone, however
/// large, that value becomes a constant.
fn infer_node(g: &mut Graph, id: NodeId) -> Result<(), GraphError> {
    let infer = |g: &Graph| {
        let node = g.node(id);
        with_args(g, node, |args| node.op.as_operator().infer(args)).and_then(|types| types)
    };
    let mut types = infer(g);
    if let Err(OpError::DataDependent(_)) = types
        && fold::inputs(g, id)
    {
        types = infer(g);
    }
    let node = g.node(id);
    let fail = |e| GraphError::new(&node.name, node.op.as_operator().name(), e);
    let types = types.map_err(fail)?;
    if types.len() < node.outputs.len() {
        let message = format!("{} outputs are used, the operator has {}", node.outputs.len(), types.len());
        return Err(fail(OpError::Invalid(message)));
    }
    let outputs = node.outputs.clone();
    for (v, ty) in outputs.into_iter().zip(types) {
        g.values[v.index()].ty = Some(ty);
    }
    Ok(())
}

/// Makes the outputs of a node whose types are known constants, where they are known and small.
fn evaluate_small(g: &mut Graph, id: NodeId) -> Result<(), GraphError> {
    let node = g.node(id);
    let types: Vec<&TensorType> = node.outputs.iter().filter_map(|v| g.value(*v).ty.as_ref()).collect();
    if types.iter().any(|t| t.shape.numel() > SHAPE_ELEMENTS) {
        return Ok(());
    }
    let results = known_results(g, node, &types)
        .map_err(|e| GraphError::new(&node.name, node.op.as_operator().name(), e))?;
    let outputs = node.outputs.clone();
    for (v, t) in outputs.into_iter().zip(results.into_iter().flatten()) {
        g.values[v.index()].def = ValueDef::Const(t);
    }
    Ok(())
}

/// What follows for the values of a graph under construction from its constants and its fixed input shapes. It may only
/// grow: nodes and values are added, none is changed.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// The graph as far as it has been looked at, with what is known of its values.
    graph: Graph,
}

impl Knowledge {
    /// The elements of a value of `graph`, when they are known and not too many, or follow from constants alone.
    pub fn constant(&mut self, graph: &Graph, value: ValueId) -> Option<&Tensor> {
        let g = &mut self.graph;
        g.values.extend_from_slice(graph.values.get(g.values.len()..)?);
        for node in graph.nodes.get(g.nodes.len()..)? {
            let id = NodeId(g.nodes.len() as u32);
            g.nodes.push(node.clone());
            // What is wrong with a node is said when the graph is specialised.
            if infer_node(g, id).is_ok() {
                let _ = evaluate_small(g, id);
            }
        }
        if g.constant(value).is_none() {
            fold::value(g, value);
        }
        g.constant(value)
    }
}

/// The outputs of a node whose inputs are constants, or of one that makes a list from the types of its inputs alone,
/// as Shape does: whose definition reads none of them.
fn known_results(g: &Graph, node: &Node, types: &[&TensorType]) -> Result<Option<Vec<Tensor>>, OpError> {
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
