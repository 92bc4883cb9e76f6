//! Definitions against references: quantised operators, exactly.

mod support;

use octrt_ops::def::conv_integer::ConvInteger;
use octrt_ops::def::dequantize_linear::DequantizeLinear;
use octrt_ops::def::dynamic_quantize_linear::DynamicQuantizeLinear;
use octrt_ops::def::matmul_integer::MatMulInteger;
use octrt_ops::def::qlinear_conv::QLinearConv;
use octrt_ops::def::qlinear_matmul::QLinearMatMul;
use octrt_ops::def::quantize_linear::QuantizeLinear;
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Operator, Tensor};
use support::{Numbers, check};

fn exact(op: &dyn Operator, inputs: &[Option<&Tensor>]) {
    check(op, inputs, 0.0);
}

/// Numbers from 1/16 on.
fn scale(random: &mut Numbers, shape: &[usize]) -> Tensor {
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| (1 + random.below(20)) as f32 / 16.0).collect();
    Tensor::new(shape.to_vec(), &values).unwrap()
}

#[test]
fn quantisation() {
    let mut random = Numbers(80);
    for (shape, axis, block_size, parameters) in [
        (&[][..], 1, 0, &[][..]),
        (&[5], 0, 0, &[1]),
        (&[2, 3], 1, 0, &[3]),
        (&[3, 2, 2], -3, 0, &[3]),
        (&[2, 5], 1, 2, &[2, 3]),
        (&[4, 1], 0, 4, &[1, 1]),
        (&[0, 2], 1, 0, &[2]),
    ] {
        for dtype in [DType::U8, DType::I8, DType::U16, DType::I16] {
            let scale = scale(&mut random, parameters);
            let zero = random.tensor(dtype, parameters.to_vec());
            for x in [random.f32s(shape.to_vec()), random.tensor(DType::I32, shape.to_vec())] {
                let op = QuantizeLinear { axis, block_size, output_dtype: None, precision: None };
                exact(&op, &[Some(&x), Some(&scale), Some(&zero)]);
                exact(&QuantizeLinear { output_dtype: Some(dtype), ..op }, &[Some(&x), Some(&scale)]);
            }
            let q = random.tensor(dtype, shape.to_vec());
            exact(&DequantizeLinear { axis, block_size }, &[Some(&q), Some(&scale), Some(&zero)]);
            exact(&DequantizeLinear { axis, block_size }, &[Some(&q), Some(&scale)]);
        }
        exact(&DynamicQuantizeLinear {}, &[Some(&random.f32s(shape.to_vec()))]);
    }
}

#[test]
fn convolutions() {
    let mut random = Numbers(81);
    for round in 0..30 {
        let group = *random.pick(&[1, 2]);
        let maps: [&[usize]; 4] = [&[5], &[4, 3], &[3, 0], &[2, 3, 2]];
        let spatial = *random.pick(&maps);
        let pads = (0..2 * spatial.len()).map(|_| 1 + random.below(2)).collect();
        let kernel: Vec<usize> = spatial.iter().map(|_| 1 + random.below(2)).collect();
        let strides: Vec<usize> = spatial.iter().map(|_| 1 + random.below(2)).collect();
        let padding = *random.pick(&[AutoPad::NotSet, AutoPad::SameUpper, AutoPad::SameLower]);
        let bytes = [DType::U8, DType::I8];
        let (x_type, w_type, y_type) = (*random.pick(&bytes), *random.pick(&bytes), *random.pick(&bytes));
        let x = random.tensor(x_type, [&[1, 2 * group], spatial].concat());
        let w = random.tensor(w_type, [&[4, 2], &kernel[..]].concat());
        let channels: &[usize] = if round % 2 == 0 { &[] } else { &[4] };
        let (x_zero, w_zero) = (random.tensor(x_type, []), random.tensor(w_type, channels.to_vec()));
        let op =
            ConvInteger { window: Window { strides, pads, auto_pad: padding, ..Window::default() }, group };
        exact(&op, &[Some(&x), Some(&w), (round % 3 > 0).then_some(&x_zero), Some(&w_zero)]);
        let ConvInteger { window, group } = op;
        let op = QLinearConv { window, group };
        let (x_scale, y_scale) = (scale(&mut random, &[]), scale(&mut random, &[1]));
        let w_scale = scale(&mut random, channels);
        let (y_zero, bias) = (random.tensor(y_type, [1]), random.tensor(DType::I32, [4]));
        let w_side = [Some(&w), Some(&w_scale), Some(&w_zero)];
        let y_side = [Some(&y_scale), Some(&y_zero), (round % 2 == 0).then_some(&bias)];
        exact(&op, &[&[Some(&x), Some(&x_scale), Some(&x_zero)], &w_side[..], &y_side[..]].concat());
    }
}

#[test]
fn products() {
    let mut random = Numbers(82);
    for (a, b, rows, columns) in [
        (&[3][..], &[3][..], &[][..], &[1][..]),
        (&[3], &[3, 2], &[1], &[]),
        (&[2, 3], &[3, 4], &[2], &[4]),
        (&[2, 3], &[3, 4], &[2, 1], &[1, 4]),
        (&[2, 2, 3], &[3, 2], &[2, 2, 1], &[2]),
        (&[2, 1, 3], &[2, 3, 2], &[1], &[2, 1, 2]),
        (&[2, 0], &[0, 2], &[2], &[2]),
        (&[0, 2], &[2, 3], &[], &[3]),
    ] {
        for (a_type, b_type) in [(DType::U8, DType::I8), (DType::I8, DType::U8)] {
            let (a, b) = (random.tensor(a_type, a.to_vec()), random.tensor(b_type, b.to_vec()));
            let (a_zero, b_zero) =
                (random.tensor(a_type, rows.to_vec()), random.tensor(b_type, columns.to_vec()));
            exact(&MatMulInteger {}, &[Some(&a), Some(&b), Some(&a_zero), Some(&b_zero)]);
            exact(&MatMulInteger {}, &[Some(&a), Some(&b), None, Some(&b_zero)]);
            let (a_scale, b_scale) = (scale(&mut random, rows), scale(&mut random, columns));
            let (y_scale, y_zero) = (scale(&mut random, &[]), random.tensor(b_type, []));
            let inputs = [&a, &a_scale, &a_zero, &b, &b_scale, &b_zero, &y_scale, &y_zero].map(Some);
            exact(&QLinearMatMul {}, &inputs);
        }
    }
}
