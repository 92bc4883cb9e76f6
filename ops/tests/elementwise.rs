//! Operators that work element by element: the definition against the reference.

mod support;

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::bit_shift::{BitShift, ShiftDirection};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::cast_like::CastLike;
use octrt_ops::def::celu::Celu;
use octrt_ops::def::clip::Clip;
use octrt_ops::def::compare::{Compare, CompareKind};
use octrt_ops::def::elu::Elu;
use octrt_ops::def::gelu::{Gelu, GeluForm};
use octrt_ops::def::hard_sigmoid::HardSigmoid;
use octrt_ops::def::is_inf::{IsInf, IsNan};
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::modulo::Mod;
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::selu::Selu;
use octrt_ops::def::shrink::Shrink;
use octrt_ops::def::swish::Swish;
use octrt_ops::def::thresholded_relu::ThresholdedRelu;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::def::where_::Where;
use octrt_ops::{DType, Operator, Tensor};
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
                if op.reference(&[Some(&x)]).is_ok() {
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
    let wide: Vec<f64> = special().to_f64s();
    let wide = Tensor::new([wide.len()], &wide).unwrap();
    for &kind in UnaryKind::ALL.iter().filter(|k| !matches!(k, UnaryKind::Not | UnaryKind::BitwiseNot)) {
        check1(&Unary { kind }, &[&special()], ROUNDED);
        check1(&Unary { kind }, &[&wide], 16.0 * f64::EPSILON);
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
                if op.reference(&[Some(&a), Some(&b)]).is_ok() {
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
    for &dtype in DType::NUMBERS {
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

#[test]
fn activations_with_parameters() {
    for (i, shape) in SHAPES.iter().enumerate() {
        let (x, wide) = (filled(DType::F32, shape, i as u64), filled(DType::F64, shape, i as u64));
        for x in [&x, &wide, &special()] {
            for alpha in [0.0, 0.01, 1.0, -0.5] {
                check1(&LeakyRelu { alpha }, &[x], 0.0);
                check1(&Elu { alpha }, &[x], ROUNDED);
                check1(&HardSigmoid { alpha, beta: 0.5 }, &[x], 0.0);
                check1(&Swish { alpha }, &[x], ROUNDED);
                check1(&Selu { alpha, gamma: 1.5 }, &[x], ROUNDED);
                check1(&ThresholdedRelu { alpha }, &[x], 0.0);
                check1(&Shrink { bias: alpha, lambd: 0.5 }, &[x], 0.0);
                check1(&Celu { alpha: alpha + 2.0 }, &[x], ROUNDED);
            }
            for approximate in [GeluForm::Erf, GeluForm::Tanh] {
                check1(&Gelu { approximate }, &[x], ROUNDED);
            }
            check1(&IsNan {}, &[x], 0.0);
            for (detect_negative, detect_positive) in [(true, true), (true, false), (false, true)] {
                check1(&IsInf { detect_negative, detect_positive }, &[x], 0.0);
            }
        }
    }
}

#[test]
fn prelu_with_slopes_that_broadcast() {
    for dtype in [DType::F32, DType::F64, DType::I64, DType::I32, DType::U64, DType::U32] {
        for (i, slope) in [&[][..], &[1], &[4], &[3, 1], &[2, 3, 4], &[1, 1, 1]].into_iter().enumerate() {
            check1(&PRelu {}, &[&filled(dtype, &[2, 3, 4], 5), &filled(dtype, slope, i as u64)], 0.0);
        }
        check1(&PRelu {}, &[&filled(dtype, &[0, 3], 5), &filled(dtype, &[3], 6)], 0.0);
    }
}

#[test]
fn remainders_and_shifts() {
    for dtype in DType::ALL {
        for (i, (a, b)) in PAIRS.iter().enumerate() {
            let (a, b) = (filled(dtype, a, i as u64), filled(dtype, b, 100 + i as u64));
            let operators: [&dyn Operator; 4] = [
                &Mod { fmod: false },
                &Mod { fmod: true },
                &BitShift { direction: ShiftDirection::Left },
                &BitShift { direction: ShiftDirection::Right },
            ];
            for op in operators {
                if op.reference(&[Some(&a), Some(&b)]).is_ok() {
                    check1(op, &[&a, &b], 0.0);
                } else {
                    assert!(!dtype.is_int() || (op.name() == "BitShift" && !dtype.is_unsigned()));
                }
            }
        }
    }
    for bias in [0.0, 1.5, 2.0] {
        for &dtype in DType::INTEGERS {
            check1(&Shrink { bias, lambd: 2.0 }, &[&filled(dtype, &[2, 30], 4)], 0.0);
        }
    }
}

#[test]
fn comparisons_of_every_type_they_take() {
    for &kind in CompareKind::ALL {
        let op = Compare { kind };
        for dtype in DType::ALL {
            for (i, (a, b)) in PAIRS.iter().enumerate() {
                let (a, b) = (filled(dtype, a, i as u64), filled(dtype, b, i as u64 + 1));
                if dtype != DType::Bool || kind == CompareKind::Equal {
                    check1(&op, &[&a, &b], 0.0);
                }
            }
        }
        let x = special();
        check1(&op, &[&x, &x.reshaped([x.numel(), 1]).unwrap()], 0.0);
    }
}

#[test]
fn choices_of_every_type() {
    for dtype in DType::ALL {
        for (i, (a, b)) in PAIRS.iter().enumerate() {
            let (x, y) = (filled(dtype, a, i as u64), filled(dtype, b, i as u64 + 1));
            for condition in [a, b, &&[][..]] {
                check1(&Where {}, &[&filled(DType::Bool, condition, 3), &x, &y], 0.0);
            }
        }
    }
}
