//! Operators that move elements: the definition against the reference.

mod support;

use octrt_ops::compute::Compute;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::constant_of_shape::ConstantOfShape;
use octrt_ops::def::depth_to_space::{DepthOrder, DepthToSpace};
use octrt_ops::def::expand::Expand;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gather::Gather;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::range::Range;
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::shape::ShapeOf;
use octrt_ops::def::slice::Slice;
use octrt_ops::def::space_to_depth::SpaceToDepth;
use octrt_ops::def::split::Split;
use octrt_ops::def::squeeze::Squeeze;
use octrt_ops::def::tile::Tile;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::unsqueeze::Unsqueeze;
use octrt_ops::{DType, Operator, Tensor};
use support::{Numbers, check, check1, filled, ints};

/// A tensor of each element type in turn.
fn any(shape: &[usize], seed: usize) -> Tensor {
    filled(DType::ALL[seed % DType::ALL.len()], shape, seed as u64)
}

#[test]
fn views() {
    let cases: &[(&[usize], &[i64])] = &[
        (&[2, 3, 4], &[4, 6]),
        (&[2, 3, 4], &[0, -1]),
        (&[6], &[1, 2, 1, 3, 1]),
        (&[1, 6], &[3, -1]),
        (&[], &[1]),
        (&[1, 1], &[]),
        (&[0, 4], &[0, 0]),
        (&[2, 12, 5, 1], &[2, 3, 4, 5]),
    ];
    for (i, (from, to)) in cases.iter().enumerate() {
        check1(&Reshape { allow_zero: false }, &[&any(from, i), &ints(to)], 0.0);
    }
    for (i, shape) in [&[2, 3, 4][..], &[], &[5], &[0, 2], &[1, 1, 3]].into_iter().enumerate() {
        let rank = shape.len() as i64;
        for axis in -rank..=rank {
            check1(&Flatten { axis }, &[&any(shape, i)], 0.0);
        }
        check1(&Identity {}, &[&any(shape, i)], 0.0);
        check1(&Squeeze {}, &[&any(shape, i)], 0.0);
        for axes in [&[][..], &[0], &[-1], &[0, -1], &[1, 0]] {
            check1(&Unsqueeze {}, &[&any(shape, i), &ints(axes)], 0.0);
        }
        check1(&ShapeOf { start: -2, end: None }, &[&any(shape, i)], 0.0);
    }
    check1(&Squeeze {}, &[&any(&[1, 2, 1], 3), &ints(&[-1])], 0.0);
}

#[test]
fn concat_of_up_to_five_tensors() {
    let mut numbers = Numbers(1);
    for seed in 0..60 {
        let rank = 1 + numbers.below(3);
        let axis = numbers.below(rank);
        let mut shape: Vec<usize> = (0..rank).map(|_| 1 + numbers.below(3)).collect();
        let parts: Vec<Tensor> = (0..1 + numbers.below(5))
            .map(|i| {
                shape[axis] = numbers.below(4);
                filled(DType::ALL[seed % 5], &shape, (seed * 8 + i) as u64)
            })
            .collect();
        let parts: Vec<&Tensor> = parts.iter().collect();
        check1(&Concat { axis: axis as i64 - if seed % 2 == 0 { rank as i64 } else { 0 } }, &parts, 0.0);
    }
}

#[test]
fn gather_along_every_axis() {
    let shapes: &[&[usize]] = &[&[4], &[3, 2], &[2, 3, 2]];
    let indices = [
        Tensor::scalar(-1i64),
        Tensor::scalar(1i32),
        ints(&[1, 0, -2]),
        ints(&[]),
        Tensor::new([2, 2], &[-1i32, 0, 1, -2]).unwrap(),
        Tensor::new::<i64>([2, 0], &[]).unwrap(),
    ];
    for (i, shape) in shapes.iter().enumerate() {
        for axis in -(shape.len() as i64)..shape.len() as i64 {
            for index in &indices {
                check1(&Gather { axis }, &[&any(shape, i), index], 0.0);
            }
        }
    }
    check1(&Gather { axis: 0 }, &[&any(&[2, 0], 0), &ints(&[1])], 0.0);
    check1(&Gather { axis: 1 }, &[&any(&[2, 0], 0), &ints(&[])], 0.0);
}

#[test]
fn slices() {
    let mut numbers = Numbers(2);
    let ends = [0, 1, 2, 3, 5, 9, -1, -2, -4, -9, i64::MAX, i64::MIN, i32::MAX as i64];
    let steps = [1, 1, 2, 3, -1, -2, -7, i64::MAX, i64::MIN];
    for seed in 0..300 {
        let rank = 1 + numbers.below(3);
        let shape: Vec<usize> = (0..rank).map(|_| numbers.below(6)).collect();
        let n = 1 + numbers.below(rank);
        let mut list = |from: &[i64]| ints(&(0..n).map(|_| *numbers.pick(from)).collect::<Vec<_>>());
        let (start, end, step) = (list(&ends), list(&ends), list(&steps));
        let axes = ints(&(0..n as i64).map(|k| if seed % 2 == 0 { k } else { -1 - k }).collect::<Vec<_>>());
        check1(&Slice {}, &[&any(&shape, seed), &start, &end, &axes, &step], 0.0);
    }
    let x = any(&[3, 4], 0);
    let (one, two) = (ints(&[1]), ints(&[2]));
    check1(&Slice {}, &[&x, &one, &two], 0.0);
    check(&Slice {}, &[Some(&x), Some(&one), Some(&two), None, Some(&two)], 0.0);
}

#[test]
fn transposes() {
    let cases: &[(&[usize], &[usize])] = &[
        (&[2, 3], &[]),
        (&[2, 3], &[1, 0]),
        (&[2, 3, 4], &[2, 0, 1]),
        (&[2, 3, 1, 2], &[0, 2, 3, 1]),
        (&[], &[]),
        (&[0, 3], &[]),
    ];
    for (i, (shape, perm)) in cases.iter().enumerate() {
        check1(&Transpose { perm: perm.to_vec() }, &[&any(shape, i)], 0.0);
    }
}

#[test]
fn constants() {
    for (i, dims) in [&[2, 3][..], &[], &[0], &[1, 1, 4]].into_iter().enumerate() {
        check1(&ConstantOfShape {}, &[&ints(dims)], 0.0);
        check1(&ConstantOfShape {}, &[&ints(dims), &any(&[1], i)], 0.0);
        check1(&ConstantOfShape {}, &[&ints(dims), &any(&[], i)], 0.0);
    }
}

#[test]
fn pads_in_every_mode() {
    let mut numbers = Numbers(3);
    let amounts = [0, 0, 1, 2, 5, 9, -1, -2];
    let mut accepted = 0;
    for seed in 0..800 {
        let op = Pad { mode: PadMode::ALL[seed % 4] };
        let rank = 1 + numbers.below(3);
        let shape: Vec<usize> = (0..rank).map(|_| numbers.below(5)).collect();
        let n = 1 + numbers.below(rank);
        let pads = ints(&(0..2 * n).map(|_| *numbers.pick(&amounts)).collect::<Vec<_>>());
        let axes = ints(&(0..n as i64).map(|k| -1 - k).collect::<Vec<_>>());
        let x = any(&shape, seed / 4);
        let value = filled(x.dtype(), &[], seed as u64);
        let axes = (seed % 3 > 0 || n < rank).then_some(&axes);
        let inputs = [Some(&x), Some(&pads), (seed % 2 > 0).then_some(&value), axes];
        if op.reference(&inputs).is_ok() {
            accepted += 1;
            check(&op, &inputs, 0.0);
        }
    }
    assert!(accepted > 400, "{accepted}");
}

#[test]
fn splits() {
    for d in 0..7 {
        for num_outputs in 1..5 {
            for (axis, shape) in [(0, [d, 2]), (-1, [2, d])] {
                let x = any(&shape, d + num_outputs);
                let op = Split { axis, num_outputs };
                if op.reference(&[Some(&x)]).is_ok() {
                    check(&op, &[Some(&x)], 0.0);
                }
            }
        }
    }
    for sizes in [&[1, 0, 5][..], &[6], &[0, 0, 6], &[2, 3, 1]] {
        let op = Split { axis: 1, num_outputs: sizes.len() };
        check(&op, &[Some(&any(&[2, 6, 3], sizes.len())), Some(&ints(sizes))], 0.0);
    }
}

#[test]
fn expands_and_tiles() {
    let cases: &[(&[usize], &[i64])] = &[
        (&[3, 1], &[3, 4]),
        (&[3, 1], &[2, 1, 4]),
        (&[], &[2, 2]),
        (&[2, 3], &[]),
        (&[2, 3], &[1]),
        (&[1], &[0]),
        (&[0, 1], &[0, 3]),
    ];
    for (i, (from, to)) in cases.iter().enumerate() {
        check1(&Expand {}, &[&any(from, i), &ints(to)], 0.0);
    }
    let cases: &[(&[usize], &[i64])] =
        &[(&[2, 3], &[2, 1]), (&[2, 3], &[1, 3]), (&[1, 3], &[4, 2]), (&[], &[]), (&[2], &[0]), (&[0], &[5])];
    for (i, (from, repeats)) in cases.iter().enumerate() {
        check1(&Tile {}, &[&any(from, i), &ints(repeats)], 0.0);
    }
}

#[test]
fn ranges() {
    for (start, limit, delta) in [(0i64, 7, 2), (5, -5, -3), (3, 3, 1), (-4, 1_000, 77)] {
        let wide = [start, limit, delta].map(Tensor::scalar);
        check1(&Range {}, &wide.each_ref(), 0.0);
        let narrow = [start, limit, delta].map(|v| Tensor::scalar(v as i32));
        check1(&Range {}, &narrow.each_ref(), 0.0);
        let float = [start, limit, delta].map(|v| Tensor::scalar(v as f32 * 0.3));
        check1(&Range {}, &float.each_ref(), 0.0);
    }
}

#[test]
fn blocks_of_pixels() {
    for blocksize in 1..4 {
        for (i, [n, c, h, w]) in
            [[2, 1, 1, 3], [1, 2, 2, 1], [1, 0, 2, 2], [0, 1, 1, 1]].into_iter().enumerate()
        {
            let deep = any(&[n, c * blocksize * blocksize, h, w], i);
            let wide = any(&[n, c, h * blocksize, w * blocksize], i);
            for mode in [DepthOrder::Dcr, DepthOrder::Crd] {
                check1(&DepthToSpace { blocksize, mode }, &[&deep], 0.0);
            }
            check1(&SpaceToDepth { blocksize }, &[&wide], 0.0);
            let back = check1(&DepthToSpace { blocksize, mode: DepthOrder::Dcr }, &[&deep], 0.0);
            assert_eq!(check1(&SpaceToDepth { blocksize }, &[&back], 0.0), deep);
        }
    }
}

/// The prover itself must refuse what is out of bounds, or every test here says nothing.
#[test]
fn the_prover_refuses() {
    use octrt_ops::expr::Expr;
    use octrt_ops::{Arg, TensorType};
    let x = filled(DType::F32, &[4], 0);
    let with_index = |index: Expr| {
        let mut c = Compute::new();
        let b = c.input(0, &Arg::from(&x));
        let out = c.map("test", TensorType::new(DType::F32, [4]), Expr::load(b, [index]));
        c.output(out);
        support::well_formed(&c)
    };
    assert!(with_index(Expr::var(0)).is_ok());
    assert!(with_index((Expr::var(0) + Expr::int(1)).clamp(0, 3)).is_ok());
    assert!(with_index(Expr::var(0) + Expr::int(1)).is_err());
    assert!(with_index(Expr::int(-1)).is_err());
    assert!(with_index(Expr::var(1)).is_err());
    assert!(with_index(Expr::var(0).cast(DType::I32)).is_err());
}
