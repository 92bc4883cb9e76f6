//! Pass `fold_constants`.

use octrt_ops::graph::infer;
use octrt_ops::graph::rewrite::Patch;
use octrt_ops::{Graph, NodeId};

use super::Skip;

/// Largest size in bytes of what one node is folded to.
const MAX_BYTES: usize = 1 << 28;

/// Largest number of multiply-accumulates of a node that is folded: about a second of the reference.
const MAX_MACS: u64 = 1 << 28;

/// `f(constants) -> constant`, for every operator: sliced, scaled and reshaped weights, computed shapes.
///
/// Requires: all inputs given are constants.
/// Blocked when: the results are larger than [`MAX_BYTES`], the work is more than [`MAX_MACS`], or the operator
/// refuses its arguments.
pub fn fold_constants(graph: &Graph, id: NodeId) -> Result<Patch, Skip> {
    let node = graph.node(id);
    let inputs = infer::constant_inputs(graph, node).ok_or(Skip::NoMatch)?;
    let sizes = node.outputs.iter().map(|v| graph.ty(*v).map_or(0, |ty| ty.bytes()));
    let bytes = sizes.fold(0, usize::saturating_add);
    if bytes > MAX_BYTES {
        return Err(Skip::Blocked(format!("the result has {bytes} bytes, the limit is {MAX_BYTES}")));
    }
    let macs = infer::with_args(graph, node, |args| node.op.as_operator().macs(args)).unwrap_or(0);
    if macs > MAX_MACS {
        return Err(Skip::Blocked(format!("it takes {macs} multiply-accumulates, the limit is {MAX_MACS}")));
    }
    let results =
        node.op.as_operator().reference(&inputs).map_err(|e| Skip::Blocked(e.message().to_string()))?;
    let mut patch = Patch::new(graph);
    for (&v, tensor) in node.outputs.iter().zip(results) {
        let constant = patch.add_const(&graph.value(v).name, tensor);
        patch.replace(v, constant);
    }
    Ok(patch)
}
