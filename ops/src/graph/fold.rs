//! Values that follow from constants alone become constants, of any size that can be held.

use std::collections::BTreeSet;

use crate::graph::args::{constant_inputs, with_args};
use crate::graph::{Graph, Node, NodeId, ValueDef, ValueId};

/// Largest size in bytes of the results of all nodes that are folded for one value.
const MAX_BYTES: usize = 1 << 28;

/// Largest number of multiply-accumulates of all nodes that are folded for one value: about a second of the reference.
const MAX_MACS: u64 = 1 << 28;

/// Makes those inputs of a node constants that follow from constants alone; whether there was any.
pub(crate) fn inputs(g: &mut Graph, id: NodeId) -> bool {
    let inputs: Vec<ValueId> = g.node(id).inputs.iter().flatten().copied().collect();
    let open = |g: &Graph, v: ValueId| g.constant(v).is_none();
    let mut any = false;
    for v in inputs {
        any |= open(g, v) && value(g, v);
    }
    any
}

/// Makes a value a constant; whether it follows from constants alone, and can be computed.
pub(crate) fn value(g: &mut Graph, v: ValueId) -> bool {
    let Some(nodes) = makers(g, v) else { return false };
    let work = |id: &NodeId| {
        let node = g.node(*id);
        let sizes = node.outputs.iter().map(|v| g.value(*v).ty.as_ref().map(|ty| ty.bytes()));
        let bytes = sizes.sum::<Option<usize>>()?;
        let macs = with_args(g, node, |args| node.op.as_operator().macs(args)).ok()?;
        Some((bytes, macs))
    };
    let Some(work) = nodes.iter().map(work).collect::<Option<Vec<(usize, u64)>>>() else { return false };
    let (bytes, macs) =
        work.iter().fold((0usize, 0u64), |(b, m), w| (b.saturating_add(w.0), m.saturating_add(w.1)));
    bytes <= MAX_BYTES && macs <= MAX_MACS && nodes.into_iter().all(|id| evaluate(g, id).is_some())
}

/// The nodes that make a value of constants, in order; none when it depends on an input.
fn makers(g: &Graph, v: ValueId) -> Option<Vec<NodeId>> {
    let mut found: Vec<NodeId> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![v];
    while let Some(v) = open.pop() {
        match g.value(v).def {
            ValueDef::Const(_) => {}
            ValueDef::Input(_) => return None,
            ValueDef::Node(id, _) if seen.insert(id) => {
                found.push(id);
                open.extend(g.node(id).inputs.iter().flatten());
            }
            ValueDef::Node(..) => {}
        }
    }
    found.sort_unstable();
    Some(found)
}

fn evaluate(g: &mut Graph, id: NodeId) -> Option<()> {
    let node: &Node = g.node(id);
    let results = node.op.as_operator().reference(&constant_inputs(g, node)?).ok()?;
    let outputs = node.outputs.clone();
    for (v, t) in outputs.into_iter().zip(results) {
        g.values[v.index()].def = ValueDef::Const(t);
    }
    Some(())
}
