//! Matrix products.

use super::window::of_sums;
use super::{PART, Value};
use crate::problem::{Gemm, GemmBias};

/// `b` is `[k, n]` as drawn; stored transposed it has the same numbers as `[n, k]`. `small(n)` draws the numbers of C.
pub fn gemm(g: &Gemm, a: &Value, b: &[f32], small: impl Fn(usize) -> Vec<f32>, [m, k]: [usize; 2]) -> Value {
    let (alpha, beta) = (f64::from(g.alpha), f64::from(g.beta));
    let c = match g.c {
        GemmBias::None => vec![],
        GemmBias::Row => small(g.n),
        GemmBias::Column => small(m),
    };
    let mut v = Vec::new();
    let mut squares = 0.0;
    let mut filters = vec![0.0; g.n];
    for row in 0..m {
        for column in 0..g.n {
            let c = match g.c {
                GemmBias::None => 0.0,
                GemmBias::Row => beta * f64::from(c[column]),
                GemmBias::Column => beta * f64::from(c[row]),
            };
            squares += c * c;
            let mut sum = 0.0;
            for i in 0..k {
                let x = a.v[if g.trans_a { i * m + row } else { row * k + i }];
                let w = f64::from(b[if g.trans_b { column * k + i } else { i * g.n + column }]);
                sum += x * w;
                squares += (alpha * x * w) * (alpha * x * w);
                if row == 0 {
                    filters[column] += (alpha * w) * (alpha * w);
                }
            }
            v.push(alpha * sum + c);
        }
    }
    let longest = filters.into_iter().fold(0.0, f64::max).sqrt();
    of_sums(Value { shape: vec![m, g.n], v, error: 0.0 }, squares, PART, a.error * longest)
}

/// The product of the last two axes; the axes before them are broadcast.
pub fn matmul(a: &Value, b: &Value, shape: &[usize]) -> Value {
    let rank = shape.len();
    let (m, n, k) = (shape[rank - 2], shape[rank - 1], a.shape[a.shape.len() - 1]);
    let batch: usize = shape[..rank - 2].iter().product();
    let mut v = Vec::new();
    let mut squares = 0.0;
    for at in 0..batch {
        let [a0, b0] = [(a, m * k), (b, k * n)].map(|(x, size)| size * batch_of(at, shape, &x.shape));
        for row in 0..m {
            for column in 0..n {
                let mut sum = 0.0;
                for i in 0..k {
                    let product = a.v[a0 + row * k + i] * b.v[b0 + i * n + column];
                    sum += product;
                    squares += product * product;
                }
                v.push(sum);
            }
        }
    }
    let handed_on = (a.error * b.largest() + b.error * a.largest()) * (k as f64).sqrt();
    of_sums(Value { shape: shape.to_vec(), v, error: 0.0 }, squares, PART, handed_on)
}

/// The matrix of an operand that belongs to matrix `at` of the result.
fn batch_of(at: usize, shape: &[usize], operand: &[usize]) -> usize {
    let (lead, own) = (shape.len() - 2, operand.len() - 2);
    let (mut rest, mut found, mut stride) = (at, 0, 1);
    for axis in (0..lead).rev() {
        let position = rest % shape[axis];
        rest /= shape[axis];
        if let Some(axis) = (axis + own).checked_sub(lead) {
            found += if operand[axis] > 1 { position * stride } else { 0 };
            stride *= operand[axis];
        }
    }
    found
}
