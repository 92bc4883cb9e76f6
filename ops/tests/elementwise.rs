//! Operators that work element by element: the definition against the reference.

mod support;

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::cast_like::CastLike;
use octrt_ops::def::clip::Clip;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::{DType, Tensor};
use support::{check, check1, filled};

/// Functions that the definition evaluates in f32 with a few roundings, the reference in f64 with one: each of at
/// most 6 steps adds half an ulp of a value no larger than the result or 1.
const ROUNDED: f64 = 6.0 * f32::EPSILON as f64;

const SHAPES: &[&[usize]] = &[&[], &[1], &[7], &[2, 3, 4], &[0, 3], &[2, 1, 1, 5]];

fn special() -> Tensor {
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        2.5,
        -2.5,
        3.0,
        -3.0,
        88.0,
        -88.0,
        200.0,
        -200.0,
        1e-30,
        -1e-30,
        3.4e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    Tensor::new([values.len()], &values).unwrap()
}

#[test]
fn unary_of_every_type_it_takes() {
    for &kind in UnaryKind::ALL {
        let op = Unary { kind };
        let mut taken = 0;
        for dtype in DType::ALL {
            for (i, shape) in SHAPES.iter().enumerate() {
                let x = filled(dtype, shape, i as u64);
                if octrt_ops::Operator::reference(&op, &[Some(&x)]).is_ok() {
                    taken += 1;
                    check1(&op, &[&x], ROUNDED);
                }
            }
        }
        assert!(taken >= SHAPES.len(), "{kind} takes no type");
    }
}

#[test]
fn unary_of_special_values() {
    for &kind in UnaryKind::ALL.iter().filter(|k| **k != UnaryKind::Not) {
        check1(&Unary { kind }, &[&special()], ROUNDED);
    }
}

/// Pairs of shapes that broadcast.
const PAIRS: &[(&[usize], &[usize])] = &[
    (&[2, 3], &[2, 3]),
    (&[2, 3], &[]),
    (&[], &[4]),
    (&[2, 1, 3], &[4, 1]),
    (&[1], &[1, 1, 1]),
    (&[3, 1], &[1, 5]),
    (&[0], &[1]),
    (&[2, 0], &[2, 1]),
];

#[test]
fn binary_of_every_type_it_takes() {
    for &kind in BinaryKind::ALL {
        let op = Binary { kind };
        let mut taken = 0;
        for (da, db) in DType::ALL.iter().flat_map(|a| DType::ALL.iter().map(move |b| (*a, *b))) {
            for (i, (a, b)) in PAIRS.iter().enumerate() {
                let (a, b) = (filled(da, a, i as u64), filled(db, b, 100 + i as u64));
                if octrt_ops::Operator::reference(&op, &[Some(&a), Some(&b)]).is_ok() {
                    taken += 1;
                    // The power in f32 may be off by some ulps.
                    check1(&op, &[&a, &b], if kind == BinaryKind::Pow { ROUNDED } else { 0.0 });
                }
            }
        }
        assert!(taken >= PAIRS.len(), "{kind} takes no types");
    }
}

#[test]
fn binary_of_special_values() {
    let x = special();
    let column = x.reshaped([x.numel(), 1]).unwrap();
    for kind in
        [BinaryKind::Add, BinaryKind::Sub, BinaryKind::Mul, BinaryKind::Div, BinaryKind::Max, BinaryKind::Min]
    {
        check1(&Binary { kind }, &[&x, &column], 0.0);
    }
    check1(&Binary { kind: BinaryKind::Pow }, &[&x, &column], ROUNDED);
}

#[test]
fn integer_powers_with_extreme_values() {
    let values = [0, 1, -1, 2, -2, 3, 63, 64, 65, i64::MAX, i64::MIN];
    let base = Tensor::new([values.len(), 1], &values).unwrap();
    check1(&Binary { kind: BinaryKind::Pow }, &[&base, &Tensor::new([values.len()], &values).unwrap()], 0.0);
    let narrow: Vec<i32> = values.iter().map(|&v| v as i32).collect();
    let exponent = Tensor::new([narrow.len()], &narrow).unwrap();
    check1(&Binary { kind: BinaryKind::Pow }, &[&base, &exponent], 0.0);
    check1(&Binary { kind: BinaryKind::Pow }, &[&exponent, &base], 0.0);
}

#[test]
fn clip_with_and_without_limits() {
    for dtype in [DType::F32, DType::I64, DType::I32, DType::U8] {
        for (i, shape) in SHAPES.iter().enumerate() {
            let x = filled(dtype, shape, i as u64);
            let (a, b) = (filled(dtype, &[], 7), filled(dtype, &[1], 9));
            for limits in
                [[None, None], [Some(&a), None], [None, Some(&a)], [Some(&a), Some(&b)], [Some(&b), Some(&a)]]
            {
                check(&Clip {}, &[Some(&x), limits[0], limits[1]], 0.0);
            }
        }
    }
    let (lo, hi) = (Tensor::scalar(-1.0f32), Tensor::scalar(2.0f32));
    check1(&Clip {}, &[&special(), &lo, &hi], 0.0);
}

#[test]
fn casts_between_all_types() {
    for from in DType::ALL {
        for to in DType::ALL {
            for (i, shape) in SHAPES.iter().enumerate() {
                let x = filled(from, shape, i as u64);
                check1(&Cast { to }, &[&x], 0.0);
                check1(&CastLike {}, &[&x, &filled(to, &[0, 2], 0)], 0.0);
            }
        }
    }
    for to in DType::ALL {
        check1(&Cast { to }, &[&special()], 0.0);
        check1(&Cast { to }, &[&Tensor::new([3], &[i64::MIN, i64::MAX, 300]).unwrap()], 0.0);
    }
}
