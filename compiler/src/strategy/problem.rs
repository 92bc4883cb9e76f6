//! What windows and products of matrices are given to compute; convolutions have [`conv`](super::conv).

use octrt_ops::def::global_pool::GlobalPoolKind;

#[cfg(doc)]
use super::tail::Operand;
use super::tail::Tail;
use crate::layout::{Map, MapWindow};

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

impl WindowKind {
    /// What happens to whole maps.
    pub fn of_maps(kind: GlobalPoolKind, src: &Map) -> WindowKind {
        match kind {
            GlobalPoolKind::Average => WindowKind::Sum(1.0 / src.pixels() as f32),
            GlobalPoolKind::Max => WindowKind::Max,
        }
    }
}

/// Windows over every channel by itself. Buffers of its nest, in order: src; wei and bias for
/// [`WindowKind::Weights`]; those of the tail; dst.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowProblem {
    /// What happens to a window.
    pub kind: WindowKind,
    /// The input; its halo is at least the padding.
    pub src: Map,
    /// The output.
    pub dst: Map,
    /// The windows.
    pub window: MapWindow,
    /// What follows.
    pub tail: Tail,
}

/// `dst[b, m, n] = tail(sum over k of lhs[b, m, k] * rhs[b, k, n] + bias)`. Buffers, in order: lhs, rhs, bias if there
/// is one, those of the tail, dst.
#[derive(Clone, Debug, PartialEq)]
pub struct GemmProblem {
    /// Products.
    pub batch: usize,
    /// Rows of each result.
    pub m: usize,
    /// Columns of each result.
    pub n: usize,
    /// Summed extent.
    pub k: usize,
    /// The matrices on the left.
    pub lhs: Lhs,
    /// The matrices on the right.
    pub rhs: Rhs,
    /// What is added to the sums.
    pub bias: Bias,
    /// What follows; its operands are [`Operand::Product`]s.
    pub tail: Tail,
}

/// The matrices on the left of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lhs {
    /// `[m, k]`, the same for all.
    Shared,
    /// `[batch, m, k]`.
    Each,
}

/// The matrices on the right of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhs {
    /// Weights `[block, k, lane]` of one product, zeros where there is no column.
    Packed,
    /// `[batch, k, n]`, row by row.
    Each,
}

/// What is added to the sums of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// Nothing.
    Absent,
    /// An element for each column, zeros up to a whole number of vectors.
    Columns,
    /// An element for each row.
    Rows,
}

impl GemmProblem {
    /// One product with packed weights.
    pub fn packed([m, n, k]: [usize; 3], tail: Tail) -> GemmProblem {
        GemmProblem { batch: 1, m, n, k, lhs: Lhs::Shared, rhs: Rhs::Packed, bias: Bias::Columns, tail }
    }
}
