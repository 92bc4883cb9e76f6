//! Quantised operators: equal to their references, of which every step is exact or rounded once.

use octrt_ops::def::conv_integer::ConvInteger;
use octrt_ops::def::dequantize_linear::DequantizeLinear;
use octrt_ops::def::dynamic_quantize_linear::DynamicQuantizeLinear;
use octrt_ops::def::matmul_integer::MatMulInteger;
use octrt_ops::def::qlinear_conv::QLinearConv;
use octrt_ops::def::qlinear_matmul::QLinearMatMul;
use octrt_ops::def::quantize_linear::QuantizeLinear;
use octrt_ops::def::round_float::FloatFormat;
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Op, Tensor, TensorType};

use crate::check::{Checks, Error, Operand, Random, fits};

const BYTES: [DType; 2] = [DType::U8, DType::I8];

/// Integers of the whole range of a type.
fn whole(r: &mut Random, dtype: DType, shape: &[usize]) -> Tensor {
    let ty = TensorType::new(dtype, shape.to_vec());
    let bytes = (0..ty.bytes()).map(|_| r.below(256) as u8).collect();
    Tensor::from_bytes(ty, bytes).unwrap()
}

/// Numbers between 1/64 and 1/2 of `largest`.
fn scales(r: &mut Random, shape: &[usize], largest: f32) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|_| (r.float().abs() * 0.5 + 0.015_625) * largest).collect();
    Tensor::new(shape.to_vec(), &values).unwrap()
}

/// Numbers up to `largest`, some of them halves.
fn numbers(r: &mut Random, shape: &[usize], largest: f32) -> Operand {
    let n: usize = shape.iter().product();
    let value = |r: &mut Random| match r.below(4) {
        0 => (r.float() * largest).round() + 0.5,
        _ => r.float() * largest,
    };
    let values: Vec<f32> = (0..n).map(|_| value(r)).collect();
    Operand::Given(Tensor::new(shape.to_vec(), &values).unwrap())
}

/// A parameter, known or not.
fn parameter(r: &mut Random, t: Tensor) -> Operand {
    if r.below(2) == 0 { Operand::Known(t) } else { Operand::Given(t) }
}

#[test]
fn quantisation() {
    let mut r = Random(70);
    let mut checks = Checks::default();
    // Shape, axis, block size, shape of the parameters.
    type Case<'a> = (&'a [usize], i64, usize, &'a [usize]);
    let cases: [Case<'_>; 8] = [
        (&[], 1, 0, &[]),
        (&[17], 1, 0, &[1]),
        (&[2, 3, 5], 1, 0, &[3]),
        (&[2, 3, 5], -1, 0, &[5]),
        (&[4, 33], 0, 0, &[4]),
        (&[2, 7, 3], 1, 3, &[2, 3, 3]),
        (&[3, 8], -1, 4, &[3, 2]),
        (&[5, 2], 0, 1, &[5, 2]),
    ];
    for (shape, axis, block_size, parameters) in cases {
        for dtype in [DType::U8, DType::I8, DType::U16, DType::I16] {
            for given in [false, true] {
                let x = numbers(&mut r, shape, 600.0);
                let scale = scales(&mut r, parameters, 4.0);
                let scale = parameter(&mut r, scale);
                let zero = whole(&mut r, dtype, parameters);
                let zero = if given { parameter(&mut r, zero) } else { Operand::Omitted };
                let precision = r.pick(&[None, None, Some(FloatFormat::F16), Some(FloatFormat::BF16)]);
                let output_dtype = (!given).then_some(dtype);
                let op = QuantizeLinear { axis, block_size, output_dtype, precision };
                checks.add(op.clone(), &[x, scale.clone(), zero.clone()], Error::None);
                let ints = Operand::Given(r.tensor(DType::I32, shape));
                checks.add(op, &[ints, scale.clone(), zero.clone()], Error::None);
                let q = Operand::Given(whole(&mut r, dtype, shape));
                checks.add(DequantizeLinear { axis, block_size }, &[q, scale, zero], Error::None);
            }
        }
        let q = Operand::Given(whole(&mut r, DType::I32, shape));
        let scale = scales(&mut r, parameters, 1.0);
        checks.add(DequantizeLinear { axis, block_size }, &[q, Operand::Known(scale)], Error::None);
    }
    checks.finish("quantisation");
}

#[test]
fn by_range() {
    let mut r = Random(71);
    let mut checks = Checks::default();
    for (i, shape) in
        [&[][..], &[1], &[7], &[3, 5], &[2, 3, 4], &[1000], &[4, 999], &[2, 17, 9, 9]].into_iter().enumerate()
    {
        for largest in [0.0, 1e-3, 1.0, 300.0] {
            let x = numbers(&mut r, shape, largest);
            checks.add(DynamicQuantizeLinear {}, &[x], Error::None);
        }
        let n: usize = shape.iter().product();
        let one_sided = vec![if i % 2 == 0 { -3.5f32 } else { 2.25 }; n];
        let x = Tensor::new(shape.to_vec(), &one_sided).unwrap();
        checks.add(DynamicQuantizeLinear {}, &[Operand::Given(x)], Error::None);
    }
    checks.finish("by range");
}

/// Attributes that both convolutions have.
fn conv_integer(r: &mut Random, axes: usize, group: usize) -> ConvInteger {
    let list = |r: &mut Random, n: usize, from: usize, below: usize| -> Vec<usize> {
        (0..n).map(|_| from + r.below(below)).collect()
    };
    ConvInteger {
        window: Window {
            strides: list(r, axes, 1, 2),
            dilations: list(r, axes, 1, 2),
            pads: list(r, 2 * axes, 0, 3),
            auto_pad: r.pick(&[
                AutoPad::NotSet,
                AutoPad::NotSet,
                AutoPad::SameUpper,
                AutoPad::SameLower,
                AutoPad::Valid,
            ]),
            ..Window::default()
        },
        group,
    }
}

#[test]
fn convolutions() {
    let mut r = Random(72);
    let mut checks = Checks::default();
    for round in 0..40 {
        let spatial: &[usize] = r.pick(&[&[9][..], &[7, 8], &[6, 6], &[12, 11], &[5, 4, 6]]);
        let (group_ic, group_oc, group) = r.pick(&[(3, 5, 1), (16, 8, 1), (1, 1, 6), (2, 3, 4), (1, 8, 1)]);
        let (ic, oc) = (group_ic * group, group_oc * group);
        let kernel: Vec<usize> = spatial.iter().map(|_| 1 + r.below(3)).collect();
        let op = conv_integer(&mut r, spatial.len(), group);
        let (x_type, w_type, y_type) = (r.pick(&BYTES), r.pick(&BYTES), r.pick(&BYTES));
        let x = Operand::Given(whole(&mut r, x_type, &[&[1 + round % 2, ic], spatial].concat()));
        let w = whole(&mut r, w_type, &[&[oc, group_ic], &kernel[..]].concat());
        let w = parameter(&mut r, w);
        let each = [oc];
        let channels: &[usize] = r.pick(&[&[][..], &[1], &each]);
        let x_zero = whole(&mut r, x_type, &[]);
        let x_zero = parameter(&mut r, x_zero);
        let w_zero = whole(&mut r, w_type, channels);
        let w_zero = parameter(&mut r, w_zero);
        let zeros = r.pick(&[[false, false], [true, false], [false, true], [true, true]]);
        let optional = |given: bool, o: &Operand| if given { o.clone() } else { Operand::Omitted };
        let inputs = [x.clone(), w.clone(), optional(zeros[0], &x_zero), optional(zeros[1], &w_zero)];
        if !fits(&Op::from(op.clone()), &inputs) {
            continue;
        }
        checks.add(op.clone(), &inputs, Error::None);
        let scale = |r: &mut Random, shape: &[usize], largest| {
            let t = scales(r, shape, largest);
            parameter(r, t)
        };
        let (x_scale, w_scale) = (scale(&mut r, &[1], 0.1), scale(&mut r, channels, 0.1));
        let y_scale = scale(&mut r, &[], 2.0);
        let y_zero = whole(&mut r, y_type, &[]);
        let y_zero = parameter(&mut r, y_zero);
        let bias = r.tensor(DType::I32, &[oc]);
        let bias = if r.below(3) == 0 { Operand::Omitted } else { parameter(&mut r, bias) };
        let ConvInteger { window, group } = op;
        let op = QLinearConv { window, group };
        let inputs = [x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias];
        checks.add(op, &inputs, Error::None);
    }
    checks.finish("convolutions");
}

#[test]
fn products() {
    let mut r = Random(73);
    let mut checks = Checks::default();
    // Shapes of A and B, of A's parameters, of B's.
    type Case<'a> = (&'a [usize], &'a [usize], &'a [usize], &'a [usize]);
    let cases: [Case<'_>; 12] = [
        (&[5], &[5], &[], &[1]),
        (&[5], &[5, 2], &[], &[]),
        (&[3, 5], &[5], &[1], &[]),
        (&[1, 64], &[64, 10], &[], &[10]),
        (&[4, 3], &[3, 2], &[4], &[2]),
        (&[17, 33], &[33, 9], &[17, 1], &[1, 9]),
        (&[2, 3, 4], &[4, 5], &[2, 3, 1], &[5]),
        (&[2, 3, 4], &[2, 4, 5], &[3], &[2, 1, 5]),
        (&[2, 1, 3, 4], &[3, 4, 2], &[1], &[3, 1, 2]),
        (&[8, 16], &[16, 8], &[], &[]),
        (&[1, 1], &[1, 1], &[1], &[1]),
        (&[31, 200], &[200, 7], &[31], &[7]),
    ];
    for (a_shape, b_shape, rows, columns) in cases {
        for (a_type, b_type) in [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(a, b)| (BYTES[a], BYTES[b])) {
            let a = Operand::Given(whole(&mut r, a_type, a_shape));
            let b = whole(&mut r, b_type, b_shape);
            let b = parameter(&mut r, b);
            let (a_zero, b_zero) = (whole(&mut r, a_type, rows), whole(&mut r, b_type, columns));
            let (a_zero, b_zero) = (parameter(&mut r, a_zero), parameter(&mut r, b_zero));
            checks.add(MatMulInteger {}, &[a.clone(), b.clone()], Error::None);
            checks.add(
                MatMulInteger {},
                &[a.clone(), b.clone(), a_zero.clone(), b_zero.clone()],
                Error::None,
            );
            let (a_scale, b_scale) = (scales(&mut r, rows, 0.1), scales(&mut r, columns, 0.1));
            let (a_scale, b_scale) = (parameter(&mut r, a_scale), parameter(&mut r, b_scale));
            let y_scale = scales(&mut r, &[1], 2.0);
            let y_scale = parameter(&mut r, y_scale);
            let y_type = r.pick(&BYTES);
            let y_zero = whole(&mut r, y_type, &[]);
            let inputs = [a, a_scale, a_zero, b, b_scale, b_zero, y_scale, Operand::Known(y_zero)];
            checks.add(QLinearMatMul {}, &inputs, Error::None);
        }
    }
    checks.finish("products");
}
