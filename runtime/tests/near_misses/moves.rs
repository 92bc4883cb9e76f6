//! What comes close to nodes that do nothing, and to nodes that do the same.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::clip::Clip;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::depth_to_space::{DepthOrder, DepthToSpace};
use octrt_ops::def::expand::Expand;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::slice::Slice;
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::def::space_to_depth::SpaceToDepth;
use octrt_ops::def::split::Split;
use octrt_ops::def::tile::Tile;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::window::Window;
use octrt_ops::{DType, Tensor, ValueId};

use crate::near::Near;

/// A list of one number, seldom with one of `others` in one place.
fn nearly(n: &mut Near, len: usize, wanted: i64, others: &[i64]) -> Option<ValueId> {
    let list: Vec<i64> = (0..len).map(|_| n.or(wanted, others)).collect();
    n.g.list(&list)
}

fn swapped(n: &mut Near, rank: usize) -> Vec<usize> {
    let mut perm: Vec<usize> = (0..rank).collect();
    if n.half() {
        let (i, j) = (n.g.numbers.below(rank), n.g.numbers.below(rank));
        perm.swap(i, j);
    }
    perm
}

/// A rearrangement or a part that is everything, or nearly.
fn moved(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let (shape, rank) = (n.shape(x), n.shape(x).len());
    if rank == 0 {
        return None;
    }
    let extents: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
    match n.g.numbers.below(9) {
        0 => {
            let perm = swapped(n, rank);
            n.add(Transpose { perm }, &[x])
        }
        1 => {
            let mut to = extents.clone();
            if n.half() {
                let (i, j) = (n.g.numbers.below(rank), n.g.numbers.below(rank));
                to.swap(i, j);
            }
            let to = n.g.list(&to)?;
            n.add(Reshape { allow_zero: false }, &[x, to])
        }
        2 => {
            let starts = nearly(n, rank, 0, &[1, -1, -2]);
            let ends: Vec<i64> = extents.iter().map(|&d| n.or(d, &[d - 1, -1, 99])).collect();
            let axes = n.g.list(&(0..rank as i64).collect::<Vec<_>>());
            let (ends, steps) = (n.g.list(&ends), nearly(n, rank, 1, &[2, -1]));
            n.g.add(Slice {}, &[Some(x), starts, ends, axes, steps], 1).map(|y| y[0])
        }
        3 => {
            let mode = n.pick(PadMode::ALL);
            // Also one that gives with one hand what it takes with the other.
            let mut pads = vec![0; 2 * rank];
            if n.half() {
                let axis = n.g.numbers.below(rank);
                (pads[axis], pads[rank + axis]) = n.pick(&[(1, -1), (-1, 1), (1, 0), (0, 0)]);
            }
            let pads = n.g.list(&pads)?;
            n.add(Pad { mode }, &[x, pads])
        }
        4 => {
            let to: Vec<i64> = extents.iter().map(|&d| if d == 1 { n.or(1, &[2]) } else { d }).collect();
            let to = n.g.list(&to)?;
            n.add(Expand {}, &[x, to])
        }
        5 => {
            let repeats = nearly(n, rank, 1, &[2])?;
            n.add(Tile {}, &[x, repeats])
        }
        6 => {
            let parts = if n.odd() { vec![x, x] } else { vec![x] };
            n.add(Concat { axis: 0 }, &parts)
        }
        7 => {
            let axis = n.g.numbers.below(rank) as i64;
            let outputs = n.or(1, &[2]);
            n.g.add(Split { axis, num_outputs: outputs }, &[Some(x)], outputs).map(|y| y[0])
        }
        _ => {
            let blocksize = n.or(1, &[2]);
            let mode = n.pick(DepthOrder::ALL);
            match n.half() {
                true => n.add(DepthToSpace { blocksize, mode }, &[x]),
                false => n.add(SpaceToDepth { blocksize }, &[x]),
            }
        }
    }
}

/// Arithmetic that changes nothing, or little.
fn computed(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let (shape, dtype) = (n.shape(x), n.tensor(x).dtype());
    match n.g.numbers.below(6) {
        0 | 1 => {
            let kind = n.pick(BinaryKind::ALL);
            let neutral = match kind {
                BinaryKind::Add | BinaryKind::Sub => 0.0,
                _ => 1.0,
            };
            let mut to = shape.clone();
            to.iter_mut().for_each(|d| *d = if n.half() { 1 } else { n.or(*d, &[1, 2]) });
            let mut list = vec![neutral; to.iter().product()];
            if let Some(last) = list.last_mut() {
                *last = n.or(neutral, &[2.0, -1.0, 1.0, 0.0]);
            }
            let t = match dtype {
                DType::F32 => Tensor::new(to, &list),
                DType::I64 => Tensor::new(to, &list.iter().map(|v| *v as i64).collect::<Vec<_>>()),
                DType::I32 => Tensor::new(to, &list.iter().map(|v| *v as i32).collect::<Vec<_>>()),
                _ => return None,
            };
            let other = n.g.constant(t.unwrap());
            let inputs = if n.half() { [x, other] } else { [other, x] };
            n.add(Binary { kind }, &inputs)
        }
        2 => {
            let to = n.or(dtype, &DType::ALL);
            n.add(Cast { to }, &[x])
        }
        3 => {
            let bound = n.g.numbers.tensor(dtype, &[]);
            let bound = n.odd().then(|| n.g.constant(bound));
            n.g.add(Clip {}, &[Some(x), bound], 1).map(|y| y[0])
        }
        4 => {
            let axes: Vec<i64> =
                (0..shape.len()).filter(|&a| shape[a] == 1 || n.odd()).map(|a| a as i64).collect();
            let axes = if axes.is_empty() && n.half() { None } else { n.g.list(&axes) };
            let op = Reduce {
                kind: n.pick(ReduceKind::ALL),
                keep_dims: n.or(true, &[false]),
                noop_with_empty_axes: n.half(),
            };
            n.g.add(op, &[Some(x), axes], 1).map(|y| y[0])
        }
        _ => {
            let kind = n.pick(GlobalPoolKind::ALL);
            n.add(GlobalPool { kind }, &[x])
        }
    }
}

/// A window of one, or nearly.
fn window(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let axes = n.shape(x).len().checked_sub(2)?;
    let kernel: Vec<usize> = (0..axes).map(|_| n.or(1, &[2])).collect();
    let strides: Vec<usize> = (0..axes).map(|_| n.or(1, &[2])).collect();
    let pads: Vec<usize> = (0..2 * axes).map(|_| n.or(0, &[1])).collect();
    let window = Window { kernel, strides, pads, ..Window::default() };
    let ceil_mode = n.half();
    if n.half() {
        return n.add(MaxPool { window, ceil_mode }, &[x]);
    }
    let count_include_pad = n.half();
    n.add(AveragePool { window, ceil_mode, count_include_pad }, &[x])
}

/// A node that hands on what it gets, or nearly, between two that compute.
pub fn identity(n: &mut Near) -> Option<()> {
    let shapes: [&[usize]; 6] = [&[1, 4, 3, 3], &[1, 4, 1, 1], &[2, 1, 3], &[3, 1], &[2, 3], &[5]];
    let shape = shapes[n.g.numbers.below(6)];
    let dtype = n.or(DType::F32, &[DType::I64, DType::I32, DType::U8, DType::Bool]);
    let t = n.g.numbers.tensor(dtype, shape);
    let mut x = n.input_of(t);
    if dtype == DType::F32 {
        x = n.add(Unary { kind: UnaryKind::Neg }, &[x])?;
    }
    for _ in 0..1 + n.g.numbers.below(2) {
        x = match n.g.numbers.below(5) {
            0 | 1 => moved(n, x)?,
            2 | 3 => computed(n, x)?,
            _ if n.half() => window(n, x)?,
            // Of nearly the same extents, or the same extents and nearly the same pixels.
            _ => n.resized(x, 1.0)?,
        };
    }
    match n.tensor(x).dtype() {
        DType::F32 => n.add(Unary { kind: UnaryKind::Abs }, &[x]).map(|_| ()),
        _ => n.add(Cast { to: DType::F32 }, &[x]).map(|_| ()),
    }
}

/// A node of a few kinds, the same for the same numbers.
fn one_of(n: &mut Near, kind: usize, v: usize, x: ValueId) -> Option<ValueId> {
    let rank = n.shape(x).len();
    let constant = |n: &mut Near, v: f32, shape: &[usize]| {
        n.g.constant(Tensor::new(shape.to_vec(), &vec![v; shape.iter().product()]).unwrap())
    };
    match kind {
        0 => n.add(Softmax { axis: (v % rank) as i64, span: SoftmaxSpan::Axis, log: v >= rank }, &[x]),
        1 => {
            let bounds = [0, 1].map(|i| Some(constant(n, (i + v / 2) as f32, &[])));
            let bounds = if v.is_multiple_of(2) { bounds } else { [bounds[1], bounds[0]] };
            Some(n.g.add(Clip {}, &[Some(x), bounds[0], bounds[1]], 1)?[0])
        }
        2 => {
            let axes = n.g.list(&[(v % rank) as i64])?;
            let op = Reduce {
                kind: ReduceKind::ALL[v % ReduceKind::ALL.len()],
                keep_dims: true,
                noop_with_empty_axes: false,
            };
            n.add(op, &[x, axes])
        }
        3 => {
            let other = constant(n, if v == 3 { -0.0 } else { v as f32 }, &[[1, 1], [1, 3]][v % 2]);
            let inputs = if v >= 2 { [x, other] } else { [other, x] };
            n.add(Binary { kind: BinaryKind::Sub }, &inputs)
        }
        _ => {
            let wei = constant(n, 1.0 + v as f32, &[3, 2]);
            n.add(octrt_ops::def::matmul::MatMul {}, &[x, wei])
        }
    }
}

/// The same node twice, or nearly.
pub fn twins(n: &mut Near) -> Option<()> {
    let x = n.input(&[2, 3]);
    let y = n.input(&[2, 3]);
    let (kind, v) = (n.g.numbers.below(5), n.g.numbers.below(4));
    let a = one_of(n, kind, v, x)?;
    let other = n.or(x, &[y]);
    let w = n.or(v, &[0, 1, 2, 3]);
    let b = one_of(n, kind, w, other)?;
    let kind = n.pick(&[BinaryKind::Add, BinaryKind::Sub]);
    n.add(Binary { kind }, &[a, b])?;
    Some(())
}
