//! Pass `upsample_after_pointwise`.

use octrt_ops::def::resize::{CoordinateTransform, Resize, ResizeMode};
use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::{NodeId, Op};

use super::Skip;
use super::query::{is_pointwise, leaves_channels};

/// `Conv(Resize(x), w, b) -> Resize(Conv(x, w, b))` for a pointwise convolution and a nearest upsampling: pixels that are
/// copies of each other are computed once.
///
/// Requires: a window of 1 and steps of 1 in the convolution; channels that the resize leaves alone (also where its factor
/// gives as many, in another order), the same batch, and no axis that it shortens. Never blocked.
pub fn upsample_after_pointwise(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
    let conv = graph.node(id);
    if !is_pointwise(graph, conv) {
        return Err(Skip::NoMatch);
    }
    let x = conv.input(0).ok_or(Skip::NoMatch)?;
    let resize = graph.node(graph.producer(x).ok_or(Skip::NoMatch)?);
    let Op::Resize(op @ Resize { mode: ResizeMode::Nearest, coordinates, .. }) = &resize.op else {
        return Err(Skip::NoMatch);
    };
    let source = resize.input(0).ok_or(Skip::NoMatch)?;
    let (Ok(from), Ok(to)) = (graph.ty(source), graph.ty(x)) else { return Err(Skip::NoMatch) };
    let (from, to) = (from.shape.dims(), to.shape.dims());
    let grows = from.iter().zip(to).all(|(a, b)| a <= b) && from != to;
    // `sizes` of all axes and an aspect policy would speak of other channels after the convolution.
    let by_scales = resize.input(3).is_none();
    let same = from[..2] == to[..2] && leaves_channels(graph, resize, op);
    if !grows || !same || !by_scales || *coordinates == CoordinateTransform::TfCropAndResize {
        return Err(Skip::NoMatch);
    }
    let mut patch = Patch::new(graph);
    let mut inputs = conv.inputs.clone();
    inputs[0] = Some(source);
    let low = patch.add_node(&conv.name, conv.op.clone(), inputs, &[""]);
    let mut inputs = resize.inputs.clone();
    inputs[0] = low.first().copied();
    let result = conv.outputs[0];
    let new = patch.add_node(&resize.name, resize.op.clone(), inputs, &[&graph.value(result).name]);
    patch.replace(result, new[0]);
    Ok(patch)
}
