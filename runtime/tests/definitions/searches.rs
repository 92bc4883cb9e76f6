//! Positions of extremes, running sums, the first k.

use octrt_ops::def::arg_extreme::{ArgExtreme, Extreme, Tie};
use octrt_ops::def::cumulative::{Cumulative, CumulativeKind};
use octrt_ops::def::top_k::TopK;
use octrt_ops::{DType, Op, Tensor};

use crate::check::{Checks, Error, Operand, Random, fits, ints};

const SHAPES: [&[usize]; 5] = [&[31], &[4, 8], &[2, 3, 5, 7], &[1, 21, 9, 9], &[5, 1]];

#[test]
fn extremes() {
    let mut r = Random(70);
    let mut checks = Checks::default();
    for (shape, &dtype) in SHAPES.iter().flat_map(|s| DType::NUMBERS.iter().map(move |d| (*s, d))) {
        let x = [Operand::Given(r.tensor(dtype, shape))];
        for axis in 0..shape.len() as i64 {
            let (kind, tie) = (r.pick(Extreme::ALL), r.pick(Tie::ALL));
            checks.add(ArgExtreme { kind, axis, keep_dims: r.below(2) == 0, tie }, &x, Error::None);
        }
    }
    let special = [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -0.0, 0.0];
    let x = [Operand::Given(Tensor::new([7], &special).unwrap())];
    for (&kind, &tie) in Extreme::ALL.iter().flat_map(|k| Tie::ALL.iter().map(move |t| (k, t))) {
        checks.add(ArgExtreme { kind, axis: 0, keep_dims: false, tie }, &x, Error::None);
    }
    checks.finish("extremes");
}

#[test]
fn running() {
    let mut r = Random(71);
    let mut checks = Checks::default();
    for (shape, dtype) in SHAPES.iter().flat_map(|s| DType::ALL.map(|d| (*s, d))) {
        for axis in 0..shape.len() as i64 {
            for &kind in CumulativeKind::ALL {
                let (exclusive, reverse) = (r.below(2) == 0, r.below(2) == 0);
                let operands = [Operand::Given(r.tensor(dtype, shape)), Operand::Known(Tensor::scalar(axis))];
                let op = Op::from(Cumulative { kind, exclusive, reverse });
                if fits(&op, &operands) {
                    // The reference adds in the same order.
                    checks.add(op, &operands, Error::None);
                }
            }
        }
    }
    checks.finish("running sums");
}

#[test]
fn first_k() {
    let mut r = Random(72);
    let mut checks = Checks::default();
    for (shape, &dtype) in SHAPES.iter().flat_map(|s| DType::NUMBERS.iter().map(move |d| (*s, d))) {
        for (axis, &n) in shape.iter().enumerate() {
            let k = 1 + r.below(n) as i64;
            let operands = [Operand::Given(r.tensor(dtype, shape)), ints(&[k])];
            let op = TopK { axis: axis as i64, largest: r.below(2) == 0, sorted: r.below(2) == 0 };
            checks.add(op, &operands, Error::None);
        }
    }
    let special = [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN, -0.0, 0.0, -0.0, -1.0];
    let x = Operand::Given(Tensor::new([9], &special).unwrap());
    for (largest, k) in [(true, 3), (true, 9), (false, 3), (false, 9)] {
        checks.add(TopK { axis: 0, largest, sorted: true }, &[x.clone(), ints(&[k])], Error::None);
    }
    checks.finish("the first k");
}

#[test]
fn first_k_of_many() {
    let mut r = Random(73);
    let mut checks = Checks::default();
    // Few, all sorted, selected and then sorted by counting and by digits.
    for (shape, axis, k) in [
        (&[2, 3000][..], 1, 5),
        (&[3, 200], 1, 150),
        (&[2, 3000], 1, 300),
        (&[3000, 2], 0, 1000),
        (&[1, 5000, 1], 1, 2000),
        (&[2, 3000], 1, 3000),
    ] {
        for dtype in [DType::F32, DType::F64, DType::I32, DType::U64, DType::I8] {
            let x = [Operand::Given(r.tensor(dtype, shape)), ints(&[k])];
            checks.add(TopK { axis, largest: r.below(2) == 0, sorted: true }, &x, Error::None);
        }
    }
    checks.finish("the first k of many");
}
