//! What windows, products of matrices and convolutions of plain maps are given to compute; other convolutions have
//! [`conv`](super::conv).

use crate::layout::{AXES, Map};
use crate::leaf::programs::Activation;

use super::conv::Tail;

/// What happens to a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WindowKind {
    /// A weight for each of its elements: depthwise convolution.
    Weights,
    /// Its largest element.
    Max,
    /// The sum of its elements times a factor.
    Sum(f32),
}

/// Windows over every channel by itself. Buffers of its nest, in order: src; wei and bias for
/// [`WindowKind::Weights`]; the addend if there is one; dst.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowProblem {
    /// What happens to a window.
    pub kind: WindowKind,
    /// The input; its halo is at least the padding.
    pub src: Map,
    /// The output.
    pub dst: Map,
    /// Planes, rows and columns of the window.
    pub kernel: [usize; AXES],
    /// Steps between windows.
    pub strides: [usize; AXES],
    /// Steps between elements of a window.
    pub dilations: [usize; AXES],
    /// Planes, rows and columns before the first of the input that the first window covers.
    pub pads: [usize; AXES],
    /// What follows.
    pub tail: Tail,
}

/// `dst[m, n] = activation(sum over k of src[m, k] * wei[k, n] + bias[n])`. Buffers, in order: src, wei, bias, dst.
#[derive(Clone, Debug, PartialEq)]
pub struct GemmProblem {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Summed extent.
    pub k: usize,
    /// What follows.
    pub activation: Activation,
}
