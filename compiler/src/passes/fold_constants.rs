//! Pass `fold_constants`.

use octrt_ops::NodeId;
use octrt_ops::graph::infer;
use octrt_ops::graph::rewrite::{Editor, Patch};

use super::Skip;

/// Largest size in bytes of what one node is folded to.
const MAX_BYTES: usize = 1 << 28;

/// Largest number of multiply-accumulates of a node that is folded: about a second of the reference.
const MAX_MACS: u64 = 1 << 28;

/// `f(constants) -> constant`, for every operator: sliced, scaled and reshaped weights, computed shapes.
///
/// Requires: all inputs given are constants.
/// Blocked when: the results are larger than `MAX_BYTES`, the work is more than `MAX_MACS`, or the operator
/// refuses its arguments.
pub fn fold_constants(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
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

#[cfg(test)]
mod tests {
    use octrt_ops::graph::text;

    use super::*;

    fn reason(lines: &str) -> Skip {
        let text = format!("graph \"g\" {{\n{lines}\noutput \"y\" = %2 }}");
        fold_constants(&Editor::new(text::parse(&text, &[]).unwrap()), NodeId(0)).unwrap_err()
    }

    #[test]
    fn what_is_too_large_or_refused_stays() {
        let large = "const %0: f32[] = [1]
            const %1: i64[1] = [99999999]
            %2: f32[99999999] = Expand (%0, %1)";
        let message = "the result has 399999996 bytes, the limit is 268435456";
        assert_eq!(reason(large), Skip::Blocked(message.into()));
        let slow = "const %0: f32[1024,512] = fill(1)
            const %1: f32[512,1024] = fill(1)
            %2: f32[1024,1024] = MatMul (%0, %1)";
        let message = "it takes 536870912 multiply-accumulates, the limit is 268435456";
        assert_eq!(reason(slow), Skip::Blocked(message.into()));
        let refused = "const %0: f32[1] = [1]
            const %1: i64[1] = [7]
            %2: f32[1] = Gather { axis = 0 } (%0, %1)";
        assert!(matches!(reason(refused), Skip::Blocked(_)));
    }

    #[test]
    fn nodes_with_an_input_that_varies_are_left_alone() {
        let lines = "input %0: f32[1]
            const %1: f32[1] = [1]
            %2: f32[1] = Binary { kind = add } (%0, %1)";
        assert_eq!(reason(lines), Skip::NoMatch);
    }
}
