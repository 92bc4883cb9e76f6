//! Nodes that move elements only, seen as one: what they do is read off from where the elements of a numbered tensor end up.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::{DType, Node, NodeId, Op, Tensor, ValueId};

use super::view::View;

/// Largest tensor whose elements can be numbered in f32.
const MAX_ELEMENTS: usize = 1 << 24;

/// What a group of nodes does to the one tensor that it reads: `y[n, c, h, w] = x[n, c, h / repeat, w / repeat]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rearrangement {
    /// The tensor.
    pub source: ValueId,
    /// The nodes, in order.
    pub nodes: Vec<NodeId>,
    /// Rows and columns that show one pixel: 1 or 2.
    pub repeat: usize,
    /// Whether pixels at the ends of rows and columns are missing, or others stand there.
    pub cut: bool,
    /// Whether the axis of channels has become the last.
    pub moved: bool,
}

fn moves(node: &Node) -> bool {
    matches!(
        node.op,
        Op::Reshape(_)
            | Op::Unsqueeze(_)
            | Op::Squeeze(_)
            | Op::Tile(_)
            | Op::Expand(_)
            | Op::Concat(_)
            | Op::Split(_)
            | Op::Slice(_)
            | Op::Gather(_)
            | Op::Transpose(_)
            | Op::Pad(Pad { mode: PadMode::Constant })
    )
}

/// The rearrangement that ends with `v`; none where several tensors are mixed or pixels end up elsewhere.
pub fn of(view: &View<'_>, v: ValueId) -> Option<Rearrangement> {
    let mut nodes = BTreeSet::new();
    let mut sources = BTreeSet::new();
    let mut open = vec![v];
    while let Some(v) = open.pop() {
        match view.graph.producer(v).filter(|n| moves(view.node(*n))) {
            Some(n) if nodes.insert(n) => open.extend(view.variables(view.node(n))),
            Some(_) => {}
            None => {
                sources.insert(v);
            }
        }
    }
    let source = *sources.first().filter(|_| sources.len() == 1 && !nodes.is_empty())?;
    let nodes: Vec<NodeId> = nodes.into_iter().collect();
    let (from, to) = (view.graph.ty(source).ok()?, view.graph.ty(v).ok()?);
    let (from_dims, to_dims) = (from.shape.dims(), to.shape.dims());
    let fits = from.dtype == DType::F32
        && from.shape.rank() >= 4
        && from.shape.rank() == to.shape.rank()
        && from.shape.numel().max(to.shape.numel()) < MAX_ELEMENTS;
    if !fits {
        return None;
    }
    let places = numbered(view, source, &nodes, v)?.to_f64s();
    [1, 2].into_iter().flat_map(|repeat| [(repeat, false), (repeat, true)]).find_map(|(repeat, moved)| {
        let cut = compare(from_dims, to_dims, &places, repeat, moved)?;
        Some(Rearrangement { source, nodes: nodes.clone(), repeat, cut, moved })
    })
}

/// What the nodes make of a tensor in which every element is its position, from 1.
fn numbered(view: &View<'_>, source: ValueId, nodes: &[NodeId], v: ValueId) -> Option<Tensor> {
    let shape = view.graph.ty(source).ok()?.shape.clone();
    let numbers: Vec<f32> = (1..=shape.numel()).map(|i| i as f32).collect();
    let mut known = BTreeMap::from([(source, Tensor::new(shape, &numbers).ok()?)]);
    for id in nodes {
        let node = view.node(*id);
        let tensor = |v: &ValueId| known.get(v).or_else(|| view.graph.constant(*v));
        let inputs: Vec<Option<&Tensor>> = node.inputs.iter().map(|v| v.as_ref().and_then(tensor)).collect();
        let results = node.op.as_operator().reference(&inputs).ok()?;
        known.extend(node.outputs.iter().copied().zip(results));
    }
    known.remove(&v)
}

/// Whether positions are as they must be: if so, whether rows or columns were cut off or added.
fn compare(from: &[usize], to: &[usize], places: &[f64], repeat: usize, moved: bool) -> Option<bool> {
    let rank = from.len();
    // Axis of the result for each axis of the source.
    let axis = |k: usize| match (moved, k) {
        (false, k) => k,
        (true, 0) => 0,
        (true, 1) => rank - 1,
        (true, k) => k - 1,
    };
    let in_plane = |k: usize| k + 2 >= rank;
    let factor = |k: usize| if in_plane(k) { repeat } else { 1 };
    if (0..rank).any(|k| !in_plane(k) && to[axis(k)] != from[k]) {
        return None;
    }
    let cut = (0..rank).any(|k| to[axis(k)] != from[k] * factor(k));
    // A map that has lost more than a pixel per axis has not been adjusted to another one.
    if (0..rank).any(|k| to[axis(k)].abs_diff(from[k] * factor(k)) > 1) {
        return None;
    }
    let mut index = vec![0; rank];
    for &place in places {
        let inside = (0..rank).all(|k| index[axis(k)] < from[k] * factor(k));
        let position = (0..rank).fold(0, |sum, k| sum * from[k] + index[axis(k)] / factor(k));
        if inside && place != (position + 1) as f64 {
            return None;
        }
        for k in (0..rank).rev() {
            index[k] += 1;
            if index[k] < to[k] {
                break;
            }
            index[k] = 0;
        }
    }
    Some(cut)
}
