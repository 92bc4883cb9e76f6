//! What a problem gives, computed in f64 by plain loops that share no code with octrt, and how far f32 code may be off.
//!
//! A result carries the largest error that it may have, one number for all its elements. Convolutions and matrix
//! products bring in new error: a part ([`PART`]) of the magnitude of the sum,
//!
//! ```text
//! magnitude = max(rms(y), sqrt(mean over outputs of sum over products of product^2))
//! ```
//!
//! The second term is what the rms of `y` would be if the signs of the products were random. It is about `rms(y)` for
//! ordinary data, so that the rule is `max |y - reference| / rms(reference) <= part`; where products cancel and the rms
//! is tiny, it keeps the rule from asking more than rounded products can give. Winograd's algorithms compute with the
//! whole filter also where padding hides most of it; for them a third term is what the rms of `y` would be without
//! padding, `rms(x) * sqrt(mean over filters of sum of weight^2)`.
//!
//! All other operators hand on the error of their inputs, times the largest slope of what they compute, with a rounding
//! of their own; a convolution hands on the error of its input times the length (L2) of its longest filter, since errors
//! of different elements are unrelated. Relative errors thus add up along a chain.

mod elements;
mod matrix;
mod moves;
mod window;

use crate::data::{self, Role};
use crate::problem::{Conv, Kind, Problem};

/// How the code may compute convolutions; decides what errors are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Fast algorithms are allowed where they are worth it: Winograd for dense convolutions of 3x3, and of several planes of
    /// 3x3, of stride 1 and any dilation.
    Default,
    /// Sums of products only.
    Strict,
}

/// Part of the magnitude by which sums of products may be wrong, by any algorithm.
pub const PART: f64 = 1e-5;

/// What the error of a convolution is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magnitude {
    /// The magnitude of the sums.
    Sums,
    /// Also that of the sums which there would be without padding.
    Unpadded,
}

impl Precision {
    /// What the error of a convolution is a part of.
    pub fn magnitude(self, conv: &Conv) -> Magnitude {
        let w = &conv.window;
        let ones = w.strides.iter().all(|&v| v == 1);
        let winograd = w.kernel.len() > 1 && w.kernel.ends_with(&[3, 3]) && ones && conv.group == 1;
        match winograd && self == Precision::Default {
            true => Magnitude::Unpadded,
            false => Magnitude::Sums,
        }
    }
}

/// A tensor with the error that it may have.
#[derive(Clone, Debug)]
pub struct Value {
    pub shape: Vec<usize>,
    pub v: Vec<f64>,
    /// Largest allowed difference of a finite element.
    pub error: f64,
}

impl Value {
    fn exact(shape: &[usize], v: &[f32]) -> Self {
        Value { shape: shape.to_vec(), v: v.iter().map(|&v| f64::from(v)).collect(), error: 0.0 }
    }

    /// Largest magnitude of a finite element.
    pub fn largest(&self) -> f64 {
        self.v.iter().filter(|v| v.is_finite()).fold(0.0, |a, v| a.max(v.abs()))
    }

    /// Root of the mean square of the finite elements.
    pub fn rms(&self) -> f64 {
        let finite = self.v.iter().filter(|v| v.is_finite());
        let (n, sum) = finite.fold((0, 0.0), |(n, sum), v| (n + 1, sum + v * v));
        (sum / f64::from(n.max(1))).sqrt()
    }

    /// The error of results that are rounded once or twice more.
    fn rounded(mut self, handed_on: f64) -> Self {
        self.error = handed_on + 2.0 * f64::from(f32::EPSILON) * self.largest();
        self
    }
}

/// The extents of the last three axes, 1 for those that are missing: all windows are three-dimensional here.
fn three(spatial: &[usize], missing: usize) -> [usize; 3] {
    let mut v = [missing; 3];
    v[3 - spatial.len()..].copy_from_slice(spatial);
    v
}

/// The results of all nodes, for a set of inputs.
pub fn run(p: &Problem, shapes: &[Vec<usize>], set: usize, precision: Precision) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for (i, node) in p.nodes.iter().enumerate() {
        let inputs: Vec<&Value> = node.inputs.iter().map(|&i| &values[i]).collect();
        let value = evaluate(p, i, &inputs, &shapes[i], set, precision);
        values.push(value);
    }
    values
}

fn evaluate(
    p: &Problem,
    node: usize,
    inputs: &[&Value],
    shape: &[usize],
    set: usize,
    precision: Precision,
) -> Value {
    match &p.nodes[node].kind {
        Kind::Input { fill, .. } => {
            Value::exact(shape, &data::elements(p, node, Role::Set(set), shape, *fill))
        }
        Kind::Const { fill, .. } => {
            Value::exact(shape, &data::elements(p, node, Role::Elements, shape, *fill))
        }
        Kind::Conv(c) => {
            let wei = match inputs.get(1) {
                Some(wei) => wei.v.iter().map(|&v| v as f32).collect(),
                None => data::conv_weights(p, node, c, &inputs[0].shape),
            };
            let bias = data::bias(p, node, c);
            window::conv(c, inputs[0], &wei, bias.as_deref(), shape, precision.magnitude(c))
        }
        Kind::ConvTranspose { conv, output_padding } => {
            let wei = data::transposed_weights(p, node, conv, &inputs[0].shape);
            let bias = data::bias(p, node, conv);
            window::transposed(conv, output_padding, inputs[0], &wei, bias.as_deref(), shape)
        }
        Kind::MaxPool(w, r) => window::max_pool(w, *r, inputs[0], shape),
        Kind::AveragePool(w, r, c) => window::average_pool(w, *r, *c, inputs[0], shape),
        Kind::GlobalAverage => window::global_average(inputs[0], shape),
        Kind::GlobalMax => window::global_max(inputs[0], shape),
        Kind::BatchNorm => elements::batch_norm(&data::norm(p, node, inputs[0].shape[1]), inputs[0]),
        Kind::Unary(u) => {
            let slopes = data::small(p, node, inputs[0].shape[1]);
            elements::unary(*u, &slopes, inputs[0])
        }
        Kind::Binary(b) => elements::binary(*b, inputs[0], inputs[1], shape),
        Kind::Gemm(g) => {
            let (k, m) = if g.trans_a { (0, 1) } else { (1, 0) };
            let (k, m) = (inputs[0].shape[k], inputs[0].shape[m]);
            let b = data::weights(p, node, &[k, g.n], k);
            matrix::gemm(g, inputs[0], &b, |n| data::small(p, node, n), [m, k])
        }
        Kind::MatMul => matrix::matmul(inputs[0], inputs[1], shape),
        Kind::Concat => moves::concat(inputs, shape),
        Kind::Up(_) => moves::up(inputs[0], shape),
        Kind::Pad(pads) => moves::pad(pads, inputs[0], shape),
        Kind::Slice(begin, _) => moves::slice(*begin, inputs[0], shape),
        Kind::ChannelsLast => moves::channels_last(inputs[0], shape),
        Kind::Flatten => Value { shape: shape.to_vec(), ..inputs[0].clone() },
    }
}

#[test]
fn padding_counts_where_fast_algorithms_may_be() {
    let magnitudes = |text: &str| {
        let axes = text.split(' ').next().unwrap().matches('x').count() + 1;
        let p: Problem = format!("in 1x4{}; conv 0 oc4 {text}", "x6".repeat(axes)).parse().unwrap();
        let Kind::Conv(c) = &p.nodes[1].kind else { unreachable!() };
        [Precision::Default, Precision::Strict].map(|precision| precision.magnitude(c))
    };
    for text in ["k3x3 s1x1 d1x1 p1,1,1,1 g1", "k3x3 s1x1 d1x2 p0,0,0,0 g1", "k2x3x3 s1x1x1 d1x1x1 valid g1"]
    {
        assert_eq!(magnitudes(text), [Magnitude::Unpadded, Magnitude::Sums]);
    }
    for text in ["k3x3 s2x1 d1x1 p0,0,0,0 g1", "k3x1 s1x1 d1x2 p0,0,0,0 g1", "k3x3 s1x1 d1x1 valid g2"] {
        assert_eq!(magnitudes(text), [Magnitude::Sums; 2]);
    }
}

#[test]
fn hand_computed() {
    let results = |text: &str| {
        let p: Problem = text.parse().unwrap();
        let shapes = crate::shape::infer_all(&p).unwrap();
        (run(&p, &shapes, 0, Precision::Strict), p)
    };
    // A window of ones by way of an average: sums of neighbours, zeros outside.
    let (v, _) = results(
        "in 1x1x1x4; average_pool 0 k1x3 s1x1 d1x1 p0,1,0,1 padded; max_pool 0 k1x2 s1x2 d1x1 p0,1,0,1",
    );
    let x = &v[0].v;
    let average = [x[0] + x[1], x[0] + x[1] + x[2], x[1] + x[2] + x[3], x[2] + x[3]].map(|s| s / 3.0);
    assert_eq!(v[1].v, average);
    assert_eq!(v[2].v, [x[0], x[1].max(x[2]), x[3]]);
    // A convolution of one channel and one tap: a product.
    let (v, p) = results(
        "in 1x1x1x2; conv 0 oc1 k1x1 s1x1 d1x1 p0,0,0,0 g1 bias; conv_transpose 0 oc1 k1x1 s1x2 d1x1 p0,0,0,0 g1 op0,0",
    );
    let Kind::Conv(c) = &p.nodes[1].kind else { unreachable!() };
    let wei = f64::from(data::conv_weights(&p, 1, c, &v[0].shape)[0]);
    let bias = f64::from(data::bias(&p, 1, c).unwrap()[0]);
    assert_eq!(v[1].v, [v[0].v[0] * wei + bias, v[0].v[1] * wei + bias]);
    let Kind::ConvTranspose { conv, .. } = &p.nodes[2].kind else { unreachable!() };
    let wei = f64::from(data::transposed_weights(&p, 2, conv, &v[0].shape)[0]);
    assert_eq!(v[2].v, [v[0].v[0] * wei, 0.0, v[0].v[1] * wei]);
    // What moves elements.
    let (v, _) = results("in 1x2x1x2; concat 0 0; slice 1 from1 to3; channels_last 0; up 0; pad 0 p0,1,0,0");
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| v[0].v[i]);
    assert_eq!(v[2].v, [c, d, a, b]);
    assert_eq!(v[3].v, [a, c, b, d]);
    assert_eq!(v[4].v, [a, a, b, b, a, a, b, b, c, c, d, d, c, c, d, d]);
    assert_eq!(v[5].v, [0.0, a, b, 0.0, c, d]);
}
