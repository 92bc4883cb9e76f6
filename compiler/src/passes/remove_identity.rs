//! Pass `remove_identity`.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::reduce::ReduceKind;
use octrt_ops::def::resize::Resize;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::graph::infer::with_args;
use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::{Graph, Node, NodeId, Op, ValueId};

use super::Skip;
use super::query::is_filled_with;

/// `y = f(x) -> y = x`, for a node whose output has the type and elements of one of its inputs: Identity; Cast,
/// Reshape, Flatten, Squeeze, Unsqueeze, Expand, Tile, Reduce, GlobalPool, Split that leave the type alone; Concat of
/// one; Transpose that moves axes of extent 1 only; Slice of everything; Pad by nothing; pooling with a window of
/// one; Resize by 1; Clip without bounds; Add and Sub of zeros, Mul, Div and Pow by ones; blocks of one.
///
/// Requires: known types that are equal, and constants where elements matter. Never blocked.
///
/// `x + 0` turns `-0.0` into `0.0`: they are equal numbers.
pub fn remove_identity(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
    let node = graph.node(id);
    let [output] = node.outputs[..] else { return Err(Skip::NoMatch) };
    let source = passed_on(graph, node).ok_or(Skip::NoMatch)?;
    match (&graph.value(output).ty, &graph.value(source).ty) {
        (Some(after), Some(before)) if after == before => {}
        _ => return Err(Skip::NoMatch),
    }
    let mut patch = Patch::new(graph);
    patch.replace(output, source);
    Ok(patch)
}

/// The input that has the elements of the node's single output if it has its type.
fn passed_on(graph: &Graph, node: &Node) -> Option<ValueId> {
    let ones = |list: &[usize]| list.iter().all(|&n| n == 1);
    let passes = match &node.op {
        Op::Identity(_) | Op::Cast(_) | Op::CastLike(_) => true,
        Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) => true,
        Op::Expand(_) | Op::Tile(_) => true,
        // Every axis reduced has extent 1.
        Op::Reduce(op) => {
            matches!(op.kind, ReduceKind::Mean | ReduceKind::Sum | ReduceKind::Max | ReduceKind::Min)
        }
        Op::GlobalPool(_) => true,
        Op::Split(_) => true,
        Op::Concat(_) => node.inputs.len() == 1,
        Op::DepthToSpace(op) => op.blocksize == 1,
        Op::SpaceToDepth(op) => op.blocksize == 1,
        Op::Transpose(op) => keeps_order(graph, node, op)?,
        Op::Slice(_) => constant_ints(graph, node, 4).is_some_and(|steps| steps.iter().all(|&s| s > 0)),
        Op::Pad(_) => is_filled_with(graph.constant_input(node, 1)?, 0),
        // With the type unchanged there is no padding.
        Op::AveragePool(op) => ones(&op.window.kernel) && ones(&op.window.strides),
        Op::MaxPool(op) => ones(&op.window.kernel) && ones(&op.window.strides),
        Op::Resize(op) => scales_by_one(graph, node, op),
        Op::Clip(_) => node.input(1).is_none() && node.input(2).is_none(),
        Op::Binary(op) => return without_neutral(graph, node, op),
        _ => false,
    };
    if passes { node.input(0) } else { None }
}

/// The integers of input `i`; none when it is omitted.
fn constant_ints(graph: &Graph, node: &Node, i: usize) -> Option<Vec<i64>> {
    match node.input(i) {
        None => Some(Vec::new()),
        Some(v) => graph.constant(v)?.to_i64s().ok(),
    }
}

/// Whether the axes with extents other than 1 stay in order.
fn keeps_order(graph: &Graph, node: &Node, op: &Transpose) -> Option<bool> {
    let shape = &graph.ty(node.input(0)?).ok()?.shape;
    let reversed: Vec<usize> = (0..shape.rank()).rev().collect();
    let perm = if op.perm.is_empty() { &reversed } else { &op.perm };
    Some(perm.iter().filter(|&&axis| shape.get(axis) != Some(&1)).is_sorted())
}

/// Whether no axis is resampled.
fn scales_by_one(graph: &Graph, node: &Node, op: &Resize) -> bool {
    let resampled = with_args(graph, node, |args| op.resampled_axes(args));
    resampled.and_then(|axes| axes).is_ok_and(|axes| axes.is_empty())
}

/// The operand that stays when the other one is neutral.
fn without_neutral(graph: &Graph, node: &Node, op: &Binary) -> Option<ValueId> {
    let is = |i: usize, v: i8| graph.constant_input(node, i).is_some_and(|t| is_filled_with(t, v));
    let stays = match op.kind {
        BinaryKind::Add if is(0, 0) => 1,
        BinaryKind::Add | BinaryKind::Sub if is(1, 0) => 0,
        BinaryKind::Mul if is(0, 1) => 1,
        BinaryKind::Mul | BinaryKind::Div | BinaryKind::Pow if is(1, 1) => 0,
        _ => return None,
    };
    node.input(stays)
}
