//! The numbers of a problem: inputs, constants, parameters. All follow from its seed.

use crate::problem::{Bias, Conv, Fill, Problem};
use crate::random::Random;
use crate::shape;

/// What the numbers of a node are for.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Elements of an input, of which there are several sets.
    Set(usize),
    Elements,
    Weights,
    Bias,
}

fn random(p: &Problem, node: usize, role: Role) -> Random {
    let role = match role {
        Role::Elements => 0,
        Role::Weights => 1,
        Role::Bias => 2,
        Role::Set(set) => 3 + set as u64,
    };
    Random::new((p.seed << 20) ^ ((node as u64) << 8) ^ role)
}

/// The elements of an input or a constant.
pub fn elements(p: &Problem, node: usize, role: Role, shape: &[usize], fill: Fill) -> Vec<f32> {
    let mut r = random(p, node, role);
    let n = shape.iter().product();
    match fill {
        Fill::Unit => r.floats(n, -1.0, 1.0),
        Fill::Wide => r.floats(n, -8.0, 8.0),
        Fill::Negative => r.floats(n, -3.0, -1.0),
        Fill::Positive => r.floats(n, 1.0, 2.0),
        Fill::Special => {
            let mut v = r.floats(n, -1.0, 1.0);
            for _ in 0..1 + n / 40 {
                v[r.below(n)] = r.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
            }
            v
        }
    }
}

/// Weights of which `fan_in` meet in a sum: the sum of their products with unit numbers is of unit size.
pub fn weights(p: &Problem, node: usize, shape: &[usize], fan_in: usize) -> Vec<f32> {
    let size = (3.0 / fan_in.max(1) as f32).sqrt();
    random(p, node, Role::Weights).floats(shape.iter().product(), -size, size)
}

/// Weights of a convolution of `src`.
pub fn conv_weights(p: &Problem, node: usize, conv: &Conv, src: &[usize]) -> Vec<f32> {
    let shape = shape::conv_weights(conv, src);
    weights(p, node, &shape, shape[1..].iter().product())
}

/// Weights of a transposed convolution of `src`.
pub fn transposed_weights(p: &Problem, node: usize, conv: &Conv, src: &[usize]) -> Vec<f32> {
    let shape = shape::transposed_weights(conv, src);
    let taps = conv.window.kernel.iter().product::<usize>();
    let strides = conv.window.strides.iter().product::<usize>();
    weights(p, node, &shape, src[1] / conv.group * taps.div_ceil(strides))
}

/// Bias of a convolution.
pub fn bias(p: &Problem, node: usize, conv: &Conv) -> Option<Vec<f32>> {
    let mut r = random(p, node, Role::Bias);
    match conv.bias {
        Bias::None => None,
        Bias::Unit => Some(r.floats(conv.oc, -0.5, 0.5)),
        Bias::Negative => Some(r.floats(conv.oc, -4.0, -3.0)),
    }
}

/// `n` small numbers: the bias of a matrix product, slopes.
pub fn small(p: &Problem, node: usize, n: usize) -> Vec<f32> {
    random(p, node, Role::Bias).floats(n, -0.5, 0.5)
}

/// Added to the variance by batch normalisations.
pub const EPSILON: f32 = 1e-3;

/// Parameters of a batch normalisation.
pub struct Norm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

/// Parameters of a batch normalisation of `channels`: one scale in four is negative.
pub fn norm(p: &Problem, node: usize, channels: usize) -> Norm {
    let mut r = random(p, node, Role::Weights);
    let mut scale = r.floats(channels, 0.5, 1.5);
    for s in &mut scale {
        if r.one_in(4) {
            *s = -*s;
        }
    }
    let [shift, mean] = [(); 2].map(|()| r.floats(channels, -0.5, 0.5));
    Norm { scale, shift, mean, variance: r.floats(channels, 0.5, 2.0) }
}
