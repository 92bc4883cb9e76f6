//! Pass `pool_before_pointwise`.

use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{NodeId, Op};

use super::Skip;
use super::query::is_pointwise;

/// `AveragePool(Conv(x, w, b)) -> Conv(AveragePool(x), w, b)` for a pointwise convolution: means of weighted sums are
/// weighted sums of means, and there are fewer of them.
///
/// Requires: a window of 1 and steps of 1 in the convolution, which has no other user; steps of the pooling that are at
/// least its window, without padding, so that it has less to do before as well. Never blocked.
pub fn pool_before_pointwise(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
    let pool = graph.node(id);
    let Op::AveragePool(op) = &pool.op else { return Err(Skip::NoMatch) };
    let Window { kernel, strides, pads, auto_pad, .. } = &op.window;
    let shrinks = strides.len() == kernel.len()
        && kernel.iter().zip(strides).all(|(kernel, stride)| stride >= kernel)
        && strides.iter().any(|s| *s > 1);
    let unpadded = pads.iter().all(|p| *p == 0) && *auto_pad == AutoPad::NotSet && !op.ceil_mode;
    let x = pool.input(0).ok_or(Skip::NoMatch)?;
    let conv = graph.node(graph.producer(x).ok_or(Skip::NoMatch)?);
    if !shrinks || !unpadded || !is_pointwise(graph, conv) || graph.uses(x) != (1, 0) {
        return Err(Skip::NoMatch);
    }
    let mut patch = Patch::new(graph);
    let pooled = patch.add_node(&pool.name, pool.op.clone(), vec![conv.input(0)], &[""]);
    let mut inputs = conv.inputs.clone();
    inputs[0] = pooled.first().copied();
    let result = pool.outputs[0];
    let new = patch.add_node(&conv.name, conv.op.clone(), inputs, &[&graph.value(result).name]);
    patch.replace(result, new[0]);
    Ok(patch)
}
