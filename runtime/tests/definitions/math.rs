//! Elementary functions as machine code over dense sweeps of f32, against the C library in f64.
//!
//! The unit of an error is the distance of two neighbouring f32 at the true value, for values below the least normal
//! number the distance there: compiled code may take denormal numbers for 0 and give 0 for them.

use octrt::{LoadOptions, Model, TensorRef};
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::{DType, Dim, Graph, Op, Tensor};

use crate::check::{Random, targets};

unsafe extern "C" {
    safe fn erf(x: f64) -> f64;
}

/// Step between the bit patterns of a sweep over all f32: prime, so that all lowest bits occur.
const STEP: usize = 4093;
/// Neighbours tried on both sides of a number of interest.
const NEIGHBOURS: u32 = 2000;

/// Where functions change, overflow, vanish, or are undefined; all with both signs.
const INTERESTING: [f32; 22] = [
    0.0,
    f32::MIN_POSITIVE,
    1e-20,
    1e-8,
    1e-4,
    0.25,
    0.5,
    0.625,
    std::f32::consts::FRAC_1_SQRT_2,
    1.0,
    std::f32::consts::SQRT_2,
    2.0,
    3.92,
    4.0,
    9.01,
    17.0,
    87.336_54,
    88.722_84,
    103.972_08,
    1e10,
    f32::MAX,
    f32::INFINITY,
];

/// Every sweep's numbers: all of f32 in steps, the neighbourhood of interesting ones, NaN.
fn numbers() -> Vec<f32> {
    let mut all: Vec<f32> = (0..=u32::MAX).step_by(STEP).map(f32::from_bits).collect();
    for x in INTERESTING {
        let bits = x.to_bits();
        let near = bits.saturating_sub(NEIGHBOURS)..=bits.saturating_add(NEIGHBOURS).min(0x7fff_ffff);
        all.extend(near.flat_map(|b| [f32::from_bits(b), -f32::from_bits(b)]));
    }
    all.extend([f32::NAN, f32::from_bits(0xffc0_0001), f32::from_bits(0x7f80_0001)]);
    all
}

/// The numbers themselves or, for a denormal one, also the 0 it may be taken for.
fn taken_as(x: f32) -> [f32; 2] {
    [x, if x.is_subnormal() { 0.0f32.copysign(x) } else { x }]
}

/// The error of `found` in units; infinite where one is NaN or infinite and the other is not.
fn units(found: f32, expected: f64) -> f64 {
    let rounded = expected as f32;
    if found.is_nan() || expected.is_nan() {
        return if found.is_nan() && expected.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if found == rounded {
        return if found.is_finite() { (f64::from(found) - expected).abs() / unit(expected) } else { 0.0 };
    }
    let least = f64::from(f32::MIN_POSITIVE);
    if expected.abs() < least && f64::from(found.abs()) <= least {
        return 0.0;
    }
    // Just above the largest number, infinity and that number are one unit apart.
    let beyond = |v: f32| if v.is_infinite() { 2f64.powi(128).copysign(v.into()) } else { v.into() };
    if expected.abs() >= 2f64.powi(129) {
        f64::INFINITY
    } else {
        (beyond(found) - expected).abs() / unit(expected)
    }
}

/// As [`units`], but below 1 in units of 1: for functions whose last step is a sum.
fn units_from_one(found: f32, expected: f64) -> f64 {
    let error = units(found, expected);
    if error.is_finite() {
        error * unit(expected) / unit(expected).max(f64::from(f32::EPSILON))
    } else {
        error
    }
}

/// The distance of neighbouring f32 at `v`.
fn unit(v: f64) -> f64 {
    let exponent = (v.abs().to_bits() >> 52) as i32 - 1023;
    2f64.powi(exponent.clamp(-126, 127) - 23)
}

/// A model of `op` on vectors.
fn model(op: impl Into<Op>, operands: usize, n: usize, target: octrt_compiler::Target) -> Model {
    let mut g = Graph::new("function");
    let inputs =
        (0..operands).map(|i| Some(g.add_input(format!("x{i}"), DType::F32, vec![Dim::Fixed(n)]))).collect();
    let y = g.add_node("function", op, inputs, &["y"]);
    g.add_output("y", y[0]);
    Model::from_graph(g, &LoadOptions::default().with_target(target)).unwrap()
}

/// The worst error on any target: in units, with the place.
fn worst(
    op: impl Into<Op>,
    inputs: &[&[f32]],
    truth: &dyn Fn(&[f32]) -> f64,
    units: fn(f32, f64) -> f64,
) -> (f64, String) {
    let (op, n) = (op.into(), inputs[0].len());
    let mut worst = (0.0, String::new());
    for target in targets() {
        let shape = [n];
        let named: Vec<(String, TensorRef<'_>)> = inputs
            .iter()
            .enumerate()
            .map(|(i, x)| (format!("x{i}"), TensorRef::new(&shape, x).unwrap()))
            .collect();
        let named: Vec<(&str, TensorRef<'_>)> = named.iter().map(|(name, t)| (name.as_str(), *t)).collect();
        let y = model(op.clone(), inputs.len(), n, target).session().unwrap().run(&named).unwrap();
        for (i, &found) in y[0].1.elements::<f32>().unwrap().iter().enumerate() {
            let at: Vec<f32> = inputs.iter().map(|x| x[i]).collect();
            let flushed: Vec<f32> = at.iter().map(|&x| taken_as(x)[1]).collect();
            let (expected, of_flushed) = (truth(&at), truth(&flushed));
            let error = units(found, expected).min(units(found, of_flushed));
            if error > worst.0 {
                worst = (error, format!("{target}: {at:?}: expected {expected:e}, found {found:e}"));
            }
        }
    }
    worst
}

fn check_unary(kind: UnaryKind, bound: f64, truth: fn(f64) -> f64) {
    check_by(units, kind, bound, truth);
}

fn check_by(units: fn(f32, f64) -> f64, kind: UnaryKind, bound: f64, truth: fn(f64) -> f64) {
    let x = numbers();
    let (error, place) = worst(Unary { kind }, &[&x], &|x| truth(x[0].into()), units);
    println!("{kind}: {error:.2} units at most over {} numbers, {place}", x.len());
    assert!(error <= bound, "{kind}: {error} units, the bound is {bound}; {place}");
}

#[test]
fn exp() {
    check_unary(UnaryKind::Exp, 1.25, f64::exp);
}

#[test]
fn log() {
    check_unary(UnaryKind::Log, 2.0, f64::ln);
}

#[test]
fn tanh() {
    check_unary(UnaryKind::Tanh, 2.25, f64::tanh);
}

#[test]
fn trigonometric_functions() {
    // Beyond this magnitude the multiple of pi that is taken off has more digits than are kept.
    let near: Vec<f32> = numbers().into_iter().filter(|x| x.abs() <= 1e6 || x.is_nan()).collect();
    assert!(near.len() > 10_000);
    for (kind, truth) in
        [(UnaryKind::Sin, f64::sin as fn(f64) -> f64), (UnaryKind::Cos, f64::cos), (UnaryKind::Tan, f64::tan)]
    {
        let (error, place) = worst(Unary { kind }, &[&near], &|x| truth(x[0].into()), units);
        assert!(error <= 0.75, "{kind}: {error} units; {place}");
    }
    for (kind, truth) in [
        (UnaryKind::Asin, f64::asin as fn(f64) -> f64),
        (UnaryKind::Acos, f64::acos),
        (UnaryKind::Atan, f64::atan),
    ] {
        check_unary(kind, 0.75, truth);
    }
}

#[test]
fn hyperbolic_functions() {
    let acosh =
        |x: f64| if x < 1.0 { f64::NAN } else { ((x - 1.0) + ((x - 1.0) * (x + 1.0)).sqrt()).ln_1p() };
    check_unary(UnaryKind::Sinh, 0.75, f64::sinh);
    check_unary(UnaryKind::Cosh, 4.0, f64::cosh);
    check_unary(UnaryKind::Asinh, 0.75, f64::asinh);
    check_unary(UnaryKind::Acosh, 0.75, acosh);
    check_unary(UnaryKind::Atanh, 0.75, f64::atanh);
}

#[test]
fn error_function() {
    check_unary(UnaryKind::Erf, 3.5, |x| erf(x));
}

#[test]
fn sigmoid() {
    check_unary(UnaryKind::Sigmoid, 2.5, |x| 1.0 / (1.0 + (-x).exp()));
}

#[test]
fn sums_of_functions() {
    check_by(units_from_one, UnaryKind::Softplus, 2.0, |x| if x > 40.0 { x } else { x.exp().ln_1p() });
    check_by(units_from_one, UnaryKind::HardSwish, 2.0, |x| match x {
        x if x <= -3.0 => x * 0.0,
        x if x >= 3.0 => x,
        x => x * (x / 6.0 + 0.5),
    });
}

#[test]
fn exact_functions() {
    check_unary(UnaryKind::Sqrt, 0.5, f64::sqrt);
    check_unary(UnaryKind::Reciprocal, 0.5, |x| 1.0 / x);
    check_unary(UnaryKind::Floor, 0.0, f64::floor);
    check_unary(UnaryKind::Ceil, 0.0, f64::ceil);
    check_unary(UnaryKind::Round, 0.0, f64::round_ties_even);
    check_unary(UnaryKind::Softsign, 1.75, |x| x / (1.0 + x.abs()));
}

#[test]
fn pow() {
    let mut r = Random(50);
    let special = [
        0.0f32,
        1.0,
        2.0,
        3.0,
        4.0,
        0.5,
        1.5,
        2.5,
        1e-3,
        1e5,
        1e-30,
        1e30,
        16_777_216.0,
        16_777_217.0,
        8_388_607.0,
        8_388_607.5,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        0.333_333_34,
        0.999_999_94,
        1.000_000_1,
    ];
    let special: Vec<f32> = special.iter().flat_map(|&v| [v, -v]).collect();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for (&a, &b) in special.iter().flat_map(|a| special.iter().map(move |b| (a, b))) {
        x.push(a);
        y.push(b);
    }
    for i in 0..400_000 {
        // Bases of all magnitudes with exponents that keep the result in range, then any numbers.
        let base = f32::from_bits((r.below(1 << 32)) as u32);
        let spread = 88.0 / base.abs().ln().abs().max(1e-6);
        x.push(base);
        y.push(match i % 4 {
            0 => f32::from_bits((r.below(1 << 32)) as u32),
            1 => (r.float() * spread).round(),
            _ => r.float() * spread,
        });
    }
    let kind = BinaryKind::Pow;
    let (error, place) = worst(Binary { kind }, &[&x, &y], &|v| f64::from(v[0]).powf(v[1].into()), units);
    println!("pow: {error:.2} units at most over {} pairs, {place}", x.len());
    assert!(error <= 1.0, "pow: {error} units; {place}");
}

/// What numbers of this file are measured by.
#[test]
fn units_of_errors() {
    assert_eq!(units(1.0, 1.0), 0.0);
    assert_eq!(units(f32::from_bits(0x3f80_0001), 1.0), 1.0);
    assert_eq!(units(0.0, 1e-40), 0.0);
    assert!(units(f32::INFINITY, 3.402_823_5e38) < 1.0);
    assert_eq!(units(1.0, f64::NAN), f64::INFINITY);
    assert!(units(1.0, 2.0) > 4e6 && units(f32::MAX, f64::INFINITY).is_infinite());
    let t = Tensor::new([1], &[f32::from_bits(1)]).unwrap();
    assert_eq!(taken_as(t.to_vec::<f32>().unwrap()[0])[1], 0.0);
}
