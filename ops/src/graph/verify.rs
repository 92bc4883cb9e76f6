//! The rules that every [`Graph`] keeps, checked after every step of the compiler in debug builds and tests.
//!
//! Structure ([`structure`]):
//! 1. Every id that an input, node or output mentions is in range.
//! 2. Every value is defined exactly once, and the definition and the value name each other: `Input(i)` is the value
//!    of input `i`, `Node(n, i)` is output `i` of node `n`; constants are outputs of nothing.
//! 3. A node has outputs.
//! 4. Nodes are in topological order: an input of a node is a graph input, a constant or an output of an earlier
//!    node.
//! 5. There are outputs; their names are not empty and differ, as do the names of the inputs that have one.
//! 6. A constant's type is known and is that of its tensor; its bools are 0 or 1.
//! 7. A type known for an input fits its declaration.
//!
//! Types ([`verify`]): where the types of all inputs of a node are known, and the elements that the operator asks for, the
//! operator accepts them, has at least as many outputs as the node, and every known type of an output is the one that the
//! operator infers. This holds for the nodes that every run needs; an If whose condition is not known has no type yet.

use std::collections::BTreeSet;

use crate::dtype::DType;
use crate::error::{GraphError, OpError};
use crate::graph::args::with_args;
use crate::graph::branch::{Faults, is_if};
use crate::graph::{Graph, Node, NodeId, ValueDef, ValueId};
use crate::invalid;
use crate::shape::Dim;

/// Checks all rules of the module. Panics for no value of `graph`.
///
/// # Errors
/// [`GraphError`] for the first rule that is broken, with the node, value or output that breaks it.
pub fn verify(graph: &Graph) -> Result<(), GraphError> {
    structure(graph)?;
    let mut faults = Faults::of(graph);
    for id in graph.node_ids() {
        let node = graph.node(id);
        if let Err(e) = at_node(node, types(graph, node)) {
            faults.keep(id, node, e)?;
        }
    }
    Ok(())
}

/// Checks the rules of structure: what any walk over the graph relies on.
///
/// # Errors
/// As [`verify`].
pub fn structure(graph: &Graph) -> Result<(), GraphError> {
    let elsewhere = |r: Result<(), OpError>| r.map_err(|e| GraphError::new(&graph.name, "", e));
    elsewhere(inputs(graph))?;
    for (i, node) in graph.nodes.iter().enumerate() {
        at_node(node, node_rules(graph, NodeId(i as u32), node))?;
    }
    for i in 0..graph.values.len() {
        let id = ValueId(i as u32);
        value_rules(graph, id)
            .map_err(|e| GraphError::new(format!("{id} {}", graph.values[i].name), "", e))?;
    }
    elsewhere(outputs(graph))
}

fn at_node(node: &Node, result: Result<(), OpError>) -> Result<(), GraphError> {
    result.map_err(|e| GraphError::new(&node.name, node.op.as_operator().name(), e))
}

fn inputs(graph: &Graph) -> Result<(), OpError> {
    let mut names = BTreeSet::new();
    for (i, input) in graph.inputs.iter().enumerate() {
        let Some(value) = graph.values.get(input.value.index()) else {
            return invalid!("input {i} is {}, which does not exist", input.value);
        };
        if value.def != ValueDef::Input(i) {
            return invalid!("input {i} is {}, which is defined elsewhere", input.value);
        }
        if !value.name.is_empty() && !names.insert(&value.name) {
            return invalid!("two inputs are named '{}'", value.name);
        }
        let Some(ty) = &value.ty else { continue };
        let fits = ty.dtype == input.dtype
            && ty.shape.rank() == input.dims.len()
            && input.dims.iter().zip(ty.shape.iter()).all(|(d, n)| match d {
                Dim::Fixed(d) => d == n,
                Dim::Dynamic(_) => true,
            });
        if !fits {
            return invalid!("the type {ty} of input '{}' is not the declared one", value.name);
        }
    }
    Ok(())
}

fn node_rules(graph: &Graph, id: NodeId, node: &Node) -> Result<(), OpError> {
    if node.outputs.is_empty() {
        return invalid!("{id} has no outputs");
    }
    for (i, &v) in node.outputs.iter().enumerate() {
        match graph.values.get(v.index()).map(|v| &v.def) {
            None => return invalid!("output {i} is {v}, which does not exist"),
            Some(ValueDef::Node(n, k)) if *n == id && *k == i => {}
            Some(_) => return invalid!("output {i} is {v}, which is defined elsewhere"),
        }
    }
    for (i, &v) in node.inputs.iter().enumerate() {
        let Some(v) = v else { continue };
        match graph.values.get(v.index()).map(|v| &v.def) {
            None => return invalid!("input {i} is {v}, which does not exist"),
            Some(ValueDef::Node(n, _)) if *n >= id => {
                return invalid!("input {i} is {v}, which {n} defines: not an earlier node");
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn value_rules(graph: &Graph, id: ValueId) -> Result<(), OpError> {
    let value = graph.value(id);
    match &value.def {
        ValueDef::Input(i) if graph.inputs.get(*i).is_none_or(|input| input.value != id) => {
            invalid!("defined as input {i}, which is another value or none")
        }
        ValueDef::Node(n, i) if graph.nodes.get(n.index()).and_then(|n| n.outputs.get(*i)) != Some(&id) => {
            invalid!("defined as output {i} of {n}, which is another value or none")
        }
        ValueDef::Const(t) if value.ty.as_ref() != Some(t.ty()) => match &value.ty {
            Some(ty) => invalid!("a constant {} has the type {ty}", t.ty()),
            None => invalid!("the type of a constant is not known"),
        },
        ValueDef::Const(t) if t.dtype() == DType::Bool && t.bytes().iter().any(|&b| b > 1) => {
            invalid!("a bool is neither 0 nor 1")
        }
        _ => Ok(()),
    }
}

fn outputs(graph: &Graph) -> Result<(), OpError> {
    if graph.outputs.is_empty() {
        return invalid!("the graph has no outputs");
    }
    let mut names = BTreeSet::new();
    for (i, output) in graph.outputs.iter().enumerate() {
        if output.name.is_empty() {
            return invalid!("output {i} has no name");
        }
        if !names.insert(&output.name) {
            return invalid!("two outputs are named '{}'", output.name);
        }
        if output.value.index() >= graph.values.len() {
            return invalid!("output '{}' is {}, which does not exist", output.name, output.value);
        }
    }
    Ok(())
}

/// For a node whose ids are in range.
fn types(graph: &Graph, node: &Node) -> Result<(), OpError> {
    if node.inputs.iter().flatten().any(|v| graph.value(*v).ty.is_none()) {
        return Ok(());
    }
    let condition = node.inputs.first().copied().flatten();
    if is_if(node) && condition.is_some_and(|v| graph.constant(v).is_none()) {
        return Ok(());
    }
    let inferred = match with_args(graph, node, |args| node.op.as_operator().infer(args))? {
        Err(OpError::DataDependent(_)) => return Ok(()),
        inferred => inferred?,
    };
    if inferred.len() < node.outputs.len() {
        return invalid!("{} outputs are used, the operator has {}", node.outputs.len(), inferred.len());
    }
    for (i, (&v, expected)) in node.outputs.iter().zip(&inferred).enumerate() {
        match &graph.value(v).ty {
            Some(found) if found != expected => {
                return invalid!("the type of output {i} is {found}, the operator gives {expected}");
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
