//! Pass `deduplicate`.

use octrt_ops::graph::rewrite::Patch;
use octrt_ops::{Graph, Node, NodeId, ValueId};

use super::Skip;

/// Largest size in bytes of constants that are compared by their elements.
const COMPARED_BYTES: usize = 4096;

/// `a = f(x); b = f(x) -> a = f(x); b = a`.
///
/// Requires: the same operator, attributes and inputs at an earlier node with as many outputs. Constants of up to
/// `COMPARED_BYTES` are the same when their elements are, larger ones when they are one value of the graph.
/// Never blocked.
pub fn deduplicate(graph: &Graph, id: NodeId) -> Result<Patch, Skip> {
    let node = graph.node(id);
    let earlier = &graph.nodes[..id.index()];
    let twin = earlier.iter().find(|e| same(graph, e, node)).ok_or(Skip::NoMatch)?;
    let mut patch = Patch::new(graph);
    for (&v, &first) in node.outputs.iter().zip(&twin.outputs) {
        patch.replace(v, first);
    }
    Ok(patch)
}

fn same(graph: &Graph, a: &Node, b: &Node) -> bool {
    a.inputs.len() == b.inputs.len()
        && a.outputs.len() == b.outputs.len()
        && a.inputs.iter().zip(&b.inputs).all(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => same_value(graph, *a, *b),
            (a, b) => a == b,
        })
        && a.op == b.op
}

fn same_value(graph: &Graph, a: ValueId, b: ValueId) -> bool {
    if a == b {
        return true;
    }
    match (graph.constant(a), graph.constant(b)) {
        (Some(a), Some(b)) => a.ty() == b.ty() && a.ty().bytes() <= COMPARED_BYTES && a == b,
        _ => false,
    }
}
