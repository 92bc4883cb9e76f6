//! Questions that rules ask about a graph.

use octrt_ops::def::resize::Resize;
use octrt_ops::expr::Scalar;
use octrt_ops::graph::infer::with_args;
use octrt_ops::{DType, Graph, Node, Op, Tensor, ValueId};

/// Whether the node is a convolution that looks at one pixel at a time, in place, with a constant weight.
pub fn is_pointwise(graph: &Graph, node: &Node) -> bool {
    let Op::Conv(op) = &node.op else { return false };
    let ones = |list: &[usize]| list.iter().all(|n| *n == 1);
    // With a window of 1, automatic padding is none.
    graph.constant_input(node, 1).is_some_and(|w| w.shape().rank() > 2 && ones(&w.shape().dims()[2..]))
        && ones(&op.window.strides)
        && op.window.pads.iter().all(|p| *p == 0)
}

/// Whether the output of a Resize has the channels of its input, axis 1, one by one.
pub fn leaves_channels(graph: &Graph, node: &Node, op: &Resize) -> bool {
    let resampled = with_args(graph, node, |args| op.resampled_axes(args));
    resampled.and_then(|axes| axes).is_ok_and(|axes| !axes.contains(&1))
}

/// Whether every element is the number `v` (`-0.0` is 0; NaN is no number).
pub fn is_filled_with(tensor: &Tensor, v: i8) -> bool {
    match tensor.dtype() {
        DType::Bool => false,
        d => tensor.bytes().chunks_exact(d.size()).all(|b| Scalar::read(d, b).to_f64() == f64::from(v)),
    }
}

/// Whether the first two inputs of a node hold whole numbers: constants that are, and integers that were made floats.
pub fn is_whole(graph: &Graph, node: &Node) -> bool {
    let whole = |i: usize| node.input(i).is_some_and(|v| holds_whole_numbers(graph, v));
    whole(0) && whole(1)
}

fn holds_whole_numbers(graph: &Graph, value: ValueId) -> bool {
    if let Some(t) = graph.constant(value) {
        return t.to_f64s().iter().all(|v| v.fract() == 0.0);
    }
    let Some(node) = graph.producer(value).map(|id| graph.node(id)) else { return false };
    let from_integers = || {
        let x = node.input(0).and_then(|v| graph.ty(v).ok());
        x.is_some_and(|t| !t.dtype.is_float())
    };
    match &node.op {
        Op::Cast(_) => from_integers(),
        Op::DequantizeLinear(_) => graph.constant_input(node, 1).is_some_and(|s| is_filled_with(s, 1)),
        _ => false,
    }
}
