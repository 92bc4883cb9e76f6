//! Operators that work element by element.

use super::Value;
use crate::data::{EPSILON, Norm};
use crate::problem::{Binary, Unary};

/// Error of the sigmoid's approximation, whose values are below 1.
const SIGMOID: f64 = 1e-6;

/// The channel of element `i`.
fn channel(shape: &[usize], i: usize) -> usize {
    i / shape[2..].iter().product::<usize>().max(1) % shape[1]
}

pub fn unary(u: Unary, slopes: &[f32], x: &Value) -> Value {
    let f = |(i, &v): (usize, &f64)| match u {
        Unary::Relu if v < 0.0 => 0.0,
        Unary::Relu => v,
        Unary::Sigmoid => 1.0 / (1.0 + (-v).exp()),
        Unary::HardSwish => v * (v / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::LeakyRelu(alpha) if v < 0.0 => f64::from(alpha) * v,
        Unary::PRelu if v < 0.0 => f64::from(slopes[channel(&x.shape, i)]) * v,
        Unary::LeakyRelu(_) | Unary::PRelu => v,
        Unary::Clip(low, high) => v.clamp(f64::from(low), f64::from(high)),
    };
    let v = x.v.iter().enumerate().map(f).collect();
    let y = Value { shape: x.shape.clone(), v, error: 0.0 };
    match u {
        Unary::Sigmoid => Value { error: x.error / 4.0 + SIGMOID, ..y },
        // The slope at 3.
        Unary::HardSwish => y.rounded(1.5 * x.error),
        // What is cut off may have been rounded.
        _ => Value { error: x.error + f64::from(f32::EPSILON) * x.largest(), ..y },
    }
}

/// Element `i` of a result of `shape`, in an operand that is broadcast to it.
fn place(i: usize, shape: &[usize], operand: &[usize]) -> usize {
    let (mut rest, mut at, mut stride) = (i, 0, 1);
    for (axis, &extent) in shape.iter().enumerate().rev() {
        let position = rest % extent;
        rest /= extent;
        if let Some(own) = (axis + operand.len()).checked_sub(shape.len()) {
            if operand[own] > 1 {
                at += position * stride;
            }
            stride *= operand[own];
        }
    }
    at
}

pub fn binary(b: Binary, x: &Value, y: &Value, shape: &[usize]) -> Value {
    let either_nan = |a: f64, b: f64| a.is_nan() || b.is_nan();
    let f = |i: usize| {
        let (a, b_) = (x.v[place(i, shape, &x.shape)], y.v[place(i, shape, &y.shape)]);
        match b {
            Binary::Add => a + b_,
            Binary::Sub => a - b_,
            Binary::Mul => a * b_,
            Binary::Div => a / b_,
            Binary::Max | Binary::Min if either_nan(a, b_) => f64::NAN,
            Binary::Max => a.max(b_),
            Binary::Min => a.min(b_),
        }
    };
    let v = (0..shape.iter().product()).map(f).collect();
    let handed_on = match b {
        Binary::Add | Binary::Sub => x.error + y.error,
        Binary::Mul => x.error * y.largest() + y.error * x.largest() + x.error * y.error,
        // Divisors are exact and at least 1.
        Binary::Div => x.error,
        Binary::Max | Binary::Min => x.error.max(y.error),
    };
    Value { shape: shape.to_vec(), v, error: 0.0 }.rounded(handed_on)
}

pub fn batch_norm(norm: &Norm, x: &Value) -> Value {
    let factor =
        |c: usize| f64::from(norm.scale[c]) / (f64::from(norm.variance[c]) + f64::from(EPSILON)).sqrt();
    let f = |(i, &v): (usize, &f64)| {
        let c = channel(&x.shape, i);
        (v - f64::from(norm.mean[c])) * factor(c) + f64::from(norm.shift[c])
    };
    let v = x.v.iter().enumerate().map(f).collect();
    let largest = (0..norm.scale.len()).map(|c| factor(c).abs()).fold(0.0, f64::max);
    // Mean and shift may be of other magnitudes than the result; they are below 1 here.
    let parameters = 4.0 * f64::from(f32::EPSILON) * (1.0 + largest);
    Value { shape: x.shape.clone(), v, error: 0.0 }.rounded(largest * x.error + parameters)
}
