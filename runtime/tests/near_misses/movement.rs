//! What computes nothing and only moves elements: by regular steps along each axis, in a few boxes, or otherwise.

use octrt_ops::def::concat::Concat;
use octrt_ops::def::depth_to_space::{DepthOrder, DepthToSpace};
use octrt_ops::def::gather::Gather;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use octrt_ops::def::slice::Slice;
use octrt_ops::def::tile::Tile;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::{DType, Tensor, ValueId};

use crate::near::Near;

fn moved(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let shape = n.shape(x);
    let rank = shape.len();
    let axis = n.g.numbers.below(rank);
    match n.g.numbers.below(8) {
        0 => {
            let mut perm: Vec<usize> = (0..rank).collect();
            for i in (1..rank).rev() {
                let j = n.g.numbers.below(i + 1);
                perm.swap(i, j);
            }
            n.add(Transpose { perm }, &[x])
        }
        1 => {
            let mut other = shape.clone();
            other[axis] = n.pick(&[1, 2, 8, 9]);
            let (other, again) = (n.input(&other), n.half());
            let inputs = if again { vec![x, other, x] } else { vec![other, x] };
            n.add(Concat { axis: axis as i64 }, &inputs)
        }
        2 => {
            let step = n.pick(&[1, 1, 2, 3, -1, -2]);
            let (start, end) = if step > 0 { (n.pick(&[0, 1]), 1 << 30) } else { (-1, -(1 << 30)) };
            let lists = [[start], [end], [axis as i64], [step]].map(|list| n.g.list(&list));
            let [Some(a), Some(b), Some(c), Some(d)] = lists else { return None };
            n.add(Slice {}, &[x, a, b, c, d])
        }
        3 => {
            let mode = n.pick(&[PadMode::Constant, PadMode::Reflect, PadMode::Edge, PadMode::Wrap]);
            let pads: Vec<i64> = (0..2 * rank).map(|_| n.pick(&[0, 0, 1, 2, 9])).collect();
            let pads = n.g.list(&pads)?;
            n.add(Pad { mode }, &[x, pads])
        }
        4 if rank == 4 => {
            let (mode, blocksize) = (n.pick(&[DepthOrder::Dcr, DepthOrder::Crd]), n.pick(&[2, 2, 3]));
            n.add(DepthToSpace { blocksize, mode }, &[x])
        }
        5 if rank == 4 => {
            let scales = [1.0, 1.0, n.pick(&[2.0f32, 2.0, 3.0, 0.5]), n.pick(&[2.0, 2.0, 1.5, 4.0])];
            let scales = Tensor::new([4], &scales).ok()?;
            let scales = n.g.constant(scales);
            let op = Resize {
                mode: ResizeMode::Nearest,
                coordinates: n.pick(&[CoordinateTransform::Asymmetric, CoordinateTransform::HalfPixel]),
                nearest_mode: n.pick(&[NearestMode::Floor, NearestMode::RoundPreferFloor]),
                cubic_coeff_a: -0.75,
                exclude_outside: false,
                extrapolation_value: 0.0,
                antialias: false,
                aspect: AspectPolicy::Stretch,
                axes: vec![],
            };
            let inputs = [Some(x), None, Some(scales)];
            Some(n.g.add(op, &inputs, 1)?[0])
        }
        6 => {
            let repeats: Vec<i64> = (0..rank).map(|i| if i == axis { 2 } else { 1 }).collect();
            let repeats = n.g.list(&repeats)?;
            n.add(Tile {}, &[x, repeats])
        }
        _ => {
            let picked: Vec<i64> =
                (0..n.pick(&[1, 4, 9])).map(|_| n.g.numbers.below(shape[axis]) as i64).collect();
            let picked = n.g.list(&picked)?;
            n.add(Gather { axis: axis as i64 }, &[x, picked])
        }
    }
}

pub fn moves(n: &mut Near) -> Option<()> {
    let extents = [1, 2, 3, 4, 8, 9, 12, 16, 17, 24];
    let rank = n.pick(&[1, 2, 3, 4, 4]);
    let shape: Vec<usize> = (0..rank).map(|_| n.pick(&extents)).collect();
    if shape.iter().product::<usize>() > 1500 {
        return None;
    }
    let mut x = match n.or(DType::F32, &[DType::I64]) {
        DType::F32 => n.input(&shape),
        dtype => {
            let t = n.g.numbers.tensor(dtype, &shape);
            n.input_of(t)
        }
    };
    for _ in 0..1 + n.g.numbers.below(3) {
        x = moved(n, x)?;
    }
    Some(())
}
