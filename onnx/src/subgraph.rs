//! Graphs in attributes of nodes, the branches of If: how they become part of the graph around them.

use std::collections::BTreeSet;

use octrt_ops::ValueId;

use crate::body::{read_initializers, read_node};
use crate::dataflow::{defined, names_read};
use crate::error::{Fault, invalid};
use crate::inline::{SourceNode, Within};
use crate::node::{NodeReader, Source};
use crate::order;
use crate::proto::GraphProto;
use crate::scope::Scope;

/// Adds the nodes of `branch`, a graph in an attribute of the node of `n`, to the graph; returns the values of its outputs.
/// The names that it defines are known inside it only.
///
/// # Errors
/// [`Fault::Invalid`] when it has inputs or an output is not defined; [`Fault::Of`] as for the nodes of a model.
pub(crate) fn read(n: &mut NodeReader<'_>, branch: &GraphProto) -> Result<Vec<ValueId>, Fault> {
    let (owner, source, scope) = n.surroundings();
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
