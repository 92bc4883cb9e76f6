//! Operators that move elements: the definition against the reference.

mod support;

use octrt_ops::compute::Compute;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::constant_of_shape::ConstantOfShape;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gather::Gather;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::shape::ShapeOf;
use octrt_ops::def::slice::Slice;
use octrt_ops::def::squeeze::Squeeze;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::unsqueeze::Unsqueeze;
use octrt_ops::{DType, Tensor};
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
