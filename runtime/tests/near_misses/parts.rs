//! Convolutions that are computed as several: transposed ones of one to three axes, of all channels, of groups and of single
//! channels, in steps that their kernels fill or do not; dilated ones. With what follows them, and convolutions behind them
//! that want a border.

use octrt_ops::ValueId;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::window::Window;

use crate::near::Near;

/// A transposed convolution.
fn up(n: &mut Near, x: ValueId, oc: usize) -> Option<ValueId> {
    let shape = n.shape(x);
    let [_, c, space @ ..] = &shape[..] else { return None };
    let axes = space.len();
    let each = |n: &mut Near, of: &[usize]| -> Vec<usize> { (0..axes).map(|_| n.pick(of)).collect() };
    let kernel = each(n, &[1, 2, 2, 3, 4, 5]);
    let strides = each(n, &[1, 2, 2, 2, 3]);
    let dilations = if n.odd() { each(n, &[1, 2, 3]) } else { vec![] };
    let pads = [each(n, &[0, 0, 1, 2]), each(n, &[0, 0, 1, 2])].concat();
    let group = n.pick(&[1, 1, 1, *c, 2, 4]);
    if !c.is_multiple_of(group) {
        return None;
    }
    let group_oc = if group == *c && n.half() { 1 } else { oc.div_ceil(group) };
    let output_padding = if n.odd() { each(n, &[0, 1]) } else { vec![] };
    let wei = n.weight(&[&[*c, group_oc][..], &kernel].concat());
    let mut inputs = vec![x, wei];
    if n.half() {
        inputs.push(n.weight(&[group_oc * group]));
    }
    let window = Window { strides, dilations, pads, ..Window::default() };
    n.add(ConvTranspose { window, group, output_padding, output_shape: vec![] }, &inputs)
}

pub fn transposed(n: &mut Near) -> Option<()> {
    let axes = n.pick(&[1, 2, 2, 2, 3]);
    let space = &[n.pick(&[1, 2, 5, 9]), n.pick(&[2, 3, 4]), n.pick(&[1, 3, 6])][..axes];
    let (c, oc) = (n.pick(&[3, 8, 16, 20]), n.pick(&[1, 8, 12, 16, 40]));
    let mb = n.pick(&[1, 1, 2]);
    let x = n.input(&[&[mb, c], space].concat());
    let x = if n.half() { n.conv(x, c, 1)? } else { x };
    let mut y = up(n, x, oc)?;
    for _ in 0..n.g.numbers.below(3) {
        y = match n.g.numbers.below(4) {
            0 => n.activated(y)?,
            1 => n.add(Unary { kind: UnaryKind::Sigmoid }, &[y])?,
            2 => {
                let mut shape = n.shape(y);
                if n.half() {
                    shape[2..].fill(1);
                }
                let other = n.input(&shape);
                let kind = n.pick(&[BinaryKind::Add, BinaryKind::Mul]);
                n.add(Binary { kind }, &[y, other])?
            }
            _ => {
                let shape = n.shape(y);
                let other = n.weight(&shape);
                n.add(Binary { kind: BinaryKind::Add }, &[other, y])?
            }
        };
    }
    match n.g.numbers.below(4) {
        0 => n.conv(y, 8, 3).map(|_| ()),
        1 => up(n, y, 8).map(|_| ()),
        2 => {
            n.shared(y);
            Some(())
        }
        _ => Some(()),
    }
}

/// Convolutions of which some taps lie in the padding for many windows.
pub fn dilated(n: &mut Near) -> Option<()> {
    let axes = n.pick(&[1, 2, 2, 2, 3]);
    let extents = [n.pick(&[5, 9, 14]), n.pick(&[4, 7]), n.pick(&[3, 6])];
    let (mb, c, oc) = (n.pick(&[1, 1, 2]), n.pick(&[3, 8, 16]), n.pick(&[8, 16, 20]));
    let x = n.input(&[&[mb, c], &extents[..axes]].concat());
    let x = if n.half() { n.conv(x, c, 1)? } else { x };
    let each = |n: &mut Near, of: &[usize]| -> Vec<usize> { (0..axes).map(|_| n.pick(of)).collect() };
    let (kernel, dilations) = (each(n, &[1, 3, 3, 3, 2]), each(n, &[1, 2, 3, 4, 6]));
    let (strides, pads) =
        (each(n, &[1, 1, 1, 2]), [each(n, &[0, 2, 3, 4, 6]), each(n, &[1, 2, 4, 6])].concat());
    // Each channel alone, once or twice, too.
    let group = n.pick(&[1, 1, 1, 2, c, c]);
    let oc = if group == c { c * n.pick(&[1, 1, 1, 2]) } else { oc };
    if !c.is_multiple_of(group) {
        return None;
    }
    let wei = n.weight(&[&[oc, c / group], &kernel[..]].concat());
    let bias = n.weight(&[oc]);
    let window = Window { strides, dilations, pads, ..Window::default() };
    let mut y = n.add(Conv { window, group }, &[x, wei, bias])?;
    if n.half() {
        y = n.activated(y)?;
    }
    if n.half() {
        let shape = n.shape(y);
        let other = n.input(&shape);
        y = n.add(Binary { kind: BinaryKind::Add }, &[y, other])?;
    }
    if n.half() {
        n.conv(y, 8, 3)?;
    }
    Some(())
}

/// Few channels in equal steps.
pub fn few_channels(n: &mut Near) -> Option<()> {
    let (mb, c) = (n.or(1, &[2]), n.pick(&[1, 3, 8]));
    let (h, w) = (n.pick(&[1, 2, 4, 7]), n.pick(&[1, 3, 5]));
    let x = n.input(&[mb, c, h, w]);
    let (stride, oc) = (n.pick(&[2, 2, 3, 4]), n.pick(&[1, 1, 2, 3, 5, 8]));
    let kernel = stride + n.pick(&[0, 1, 2, 3]);
    let mut window = Window {
        strides: vec![stride; 2],
        pads: (0..4).map(|_| n.pick(&[0, 1, 2])).collect(),
        ..Window::default()
    };
    if n.odd() {
        window.strides[1] = n.pick(&[1, 2, 3]);
    }
    if n.odd() {
        window.dilations = vec![1, n.pick(&[1, 2])];
    }
    let group = n.or(1, &[c]);
    let output_padding = if n.odd() { vec![1, 0] } else { vec![] };
    let wei = n.weight(&[c, oc, kernel, kernel]);
    let mut inputs = vec![x, wei];
    if n.half() {
        inputs.push(n.weight(&[oc * group]));
    }
    let up = n.add(ConvTranspose { window, group, output_padding, output_shape: vec![] }, &inputs)?;
    let up = n.add(Unary { kind: UnaryKind::Tanh }, &[up])?;
    n.shared(up);
    Some(())
}
