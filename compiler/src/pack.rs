//! Packing recipes: how the weights of the model become what leaf programs read.
//!
//! A recipe is data; whoever loads an artifact carries it out, straight into the memory that compiled code reads.

use std::fmt;
use std::ops::Range;

use octrt_ops::tensor::scale;
use octrt_ops::{DType, Tensor, TensorType};

use crate::layout::AXES;
use crate::leaf::programs::Winograd;

mod conv;
mod part;
#[cfg(test)]
mod tests;
mod winograd;

pub use part::{KernelOrder, KernelPart};

/// How a weight becomes another one. Elements without a source are 0.
///
/// It prints as `conv lanes=8 src_lanes=8 groups=1 merged=1 tiles=2,3`: files of compiled models hold this text.
#[derive(Clone, Debug, PartialEq)]
pub enum Packing {
    /// Convolution weights `[oc, ic / group, taps..]` as `[group][tile][block][tap][channel][vector][lane]`; taps are the
    /// elements of a window of one to three axes, row-major.
    Conv(ConvPacking),
    /// The same weights, 3x3 or of several planes of 3x3, transformed: `[element][tile][block][plane][channel][vector][lane]`,
    /// one group.
    Winograd(Winograd, ConvPacking),
    /// Convolution weights of groups of any size as `[block][channel][tap][lane]`, with the channels of
    /// [`GroupedPacking::blocks`].
    Grouped(GroupedPacking),
    /// Depthwise weights `[c, 1, taps..]` as `[block][tap][lane]`.
    Depthwise {
        /// Channels of a block.
        lanes: usize,
    },
    /// The weights of a convolution that a part of it sees, packed as those of a convolution with these taps only.
    Part(KernelPart, Box<Packing>),
    /// Rows of one of the matrices `[d, n, k]`, packed as a matrix `[count, k]`.
    Rows {
        /// Which matrix.
        matrix: usize,
        /// Its first row.
        first: usize,
        /// How many.
        count: usize,
        /// How they are packed.
        of: Box<Packing>,
    },
    /// A vector with zeros behind it.
    Vector {
        /// Elements of the result.
        len: usize,
    },
    /// A matrix times `scale`, as `[tile][k][vector][lane]`.
    Matrix {
        /// How the source lies.
        order: MatrixOrder,
        /// Lanes of a vector.
        lanes: usize,
        /// Vectors of each tile of `n`.
        tiles: Vec<usize>,
        /// What every element is multiplied by.
        scale: f32,
    },
}

/// How a matrix of weights lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixOrder {
    /// `[n, k]`: a row for each element of a result.
    NByK,
    /// `[k, n]`: a column for each.
    KByN,
}

impl fmt::Display for MatrixOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MatrixOrder::NByK => "nk",
            MatrixOrder::KByN => "kn",
        })
    }
}

/// A recipe and a weight that it was not made for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a weight {source_type} cannot be packed as {packing}: expected {expected}")]
pub struct PackError {
    /// The recipe.
    pub packing: Packing,
    /// What it packs.
    pub expected: &'static str,
    /// The type of the weight.
    pub source_type: TensorType,
}

/// How convolution weights are cut into tiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvPacking {
    /// Output channels of a vector.
    pub lanes: usize,
    /// Input channels of a block.
    pub src_lanes: usize,
    /// Groups of the packed convolution.
    pub groups: usize,
    /// Groups of the model that one packed group holds, side by side on the diagonal.
    pub merged: usize,
    /// Vectors of each tile of output channels, the same in each group.
    pub tiles: Vec<usize>,
}

impl fmt::Display for ConvPacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConvPacking { lanes, src_lanes, groups, merged, tiles } = self;
        write!(f, "lanes={lanes} src_lanes={src_lanes} groups={groups} merged={merged} tiles={}", List(tiles))
    }
}

/// Numbers with commas between them.
struct List<'a>(&'a [usize]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, n) in self.0.iter().enumerate() {
            write!(f, "{}{n}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl ConvPacking {
    /// Input channels of a packed group, and blocks of them, for weights with `ic` channels in each group of the model.
    fn inputs(&self, ic: usize) -> (usize, usize) {
        let channels = ic * self.merged;
        (channels, channels.div_ceil(self.src_lanes))
    }

    pub(crate) fn vectors(&self) -> usize {
        self.tiles.iter().sum()
    }
}

/// How the weights of small groups are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupedPacking {
    /// Output channels of a block.
    pub lanes: usize,
    /// Groups.
    pub groups: usize,
}

impl GroupedPacking {
    /// Input channels that a block of output channels sees, the most of any block, for `oc` output channels and `ic` input
    /// channels of a group.
    pub fn channels(&self, oc: usize, ic: usize) -> usize {
        self.seen(oc, ic).map(|channels| channels.len()).max().unwrap_or(0)
    }

    /// The input channels that each block of output channels sees; one that sees fewer than others sees its last channel
    /// again.
    pub fn blocks(&self, oc: usize, ic: usize) -> impl Iterator<Item = Vec<usize>> {
        let most = self.channels(oc, ic);
        self.seen(oc, ic).map(move |channels| {
            let last = channels.end - 1;
            channels.chain(std::iter::repeat(last)).take(most).collect()
        })
    }

    /// Blocks see something: there are channels, and groups divide them.
    fn seen(&self, oc: usize, ic: usize) -> impl Iterator<Item = Range<usize>> {
        let (lanes, of_group) = (self.lanes, (oc / self.groups).max(1));
        (0..oc).step_by(lanes).map(move |first| {
            let last = (first + lanes).min(oc) - 1;
            first / of_group * ic..(last / of_group + 1) * ic
        })
    }
}

/// Weights of the model `[oc, ic, taps..]` as numbers, with windows of one to three axes.
struct Weights<'a> {
    /// Before they are multiplied by `factors`.
    bytes: &'a [u8],
    /// One for each output channel, or none.
    factors: &'a [f64],
    oc: usize,
    ic: usize,
    taps: usize,
}

impl<'a> Weights<'a> {
    /// Of a tensor that [`Packing::check`] has found to be weights.
    fn new(t: &'a Tensor) -> Weights<'a> {
        let dims = t.shape().dims();
        let extent = |i: usize| dims.get(i).copied().unwrap_or(0);
        let (oc, ic, taps) = (extent(0), extent(1), dims.iter().skip(2).product());
        let (bytes, factors) = match t.unscaled() {
            (bytes, factors) if factors.len() == oc => (bytes, factors),
            _ => (t.bytes(), &[][..]),
        };
        Weights { bytes, factors, oc, ic, taps }
    }

    /// The factor of an output channel.
    fn factor(&self, oc: usize) -> f64 {
        self.factors.get(oc).copied().unwrap_or(1.0)
    }

    /// The kernels of an output channel for `n` input channels from `first` on, row-major `[n][taps]`, not yet multiplied
    /// by their factor; those that do not exist are left out.
    fn row(&self, oc: usize, first: usize, n: usize) -> &'a [u8] {
        if oc >= self.oc || first >= self.ic {
            return &[];
        }
        let n = n.min(self.ic - first);
        let at = (oc * self.ic + first) * self.taps;
        &self.bytes[4 * at..4 * (at + n * self.taps)]
    }
}

impl Packing {
    /// The type of the result.
    pub fn ty(&self, source: &TensorType) -> TensorType {
        if let Packing::Part(part, packing) = self {
            let weights = part.ty(source);
            return weights.map_or(TensorType::new(DType::F32, [0]), |ty| packing.ty(&ty));
        }
        let dims = source.shape.dims();
        let dim = |i: usize| dims.get(i).copied().unwrap_or(1);
        if let Packing::Rows { count, of, .. } = self {
            return of.ty(&TensorType::new(source.dtype, [*count, dim(2)]));
        }
        let taps: usize = dims.iter().skip(2).product();
        let elements = match self {
            Packing::Conv(p) => p.groups * p.vectors() * p.lanes * p.inputs(dim(1)).1 * p.src_lanes * taps,
            Packing::Winograd(size, p) => {
                let elements = size.input() * size.input();
                elements * p.vectors() * p.lanes * p.inputs(dim(1)).1 * p.src_lanes * (taps / 9)
            }
            Packing::Grouped(p) => dim(0).div_ceil(p.lanes) * p.lanes * p.channels(dim(0), dim(1)) * taps,
            Packing::Depthwise { lanes } => dim(0).div_ceil(*lanes) * lanes * taps,
            Packing::Part(..) | Packing::Rows { .. } => 0,
            Packing::Vector { len } => *len,
            Packing::Matrix { order, lanes, tiles, .. } => {
                let k = match order {
                    MatrixOrder::NByK => dim(1),
                    MatrixOrder::KByN => dim(0),
                };
                tiles.iter().sum::<usize>() * lanes * k
            }
        };
        TensorType::new(DType::F32, [elements])
    }

    /// Checks that a weight of this type is one that the recipe was made for.
    ///
    /// # Errors
    /// Says what is expected.
    pub fn check(&self, source: &TensorType) -> Result<(), PackError> {
        let (dims, is_f32) = (source.shape.dims(), source.dtype == DType::F32);
        let kernels = is_f32 && matches!(dims.len().checked_sub(2), Some(1..=AXES));
        let taps: usize = dims.iter().skip(2).product();
        let divides = |groups: usize| groups > 0 && dims[0].is_multiple_of(groups);
        let (fits, expected) = match self {
            Packing::Conv(p) => {
                let whole = kernels && divides(p.groups) && p.merged > 0;
                (whole && (dims[0] / p.groups).is_multiple_of(p.merged), "f32[oc,ic,taps..] of whole groups")
            }
            Packing::Winograd(_, p) => {
                let last = kernels && dims.len() > 3 && dims.ends_with(&[3, 3]) && taps > 0;
                (last && p.groups == 1, "f32[oc,ic,..,3,3] of one group")
            }
            Packing::Grouped(p) => (kernels && divides(p.groups), "f32[oc,ic,taps..] of whole groups"),
            Packing::Depthwise { .. } => (kernels && dims[1] == 1, "f32[c,1,taps..]"),
            Packing::Part(part, packing) => {
                let fits = part.ty(source).is_some_and(|ty| packing.check(&ty).is_ok());
                (fits, "f32[oc,ic,taps..] or f32[ic,oc,taps..], with the taps of the part")
            }
            Packing::Rows { matrix, first, count, of } => {
                let end = first.checked_add(*count);
                let fits = matches!(dims, [d, n, _] if matrix < d && end.is_some_and(|end| end <= *n))
                    && of.check(&TensorType::new(source.dtype, [*count, dims[2]])).is_ok();
                (fits, "matrices of f32 with these rows")
            }
            Packing::Vector { len } => {
                (is_f32 && source.shape.numel() <= *len, "f32, no longer than the result")
            }
            Packing::Matrix { .. } => (is_f32 && dims.len() == 2, "a matrix of f32"),
        };
        let error = || PackError { packing: self.clone(), expected, source_type: source.clone() };
        if fits { Ok(()) } else { Err(error()) }
    }

    /// Writes the packed elements, little-endian; `out` has the size of [`Packing::ty`] and is zero.
    ///
    /// # Errors
    /// Those of [`Packing::check`]; nothing is written then.
    pub fn pack(&self, source: &Tensor, out: &mut [u8]) -> Result<(), PackError> {
        self.check(source.ty())?;
        match self {
            Packing::Conv(p) => conv::pack(p, &Weights::new(source), out),
            Packing::Winograd(size, p) => winograd::pack(*size, p, &Weights::new(source), out),
            Packing::Grouped(p) => grouped(p, &Weights::new(source), out),
            Packing::Depthwise { lanes } => depthwise(*lanes, &Weights::new(source), out),
            Packing::Part(part, packing) => {
                // A check has found weights.
                return part.weights(source).map_or(Ok(()), |weights| packing.pack(&weights, out));
            }
            Packing::Rows { matrix, first, count, of } => {
                // A check has found these rows.
                let &[_, n, k] = source.shape().dims() else { return Ok(()) };
                let rows = source.run((matrix * n + first) * k, [*count, k]);
                return rows.map_or(Ok(()), |rows| of.pack(&rows, out));
            }
            Packing::Vector { .. } => {
                let n = source.bytes().len().min(out.len());
                out[..n].copy_from_slice(&source.bytes()[..n]);
            }
            Packing::Matrix { order, lanes, tiles, scale } => {
                matrix(*order, *lanes, tiles, *scale, source, out);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Packing::Conv(p) => write!(f, "conv {p}"),
            Packing::Winograd(Winograd::F2, p) => write!(f, "winograd_f2 {p}"),
            Packing::Winograd(Winograd::F4, p) => write!(f, "winograd_f4 {p}"),
            Packing::Grouped(GroupedPacking { lanes, groups }) => {
                write!(f, "grouped lanes={lanes} groups={groups}")
            }
            Packing::Depthwise { lanes } => write!(f, "depthwise lanes={lanes}"),
            Packing::Part(part, packing) => write!(f, "part {part} of {packing}"),
            Packing::Rows { matrix, first, count, of } => {
                write!(f, "rows {first}+{count} of matrix {matrix} of {of}")
            }
            Packing::Vector { len } => write!(f, "vector len={len}"),
            Packing::Matrix { order, lanes, tiles, scale } => {
                write!(f, "matrix order={order} lanes={lanes} tiles={} scale={scale}", List(tiles))
            }
        }
    }
}

/// An f32 times a factor.
fn scaled(x: [u8; 4], factor: f64) -> [u8; 4] {
    scale(f32::from_le_bytes(x), factor).to_le_bytes()
}

fn depthwise(lanes: usize, w: &Weights<'_>, out: &mut [u8]) {
    let out = out.as_chunks_mut::<4>().0;
    for c in 0..w.oc {
        let block = (c / lanes) * w.taps * lanes + c % lanes;
        let factor = w.factor(c);
        for (tap, x) in w.row(c, 0, 1).as_chunks().0.iter().enumerate() {
            if let Some(place) = out.get_mut(block + tap * lanes) {
                *place = scaled(*x, factor);
            }
        }
    }
}

fn grouped(p: &GroupedPacking, w: &Weights<'_>, out: &mut [u8]) {
    let out = out.as_chunks_mut::<4>().0;
    let of_group = (w.oc / p.groups).max(1);
    let channels = p.channels(w.oc, w.ic);
    for oc in 0..w.oc {
        let (block, lane) = (oc / p.lanes, oc % p.lanes);
        // The first channel that the block sees, and the first of the channel's own group.
        let (seen, own) = (block * p.lanes / of_group * w.ic, oc / of_group * w.ic);
        let first = (block * channels + own - seen) * w.taps;
        let factor = w.factor(oc);
        for (tap, x) in w.row(oc, 0, w.ic).as_chunks().0.iter().enumerate() {
            if let Some(place) = out.get_mut((first + tap) * p.lanes + lane) {
                *place = scaled(*x, factor);
            }
        }
    }
}

fn matrix(order: MatrixOrder, lanes: usize, tiles: &[usize], scale: f32, source: &Tensor, out: &mut [u8]) {
    let &[rows, columns] = source.shape().dims() else { return };
    // The distances from an element to the next along `n` and along `k`.
    let ((n, k), (along_n, along_k)) = match order {
        MatrixOrder::NByK => ((rows, columns), (columns, 1)),
        MatrixOrder::KByN => ((columns, rows), (1, columns)),
    };
    let from = source.bytes().as_chunks::<4>().0;
    let to = out.as_chunks_mut::<4>().0;
    let (mut first, mut at) = (0, 0);
    for &vectors in tiles {
        let row = vectors * lanes;
        for lane in (0..row).filter(|lane| first + lane < n) {
            for i in 0..k {
                let place = (first + lane) * along_n + i * along_k;
                let (Some(x), Some(y)) = (from.get(place), to.get_mut(at + i * row + lane)) else { return };
                *y = (f32::from_le_bytes(*x) * scale).to_le_bytes();
            }
        }
        first += row;
        at += k * row;
    }
}
