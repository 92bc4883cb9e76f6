//! Shapes of results, worked out from the definitions of the ONNX operators.

use crate::problem::{Conv, Kind, Pads, Problem, Rounding, Window};

/// Padding and number of windows along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub begin: usize,
    pub end: usize,
    pub outputs: usize,
}

/// How a window spans an axis of `extent`; none when it does not fit.
pub fn span(extent: usize, window: &Window, axis: usize, rounding: Rounding) -> Option<Span> {
    let axes = window.kernel.len();
    let stride = window.strides[axis];
    let reach = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
    let same = ((extent.div_ceil(stride) - 1) * stride + reach).saturating_sub(extent);
    let (begin, end) = match &window.pads {
        Pads::Explicit(pads) => (pads[axis], pads[axes + axis]),
        Pads::Valid => (0, 0),
        Pads::SameUpper => (same / 2, same.div_ceil(2)),
        Pads::SameLower => (same.div_ceil(2), same / 2),
    };
    let room = (extent + begin + end).checked_sub(reach)?;
    let mut outputs = room / stride + 1;
    // A window that would begin behind the input does not count.
    if rounding == Rounding::Ceil && !room.is_multiple_of(stride) && outputs * stride < extent + begin {
        outputs += 1;
    }
    Some(Span { begin, end, outputs })
}

fn windows(src: &[usize], window: &Window, rounding: Rounding) -> Option<Vec<usize>> {
    if src.len() != window.kernel.len() + 2 {
        return None;
    }
    (0..window.kernel.len()).map(|i| span(src[2 + i], window, i, rounding).map(|s| s.outputs)).collect()
}

/// Output extent and leading padding of a transposed window along one axis.
pub fn transposed_span(extent: usize, window: &Window, axis: usize, extra: usize) -> Option<(usize, usize)> {
    let axes = window.kernel.len();
    let stride = window.strides[axis];
    let full = (extent - 1) * stride + (window.kernel[axis] - 1) * window.dilations[axis] + 1 + extra;
    let wanted = extent * stride;
    let rest = full.saturating_sub(wanted);
    match &window.pads {
        Pads::Explicit(pads) => {
            let output = full.checked_sub(pads[axis] + pads[axes + axis])?;
            (output > 0).then_some((output, pads[axis]))
        }
        Pads::Valid => Some((full, 0)),
        Pads::SameUpper => Some((wanted, rest / 2)),
        Pads::SameLower => Some((wanted, rest.div_ceil(2))),
    }
}

fn divides(conv: &Conv, ic: usize) -> bool {
    conv.oc > 0 && conv.group > 0 && ic.is_multiple_of(conv.group) && conv.oc.is_multiple_of(conv.group)
}

fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    let one = |i| match (at(a, i), at(b, i)) {
        (x, y) if x == y || y == 1 => Some(x),
        (1, y) => Some(y),
        _ => None,
    };
    (0..rank).map(one).collect()
}

fn concat(inputs: &[&[usize]]) -> Option<Vec<usize>> {
    let mut shape = inputs.first()?.to_vec();
    for s in &inputs[1..] {
        let fits = s.len() == shape.len() && s[0] == shape[0] && s[2..] == shape[2..];
        shape[1] += fits.then_some(s[1])?;
    }
    Some(shape)
}

fn matmul(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let ([lead_a @ .., m, k], [lead_b @ .., kb, n]) = (a, b) else { return None };
    let mut shape = broadcast(lead_a, lead_b)?;
    shape.extend([*m, *n]);
    (k == kb).then_some(shape)
}

/// The shape of a node's result; none when the node does not take these inputs.
pub fn infer(kind: &Kind, inputs: &[&[usize]]) -> Option<Vec<usize>> {
    let src = inputs.first().copied().unwrap_or_default();
    let spatial = |n: usize| src.len() > 2 && n == src.len() - 2;
    let with = |channels, extents: Vec<usize>| [&[src[0], channels], &extents[..]].concat();
    Some(match kind {
        Kind::Input { shape, .. } | Kind::Const { shape, .. } => shape.clone(),
        Kind::Conv(c) => {
            let extents = windows(src, &c.window, Rounding::Floor)?;
            let fits = divides(c, src[1]) && inputs.get(1).is_none_or(|w| **w == conv_weights(c, src));
            fits.then(|| with(c.oc, extents))?
        }
        Kind::ConvTranspose { conv, output_padding } => {
            if !spatial(conv.window.kernel.len()) || !divides(conv, src[1]) {
                return None;
            }
            let extent = |i: usize| transposed_span(src[2 + i], &conv.window, i, output_padding[i]);
            let extents: Option<Vec<usize>> = (0..src.len() - 2).map(|i| extent(i).map(|(o, _)| o)).collect();
            with(conv.oc, extents?)
        }
        Kind::BatchNorm | Kind::Unary(_) => (src.len() >= 2).then(|| src.to_vec())?,
        Kind::Binary(_) => broadcast(src, inputs.get(1)?)?,
        Kind::MaxPool(w, rounding) | Kind::AveragePool(w, rounding, _) => {
            with(*src.get(1)?, windows(src, w, *rounding)?)
        }
        Kind::GlobalAverage | Kind::GlobalMax => {
            (src.len() > 2).then(|| with(src[1], vec![1; src.len() - 2]))?
        }
        Kind::Concat => concat(inputs)?,
        Kind::Up(_) => (src.len() > 2).then(|| with(src[1], src[2..].iter().map(|d| 2 * d).collect()))?,
        Kind::Pad(p) => {
            let n = p.len() / 2;
            spatial(n).then(|| with(src[1], (0..n).map(|i| p[i] + src[2 + i] + p[n + i]).collect()))?
        }
        Kind::Slice(begin, end) => {
            (begin < end && *end <= *src.get(1)?).then(|| with(end - begin, src[2..].to_vec()))?
        }
        Kind::ChannelsLast => (src.len() > 2).then(|| [&src[..1], &src[2..], &src[1..2]].concat())?,
        Kind::Flatten => vec![*src.first()?, src[1..].iter().product()],
        Kind::Gemm(g) => match src {
            [m, k] => vec![if g.trans_a { *k } else { *m }, g.n],
            _ => return None,
        },
        Kind::MatMul => matmul(src, inputs.get(1)?)?,
    })
}

/// Shapes of all nodes; none when one does not take its inputs.
pub fn infer_all(p: &Problem) -> Option<Vec<Vec<usize>>> {
    let mut shapes: Vec<Vec<usize>> = Vec::new();
    for node in &p.nodes {
        let inputs: Vec<&[usize]> =
            node.inputs.iter().map(|&i| shapes.get(i).map(Vec::as_slice)).collect::<Option<_>>()?;
        let shape = infer(&node.kind, &inputs)?;
        shapes.push(shape);
    }
    Some(shapes)
}

/// Extents of a convolution's weights: `[oc, ic / group, kernel..]`.
pub fn conv_weights(conv: &Conv, src: &[usize]) -> Vec<usize> {
    [&[conv.oc, src[1] / conv.group], &conv.window.kernel[..]].concat()
}

/// Extents of a transposed convolution's weights: `[ic, oc / group, kernel..]`.
pub fn transposed_weights(conv: &Conv, src: &[usize]) -> Vec<usize> {
    [&[src[1], conv.oc / conv.group], &conv.window.kernel[..]].concat()
}

/// Multiply-accumulates of a node.
pub fn macs(kind: &Kind, src: &[usize], dst: &[usize]) -> usize {
    let count = |v: &[usize]| v.iter().product::<usize>();
    match kind {
        Kind::Conv(c) => count(dst) * count(&conv_weights(c, src)[1..]),
        Kind::ConvTranspose { conv, .. } => count(src) * count(&transposed_weights(conv, src)[1..]),
        Kind::Gemm(_) => count(src) * dst[1],
        Kind::MatMul => count(dst) * src[src.len() - 1],
        _ => 0,
    }
}
