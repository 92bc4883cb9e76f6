//! Which values nodes and graphs read and define, by their names.

use std::collections::BTreeSet;

use crate::proto::{AttributeProto, GraphProto, NodeProto};

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
