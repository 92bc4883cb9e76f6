//! Positions of extremes, running sums, the first k: the definition against the reference.

mod support;

use octrt_ops::def::arg_extreme::{ArgExtreme, Extreme, Tie};
use octrt_ops::def::cumulative::{Cumulative, CumulativeKind};
use octrt_ops::def::top_k::TopK;
use octrt_ops::{DType, Tensor};
use support::{Numbers, check1, ints};

const SHAPES: [&[usize]; 6] = [&[7], &[1], &[2, 3], &[2, 4, 5], &[3, 1, 4], &[2, 0, 3]];

#[test]
fn extremes() {
    let mut numbers = Numbers(1);
    for (shape, &dtype) in SHAPES.iter().flat_map(|s| DType::NUMBERS.iter().map(move |d| (*s, d))) {
        let x = numbers.tensor(dtype, shape.to_vec());
        let rank = shape.len() as i64;
        for axis in (-rank..rank).filter(|a| shape[a.rem_euclid(rank) as usize] > 0) {
            for (&kind, &tie) in Extreme::ALL.iter().flat_map(|k| Tie::ALL.iter().map(move |t| (k, t))) {
                for keep_dims in [false, true] {
                    check1(&ArgExtreme { kind, axis, keep_dims, tie }, &[&x], 0.0);
                }
            }
        }
    }
}

#[test]
fn running() {
    let mut numbers = Numbers(2);
    let types = [DType::F32, DType::F64, DType::I64, DType::I32, DType::U64, DType::U32];
    for (shape, dtype) in SHAPES.iter().flat_map(|s| types.map(|d| (*s, d))) {
        let x = numbers.tensor(dtype, shape.to_vec());
        let rank = shape.len() as i64;
        for axis in -rank..rank {
            for &kind in CumulativeKind::ALL {
                for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
                    let axis = Tensor::scalar(axis);
                    check1(&Cumulative { kind, exclusive, reverse }, &[&x, &axis], 0.0);
                }
            }
        }
    }
}

#[test]
fn first_k() {
    let mut numbers = Numbers(3);
    for (shape, &dtype) in SHAPES.iter().flat_map(|s| DType::NUMBERS.iter().map(move |d| (*s, d))) {
        let x = numbers.tensor(dtype, shape.to_vec());
        for axis in 0..shape.len() {
            for largest in [true, false] {
                for k in 0..=shape[axis] as i64 {
                    let axis = axis as i64 - if k % 2 == 0 { shape.len() as i64 } else { 0 };
                    check1(&TopK { axis, largest, sorted: largest }, &[&x, &ints(&[k])], 0.0);
                }
            }
        }
    }
}

#[test]
fn first_k_of_many() {
    let mut numbers = Numbers(4);
    for (n, k) in [(300, 20), (280, 280), (1040, 1040), (1040, 1030)] {
        for dtype in [DType::F32, DType::F64, DType::U16] {
            let x = numbers.tensor(dtype, [n]);
            check1(&TopK { axis: 0, largest: true, sorted: true }, &[&x, &ints(&[k])], 0.0);
        }
    }
}
