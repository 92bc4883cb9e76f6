//! What windows, products of matrices and convolutions of plain maps are given to compute; other convolutions have
//! [`conv`](super::conv).

use crate::layout::{AXES, Layout, Map};
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

/// A convolution with steps of 1. Buffers of its nests, in order: src, wei, bias, dst.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainConvProblem {
    /// The input, channel by channel; its halo is at least the padding.
    pub src: Map,
    /// The output, plain.
    pub dst: Map,
    /// Columns of the window.
    pub kernel: usize,
    /// Steps between them.
    pub dilation: usize,
    /// Columns before the first of the input that the first window covers.
    pub pad: usize,
    /// What follows.
    pub activation: Activation,
}

impl PlainConvProblem {
    /// Fewest vectors of pixels that pay.
    const VECTORS: usize = 24;

    /// Most terms of a sum in one accumulator.
    const TERMS: usize = 512;

    /// Most columns of a window.
    pub const COLUMNS: usize = 16;

    /// Whether there are so many pixels that tiles of them pay, and so few terms that one accumulator sums them.
    pub fn pays(&self, lanes: usize) -> bool {
        let terms = self.src.c * self.kernel;
        self.dst.pixels() >= Self::VECTORS * lanes && terms <= Self::TERMS && self.kernel <= Self::COLUMNS
    }

    /// Whether the pixels of a tile are one run of the input.
    pub fn is_fit(&self) -> bool {
        let channel_by_channel = self.src.layout.lanes == 1 && self.dst.layout == Layout::PLAIN;
        let reach = (self.kernel - 1) * self.dilation;
        let room = self.src.layout.halo.left >= self.pad
            && self.dst.w + reach <= self.src.w + self.pad + self.src.layout.halo.right;
        let of_pixels =
            self.src.layout.halo.is_none() && self.src.extents() == self.dst.extents() && reach == 0;
        let of_row = [&self.src, &self.dst].iter().all(|m| m.d * m.h == 1) && room;
        let rows = self.src.layout.halo.ends()[..2] == [(0, 0); 2];
        channel_by_channel && (of_pixels || of_row && rows)
    }
}
