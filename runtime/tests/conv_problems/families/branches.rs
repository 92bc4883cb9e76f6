//! Convolutions side by side: residuals, concatenations, several users of one result.

use crate::draft::Draft;
use crate::parts::{CHANNELS, activation, conv, conv_to, plain, pool, same_conv, source, tail, try_hard};
use crate::problem::{Bias, Binary, Conv, Fill, Kind, Unary, Window};

/// What is added to `y`, a result of convolving `x`: an input, `x` itself, another convolution of `x`.
fn residual(d: &mut Draft, x: usize, y: usize) -> Option<usize> {
    let shape = d.shape(y).to_vec();
    match d.r.below(3) {
        0 => d.input(&shape, Fill::Unit),
        1 if d.shape(x) == shape => Some(x),
        1 | 2 if d.r.one_in(4) => tail(d, y),
        _ => {
            let z = conv_to(d, x, shape[1], &shape[2..])?;
            if d.r.one_in(3) { d.add(Kind::BatchNorm, &[z]) } else { Some(z) }
        }
    }
}

fn block(d: &mut Draft, x: usize) -> Option<usize> {
    let y = if d.r.one_in(2) { same_conv(d, x)? } else { conv(d, x)? };
    let y = if d.r.one_in(2) { d.add(Kind::BatchNorm, &[y])? } else { y };
    let before = d.r.one_in(3);
    let y = if before { activation(d, y)? } else { y };
    let z = residual(d, x, y)?;
    let sum = d.binary(Binary::Add, y, z)?;
    if before && d.r.one_in(2) { Some(sum) } else { activation(d, sum) }
}

/// One or two residual blocks.
pub fn residuals(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let x = if d.r.one_in(3) { conv(d, x)? } else { x };
    let y = block(d, x)?;
    if d.r.one_in(3) {
        if d.r.one_in(2) {
            d.output(y);
        }
        return block(d, y).map(drop);
    }
    Some(())
}

/// Results of two or three convolutions, or of one and its input, as one tensor, then a convolution or a normalisation.
pub fn joined(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let first = conv(d, x)?;
    let first = tail(d, first)?;
    let shape = d.shape(first).to_vec();
    let mut all = vec![first];
    for _ in 0..d.r.pick(&[1, 1, 2]) {
        if d.r.one_in(4) && d.shape(x)[2..] == shape[2..] {
            all.push(x);
        } else {
            let oc = d.r.pick(&CHANNELS);
            let y = conv_to(d, x, oc, &shape[2..])?;
            all.push(tail(d, y)?);
        }
    }
    let at = d.r.below(all.len());
    all.rotate_left(at);
    let y = d.add(Kind::Concat, &all)?;
    if d.r.one_in(4) {
        d.output(first);
    }
    match d.r.below(4) {
        0 => Some(()),
        1 => tail(d, y).map(drop),
        2 => {
            let y = d.add(Kind::BatchNorm, &[y])?;
            let y = d.add(Kind::Unary(Unary::Relu), &[y])?;
            conv(d, y).map(drop)
        }
        _ => conv(d, y).map(drop),
    }
}

/// A result with two or three users that need different padding.
pub fn forked(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let y = if d.r.one_in(4) {
        x
    } else {
        let y = conv(d, x)?;
        tail(d, y)?
    };
    if d.r.one_in(3) && y != x {
        d.output(y);
    }
    let mut ends: Vec<usize> = Vec::new();
    for _ in 0..d.r.pick(&[2, 2, 3]) {
        let end = try_hard(d, |d| match d.r.below(5) {
            0 => pool(d, y),
            1 => same_conv(d, y),
            2 => {
                let (oc, kernel) = (d.r.pick(&[8, 13, 16]), d.r.pick(&[1, 3, 5, 7]));
                plain(d, y, oc, kernel)
            }
            _ => conv(d, y),
        })?;
        ends.push(if d.r.one_in(2) { activation(d, end)? } else { end });
    }
    if d.shape(ends[0]) == d.shape(ends[1]) {
        return d.binary(Binary::Add, ends[0], ends[1]).map(drop);
    }
    let last = d.problem.nodes.len() - 1;
    ends.into_iter().filter(|&e| e != last).for_each(|e| d.output(e));
    Some(())
}

/// Squeeze and excitation: channels scaled by what a small network makes of their means.
pub fn excited(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let y = conv(d, x)?;
    let y = tail(d, y)?;
    let channels = d.channels(y);
    let gate = d.add(Kind::GlobalAverage, &[y])?;
    let gate = plain(d, gate, channels.div_ceil(4), 1)?;
    let gate = d.add(Kind::Unary(Unary::Relu), &[gate])?;
    let gate = plain(d, gate, channels, 1)?;
    let limit = d.r.pick(&[Unary::Sigmoid, Unary::Clip(0.0, 1.0)]);
    let gate = d.add(Kind::Unary(limit), &[gate])?;
    let y = d.binary(Binary::Mul, y, gate)?;
    let window = Window::uniform(axes, 1, 1, 0);
    let oc = d.r.pick(&CHANNELS);
    d.conv(Conv { oc, group: 1, bias: Bias::None, window }, y).map(drop)
}

/// Weights that two convolutions share, or that are known only when the model runs, or are a part of others.
pub fn weights(d: &mut Draft) -> Option<()> {
    let x = source(d, 2)?;
    let ic = d.channels(x);
    let (oc, kernel) = (d.r.pick(&CHANNELS), d.r.pick(&[1, 3, 3, 5]));
    let wei = match d.r.below(3) {
        0 => d.input(&[oc, ic, kernel, kernel], Fill::Unit)?,
        1 => d.constant(&[oc, ic, kernel, kernel], Fill::Unit)?,
        _ => {
            let (before, behind) = (d.r.below(4), d.r.below(4));
            let all = d.constant(&[oc, before + ic + behind, kernel, kernel], Fill::Unit)?;
            d.add(Kind::Slice(before, before + ic), &[all])?
        }
    };
    let window = |stride, pad| Window::uniform(2, kernel, stride, pad);
    let conv = |window| Conv { oc, group: 1, bias: Bias::Unit, window };
    let first = d.conv_by(conv(window(1, kernel / 2)), x, wei)?;
    let first = tail(d, first)?;
    d.output(first);
    let (stride, pad) = (d.r.pick(&[1, 2]), d.r.pick(&[0, 1, kernel / 2]));
    let second = d.conv_by(conv(window(stride, pad)), x, wei)?;
    tail(d, second).map(drop)
}
