//! Graphs in attributes of nodes, the branches of If: what they read, and how they become part of the graph around them.

use std::collections::BTreeSet;

use octrt_ops::ValueId;

use crate::error::{Fault, invalid};
use crate::import::{Source, read_initializers, read_node};
use crate::inline::{SourceNode, Within};
use crate::order;
use crate::proto::{AttributeProto, GraphProto, NodeProto};
use crate::scope::Scope;

/// The names of values that a node reads: its inputs in their order, omitted ones included, then what the graphs in its
/// attributes read of the graph around them.
pub(crate) fn names_read(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    graphs(node).for_each(|g| names.extend(captured(g)));
    names
}

fn graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().filter_map(|a: &AttributeProto| a.g.as_deref())
}

/// The names that `graph` reads and does not define.
fn captured(graph: &GraphProto) -> BTreeSet<&str> {
    let defined = defined(graph);
    let read = graph.node.iter().flat_map(names_read).chain(graph.output.iter().map(|o| o.name.as_str()));
    read.filter(|name| !name.is_empty() && !defined.contains(name)).collect()
}

/// The names that `graph` defines.
pub(crate) fn defined(graph: &GraphProto) -> BTreeSet<&str> {
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()).map(|v| v.name.as_str());
    let inputs = graph.input.iter().map(|i| i.name.as_str());
    let initializers = graph.initializer.iter().map(|t| t.name.as_str());
    let nodes = graph.node.iter().flat_map(|n| &n.output).map(String::as_str);
    sparse.chain(inputs).chain(initializers).chain(nodes).filter(|name| !name.is_empty()).collect()
}

/// Adds the nodes of `branch`, a graph in an attribute of `owner`, to the graph; returns the values of its outputs. The
/// names that it defines are known inside it only.
///
/// # Errors
/// [`Fault::Invalid`] when it has inputs or an output is not defined; [`Fault::Of`] as for the nodes of a model.
pub(crate) fn read(
    branch: &GraphProto,
    owner: &SourceNode<'_>,
    source: Source<'_>,
    scope: &mut Scope,
) -> Result<Vec<ValueId>, Fault> {
    if let Some(input) = branch.input.first() {
        return invalid!("a branch has no inputs, found '{}'", input.name);
    }
    let within = Within { opsets: owner.opsets, prefix: &owner.name, depth: owner.depth };
    let nodes = source.library.flatten(&branch.node, within).map_err(Fault::Of)?;
    let mut names: BTreeSet<&str> = defined(branch);
    names.extend(nodes.iter().flat_map(|n| &n.proto.output).map(String::as_str));
    let outside: Vec<(&str, Option<ValueId>)> =
        names.into_iter().map(|name| (name, scope.names.remove(name))).collect();
    let outputs = read_inside(branch, &nodes, source, scope);
    for (name, value) in outside {
        match value {
            Some(value) => scope.names.insert(name.into(), value),
            None => scope.names.remove(name),
        };
    }
    outputs
}

fn read_inside(
    branch: &GraphProto,
    nodes: &[SourceNode<'_>],
    source: Source<'_>,
    scope: &mut Scope,
) -> Result<Vec<ValueId>, Fault> {
    let read = nodes.iter().flat_map(|n| names_read(&n.proto));
    scope.used.extend(read.chain(branch.output.iter().map(|o| o.name.as_str())).map(str::to_string));
    read_initializers(branch, source, scope);
    let given = |name: &str| scope.names.contains_key(name);
    let order = order::topological(nodes, &given).map_err(Fault::Of)?;
    order.into_iter().for_each(|i| read_node(&nodes[i], source, scope));
    let value = |name: &String| match scope.names.get(name) {
        Some(value) => Ok(*value),
        None => invalid!("output '{name}' of a branch is not defined by any node, input or initializer"),
    };
    branch.output.iter().map(|o| value(&o.name)).collect()
}
