//! Operators that move elements. Tensors are rows of planes, `[n][c][spatial..]`.

use super::{Value, three};

fn plane(x: &Value) -> usize {
    x.shape[2..].iter().product()
}

pub fn concat(inputs: &[&Value], shape: &[usize]) -> Value {
    let mut v = Vec::new();
    for n in 0..shape[0] {
        for x in inputs {
            let item = x.shape[1] * plane(x);
            v.extend_from_slice(&x.v[n * item..][..item]);
        }
    }
    let error = inputs.iter().map(|x| x.error).fold(0.0, f64::max);
    Value { shape: shape.to_vec(), v, error }
}

pub fn slice(begin: usize, x: &Value, shape: &[usize]) -> Value {
    let plane = plane(x);
    let part = |n: usize| &x.v[(n * x.shape[1] + begin) * plane..][..shape[1] * plane];
    let v = (0..shape[0]).flat_map(|n| part(n).to_vec()).collect();
    Value { shape: shape.to_vec(), v, error: x.error }
}

/// Every plane of `x` by `f`, which says where in the plane an element of the result comes from; 0 where it does not.
fn planes(x: &Value, shape: &[usize], f: impl Fn([usize; 3]) -> Option<[usize; 3]>) -> Value {
    let ([_, height, width], [depth, h, w]) = (three(&x.shape[2..], 1), three(&shape[2..], 1));
    let mut v = Vec::new();
    for image in x.v.chunks(plane(x)) {
        for i in 0..depth * h * w {
            let from = f([i / w / h, i / w % h, i % w]);
            v.push(from.map_or(0.0, |[d, y, z]| image[(d * height + y) * width + z]));
        }
    }
    Value { shape: shape.to_vec(), v, error: x.error }
}

pub fn up(x: &Value, shape: &[usize]) -> Value {
    let grows = three(&vec![2; shape.len() - 2], 1);
    planes(x, shape, |at| Some([0, 1, 2].map(|i| at[i] / grows[i])))
}

pub fn pad(pads: &[usize], x: &Value, shape: &[usize]) -> Value {
    let (begin, extent) = (three(&pads[..pads.len() / 2], 0), three(&x.shape[2..], 1));
    planes(x, shape, |at| {
        let inside = |i: usize| at[i].checked_sub(begin[i]).filter(|&p| p < extent[i]);
        Some([inside(0)?, inside(1)?, inside(2)?])
    })
}

pub fn channels_last(x: &Value, shape: &[usize]) -> Value {
    let (plane, channels) = (plane(x), x.shape[1]);
    let mut v = Vec::new();
    for item in x.v.chunks(channels * plane) {
        for at in 0..plane {
            v.extend((0..channels).map(|c| item[c * plane + at]));
        }
    }
    Value { shape: shape.to_vec(), v, error: x.error }
}
