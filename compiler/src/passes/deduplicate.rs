//! Pass `deduplicate`.

use std::hash::{DefaultHasher, Hash, Hasher};

use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::{Graph, Node, NodeId, ValueId};

use super::Skip;

/// Largest size in bytes of constants that are compared by their elements.
const COMPARED_BYTES: usize = 4096;

/// Bytes of them that tell most of them apart.
const HASHED_BYTES: usize = 64;

/// Most nodes with one key that are looked at; equal ones are not many, since all but the first go.
const MOST: usize = 64;

/// A number that equal nodes have in common.
pub fn key(graph: &Graph, node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.op.tag().hash(&mut hasher);
    format!("{:?}", node.op).hash(&mut hasher);
    node.outputs.len().hash(&mut hasher);
    for input in &node.inputs {
        match input.map(|v| (v, graph.constant(v))) {
            Some((_, Some(t))) if t.ty().bytes() <= COMPARED_BYTES => {
                t.ty().hash(&mut hasher);
                t.bytes()[..t.bytes().len().min(HASHED_BYTES)].hash(&mut hasher);
            }
            Some((v, _)) => v.hash(&mut hasher),
            None => 0.hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// `a = f(x); b = f(x) -> a = f(x); b = a`.
///
/// Requires: the same operator, attributes and inputs at an earlier node with as many outputs. Constants of up to
/// `COMPARED_BYTES` are the same when their elements are, larger ones when they are one value of the graph.
/// Never blocked.
pub fn deduplicate(graph: &Editor, id: NodeId, alike: &[NodeId]) -> Result<Patch, Skip> {
    let node = graph.node(id);
    let mut earlier = alike.iter().take(MOST).map(|id| graph.node(*id));
    let twin = earlier.find(|e| same(graph, e, node)).ok_or(Skip::NoMatch)?;
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
