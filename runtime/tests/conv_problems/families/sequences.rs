//! Convolutions one after the other.

use crate::draft::Draft;
use crate::parts::{activation, conv, plain, pool, same_conv, source, tail, try_hard};
use crate::problem::{Bias, Binary, Conv, Fill, Kind, Window};

/// One convolution and what follows it.
pub fn single(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let y = conv(d, x)?;
    tail(d, y).map(drop)
}

/// Two or three convolutions, each with what follows it, some of it an output.
pub fn chain(d: &mut Draft, axes: usize) -> Option<()> {
    let mut x = source(d, axes)?;
    let n = d.r.pick(&[2, 2, 3]);
    for i in 0..n {
        let y = conv(d, x)?;
        if i + 1 < n && d.r.one_in(5) {
            d.output(y);
        }
        x = tail(d, y)?;
        if i + 1 < n && d.r.one_in(4) {
            d.output(x);
        }
    }
    Some(())
}

/// As MobileNet v2: expand, depthwise, project, add.
pub fn inverted(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let ic = d.channels(x);
    let hidden = ic * d.r.pick(&[2, 3, 4]);
    let y = plain(d, x, hidden, 1)?;
    let y = d.add(Kind::BatchNorm, &[y])?;
    let y = activation(d, y)?;
    let (kernel, stride) = (d.r.pick(&[3, 3, 5]), d.r.pick(&[1, 1, 2]));
    let window = Window::uniform(axes, kernel, stride, kernel / 2);
    let y = d.conv(Conv { oc: hidden, group: hidden, bias: Bias::None, window }, y)?;
    let y = d.add(Kind::BatchNorm, &[y])?;
    let y = activation(d, y)?;
    let y = plain(d, y, ic, 1)?;
    let y = d.add(Kind::BatchNorm, &[y])?;
    if d.shape(x) == d.shape(y) { d.binary(Binary::Add, x, y).map(drop) } else { Some(()) }
}

/// A pooling behind a convolution, and sometimes a convolution behind that.
pub fn pooled(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let y = if d.r.one_in(2) {
        // Results below zero: a zero in the border of a maximum shows.
        let (oc, kernel) = (d.r.pick(&[3, 8, 13, 16, 24]), d.r.pick(&[1, 3]));
        let window = Window::uniform(axes, kernel, 1, kernel / 2);
        d.conv(Conv { oc, group: 1, bias: Bias::Negative, window }, x)?
    } else {
        let y = conv(d, x)?;
        tail(d, y)?
    };
    if d.r.one_in(5) {
        d.output(y);
    }
    let z = pool(d, y)?;
    match d.r.below(4) {
        0 => conv(d, z).map(drop),
        1 => activation(d, z).map(drop),
        2 => {
            let flat = d.add(Kind::Flatten, &[z])?;
            let n = d.r.pick(&[1, 5, 8, 10]);
            crate::families::other::gemm_of(d, flat, n).map(drop)
        }
        _ => Some(()),
    }
}

/// What moves elements before, between and behind convolutions.
pub fn moved(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let y = conv(d, x)?;
    let y = tail(d, y)?;
    let moved = try_hard(d, |d| {
        let channels = d.channels(y);
        match d.r.below(5) {
            0 => {
                let begin = d.r.below(channels);
                let end = begin + 1 + d.r.below(channels - begin);
                d.add(Kind::Slice(begin, end), &[y])
            }
            1 => {
                let pads = d.r.list(2 * axes, &[0, 1, 2]);
                d.add(Kind::Pad(pads), &[y])
            }
            2 => d.add(Kind::ChannelsLast, &[y]),
            3 => d.add(Kind::Concat, &[y, y]),
            _ => d.add(Kind::Up(crate::problem::Up::Asymmetric), &[y]),
        }
    })?;
    if d.r.one_in(3) { Some(()) } else { conv(d, moved).map(drop) }
}

/// Operators of elements between convolutions, with operands of every shape that broadcasts; divisions by what has
/// nothing in the padding of channels.
pub fn elementwise(d: &mut Draft, axes: usize) -> Option<()> {
    let x = source(d, axes)?;
    let mut y = conv(d, x)?;
    for _ in 0..1 + d.r.below(3) {
        y = match d.r.below(4) {
            0 => activation(d, y)?,
            1 => {
                let channels = d.channels(y);
                let c = d.constant(&[vec![1, channels], vec![1; axes]].concat(), Fill::Positive)?;
                d.add(Kind::Binary(Binary::Div), &[y, c])?
            }
            _ => {
                let f = d.r.pick(&[Binary::Add, Binary::Sub, Binary::Mul, Binary::Max, Binary::Min]);
                let mut shape = d.shape(y).to_vec();
                for extent in &mut shape {
                    if d.r.one_in(2) {
                        *extent = 1;
                    }
                }
                let skip = d.r.pick(&[0, 0, 1]);
                let c = if d.r.one_in(2) {
                    d.constant(&shape[skip..], Fill::Unit)?
                } else {
                    d.input(&shape, Fill::Unit)?
                };
                d.binary(f, y, c)?
            }
        };
    }
    if d.r.one_in(2) { same_conv(d, y).map(drop) } else { conv(d, y).map(drop) }
}
