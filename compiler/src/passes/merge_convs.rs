//! Pass `merge_convs`.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::concat::Concat;
use octrt_ops::def::conv::Conv;
use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::window::Window;
use octrt_ops::{DType, Node, NodeId, Op, Shape, Tensor, TensorType, ValueId};

use super::Skip;

use crate::options::Options;

/// `Add(Conv(x, v, a), Conv(y, w, b)) -> Conv(Concat(x, y), [v w], a + b)`: one sum over the channels of both, as the low
/// half of an octave convolution is. The two inputs are written side by side by whoever computes them.
///
/// Requires: two dimensions, batch 1, one group, the same windows; weights and biases that are constants; no other users
/// of the two results; inputs that nodes compute, each of as many channels as fill blocks of the target. Never blocked: the
/// addition that is left runs inside the second convolution.
pub fn merge_convs(graph: &Editor, id: NodeId, options: Options) -> Result<Patch, Skip> {
    let lanes = options.target.width().ok_or(Skip::NoMatch)?.lanes() as usize;
    let add = graph.node(id);
    let Op::Binary(Binary { kind: BinaryKind::Add }) = &add.op else { return Err(Skip::NoMatch) };
    let (Some(a), Some(b)) = (add.input(0), add.input(1)) else { return Err(Skip::NoMatch) };
    let mut parts = [part(graph, a, lanes)?, part(graph, b, lanes)?];
    // The order of the inputs decides, so that equal pairs become one concatenation.
    parts.sort_by_key(|p| p.x);
    let [p, q] = &parts;
    let same = p.windows == q.windows && p.x != q.x && graph.value(a).ty == graph.value(b).ty;
    if !same || graph.ty(p.x).ok().map(extents) != graph.ty(q.x).ok().map(extents) {
        return Err(Skip::NoMatch);
    }
    let mut patch = Patch::new(graph);
    let name = &p.node.name;
    let x = patch.add_node(
        format!("{name}+{}", q.node.name),
        Op::Concat(Concat { axis: 1 }),
        vec![Some(p.x), Some(q.x)],
        &[""],
    );
    let w = patch.add_const(format!("{name}+{}", q.node.name), side_by_side(p.weight, q.weight)?);
    let mut inputs = vec![x.first().copied(), Some(w)];
    if p.bias.is_some() || q.bias.is_some() {
        let sum = sum(p.bias, q.bias, p.weight.shape()[0])?;
        inputs.push(Some(patch.add_const(format!("{name}+{} bias", q.node.name), sum)));
    }
    let result = add.outputs[0];
    let new = patch.add_node(name, p.node.op.clone(), inputs, &[&graph.value(result).name]);
    patch.replace(result, new[0]);
    Ok(patch)
}

/// Batch, rows and columns.
fn extents(ty: &TensorType) -> [usize; 3] {
    [ty.shape[0], ty.shape[2], ty.shape[3]]
}

/// A convolution that may become a part of another one.
struct Part<'a> {
    node: &'a Node,
    x: ValueId,
    weight: &'a Tensor,
    bias: Option<&'a Tensor>,
    /// The attributes with what is left out filled in.
    windows: Conv,
}

fn part(graph: &Editor, value: ValueId, lanes: usize) -> Result<Part<'_>, Skip> {
    let found = || {
        let node = graph.node(graph.producer(value)?);
        let Op::Conv(op) = &node.op else { return None };
        let x = node.input(0)?;
        let ty = graph.ty(x).ok()?;
        let weight = graph.constant_input(node, 1)?;
        let bias = graph.constant_input(node, 2);
        let (&[n, c, ..], &[_, _, kh, kw]) = (ty.shape.dims(), weight.shape().dims()) else { return None };
        let fits = op.group == 1
            && n == 1
            && c.is_multiple_of(lanes)
            && weight.dtype() == DType::F32
            && bias.is_some() == node.input(2).is_some()
            && graph.producer(x).is_some()
            && graph.uses(value) == (1, 0);
        let filled =
            |list: &[usize], n: usize, v: usize| if list.is_empty() { vec![v; n] } else { list.to_vec() };
        let window = Window {
            kernel: vec![kh, kw],
            strides: filled(&op.window.strides, 2, 1),
            dilations: filled(&op.window.dilations, 2, 1),
            pads: filled(&op.window.pads, 4, 0),
            auto_pad: op.window.auto_pad,
        };
        let windows = Conv { window, group: 1 };
        fits.then_some(Part { node, x, weight, bias, windows })
    };
    found().ok_or(Skip::NoMatch)
}

fn refused(e: impl std::fmt::Display) -> Skip {
    Skip::Blocked(e.to_string())
}

/// Weights `[oc, c, kh, kw]` and `[oc, d, kh, kw]` as `[oc, c + d, kh, kw]`.
fn side_by_side(v: &Tensor, w: &Tensor) -> Result<Tensor, Skip> {
    let (&[oc, c, kh, kw], &[_, d, ..]) = (v.shape().dims(), w.shape().dims()) else {
        return Err(Skip::NoMatch);
    };
    let run = |channels: usize| 4 * (channels * kh * kw).max(1);
    let mut bytes = Vec::with_capacity(v.bytes().len() + w.bytes().len());
    for (v, w) in v.bytes().chunks_exact(run(c)).zip(w.bytes().chunks_exact(run(d))) {
        bytes.extend_from_slice(v);
        bytes.extend_from_slice(w);
    }
    let ty = TensorType { dtype: DType::F32, shape: Shape::new([oc, c + d, kh, kw]) };
    Tensor::from_bytes(ty, bytes).map_err(refused)
}

/// The sum of two biases, one of which may be missing.
fn sum(a: Option<&Tensor>, b: Option<&Tensor>, channels: usize) -> Result<Tensor, Skip> {
    let floats = |t: Option<&Tensor>| match t {
        Some(t) => t.to_vec::<f32>().map_err(refused),
        None => Ok(vec![0.0; channels]),
    };
    let elements: Vec<f32> = floats(a)?.iter().zip(floats(b)?).map(|(a, b)| a + b).collect();
    Tensor::new([channels], &elements).map_err(refused)
}
