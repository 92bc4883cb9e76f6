//! Pass `fold_pad`.

use octrt_ops::def::pad::{PadAxis, PadMode, pad_axes};
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::graph::infer::with_args;
use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::window::{AutoPad, Rounding, Window, WindowAxis};
use octrt_ops::{DType, Node, NodeId, Op, ValueId};

use super::Skip;

/// `Conv(Pad(x), w) -> Conv(x, w)` with more padding, and so `AveragePool` and `MaxPool`: padding that a window has costs nothing,
/// where `Pad` is a pass over memory.
///
/// Requires: a pad of rows and columns (or of any axes behind the channels) with a constant, which is that of the window's own
/// padding: 0 for convolutions and for averages that count padding; -inf for maxima, or 0 where a ReLU or a sigmoid comes before; poolings
/// whose extents are not rounded up. Never blocked.
pub fn fold_pad(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
    let node = graph.node(id);
    let padded = node.input(0).ok_or(Skip::NoMatch)?;
    let pad = graph.node(graph.producer(padded).ok_or(Skip::NoMatch)?);
    let Op::Pad(op) = &pad.op else { return Err(Skip::NoMatch) };
    let x = pad.input(0).ok_or(Skip::NoMatch)?;
    let (from, to) = (graph.ty(x), graph.ty(padded));
    let (Ok(from), Ok(to)) = (from, to) else { return Err(Skip::NoMatch) };
    if op.mode != PadMode::Constant || from.dtype != DType::F32 || from.shape.rank() < 3 {
        return Err(Skip::NoMatch);
    }
    let axes = with_args(graph, pad, |args| pad_axes(&from.shape, args, op.mode));
    let axes = axes.ok().and_then(Result::ok).ok_or(Skip::NoMatch)?;
    let keeps = |a: &PadAxis| a.first == 0 && a.output >= a.kept + a.begin;
    let whole = |a: &PadAxis| a.begin == 0 && a.output == a.kept;
    let is_kept = axes.iter().zip(from.shape.iter()).all(|(a, n)| keeps(a) && a.kept == *n);
    if !is_kept || !axes.iter().take(2).all(whole) {
        return Err(Skip::NoMatch);
    }
    let value = match pad.input(2) {
        None => 0.0,
        Some(v) => {
            let value = graph.constant(v).and_then(|t| t.to_vec::<f32>().ok()?.first().copied());
            value.ok_or(Skip::NoMatch)?
        }
    };
    let extents = &to.shape.dims()[2..];
    let (window, windows) = windows(graph, node, extents)?;
    let pads = |of: fn(&WindowAxis) -> usize, more: fn(&PadAxis) -> usize| {
        windows.iter().zip(&axes[2..]).map(move |(w, a)| of(w) + more(a)).collect::<Vec<_>>()
    };
    let begin = pads(|w| w.pad_begin, |a| a.begin);
    let end = pads(|w| w.pad_end, |a| a.output - a.kept - a.begin);
    let wanted = Window { pads: [begin, end].concat(), auto_pad: AutoPad::NotSet, ..window.clone() };
    // What is counted or compared is the same only if each window has an element.
    let input = &from.shape.dims()[2..];
    let reaches = |kernel: &[usize]| {
        let all = wanted.axes_with(kernel, input, Rounding::Floor).unwrap_or_default();
        !all.is_empty() && all.iter().all(|w| (0..w.output).all(|o| !w.inside(o).is_empty()))
    };
    let unpadded = windows.iter().all(|w| w.pad_begin == 0 && w.pad_end == 0);
    let new = match &node.op {
        Op::Conv(conv) if value == 0.0 => {
            Op::from(octrt_ops::def::conv::Conv { window: wanted, ..conv.clone() })
        }
        Op::AveragePool(pool) if value == 0.0 && (unpadded || pool.count_include_pad) => {
            if pool.ceil_mode || !reaches(&window.kernel) {
                return Err(Skip::NoMatch);
            }
            Op::from(octrt_ops::def::average_pool::AveragePool {
                window: wanted,
                count_include_pad: true,
                ceil_mode: false,
            })
        }
        Op::MaxPool(pool) if value == f32::NEG_INFINITY || value == 0.0 && is_rectified(graph, x) => {
            if pool.ceil_mode || !reaches(&window.kernel) {
                return Err(Skip::NoMatch);
            }
            Op::from(octrt_ops::def::max_pool::MaxPool { window: wanted, ceil_mode: false })
        }
        _ => return Err(Skip::NoMatch),
    };
    let mut patch = Patch::new(graph);
    let mut inputs = node.inputs.clone();
    inputs[0] = Some(x);
    let result = node.outputs[0];
    let made = patch.add_node(&node.name, new, inputs, &[&graph.value(result).name]);
    patch.replace(result, made[0]);
    Ok(patch)
}

/// The window of a node over an input of these extents, and what it comes to along each axis.
fn windows<'a>(
    graph: &'a Editor,
    node: &'a Node,
    extents: &[usize],
) -> Result<(&'a Window, Vec<WindowAxis>), Skip> {
    let (window, kernel) = match &node.op {
        Op::Conv(conv) => {
            let wei = node.input(1).and_then(|v| graph.ty(v).ok()).ok_or(Skip::NoMatch)?;
            (&conv.window, wei.shape.dims()[2..].to_vec())
        }
        Op::AveragePool(pool) => (&pool.window, pool.window.kernel.clone()),
        Op::MaxPool(pool) => (&pool.window, pool.window.kernel.clone()),
        _ => return Err(Skip::NoMatch),
    };
    let axes = window.axes_with(&kernel, extents, Rounding::Floor).map_err(|_| Skip::NoMatch)?;
    Ok((window, axes))
}

/// Whether no element of a value is below zero.
fn is_rectified(graph: &Editor, v: ValueId) -> bool {
    let producer = graph.producer(v).map(|id| &graph.node(id).op);
    matches!(producer, Some(Op::Unary(Unary { kind: UnaryKind::Relu | UnaryKind::Sigmoid })))
}
