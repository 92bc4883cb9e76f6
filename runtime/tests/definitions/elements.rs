//! Functions of elements, conversions, and operators that move elements.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::bit_shift::{BitShift, ShiftDirection};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::cast_like::CastLike;
use octrt_ops::def::celu::Celu;
use octrt_ops::def::clip::Clip;
use octrt_ops::def::compare::{Compare, CompareKind};
use octrt_ops::def::concat::Concat;
use octrt_ops::def::constant_of_shape::ConstantOfShape;
use octrt_ops::def::depth_to_space::{DepthOrder, DepthToSpace};
use octrt_ops::def::elu::Elu;
use octrt_ops::def::expand::Expand;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gather::Gather;
use octrt_ops::def::gelu::{Gelu, GeluForm};
use octrt_ops::def::hard_sigmoid::HardSigmoid;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::is_inf::{IsInf, IsNan};
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::modulo::Mod;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::range::Range;
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::round_float::{FloatFormat, RoundFloat};
use octrt_ops::def::selu::Selu;
use octrt_ops::def::shape::ShapeOf;
use octrt_ops::def::shrink::Shrink;
use octrt_ops::def::slice::Slice;
use octrt_ops::def::space_to_depth::SpaceToDepth;
use octrt_ops::def::split::Split;
use octrt_ops::def::squeeze::Squeeze;
use octrt_ops::def::swish::Swish;
use octrt_ops::def::thresholded_relu::ThresholdedRelu;
use octrt_ops::def::tile::Tile;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::def::unsqueeze::Unsqueeze;
use octrt_ops::def::where_::Where;
use octrt_ops::{DType, Op, Tensor};

use crate::check::{Checks, Error, Operand, Random, fits, ints};

/// Extents with and without a rest over the vector width.
const SHAPES: [&[usize]; 5] = [&[], &[1], &[31], &[4, 8], &[2, 3, 5, 7]];
/// Pairs that broadcast.
const PAIRS: [(&[usize], &[usize]); 9] = [
    (&[37], &[37]),
    (&[3, 16], &[16]),
    (&[], &[5]),
    (&[1, 6, 4, 4], &[6, 1, 1]),
    (&[2, 3, 4], &[2, 1, 4]),
    (&[2, 1, 4], &[3, 1]),
    (&[1, 1], &[1]),
    (&[2, 8, 3, 3], &[2, 8, 1, 1]),
    (&[5, 1], &[1, 7]),
];

/// Every element type an operator may be given.
fn all_types(checks: &mut Checks, op: &Op, shapes: &[&[usize]], r: &mut Random, error: Error) {
    for dtype in DType::ALL {
        let operands: Vec<Operand> = shapes.iter().map(|s| Operand::Given(r.tensor(dtype, s))).collect();
        if fits(op, &operands) {
            let error = match (dtype, error) {
                (DType::F32, error) => error,
                (DType::F64, Error::Absolute(_)) => SOME_WIDE_ULPS,
                _ => Error::None,
            };
            checks.add(op.clone(), &operands, error);
        }
    }
}

/// A few units in the last place, for values of magnitude up to about 1.
const SOME_ULPS: Error = Error::Absolute(8.0 * f32::EPSILON as f64);
/// The same for f64, whose elementary functions are good to about 1e-15.
const SOME_WIDE_ULPS: Error = Error::Absolute(32.0 * f64::EPSILON);

#[test]
fn of_one_tensor() {
    let mut r = Random(40);
    let mut checks = Checks::default();
    for shape in SHAPES {
        for &kind in UnaryKind::ALL {
            use UnaryKind::*;
            let exact = matches!(
                kind,
                Abs | Neg | Sqrt | Relu | Sign | Floor | Ceil | Round | Reciprocal | Not | BitwiseNot
            );
            let op = Op::from(Unary { kind });
            // Logarithms of numbers near 0 have their own test, with the other elementary functions.
            if !matches!(kind, Log | Acosh) {
                all_types(&mut checks, &op, &[shape], &mut r, if exact { Error::None } else { SOME_ULPS });
            }
        }
        let ops = [
            LeakyRelu { alpha: 0.1 }.into(),
            Elu { alpha: 1.5 }.into(),
            HardSigmoid { alpha: 0.2, beta: 0.5 }.into(),
            Gelu { approximate: GeluForm::Erf }.into(),
            Gelu { approximate: GeluForm::Tanh }.into(),
            Swish { alpha: 1.5 }.into(),
            Selu { alpha: 1.673_263_2, gamma: 1.050_701 }.into(),
            Celu { alpha: 0.75 }.into(),
            ThresholdedRelu { alpha: 0.25 }.into(),
            Shrink { bias: 0.125, lambd: 0.5 }.into(),
            Shrink { bias: 2.0, lambd: 3.0 }.into(),
            IsNan {}.into(),
            IsInf { detect_negative: true, detect_positive: false }.into(),
        ];
        ops.iter().for_each(|op| all_types(&mut checks, op, &[shape], &mut r, SOME_ULPS));
        all_types(&mut checks, &Identity {}.into(), &[shape], &mut r, Error::None);
        for to in [FloatFormat::F16, FloatFormat::BF16] {
            all_types(&mut checks, &RoundFloat { to }.into(), &[shape], &mut r, Error::None);
        }
        for to in DType::ALL {
            all_types(&mut checks, &Cast { to }.into(), &[shape], &mut r, Error::None);
            let operands = [r.given(shape), Operand::Given(r.tensor(to, &[2]))];
            checks.add(CastLike {}, &operands, Error::None);
        }
        for dtype in [DType::F32, DType::I64, DType::I32, DType::U8] {
            let limit = |v: i64| match dtype {
                DType::F32 => Operand::Known(Tensor::scalar(v as f32 / 10.0)),
                DType::I64 => Operand::Given(Tensor::scalar(v)),
                DType::I32 => Operand::Known(Tensor::scalar(v as i32)),
                _ => Operand::Known(Tensor::scalar(v as u8)),
            };
            let x = Operand::Given(r.tensor(dtype, shape));
            for limits in [[limit(2), limit(5)], [Operand::Omitted, limit(3)], [limit(3), Operand::Omitted]] {
                checks.add(Clip {}, &[std::slice::from_ref(&x), &limits[..]].concat(), Error::None);
            }
        }
    }
    checks.finish("functions of one tensor");
}

#[test]
fn of_two_tensors() {
    let mut r = Random(41);
    let mut checks = Checks::default();
    for (a, b) in PAIRS {
        for &kind in BinaryKind::ALL {
            // Powers of numbers on both sides of 0 have their own test.
            if !matches!(kind, BinaryKind::Pow | BinaryKind::Div) {
                all_types(&mut checks, &Binary { kind }.into(), &[a, b], &mut r, Error::None);
                all_types(&mut checks, &Binary { kind }.into(), &[b, a], &mut r, Error::None);
            }
        }
        checks.add(Binary { kind: BinaryKind::Div }, &[r.given(a), r.given(b)], Error::None);
        // Some of the divisors are 0, which is defined too.
        for &dtype in DType::INTEGERS {
            let operands = [Operand::Given(r.tensor(dtype, a)), Operand::Given(r.tensor(dtype, b))];
            checks.add(Binary { kind: BinaryKind::Div }, &operands, Error::None);
        }
        for &kind in CompareKind::ALL {
            all_types(&mut checks, &Compare { kind }.into(), &[a, b], &mut r, Error::None);
        }
        for dtype in DType::ALL {
            let operands = [r.tensor(DType::Bool, a), r.tensor(dtype, b), r.tensor(dtype, a)];
            checks.add(Where {}, &operands.map(Operand::Given), Error::None);
        }
    }
    for (a, b) in PAIRS {
        for fmod in [false, true] {
            all_types(&mut checks, &Mod { fmod }.into(), &[a, b], &mut r, Error::None);
        }
        for direction in [ShiftDirection::Left, ShiftDirection::Right] {
            all_types(&mut checks, &BitShift { direction }.into(), &[a, b], &mut r, Error::None);
        }
    }
    for (x, slope) in [(&[2, 3, 4, 4][..], &[3, 1, 1][..]), (&[5, 7], &[1]), (&[9], &[9])] {
        all_types(&mut checks, &PRelu {}.into(), &[x, slope], &mut r, Error::None);
    }
    checks.finish("functions of two tensors");
}

#[test]
fn integers_at_their_limits() {
    let mut checks = Checks::default();
    let wide = [i64::MIN, i64::MIN + 1, -1, 0, 1, 7, i64::MAX - 1, i64::MAX];
    let narrow = wide.map(|v| {
        if v > 7 {
            i32::MAX
        } else if v < -1 {
            i32::MIN
        } else {
            v as i32
        }
    });
    let column = |t: Tensor| t.reshaped([8, 1]).unwrap();
    let (wide, narrow) = (Tensor::new([8], &wide).unwrap(), Tensor::new([8], &narrow).unwrap());
    for t in [wide, narrow] {
        for &kind in BinaryKind::ALL {
            let operands = [Operand::Given(t.clone()), Operand::Given(column(t.clone()))];
            if fits(&Binary { kind }.into(), &operands) {
                checks.add(Binary { kind }, &operands, Error::None);
            }
        }
        for kind in [UnaryKind::Abs, UnaryKind::Neg, UnaryKind::Relu] {
            checks.add(Unary { kind }, &[Operand::Given(t.clone())], Error::None);
        }
        for to in DType::ALL {
            checks.add(Cast { to }, &[Operand::Given(t.clone())], Error::None);
        }
    }
    let floats = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5, 255.9, 256.0, -1.0, 3e9, -3e9, 1e19, 0.0];
    for to in DType::ALL {
        let x = Operand::Given(Tensor::new([floats.len()], &floats).unwrap());
        checks.add(Cast { to }, &[x], Error::None);
    }
    checks.finish("integers at their limits");
}

/// Adds the operator for every element type, with constants behind the first input.
fn moved(checks: &mut Checks, r: &mut Random, op: impl Into<Op>, shape: &[usize], rest: &[Operand]) {
    let op = op.into();
    for dtype in DType::ALL {
        let x = Operand::Given(r.tensor(dtype, shape));
        checks.add(op.clone(), &[&[x], rest].concat(), Error::None);
    }
}

#[test]
fn moves_within_a_shape() {
    let (mut r, mut c) = (Random(42), Checks::default());
    for perm in [&[0, 1, 2, 3], &[0, 2, 3, 1], &[0, 3, 1, 2], &[3, 2, 1, 0], &[1, 0, 3, 2]] {
        moved(&mut c, &mut r, Transpose { perm: perm.to_vec() }, &[2, 3, 4, 5], &[]);
    }
    moved(&mut c, &mut r, Transpose { perm: vec![] }, &[3, 7], &[]);
    for (starts, ends, axes, steps) in [
        ([0, 0], [2, 3], [0, 1], [1, 1]),
        ([1, -3], [i64::MAX, -1], [1, -1], [2, 1]),
        ([-1, 5], [i64::MIN, 0], [0, 2], [-1, -2]),
    ] {
        moved(&mut c, &mut r, Slice {}, &[4, 5, 6], &[ints(&starts), ints(&ends), ints(&axes), ints(&steps)]);
    }
    for (mode, pads) in [
        (PadMode::Constant, [0, 1, 2, 0, 3, 1]),
        (PadMode::Constant, [0, -1, 2, 1, 0, -2]),
        (PadMode::Edge, [1, 0, 2, 0, 4, 1]),
        (PadMode::Reflect, [0, 1, 7, 0, 2, 3]),
        (PadMode::Wrap, [0, 5, 1, 1, 2, 9]),
    ] {
        moved(&mut c, &mut r, Pad { mode }, &[2, 3, 5], &[ints(&pads)]);
    }
    let half = Operand::Known(Tensor::scalar(0.5f32));
    c.add(
        Pad { mode: PadMode::Constant },
        &[r.given(&[2, 3]), ints(&[1, 2]), half, ints(&[-1])],
        Error::None,
    );
    for axis in [0, 1, -1] {
        let index = Operand::Known(Tensor::new([2, 2], &[0i64, -1, 1, 0]).unwrap());
        moved(&mut c, &mut r, Gather { axis }, &[3, 4, 5], &[index]);
        let given = Operand::Given(Tensor::new([3], &[1i32, -3, 2]).unwrap());
        c.add(Gather { axis }, &[r.given(&[3, 4, 5]), given], Error::None);
    }
    for mode in [DepthOrder::Dcr, DepthOrder::Crd] {
        moved(&mut c, &mut r, DepthToSpace { blocksize: 2, mode }, &[2, 12, 3, 2], &[]);
        moved(&mut c, &mut r, DepthToSpace { blocksize: 3, mode }, &[1, 9, 1, 4], &[]);
    }
    moved(&mut c, &mut r, SpaceToDepth { blocksize: 2 }, &[2, 3, 4, 6], &[]);
    c.finish("moves within a shape");
}

#[test]
fn moves_between_shapes() {
    let (mut r, mut c) = (Random(43), Checks::default());
    moved(&mut c, &mut r, Reshape { allow_zero: false }, &[2, 3, 4], &[ints(&[0, -1, 2])]);
    moved(&mut c, &mut r, Flatten { axis: -2 }, &[2, 3, 4], &[]);
    moved(&mut c, &mut r, Squeeze {}, &[1, 3, 1], &[ints(&[-1])]);
    moved(&mut c, &mut r, Squeeze {}, &[1, 3, 1], &[]);
    moved(&mut c, &mut r, Unsqueeze {}, &[3, 4], &[ints(&[0, -1])]);
    moved(&mut c, &mut r, Expand {}, &[3, 1], &[ints(&[2, 1, 6])]);
    moved(&mut c, &mut r, Tile {}, &[2, 3], &[ints(&[3, 2])]);
    moved(&mut c, &mut r, ShapeOf { start: 1, end: Some(-1) }, &[2, 3, 4], &[]);
    moved(&mut c, &mut r, Split { axis: 1, num_outputs: 3 }, &[2, 7], &[]);
    moved(&mut c, &mut r, Split { axis: -1, num_outputs: 3 }, &[2, 9], &[ints(&[4, 0, 5])]);
    for (axis, n) in [(0, 1), (1, 2), (-1, 5), (1, 40)] {
        for dtype in DType::ALL {
            let shape = |i: usize| if axis == 1 { vec![2, 1 + i % 3, 5] } else { vec![2, 3, 5] };
            let operands: Vec<Operand> = (0..n).map(|i| Operand::Given(r.tensor(dtype, &shape(i)))).collect();
            c.add(Concat { axis }, &operands, Error::None);
        }
    }
    let value = |t: Tensor| Operand::Known(t.reshaped([1]).unwrap());
    c.add(ConstantOfShape {}, &[ints(&[2, 3]), value(Tensor::scalar(7i64))], Error::None);
    c.add(ConstantOfShape {}, &[ints(&[])], Error::None);
    let range = |a: i64, b: i64, d: i64| [a, b, d].map(|v| Operand::Known(Tensor::scalar(v)));
    c.add(Range {}, &range(10, -5, -4), Error::None);
    let halves = [0.5f32, 4.0, 0.75].map(|v| Operand::Known(Tensor::scalar(v)));
    c.add(Range {}, &halves, Error::None);
    c.finish("moves between shapes");
}
