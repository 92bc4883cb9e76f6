//! Pads before windows: of zeros, of the lowest number, of others; of rows and columns or of other axes too.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{Tensor, ValueId};

use crate::near::Near;

fn pooled(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let kernel = n.pick(&[2, 3, 4]);
    let mut window = Window {
        kernel: vec![kernel; 2],
        strides: vec![n.pick(&[1, 2]); 2],
        pads: vec![n.pick(&[0, 0, 1]); 4],
        ..Window::default()
    };
    if n.odd() {
        window.auto_pad = n.pick(&[AutoPad::SameLower, AutoPad::SameUpper, AutoPad::Valid]);
        window.pads = vec![];
    }
    let ceil_mode = n.or(false, &[true]);
    match n.half() {
        true => {
            let count_include_pad = n.half();
            n.add(AveragePool { window, ceil_mode, count_include_pad }, &[x])
        }
        false => n.add(MaxPool { window, ceil_mode }, &[x]),
    }
}

pub fn padded(n: &mut Near) -> Option<()> {
    let shape = [n.pick(&[1, 2]), n.pick(&[3, 8, 16]), n.pick(&[3, 5, 8]), n.pick(&[4, 7])];
    let x = n.input(&shape);
    let x = if n.half() { n.add(Unary { kind: UnaryKind::Relu }, &[x])? } else { x };
    let mut pads: Vec<i64> = (0..8).map(|_| n.pick(&[0, 0, 1, 1, 2])).collect();
    for i in [0, 1, 4, 5] {
        pads[i] = n.or(0, &[1]);
    }
    if n.odd() {
        pads[6] = -1;
    }
    let pads = n.g.list(&pads)?;
    let mode = n.or(PadMode::Constant, &[PadMode::Edge, PadMode::Reflect]);
    let value = n.pick(&[0.0, f32::NEG_INFINITY]);
    let value = n.or(value, &[1.0, f32::MIN]);
    let padded = match value == 0.0 && n.half() {
        true => n.add(Pad { mode }, &[x, pads])?,
        false => {
            let value = Tensor::scalar(value);
            let value = n.g.constant(value);
            n.add(Pad { mode }, &[x, pads, value])?
        }
    };
    let convolves = value == 0.0 && n.half();
    for _ in 0..n.pick(&[1, 1, 2]) {
        match convolves {
            true => {
                let oc = n.pick(&[8, 12]);
                let window = n.pick(&[1, 3]);
                n.conv(padded, oc, window)?
            }
            false => pooled(n, padded)?,
        };
    }
    Some(())
}
