//! What comes close to poolings of what a convolution computes: windows that keep within rows or do not, whole maps, results
//! that others want, too, in the layout of the pooling or in another one.

use octrt_ops::ValueId;
use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::conv::Conv;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::window::{AutoPad, Window};

use crate::near::Near;

fn window(n: &mut Near) -> Window {
    let (kernel, stride) = n.pick(&[(2, 2), (2, 2), (2, 2), (3, 2), (3, 1), (3, 3), (1, 2), (4, 4), (2, 1)]);
    let mut window = Window {
        kernel: vec![kernel; 2],
        strides: vec![stride; 2],
        dilations: vec![],
        pads: vec![usize::from(kernel == 3); 4],
        auto_pad: AutoPad::NotSet,
    };
    if n.odd() {
        window.kernel[0] = n.pick(&[1, 2, 3]);
    }
    if n.odd() {
        window.strides[1] = n.pick(&[1, 2, 3]);
    }
    if n.odd() {
        window.dilations = vec![2, n.pick(&[1, 2])];
    }
    if n.odd() {
        let at = n.g.numbers.below(4);
        window.pads[at] = n.pick(&[0, 1]);
    }
    window
}

fn pool(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let ceil_mode = n.or(false, &[true]);
    match n.g.numbers.below(6) {
        0..=2 => {
            let window = window(n);
            let count_include_pad = n.half();
            n.add(AveragePool { window, ceil_mode, count_include_pad }, &[x])
        }
        3 => {
            let window = window(n);
            n.add(MaxPool { window, ceil_mode }, &[x])
        }
        4 => {
            let kind = n.pick(GlobalPoolKind::ALL);
            n.add(GlobalPool { kind }, &[x])
        }
        _ => {
            let axes = n.g.list(&[2, 3])?;
            let keep_dims = n.half();
            let op = Reduce { kind: ReduceKind::Mean, keep_dims, noop_with_empty_axes: false };
            n.add(op, &[x, axes])
        }
    }
}

/// A convolution of any kind.
fn conv(n: &mut Near, x: ValueId, oc: usize) -> Option<ValueId> {
    let c = n.shape(x)[1];
    let kernel = n.pick(&[1, 3]);
    let group = n.pick(&[1, 1, 1, c, 2]);
    let oc = if group == 1 { oc } else { c };
    if !c.is_multiple_of(group) {
        return None;
    }
    let wei = n.weight(&[oc, c / group, kernel, kernel]);
    let bias = n.weight(&[oc]);
    let pads = vec![kernel / 2; 4];
    n.add(Conv { window: Window { pads, ..Window::default() }, group }, &[x, wei, bias])
}

pub fn pools(n: &mut Near) -> Option<()> {
    let (c, oc) = (n.pick(&[16, 8, 3]), n.pick(&[16, 32, 8, 20]));
    let shape = [n.pick(&[1, 1, 2]), c, n.pick(&[4, 6, 7, 8, 12]), n.pick(&[4, 6, 9, 12])];
    let x = n.input(&shape);
    let y = conv(n, x, oc)?;
    let y = n.activated(y)?;
    for _ in 0..1 + n.g.numbers.below(3) {
        let mut p = pool(n, y)?;
        if n.half() {
            p = n.activated(p)?;
        }
        if n.odd() {
            let shape = n.shape(p);
            let other = n.weight(&shape);
            p = n.add(Binary { kind: BinaryKind::Add }, &[p, other])?;
        }
        // A pooling of a pooling, or a convolution that wants a border.
        if n.shape(p).len() == 4 && n.g.numbers.one_in(3) {
            p = if n.half() { pool(n, p)? } else { n.conv(p, 8, 3)? };
        }
        n.shared(p);
    }
    match n.g.numbers.below(4) {
        0 => n.conv(y, 8, 3).map(|_| ()),
        1 => n.conv(y, 8, 1).map(|_| ()),
        2 => {
            n.shared(y);
            Some(())
        }
        _ => Some(()),
    }
}
