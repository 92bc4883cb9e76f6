//! Parts of networks that are drawn: sources, convolutions, what follows them.

use crate::draft::Draft;
use crate::problem::{Bias, Conv, Counting, Fill, Kind, Pads, Rounding, Unary, Window};
use crate::random::Random;

/// Channels below, at and above multiples of 8 and 16, as networks and their octave splits have them.
pub const CHANNELS: [usize; 24] =
    [1, 2, 3, 4, 6, 8, 8, 8, 13, 16, 16, 16, 17, 24, 24, 27, 32, 35, 40, 48, 51, 58, 64, 70];
/// Extents of two-dimensional maps.
const EXTENTS: [usize; 26] =
    [1, 2, 3, 4, 5, 6, 7, 7, 7, 8, 8, 9, 10, 11, 12, 13, 14, 14, 15, 16, 17, 19, 21, 23, 28, 30];
const PER_GROUP: [usize; 5] = [2, 3, 4, 8, 16];
const DIFFERENT: [&[usize]; 7] = [&[1, 7], &[7, 1], &[2, 2], &[1, 3], &[3, 1], &[5, 3], &[3, 2]];

/// Tries `f` a few times.
pub fn try_hard<T>(d: &mut Draft, f: impl Fn(&mut Draft) -> Option<T>) -> Option<T> {
    (0..30).find_map(|_| f(d))
}

fn extents(r: &mut Random, axes: usize) -> Vec<usize> {
    match axes {
        1 => vec![r.pick(&[1, 5, 8, 13, 17, 30, 56, 100])],
        3 => r.list(3, &[1, 2, 3, 4, 5, 7, 8]),
        _ if r.one_in(12) => vec![r.pick(&[2, 3, 5, 6]), 56],
        _ if r.one_in(3) => r.list(2, &EXTENTS),
        _ => vec![r.pick(&EXTENTS); 2],
    }
}

/// Channels of an input: small where the map is large, now and then a multiple that groups divide.
fn channels(r: &mut Random, plane: usize) -> usize {
    match r.below(4) {
        0 => r.pick(&PER_GROUP) * r.pick(&[2, 3, 4, 5]),
        _ if plane > 200 => r.pick(&CHANNELS[..16]),
        1 => r.pick(&[96, 80, 72, 64, 40]),
        _ => r.pick(&CHANNELS),
    }
}

/// The numbers of most inputs.
fn fill(r: &mut Random) -> Fill {
    r.pick(&[Fill::Unit, Fill::Unit, Fill::Unit, Fill::Wide, Fill::Positive])
}

/// An input for a network of this many spatial axes.
pub fn source(d: &mut Draft, axes: usize) -> Option<usize> {
    let spatial = extents(&mut d.r, axes);
    let ic = channels(&mut d.r, spatial.iter().product());
    let mb = d.r.pick(&[1, 1, 1, 2, 3]);
    let fill = fill(&mut d.r);
    d.input(&[&[mb, ic], &spatial[..]].concat(), fill)
}

/// Any window of a convolution.
pub fn window(r: &mut Random, axes: usize) -> Window {
    match r.below(10) {
        0..=4 => {
            let (kernel, stride) = (r.pick(&[1, 1, 3, 3, 3, 3, 5, 7]), r.pick(&[1, 1, 1, 2]));
            Window::uniform(axes, kernel, stride, kernel / 2)
        }
        5 => {
            let dilation = r.pick(&[2, 2, 3]);
            let kernel = r.pick(&[3, 3, 5]);
            let w = Window::uniform(axes, kernel, 1, kernel / 2 * dilation);
            Window { dilations: vec![dilation; axes], ..w }
        }
        6 => {
            let kernel = r.list(axes, &[1, 2, 3, 3, 4, 5]);
            let pads = r.pick(&[Pads::SameUpper, Pads::SameUpper, Pads::SameLower, Pads::Valid]);
            let dilations = if r.one_in(3) { r.list(axes, &[1, 2, 3]) } else { vec![1; axes] };
            Window { strides: r.list(axes, &[1, 2, 2, 3]), dilations, pads, ..Window::new(&kernel) }
        }
        7 if axes == 2 => {
            let kernel = r.pick(&DIFFERENT);
            let half: Vec<usize> = kernel.iter().map(|k| k / 2).collect();
            Window { pads: Pads::Explicit(half.repeat(2)), ..Window::new(kernel) }
        }
        _ => {
            let kernel = r.list(axes, &[1, 2, 3, 3, 3, 5, 7]);
            Window {
                strides: r.list(axes, &[1, 1, 2, 3]),
                dilations: r.list(axes, &[1, 1, 1, 2, 3]),
                pads: Pads::Explicit(r.list(2 * axes, &[0, 0, 1, 1, 2, 3])),
                ..Window::new(&kernel)
            }
        }
    }
}

pub fn bias(r: &mut Random) -> Bias {
    r.pick(&[Bias::None, Bias::Unit])
}

/// Groups and output channels for `ic` input channels: dense, grouped, depthwise, depthwise with a multiplier.
fn groups(r: &mut Random, ic: usize) -> (usize, usize) {
    match r.below(10) {
        0..=5 => (1, r.pick(&CHANNELS)),
        6 | 7 => {
            let fitting: Vec<usize> =
                PER_GROUP.into_iter().filter(|&n| ic.is_multiple_of(n) && ic > n).collect();
            if fitting.is_empty() {
                return (1, r.pick(&CHANNELS));
            }
            let per_group = r.pick(&fitting);
            (ic / per_group, ic / per_group * r.pick(&[1, per_group, per_group, 3, 2 * per_group]))
        }
        8 => (ic, ic),
        _ => (ic, ic * r.pick(&[1, 2, 3])),
    }
}

/// Any convolution of a node.
pub fn conv(d: &mut Draft, src: usize) -> Option<usize> {
    let (ic, axes) = (d.channels(src), d.axes(src));
    try_hard(d, |d| {
        let (group, oc) = groups(&mut d.r, ic);
        let window = window(&mut d.r, axes);
        let bias = bias(&mut d.r);
        d.conv(Conv { oc, group, bias, window }, src)
    })
}

/// A convolution that keeps the shape.
pub fn same_conv(d: &mut Draft, src: usize) -> Option<usize> {
    let ic = d.channels(src);
    try_hard(d, |d| {
        let (kernel, dilation) = (d.r.pick(&[1, 3, 3, 3, 5]), d.r.pick(&[1, 1, 1, 2]));
        let w = Window::uniform(d.axes(src), kernel, 1, kernel / 2 * dilation);
        let window = Window { dilations: vec![dilation; d.axes(src)], ..w };
        let groups: Vec<usize> = [1, 1, 1, ic, ic / 4, ic / 8].into_iter().filter(|&g| g > 0).collect();
        let group = d.r.pick(&groups);
        let bias = bias(&mut d.r);
        d.conv(Conv { oc: ic, group, bias, window }, src)
    })
}

/// A dense convolution to `oc` channels whose result has these spatial extents.
pub fn conv_to(d: &mut Draft, src: usize, oc: usize, spatial: &[usize]) -> Option<usize> {
    let axes = d.axes(src);
    try_hard(d, |d| {
        let (kernel, stride) = (d.r.pick(&[1, 1, 3, 3, 5]), d.r.pick(&[1, 1, 2, 3]));
        let window = Window::uniform(axes, kernel, stride, kernel / 2);
        let bias = bias(&mut d.r);
        let kind = Kind::Conv(Conv { oc, group: 1, bias, window });
        let fits = d.fits(&kind, &[src]).is_some_and(|shape| shape[2..] == *spatial);
        if fits { d.add(kind, &[src]) } else { None }
    })
}

/// A dense convolution to `oc` channels that keeps the spatial extents, with a kernel of extent `kernel`.
pub fn plain(d: &mut Draft, src: usize, oc: usize, kernel: usize) -> Option<usize> {
    let window = Window::uniform(d.axes(src), kernel, 1, kernel / 2);
    let bias = bias(&mut d.r);
    d.conv(Conv { oc, group: 1, bias, window }, src)
}

pub fn activation(d: &mut Draft, x: usize) -> Option<usize> {
    let u = match d.r.below(12) {
        0..=3 => Unary::Relu,
        4 | 5 => Unary::Clip(0.0, 6.0),
        6 => d.r.pick(&[Unary::Clip(-0.5, 0.75), Unary::Clip(-1.0, 1.0)]),
        // Not 0 at 0: padding must not pass through it.
        7 => Unary::Clip(0.25, 1.5),
        8 => Unary::HardSwish,
        9 => Unary::Sigmoid,
        10 => Unary::LeakyRelu(d.r.pick(&[0.1, 0.25, -0.5])),
        _ => Unary::PRelu,
    };
    d.add(Kind::Unary(u), &[x])
}

/// What often follows a convolution: a normalisation, an activation, both or neither.
pub fn tail(d: &mut Draft, x: usize) -> Option<usize> {
    let x = if d.r.one_in(3) { d.add(Kind::BatchNorm, &[x])? } else { x };
    if d.r.one_in(4) { Some(x) } else { activation(d, x) }
}

/// A pooling.
pub fn pool(d: &mut Draft, x: usize) -> Option<usize> {
    try_hard(d, |d| {
        let axes = d.axes(x);
        let rounding = d.r.pick(&[Rounding::Floor, Rounding::Floor, Rounding::Floor, Rounding::Ceil]);
        let counting = d.r.pick(&[Counting::Inside, Counting::Padded]);
        let uniform = |k, s, p| Window::uniform(axes, k, s, p);
        let kind = match d.r.below(12) {
            0..=2 => Kind::MaxPool(uniform(3, 2, 1), rounding),
            3 => Kind::MaxPool(uniform(2, 2, 0), rounding),
            4 => Kind::MaxPool(uniform(3, 1, 1), rounding),
            5 => {
                let pads = Pads::Explicit(d.r.list(2 * axes, &[0, 1]));
                Kind::MaxPool(Window { pads, ..uniform(3, 2, 0) }, rounding)
            }
            6 => Kind::AveragePool(uniform(2, 2, 0), rounding, counting),
            7 => Kind::AveragePool(uniform(3, 2, 1), rounding, counting),
            8 => Kind::AveragePool(uniform(3, 1, 1), rounding, counting),
            9 | 10 => Kind::GlobalAverage,
            _ => Kind::GlobalMax,
        };
        d.add(kind, &[x])
    })
}
