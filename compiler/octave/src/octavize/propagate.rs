//! Nodes other than convolutions, on both frequencies.

use octrt_ops::def::concat::Concat;
use octrt_ops::{Arg, Args, DType, Node, Op, OpError, Shape, Tensor, ValueId};

use super::split::{Repr, Rewriter, Side, Split, half, part};

/// What the node gives when it works on each frequency of its inputs; none when it has to read them in one.
///
/// # Errors
/// [`OpError`] when a tensor cannot be made.
pub(super) fn both(rewriter: &mut Rewriter<'_>, node: &Node) -> Result<Option<Repr>, OpError> {
    if node.outputs.len() != 1 {
        return Ok(None);
    }
    match &node.op {
        Op::Unary(_) | Op::LeakyRelu(_) | Op::Elu(_) | Op::HardSigmoid(_) | Op::Clip(_) | Op::Identity(_) => {
            each(rewriter, node, Some)
        }
        Op::BatchNormalization(_) | Op::PRelu(_) | Op::Binary(_) => elementwise(rewriter, node),
        Op::MaxPool(_) | Op::AveragePool(_) => pool(rewriter, node),
        Op::GlobalPool(_) => global_pool(rewriter, node),
        Op::Concat(concat) => concatenate(rewriter, node, concat),
        _ => Ok(None),
    }
}

fn input(rewriter: &Rewriter<'_>, node: &Node, i: usize) -> Option<Repr> {
    node.input(i).map(|v| rewriter.repr(v).clone())
}

/// The split value that is input 0.
fn first(rewriter: &Rewriter<'_>, node: &Node) -> Option<Split> {
    match input(rewriter, node, 0)? {
        Repr::Split(split) => Some(split),
        Repr::Full(_) => None,
    }
}

/// The node on each frequency of input 0, its other inputs as they are; `extents` says what becomes of the extents.
fn each(
    rewriter: &mut Rewriter<'_>,
    node: &Node,
    extents: impl Fn([usize; 2]) -> Option<[usize; 2]>,
) -> Result<Option<Repr>, OpError> {
    let Some(split) = first(rewriter, node) else { return Ok(None) };
    let Some(to) = extents(split.extents) else { return Ok(None) };
    let mut side = |side: Side, suffix: &str| -> Result<Side, OpError> {
        let mut inputs = vec![Some(side.value)];
        for other in node.inputs.iter().skip(1) {
            inputs.push(other.map(|v| rewriter.full(v)).transpose()?);
        }
        let value = rewriter.add(&format!("{}.{suffix}", node.name), node.op.clone(), inputs);
        Ok(Side { value, ..side })
    };
    let (high, low) = (side(split.high, "h")?, side(split.low, "l")?);
    Ok(Some(Repr::Split(Split { high, low, extents: to })))
}

/// A function of elements at the same place, of values whose channels are split alike and of numbers for each channel.
fn elementwise(rewriter: &mut Rewriter<'_>, node: &Node) -> Result<Option<Repr>, OpError> {
    let splits = || {
        node.inputs.iter().flatten().filter_map(|&v| match rewriter.repr(v) {
            Repr::Split(split) => Some(split),
            Repr::Full(_) => None,
        })
    };
    let Some(model) = splits().next().cloned() else { return Ok(None) };
    let is_alike = |s: &Split| {
        s.high.channels == model.high.channels
            && s.low.channels == model.low.channels
            && s.extents == model.extents
    };
    if !splits().all(is_alike) {
        return Ok(None);
    }
    let count = model.high.channels.len() + model.low.channels.len();
    let mut inputs: [Vec<Option<ValueId>>; 2] = [Vec::new(), Vec::new()];
    for v in &node.inputs {
        let Some(v) = *v else {
            inputs.iter_mut().for_each(|list| list.push(None));
            continue;
        };
        let [high, low] = match rewriter.repr(v).clone() {
            Repr::Split(s) => [s.high.value, s.low.value],
            Repr::Full(value) => match per_channel(rewriter, node, v, count) {
                PerChannel::Scalar => [value, value],
                PerChannel::No => return Ok(None),
                PerChannel::Constant(axis) => {
                    let name = rewriter.old.value(v).name.clone();
                    let Some(t) = rewriter.old.constant(v).cloned() else { return Ok(None) };
                    let mut take = |side: &Side, suffix: &str| -> Result<ValueId, OpError> {
                        let taken = taken(&t, axis, &side.channels)?;
                        Ok(rewriter.graph.add_const(part(&name, suffix), taken))
                    };
                    [take(&model.high, "h")?, take(&model.low, "l")?]
                }
                PerChannel::Gate => {
                    let mut take = |side: &Side, suffix: &str| {
                        rewriter.select(&format!("{}.{suffix}", node.name), value, &side.channels)
                    };
                    [take(&model.high, "h")?, take(&model.low, "l")?]
                }
            },
        };
        inputs[0].push(Some(high));
        inputs[1].push(Some(low));
    }
    let [high_inputs, low_inputs] = inputs;
    let mut side = |side: Side, suffix: &str, inputs| {
        let value = rewriter.add(&format!("{}.{suffix}", node.name), node.op.clone(), inputs);
        Side { value, ..side }
    };
    let (high, low) = (side(model.high, "h", high_inputs), side(model.low, "l", low_inputs));
    Ok(Some(Repr::Split(Split { high, low, extents: model.extents })))
}

/// How a value in one frequency meets one in two.
enum PerChannel {
    /// One number for all.
    Scalar,
    /// A constant with a number for each channel, along this axis.
    Constant(usize),
    /// A computed number for each channel, as a factor from squeeze and excitation.
    Gate,
    /// Another way.
    No,
}

fn per_channel(rewriter: &Rewriter<'_>, node: &Node, v: ValueId, channels: usize) -> PerChannel {
    let Some(ty) = rewriter.old.value(v).ty.as_ref() else { return PerChannel::No };
    let is_constant = rewriter.old.constant(v).is_some();
    let is_norm = matches!(node.op, Op::BatchNormalization(_));
    match ty.shape.dims() {
        [n] if is_norm && *n == channels && is_constant => PerChannel::Constant(0),
        dims if dims.iter().all(|&d| d == 1) => PerChannel::Scalar,
        [c, 1, 1] if *c == channels && is_constant => PerChannel::Constant(0),
        [1, c, 1, 1] if *c == channels && is_constant => PerChannel::Constant(1),
        [_, c, 1, 1] if *c == channels => PerChannel::Gate,
        _ => PerChannel::No,
    }
}

/// These elements of an f32 constant along an axis before which all extents are 1.
fn taken(t: &Tensor, axis: usize, channels: &[usize]) -> Result<Tensor, OpError> {
    let all = t.to_vec::<f32>()?;
    let mut dims = t.shape().to_vec();
    dims[axis] = channels.len();
    Tensor::new(dims, &channels.iter().map(|&c| all[c]).collect::<Vec<f32>>())
}

/// A pooling, when the low frequency has half the extents afterwards too.
fn pool(rewriter: &mut Rewriter<'_>, node: &Node) -> Result<Option<Repr>, OpError> {
    let pooled = |[h, w]: [usize; 2]| {
        let shape = Shape::new(vec![1, 1, h, w]);
        let arg = Arg { dtype: DType::F32, shape: &shape, value: None };
        let types = node.op.as_operator().infer(Args(&[Some(arg)])).ok()?;
        match types.first()?.shape.dims() {
            [_, _, h, w] => Some([*h, *w]),
            _ => None,
        }
    };
    each(rewriter, node, |high| pooled(high).filter(|to| pooled(half(high)) == Some(half(*to))))
}

/// A global pooling of each frequency: the result has no extents left, so that both are one.
fn global_pool(rewriter: &mut Rewriter<'_>, node: &Node) -> Result<Option<Repr>, OpError> {
    let Some(Repr::Split(split)) = each(rewriter, node, Some)? else { return Ok(None) };
    Ok(Some(Repr::Full(rewriter.joined(&node.name, &split.high, &split.low)?)))
}

/// Channels one after the other, by frequency; what has one frequency goes to the high one.
fn concatenate(rewriter: &mut Rewriter<'_>, node: &Node, concat: &Concat) -> Result<Option<Repr>, OpError> {
    let (mut offset, mut extents) = (0, None);
    let mut sides: [(Vec<ValueId>, Vec<usize>); 2] = Default::default();
    for &v in node.inputs.iter().flatten() {
        let ty = rewriter.old.ty(v)?;
        let &[_, c, h, w] = ty.shape.dims() else { return Ok(None) };
        if !matches!(concat.axis, 1 | -3) {
            return Ok(None);
        }
        extents = Some([h, w]);
        let mut push = |i: usize, value: ValueId, channels: &mut dyn Iterator<Item = usize>| {
            sides[i].0.push(value);
            sides[i].1.extend(channels.map(|c| c + offset));
        };
        match rewriter.repr(v) {
            Repr::Full(value) => push(0, *value, &mut (0..c)),
            Repr::Split(s) => {
                push(0, s.high.value, &mut s.high.channels.iter().copied());
                push(1, s.low.value, &mut s.low.channels.iter().copied());
            }
        }
        offset += c;
    }
    let Some(extents) = extents else { return Ok(None) };
    let mut join = |(values, channels): (Vec<ValueId>, Vec<usize>), suffix: &str| {
        let value = match values[..] {
            [only] => only,
            _ => rewriter.add_of(&format!("{}.{suffix}", node.name), node.op.clone(), &values),
        };
        Side { value, channels }
    };
    let [high, low] = sides;
    let (high, low) = (join(high, "h"), join(low, "l"));
    Ok(Some(Repr::Split(Split { high, low, extents })))
}
