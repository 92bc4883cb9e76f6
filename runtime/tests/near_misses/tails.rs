//! What comes close to groups that end with activations and additions, to concatenations that are written in place, and to
//! what runs in blocks.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::clip::Clip;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::elu::Elu;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::hard_sigmoid::HardSigmoid;
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Tensor, ValueId};

use crate::near::Near;
use crate::sums::sum;

/// One step behind a convolution.
fn step(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let shape = n.shape(x);
    match n.g.numbers.below(8) {
        0 | 1 => n.activated(x),
        2 => {
            let bound = |n: &mut Near| {
                let usual = Tensor::scalar(n.g.numbers.below(9) as f32 / 4.0 - 1.0);
                let t = match n.or(0, &[1, 2, 3]) {
                    1 => Tensor::scalar(f32::INFINITY),
                    2 => return Some(n.input_of(usual)),
                    3 => return None,
                    _ => usual,
                };
                Some(n.g.constant(t))
            };
            let (low, high) = (bound(n), bound(n));
            let y = n.g.add(Clip {}, &[Some(x), low, high], 1)?[0];
            n.shared(y);
            Some(y)
        }
        3 | 4 => {
            let other = n.made(&shape)?;
            sum(n, x, other)
        }
        5 => {
            let c = shape[1];
            let other = n.input(&shape);
            let other = n.conv(other, c, 1)?;
            sum(n, x, other)
        }
        6 => {
            let mut to = shape.clone();
            to.iter_mut().for_each(|d| *d = if n.half() { 1 } else { *d });
            let other = if n.half() { n.g.f32s(&to) } else { n.made(&to)? };
            sum(n, x, other)
        }
        _ => {
            let other = n.or(x, &[n.g.values[0].0]);
            sum(n, x, other)
        }
    }
}

/// What a group may begin with.
pub fn root(n: &mut Near) -> Option<ValueId> {
    let (c, oc) = (n.pick(&[8, 4, 3, 16]), n.pick(&[8, 16, 5]));
    let shape = [n.or(1, &[2]), c, n.pick(&[3, 4, 7]), n.pick(&[4, 5])];
    match n.g.numbers.below(6) {
        0 => {
            let (k, columns) = (n.pick(&[3, 8]), n.pick(&[5, 8]));
            let lead: &[usize] = n.pick(&[&[3], &[2, 2], &[2, 1, 3]]);
            let x = n.input(&[lead, &[k]].concat());
            let wei = n.weight(&[k, columns]);
            n.add(MatMul {}, &[x, wei])
        }
        1 => {
            let x = n.input(&shape);
            let x = n.conv(x, oc, 1)?;
            n.shared(x);
            Some(n.g.normalized(x)?[0])
        }
        2 => {
            // One channel at a time.
            let x = n.input(&shape);
            let y = n.conv(x, 8, 1)?;
            let wei = n.weight(&[8, 1, 3, 3]);
            let op = n.g.graph.nodes.last()?.op.clone();
            let octrt_ops::Op::Conv(mut op) = op else { return None };
            (op.group, op.window.pads) = (8, vec![1; 4]);
            n.add(op, &[y, wei])
        }
        _ => {
            let x = n.input(&shape);
            let window = n.pick(&[1, 3]);
            n.conv(x, oc, window)
        }
    }
}

/// Something that computes, with up to four steps behind it.
pub fn tail(n: &mut Near) -> Option<()> {
    let mut y = root(n)?;
    for _ in 0..1 + n.g.numbers.below(4) {
        y = step(n, y)?;
    }
    Some(())
}

/// Concatenations of results, of inputs, and of concatenations.
pub fn joined(n: &mut Near) -> Option<()> {
    let (batch, space) = (n.or(1, &[2]), [n.pick(&[2, 3, 4]), n.pick(&[3, 5])]);
    let mut values = Vec::new();
    for _ in 0..2 + n.g.numbers.below(2) {
        let c = n.pick(&[8, 3]);
        let x = n.input(&[batch, c, space[0], space[1]]);
        let oc = n.or(8, &[16, 5, 4]);
        values.push(if n.odd() { x } else { n.conv(x, oc, 1)? });
    }
    for _ in 0..1 + n.g.numbers.below(3) {
        let count = 2 + n.g.numbers.below(2);
        let mut parts: Vec<ValueId> = (0..count).map(|_| n.pick(&values)).collect();
        if n.half() {
            // What grows: the last one and more.
            parts[0] = values[values.len() - 1];
        }
        let axis = n.or(1, &[-3, 0, 2, -1]);
        let Some(joined) = n.add(Concat { axis }, &parts) else { continue };
        let oc = n.pick(&[8, 5]);
        let window = n.pick(&[1, 3]);
        values.push(if n.half() { joined } else { n.conv(joined, oc, window)? });
        if n.half() {
            values.push(joined);
        }
    }
    let last = values[values.len() - 1];
    n.activated(last).map(|_| ())
}

/// A window that takes the largest, or a mean, as the pooling of one output extent or another.
fn pooling(n: &mut Near, x: ValueId) -> Option<ValueId> {
    if n.half() {
        return n.pooled(x);
    }
    let axes = n.shape(x).len().checked_sub(2)?;
    let pads = if n.half() { vec![] } else { n.g.numbers.list(2 * axes, &[0, 1, 1, 2]) };
    let op = MaxPool {
        window: Window {
            kernel: n.g.numbers.list(axes, &[1, 2, 3]),
            strides: n.g.numbers.list(axes, &[1, 2, 3]),
            dilations: if n.odd() { vec![2; axes] } else { vec![] },
            pads,
            auto_pad: n.or(AutoPad::NotSet, &[AutoPad::SameUpper, AutoPad::SameLower]),
        },
        ceil_mode: n.half(),
    };
    n.add(op, &[x])
}

fn reduction(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let axes = n.pick(&[&[2, 3][..], &[-1, -2], &[3, 2], &[2], &[1, 2], &[1, 2, 3], &[0, 2, 3]]);
    let axes = n.g.list(axes)?;
    let (kind, keep_dims, noop_with_empty_axes) = (n.pick(ReduceKind::ALL), n.half(), n.half());
    n.add(Reduce { kind, keep_dims, noop_with_empty_axes }, &[x, axes])
}

/// With another operand of a shape that broadcasts, or one element.
fn binary(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let kind = n.pick(BinaryKind::ALL);
    let mut shape = n.shape(x);
    shape.iter_mut().for_each(|d| *d = if n.half() { 1 } else { *d });
    let skip = n.or(0, &[1, 2]).min(shape.len());
    let other = match n.g.numbers.below(3) {
        0 => n.made(&shape)?,
        1 => n.g.f32s(&shape[skip..]),
        _ => {
            let one: &[usize] = n.pick(&[&[], &[1], &[1, 1, 1, 1]]);
            n.weight(one)
        }
    };
    let inputs = if n.half() { [x, other] } else { [other, x] };
    n.add(Binary { kind }, &inputs)
}

/// Something behind a convolution that may run on blocks of channels, and a convolution behind that.
pub fn in_blocks(n: &mut Near) -> Option<()> {
    let (c, oc) = (n.pick(&[8, 3]), n.pick(&[8, 16, 5]));
    let shape = [n.or(1, &[2]), c, n.pick(&[4, 5, 7]), n.pick(&[4, 6])];
    let x = n.input(&shape);
    let window = n.pick(&[1, 3]);
    let mut x = n.conv(x, oc, window)?;
    if n.half() {
        n.shared(x);
    }
    for _ in 0..1 + n.g.numbers.below(2) {
        x = match n.g.numbers.below(8) {
            0 | 1 => pooling(n, x)?,
            2 => reduction(n, x)?,
            3 => {
                let kind = n.pick(GlobalPoolKind::ALL);
                n.add(GlobalPool { kind }, &[x])?
            }
            4 => {
                let kind = n.pick(UnaryKind::ALL);
                n.add(Unary { kind }, &[x])?
            }
            5 => match n.g.numbers.below(4) {
                0 => n.add(LeakyRelu { alpha: 0.25 }, &[x])?,
                1 => n.add(Elu { alpha: 0.5 }, &[x])?,
                2 => n.add(HardSigmoid { alpha: 0.25, beta: 0.5 }, &[x])?,
                _ => {
                    let channels = *n.shape(x).get(1)?;
                    let slope = n.weight(&[channels, 1, 1]);
                    n.add(PRelu {}, &[x, slope])?
                }
            },
            _ => binary(n, x)?,
        };
    }
    if n.tensor(x).dtype() == DType::F32 && n.shape(x).len() == 4 {
        let window = n.pick(&[1, 3]);
        x = n.conv(x, 8, window)?;
    }
    n.activated(x).map(|_| ())
}

/// Products with matrices that are constants, or nearly.
pub fn matrices(n: &mut Near) -> Option<()> {
    let (m, k, columns) = (n.pick(&[1, 3, 9]), n.pick(&[3, 8, 17]), n.pick(&[5, 8, 16]));
    let (trans_a, trans_b) = (n.or(false, &[true]), n.half());
    let a = n.input(&if trans_a { [k, m] } else { [m, k] });
    let b = n.weight(&if trans_b { [columns, k] } else { [k, columns] });
    let shapes: [&[usize]; 6] = [&[columns], &[1, columns], &[], &[1], &[m, 1], &[m, columns]];
    let shape = shapes[if n.half() { 0 } else { n.g.numbers.below(6) }];
    let c = n.weight(shape);
    let inputs = if n.half() { vec![a, b, c] } else { vec![a, b] };
    let (alpha, beta) = (n.or(1.0, &[0.5, 0.0]), n.or(1.0, &[0.5, 0.0, 2.0]));
    let mut y = n.add(Gemm { alpha, beta, trans_a, trans_b }, &inputs)?;
    for _ in 0..n.g.numbers.below(3) {
        y = step(n, y)?;
    }
    Some(())
}
