//! The reference interpreter: what a graph means, one operator's `reference` after another.

use crate::def::if_::chosen;
use crate::error::{GraphError, OpError};
use crate::graph::branch::{Faults, is_if};
use crate::graph::{Graph, Node, NodeId, ValueDef, ValueId, infer, verify};
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// The outputs of the graph for these inputs. Types need not be known. A value is freed after its last use.
///
/// # Errors
/// [`GraphError`] when the graph's structure is broken, an input does not fit its declaration, or an operator
/// refuses its arguments; one that only branches need which are not taken may.
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    run_visiting(graph, inputs, &mut |_, _| {})
}

/// As [`run`]; `visit` sees every node in order with all its outputs, as soon as they are known.
///
/// # Errors
/// As [`run`].
pub fn run_visiting(
    graph: &Graph,
    inputs: &[Tensor],
    visit: &mut dyn FnMut(NodeId, &[Tensor]),
) -> Result<Vec<Tensor>, GraphError> {
    verify::structure(graph)?;
    let types: Vec<TensorType> = inputs.iter().map(|t| t.ty().clone()).collect();
    infer::check_inputs(graph, &types)?;
    let mut values: Vec<Option<Tensor>> = vec![None; graph.values.len()];
    for (slot, value) in values.iter_mut().zip(&graph.values) {
        if let ValueDef::Const(t) = &value.def {
            *slot = Some(t.clone());
        }
    }
    for (input, tensor) in graph.inputs.iter().zip(inputs) {
        values[input.value.index()] = Some(tensor.clone());
    }
    let mut uses = use_counts(graph);
    let mut faults = Faults::of(graph);
    for id in graph.node_ids() {
        let node = graph.node(id);
        let fault = values_read(node, &values).into_iter().find_map(|v| faults.of_value(v));
        let result = match fault {
            Some(fault) => Err(fault.clone()),
            None => evaluate(graph, node, &values)
                .map_err(|e| GraphError::new(&node.name, node.op.as_operator().name(), e)),
        };
        let results = match result {
            Ok(results) => results,
            Err(e) => {
                faults.keep(id, node, e)?;
                Vec::new()
            }
        };
        if !results.is_empty() {
            visit(id, &results);
        }
        for v in node.inputs.iter().flatten() {
            uses[v.index()] -= 1;
            if uses[v.index()] == 0 {
                values[v.index()] = None;
            }
        }
        for (&v, t) in node.outputs.iter().zip(results) {
            if uses[v.index()] > 0 {
                values[v.index()] = Some(t);
            }
        }
    }
    let output = |v: &crate::graph::Output| values[v.value.index()].clone();
    graph
        .outputs
        .iter()
        .map(|o| {
            output(o).ok_or_else(|| GraphError::new(&o.name, "", OpError::Invalid("has no value".into())))
        })
        .collect()
}

/// The values that the node looks at: of the branches of an If the one that is taken.
fn values_read(node: &Node, values: &[Option<Tensor>]) -> Vec<ValueId> {
    let input = |i: usize| node.input(i);
    if !is_if(node) {
        return node.inputs.iter().flatten().copied().collect();
    }
    let condition = input(0).and_then(|v| values[v.index()].as_ref());
    let taken = condition.and_then(|t| chosen(t).ok()).and_then(input);
    input(0).into_iter().chain(taken).collect()
}

/// For every value, the number of its uses by nodes and graph outputs.
fn use_counts(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.values.len()];
    let by_nodes = graph.nodes.iter().flat_map(|n| n.inputs.iter().flatten().copied());
    for v in by_nodes.chain(graph.outputs.iter().map(|o| o.value)) {
        uses[v.index()] += 1;
    }
    uses
}

/// One tensor for each output of the node, of the known type.
fn evaluate(graph: &Graph, node: &Node, values: &[Option<Tensor>]) -> Result<Vec<Tensor>, OpError> {
    let inputs: Vec<Option<&Tensor>> =
        node.inputs.iter().map(|v| v.and_then(|v| values[v.index()].as_ref())).collect();
    let results = node.op.as_operator().reference(&inputs)?;
    if results.len() < node.outputs.len() {
        let message = format!("{} outputs are used, the operator has {}", node.outputs.len(), results.len());
        return Err(OpError::Invalid(message));
    }
    for (i, (&v, t)) in node.outputs.iter().zip(&results).enumerate() {
        if let Some(expected) = graph.value(v).ty.as_ref().filter(|ty| *ty != t.ty()) {
            let message = format!("output {i}: expected {expected}, found {}", t.ty());
            return Err(OpError::Invalid(message));
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests;
