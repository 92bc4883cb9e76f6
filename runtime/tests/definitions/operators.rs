//! Pools, normalisation, products, softmax, reductions, resampling.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::expr::Scalar;
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Op, Tensor};

use crate::check::{Checks, Error, Operand, Random, fits, floats, ints};

#[test]
fn pools() {
    let mut r = Random(30);
    let mut checks = Checks::default();
    let all = [AutoPad::NotSet, AutoPad::SameUpper, AutoPad::SameLower, AutoPad::Valid];
    // Spatial extents, kernel, strides, dilations, pads.
    type Case<'a> = (&'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize]);
    let cases: [Case<'_>; 9] = [
        (&[7], &[3], &[2], &[], &[1, 0]),
        (&[9, 9], &[2, 2], &[2, 2], &[], &[]),
        (&[8, 16], &[2, 2], &[2, 2], &[1, 1], &[]),
        (&[14, 15], &[3, 3], &[2, 2], &[], &[1, 1, 1, 1]),
        (&[8, 8], &[4, 4], &[4, 4], &[], &[]),
        (&[6, 7], &[3, 2], &[1, 2], &[2, 3], &[1, 1, 0, 1]),
        (&[5, 6], &[2, 3], &[], &[], &[1, 1, 0, 2]),
        (&[3, 4, 6], &[1, 2, 2], &[1, 2, 2], &[], &[]),
        (&[3, 4, 5], &[2, 2, 2], &[2, 2, 2], &[], &[0, 1, 0, 1, 0, 0]),
    ];
    for (spatial, kernel, strides, dilations, pads) in cases {
        for (auto_pad, ceil_mode) in all.into_iter().flat_map(|p| [(p, false), (p, true)]) {
            let (kernel, strides) = (kernel.to_vec(), strides.to_vec());
            let (dilations, pads) = (dilations.to_vec(), pads.to_vec());
            let x = [r.given(&[&[2, 5], spatial].concat())];
            let max = MaxPool { window: Window { kernel, strides, dilations, pads, auto_pad }, ceil_mode };
            if fits(&Op::from(max.clone()), &x) {
                checks.add(max.clone(), &x, Error::None);
                let bytes = r.tensor(DType::U8, &[&[1, 3], spatial].concat());
                checks.add(max.clone(), &[Operand::Given(bytes)], Error::None);
                let signed = r.tensor(DType::I8, &[&[1, 3], spatial].concat());
                checks.add(max.clone(), &[Operand::Given(signed)], Error::None);
            }
            for count_include_pad in [false, true] {
                let window = max.window.clone();
                let average = AveragePool { window, ceil_mode, count_include_pad };
                if fits(&Op::from(average.clone()), &x) {
                    checks.add(average, &x, Error::Sums);
                }
            }
        }
    }
    for shape in [&[2, 3, 5][..], &[1, 17, 7, 7], &[2, 3, 1, 1], &[1, 2, 3, 4, 5]] {
        checks.add(GlobalPool { kind: GlobalPoolKind::Average }, &[r.given(shape)], Error::Sums);
        checks.add(GlobalPool { kind: GlobalPoolKind::Max }, &[r.given(shape)], Error::None);
    }
    checks.finish("pools");
}

#[test]
fn normalisation() {
    let mut r = Random(31);
    let mut checks = Checks::default();
    for shape in [&[2, 3][..], &[2, 3, 4], &[1, 17, 5, 7], &[1, 4, 2, 3, 3]] {
        let c = shape[1];
        let var: Vec<f32> = (0..c).map(|i| 0.5 + i as f32).collect();
        let inputs = [r.given(shape), r.known(&[c]), r.known(&[c]), r.known(&[c]), floats(&var)];
        // (x - mean) * scale / sqrt(var + epsilon) + shift, each at most 2 in magnitude.
        checks.add(
            BatchNormalization { epsilon: 1e-5 },
            &inputs,
            Error::Absolute(16.0 * f64::from(f32::EPSILON)),
        );
    }
    checks.finish("normalisation");
}

#[test]
fn products() {
    let mut r = Random(32);
    let mut checks = Checks::default();
    for (m, n, k) in [(1, 10, 64), (3, 4, 5), (17, 9, 33), (1, 1, 1), (8, 16, 8), (31, 7, 100)] {
        for (trans_a, trans_b) in [(false, false), (true, false), (false, true), (true, true)] {
            let a = r.given(&if trans_a { [k, m] } else { [m, k] });
            let b = r.known(&if trans_b { [n, k] } else { [k, n] });
            for (alpha, beta) in [(1.0, 1.0), (0.5, -2.0), (-1.5, 0.0)] {
                let op = Gemm { alpha, beta, trans_a, trans_b };
                for bias in
                    [Operand::Omitted, r.known(&[n]), r.known(&[m, 1]), r.given(&[m, n]), r.known(&[])]
                {
                    checks.add(op.clone(), &[a.clone(), b.clone(), bias], Error::Sums);
                }
            }
        }
    }
    let shapes: [(&[usize], &[usize]); 9] = [
        (&[3], &[3]),
        (&[3], &[3, 2]),
        (&[2, 3], &[3]),
        (&[5, 64], &[64, 20]),
        (&[2, 2, 3], &[3, 5]),
        (&[2, 1, 2, 3], &[3, 3, 2]),
        (&[1, 7, 9], &[4, 9, 11]),
        (&[2, 3], &[2, 2, 3, 1]),
        (&[1, 16, 16], &[1, 16, 16]),
    ];
    for (a, b) in shapes {
        checks.add(MatMul {}, &[r.given(a), r.given(b)], Error::Sums);
        for dtype in [DType::I64, DType::I32] {
            let operands = [a, b].map(|s| Operand::Given(r.tensor(dtype, s)));
            checks.add(MatMul {}, &operands, Error::None);
        }
    }
    checks.finish("products");
}

#[test]
fn softmax() {
    let mut r = Random(33);
    let mut checks = Checks::default();
    for shape in [&[7][..], &[2, 10], &[3, 1001], &[2, 3, 4], &[1, 5, 3, 3]] {
        let rank = shape.len() as i64;
        for span in [SoftmaxSpan::Axis, SoftmaxSpan::Trailing] {
            for (axis, log) in (-rank..rank).flat_map(|a| [(a, false), (a, true)]) {
                let scaled: Vec<f32> =
                    r.tensor(DType::F32, shape).to_vec::<f32>().unwrap().iter().map(|v| v * 20.0).collect();
                let x = Operand::Given(Tensor::new(shape.to_vec(), &scaled).unwrap());
                // Exponents up to 40 carry an error of 40 half epsilons into the exponential; then the sum.
                let at = axis.rem_euclid(rank) as usize;
                let end = if span == SoftmaxSpan::Axis { at + 1 } else { shape.len() };
                let n: usize = shape[at..end].iter().product();
                let error = f64::from(f32::EPSILON) * (40 + n) as f64;
                let error = if log { Error::Absolute(error) } else { Error::Relative(error) };
                checks.add(Softmax { axis, span, log }, &[x], error);
            }
        }
    }
    checks.finish("softmax");
}

/// Magnitudes, none of them small.
fn positive(x: &Tensor) -> Tensor {
    let mut bytes = Vec::new();
    x.to_f64s().iter().for_each(|v| Scalar::F64(v.abs() + 0.25).cast(x.dtype()).write(&mut bytes));
    Tensor::from_bytes(x.ty().clone(), bytes).unwrap()
}

#[test]
fn reductions() {
    let mut r = Random(34);
    let mut checks = Checks::default();
    for shape in [&[2, 3, 4][..], &[1, 17, 9], &[2, 5, 7, 7], &[31]] {
        for axes in [&[][..], &[0], &[-1], &[1], &[1, 2], &[2, 0, 1], &[2, 3]] {
            if axes.iter().any(|&a| a >= shape.len() as i64 || a < -(shape.len() as i64)) {
                continue;
            }
            for (&kind, dtype) in ReduceKind::ALL.iter().flat_map(|k| DType::ALL.map(|d| (k, d))) {
                let op = Reduce { kind, keep_dims: r.below(2) == 0, noop_with_empty_axes: r.below(2) == 0 };
                let mut x = r.tensor(dtype, shape);
                if kind == ReduceKind::LogSum && dtype.is_float() {
                    // Logarithms of sums near 0 are as far off as those cancel.
                    x = positive(&x);
                }
                let operands = [Operand::Given(x), ints(axes)];
                let error = match (kind, dtype) {
                    (ReduceKind::Max | ReduceKind::Min, _) => Error::None,
                    (ReduceKind::LogSum | ReduceKind::LogSumExp, DType::F32) => Error::Absolute(3e-6),
                    (_, DType::F32) => Error::Sums,
                    (_, DType::F64) => Error::Absolute(1e-12),
                    _ => Error::None,
                };
                if fits(&Op::from(op.clone()), &operands) {
                    checks.add(op, &operands, error);
                }
            }
        }
    }
    checks.finish("reductions");
}

/// `Resize` with its defaults.
fn resize(mode: ResizeMode, coordinates: CoordinateTransform, nearest_mode: NearestMode) -> Resize {
    Resize {
        mode,
        coordinates,
        nearest_mode,
        cubic_coeff_a: -0.75,
        exclude_outside: false,
        extrapolation_value: 0.5,
        antialias: false,
        aspect: AspectPolicy::Stretch,
        axes: vec![],
    }
}

#[test]
fn resampling() {
    let mut r = Random(35);
    let mut checks = Checks::default();
    let by = |s: &[f32]| [Operand::Omitted, floats(s), Operand::Omitted];
    let to = |s: &[i64]| [Operand::Omitted, Operand::Omitted, ints(s)];
    let sizes = [by(&[1.0, 1.0, 2.0, 2.0]), by(&[1.0, 1.0, 0.5, 1.5]), to(&[2, 3, 7, 5]), to(&[2, 3, 4, 13])];
    for size in sizes {
        for &coordinates in CoordinateTransform::ALL {
            for &nearest_mode in NearestMode::ALL {
                check_resize(
                    &mut checks,
                    &mut r,
                    &resize(ResizeMode::Nearest, coordinates, nearest_mode),
                    &size,
                );
            }
            for mode in [ResizeMode::Linear, ResizeMode::Cubic] {
                for (antialias, exclude_outside) in [(false, false), (true, false), (false, true)] {
                    let op = resize(mode, coordinates, NearestMode::RoundPreferFloor);
                    let op = Resize { antialias, exclude_outside, ..op };
                    check_resize(&mut checks, &mut r, &op, &size);
                }
            }
        }
    }
    checks.finish("resampling");
}

fn check_resize(checks: &mut Checks, r: &mut Random, op: &Resize, size: &[Operand; 3]) {
    let mut operands = vec![r.given(&[2, 3, 4, 6])];
    operands.extend_from_slice(size);
    if op.coordinates == CoordinateTransform::TfCropAndResize {
        operands[1] = floats(&[0.0, 0.0, 0.1, -0.2, 1.0, 1.0, 0.9, 1.1]);
    }
    // At most 6 elements of either axis count, with weights whose magnitudes sum to less than 4.
    let exact = op.mode == ResizeMode::Nearest;
    let error = if exact { Error::None } else { Error::Absolute(64.0 * f64::from(f32::EPSILON)) };
    if fits(&Op::from(op.clone()), &operands) {
        checks.add(op.clone(), &operands, error);
    }
}
