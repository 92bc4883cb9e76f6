//! Convolutions of every kind.

use octrt_ops::Op;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::window::{AutoPad, Window};

use crate::check::{Checks, Error, Operand, Random, fits, macs};

/// Multiply-accumulates above which a problem is not worth its time.
const MOST_MACS: u64 = 400_000;
/// Problems of the generator.
const PROBLEMS: usize = 320;
/// Channels as OctConv networks split them.
const CHANNELS: [usize; 14] = [1, 2, 3, 4, 6, 8, 13, 16, 17, 27, 29, 32, 51, 58];

const PADDINGS: [AutoPad; 4] = [AutoPad::NotSet, AutoPad::SameUpper, AutoPad::SameLower, AutoPad::Valid];

/// A convolution with its extents.
struct Problem {
    mb: usize,
    /// Channels of one group.
    ic: usize,
    oc: usize,
    spatial: Vec<usize>,
    kernel: Vec<usize>,
    op: Conv,
}

impl Problem {
    fn new(spatial: &[usize], kernel: &[usize], ic: usize, oc: usize) -> Self {
        let op = Conv { window: Window::default(), group: 1 };
        Problem { mb: 1, ic, oc, spatial: spatial.to_vec(), kernel: kernel.to_vec(), op }
    }

    fn operands(&self, r: &mut Random) -> Vec<Operand> {
        let group = self.op.group;
        let src = r.given(&[&[self.mb, self.ic * group], &self.spatial[..]].concat());
        let wei = r.known(&[&[self.oc * group, self.ic], &self.kernel[..]].concat());
        let bias = if r.below(2) == 0 { r.known(&[self.oc * group]) } else { Operand::Omitted };
        vec![src, wei, bias]
    }
}

/// Any extents for `axes` spatial axes.
fn any(r: &mut Random, axes: usize) -> Problem {
    let many = |r: &mut Random, of: &[usize]| (0..axes).map(|_| r.pick(of)).collect::<Vec<_>>();
    let sizes = if axes == 3 { &[2, 3, 5, 6][..] } else { &[1, 4, 5, 7, 8, 9, 14, 15, 19] };
    let (spatial, kernel) = (many(r, sizes), many(r, &[1, 1, 2, 3, 3, 4, 5, 7]));
    let (ic, oc) = (r.pick(&CHANNELS), r.pick(&CHANNELS));
    let mut p = Problem::new(&spatial, &kernel, ic, oc);
    p.op.window.strides = many(r, &[1, 1, 2, 3]);
    p.op.window.dilations = many(r, &[1, 1, 1, 2, 3]);
    p.op.window.auto_pad = r.pick(&PADDINGS);
    p.op.window.pads = if r.below(3) == 0 {
        vec![]
    } else {
        many(r, &[0, 1, 2]).into_iter().cycle().take(2 * axes).collect()
    };
    p.op.window.kernel = if r.below(2) == 0 { p.kernel.clone() } else { vec![] };
    p.mb = r.pick(&[1, 1, 1, 2, 3]);
    p
}

/// The convolutions that networks consist of: 3x3 and 1x1, stride 1 and 2, dense, grouped, depthwise.
fn usual(r: &mut Random) -> Problem {
    let size = r.pick(&[7, 8, 9, 14, 15]);
    let k = r.pick(&[1, 3, 3, 5]);
    let mut p =
        Problem::new(&[size, r.pick(&[size, size + 1])], &[k, k], r.pick(&CHANNELS), r.pick(&CHANNELS));
    p.op.window.pads = vec![k / 2; 4];
    p.op.window.strides = vec![r.pick(&[1, 1, 2]); 2];
    match r.below(4) {
        0 => {
            (p.op.group, p.ic, p.oc) = (r.pick(&CHANNELS), 1, r.pick(&[1, 1, 2, 3]));
        }
        1 => {
            (p.op.group, p.ic, p.oc) = (r.pick(&[2, 3, 8]), r.pick(&[2, 4, 5]), r.pick(&[1, 3, 8]));
        }
        _ => {}
    }
    p
}

#[test]
fn problems_of_the_generator() {
    let mut r = Random(20);
    let mut checks = Checks::default();
    let mut found = 0;
    while found < PROBLEMS {
        let p = match found % 8 {
            0..=2 => usual(&mut r),
            3 => any(&mut r, 1),
            4 => any(&mut r, 3),
            _ => any(&mut r, 2),
        };
        let mut p = p;
        if p.op.group == 1 && r.below(4) == 0 {
            (p.op.group, p.ic) = (r.pick(&[2, 3, 4]), p.ic.min(6));
        }
        let operands = p.operands(&mut r);
        let op = Op::from(p.op.clone());
        if fits(&op, &operands) && macs(&op, &operands) <= MOST_MACS {
            checks.add(op, &operands, Error::Sums);
            found += 1;
        }
    }
    checks.finish("generated convolutions");
}

#[test]
fn stems_and_heads() {
    let mut r = Random(21);
    let mut checks = Checks::default();
    let mut stem = Problem::new(&[33, 34], &[7, 7], 3, 16);
    (stem.op.window.pads, stem.op.window.strides) = (vec![3; 4], vec![2; 2]);
    let mut wide = Problem::new(&[7, 7], &[3, 3], 64, 72);
    wide.op.window.pads = vec![1; 4];
    let pointwise = Problem::new(&[1, 1], &[1, 1], 200, 101);
    let mut strided = Problem::new(&[14, 14], &[1, 1], 58, 61);
    strided.op.window.strides = vec![2; 2];
    let mut asymmetric = Problem::new(&[16, 16], &[3, 3], 5, 9);
    (asymmetric.op.window.pads, asymmetric.op.window.strides) = (vec![0, 0, 1, 1], vec![2; 2]);
    let mut video = Problem::new(&[4, 9, 9], &[3, 1, 1], 12, 10);
    video.op.window.pads = vec![1, 0, 0, 1, 0, 0];
    for p in [stem, wide, pointwise, strided, asymmetric, video] {
        let operands = p.operands(&mut r);
        checks.add(p.op, &operands, Error::Sums);
    }
    checks.finish("stems and heads");
}

/// Weights known only when the model runs.
#[test]
fn given_weights() {
    let mut r = Random(22);
    let mut checks = Checks::default();
    for (spatial, kernel) in [(&[9][..], &[3][..]), (&[8, 7], &[3, 3]), (&[6, 6], &[1, 1])] {
        let p = Problem::new(spatial, kernel, 5, 7);
        let src = r.given(&[&[2, 5], spatial].concat());
        let wei = r.given(&[&[7, 5], kernel].concat());
        let bias = r.given(&[7]);
        checks.add(p.op, &[src, wei, bias], Error::Sums);
    }
    checks.finish("given weights");
}

#[test]
fn transposed() {
    let mut r = Random(23);
    let mut checks = Checks::default();
    let mut done = 0;
    while done < 60 {
        let axes = r.pick(&[1, 2, 2, 2, 3]);
        let mut many = |of: &[usize]| (0..axes).map(|_| r.pick(of)).collect::<Vec<_>>();
        let (spatial, kernel) = (many(&[1, 3, 4, 7]), many(&[1, 2, 3, 4]));
        let (strides, dilations) = (many(&[1, 2, 2, 3]), many(&[1, 1, 2]));
        let (pads, output_padding) = (many(&[0, 0, 1]).repeat(2), many(&[0, 0, 1]));
        let (group, ic, oc) = (r.pick(&[1, 1, 2, 6]), r.pick(&[1, 3, 8]), r.pick(&[1, 2, 5]));
        let op = ConvTranspose {
            window: Window {
                strides,
                dilations,
                pads: if r.below(2) == 0 { pads } else { vec![] },
                auto_pad: r.pick(&PADDINGS),
                ..Window::default()
            },
            group,
            output_padding: if r.below(2) == 0 { output_padding } else { vec![] },
            output_shape: vec![],
        };
        let mb = r.pick(&[1, 2]);
        let src = r.given(&[&[mb, ic * group], &spatial[..]].concat());
        let wei = r.known(&[&[ic * group, oc], &kernel[..]].concat());
        let bias = if r.below(2) == 0 { r.known(&[oc * group]) } else { Operand::Omitted };
        let operands = [src, wei, bias];
        let op = Op::from(op);
        if fits(&op, &operands) {
            checks.add(op, &operands, Error::Sums);
            done += 1;
        }
    }
    checks.finish("transposed convolutions");
}
