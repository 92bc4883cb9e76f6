//! Products of bytes whose sums come close to 2^24, up to where floats hold every integer.

use octrt_ops::def::conv_integer::ConvInteger;
use octrt_ops::def::matmul_integer::MatMulInteger;
use octrt_ops::def::qlinear_conv::QLinearConv;
use octrt_ops::def::qlinear_matmul::QLinearMatMul;
use octrt_ops::window::Window;
use octrt_ops::{DType, Op, Tensor, TensorType, ValueId};

use crate::near::Near;

/// Bytes at the ends of their range for the most part, so that sums are large.
fn bytes(n: &mut Near, dtype: DType, shape: &[usize]) -> Tensor {
    let ty = TensorType::new(dtype, shape.to_vec());
    let ends = if dtype == DType::U8 { [255, 0] } else { [127, 128] };
    let [mostly, seldom] = if n.half() { ends } else { [ends[1], ends[0]] };
    let odds = n.pick(&[2, 8, 64]);
    let byte = |n: &mut Near| match n.g.numbers.below(odds) {
        0 => n.g.numbers.below(256) as u8,
        1 => seldom,
        _ => mostly,
    };
    let bytes = (0..ty.bytes()).map(|_| byte(n)).collect();
    Tensor::from_bytes(ty, bytes).unwrap()
}

/// A constant, seldom an input.
fn parameter(n: &mut Near, t: Tensor) -> ValueId {
    if n.odd() { n.input_of(t) } else { n.g.constant(t) }
}

fn zero_point(n: &mut Near, dtype: DType, count: usize) -> Option<ValueId> {
    if n.half() {
        return None;
    }
    let shape = if n.half() { vec![] } else { vec![if n.half() { 1 } else { count }] };
    let t = bytes(n, dtype, &shape);
    Some(parameter(n, t))
}

fn scale(n: &mut Near, shape: &[usize], largest: f32) -> ValueId {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| (1 + n.g.numbers.below(99)) as f32 * largest / 100.0).collect();
    let t = Tensor::new(shape.to_vec(), &values).unwrap();
    parameter(n, t)
}

/// A product of one of the four operators.
pub fn product(n: &mut Near) -> Option<()> {
    n.g.magnitude = f64::INFINITY;
    let types = [DType::U8, DType::I8];
    let (data, weight) = (n.pick(&types), n.pick(&types));
    let length = n.pick(&[1, 16, 64, 130, 200, 258, 259, 400, 514, 520, 700]);
    let outputs = n.pick(&[1, 3, 8]);
    let (conv, quantised) = (n.half(), n.half());
    let group = if conv { n.or(1, &[2]) } else { 1 };
    let space = n.pick(&[[1, 1], [2, 1], [3, 3]]);
    let window = if space == [3, 3] && length < 65 { [3, 3] } else { [1, 1] };
    let (x, w) = match conv {
        true => {
            (vec![1, length * group, space[0], space[1]], vec![outputs * group, length, window[0], window[1]])
        }
        false => (vec![n.pick(&[1, 2, 5]), length], vec![length, outputs]),
    };
    if x.iter().product::<usize>() > 6000 {
        return None;
    }
    let t = bytes(n, data, &x);
    let x = n.input_of(t);
    let t = bytes(n, weight, &w);
    let w = if n.g.numbers.one_in(4) { n.input_of(t) } else { n.g.constant(t) };
    let channels = outputs * group;
    let x_zero = zero_point(n, data, 1);
    let w_zero = zero_point(n, weight, channels);
    let pads = if conv && n.half() { vec![1; 4] } else { vec![] };
    let window = Window { pads, ..Window::default() };
    let (op, inputs): (Op, Vec<Option<ValueId>>) = match quantised {
        false => {
            let op = match conv {
                true => ConvInteger { window, group }.into(),
                false => MatMulInteger {}.into(),
            };
            (op, vec![Some(x), Some(w), x_zero, w_zero])
        }
        true => {
            let zero = |n: &mut Near, v: Option<ValueId>, dtype: DType| {
                v.or_else(|| {
                    let t = bytes(n, dtype, &[]);
                    Some(n.g.constant(t))
                })
            };
            let x_zero = zero(n, x_zero, data);
            let w_zero = zero(n, w_zero, weight);
            let y_zero = zero(n, None, weight);
            let by_channel = if n.half() { vec![channels] } else { vec![] };
            let scales = [scale(n, &[], 1.0), scale(n, &by_channel, 1.0), scale(n, &[], 1e6)].map(Some);
            let mut inputs = vec![Some(x), scales[0], x_zero, Some(w), scales[1], w_zero, scales[2], y_zero];
            if conv && n.half() {
                let values: Vec<i32> =
                    (0..channels).map(|_| n.g.numbers.below(1 << 25) as i32 - (1 << 24)).collect();
                let values: Vec<i32> =
                    if n.half() { values.iter().map(|v| v >> 10).collect() } else { values };
                let t = Tensor::new([channels], &values).unwrap();
                inputs.push(Some(parameter(n, t)));
            }
            let op = match conv {
                true => QLinearConv { window, group }.into(),
                false => QLinearMatMul {}.into(),
            };
            (op, inputs)
        }
    };
    n.g.add(op, &inputs, 1).map(|_| ())
}
