//! Packing recipes: how the weights of the model become what leaf programs read.
//!
//! A recipe is data; whoever loads an artifact carries it out, straight into the memory that compiled code reads.

use octrt_ops::{DType, Tensor, TensorType};

use crate::leaf::build::Winograd;

#[cfg(test)]
mod tests;
mod winograd;

/// How a weight becomes another one. Elements without a source are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Convolution weights `[oc, ic / group, kh, kw]` as `[group][tile][block][kh][kw][channel][vector][lane]`.
    Conv(ConvPacking),
    /// The same weights, 3x3, transformed: `[element][tile][block][channel][vector][lane]`, one group.
    Winograd(Winograd, ConvPacking),
    /// Depthwise weights `[c, 1, kh, kw]` as `[block][kh][kw][lane]`.
    Depthwise {
        /// Channels of a block.
        lanes: usize,
    },
    /// A vector with zeros behind it.
    Vector {
        /// Elements of the result.
        len: usize,
    },
    /// A matrix `[n, k]`, or `[k, n]` when it is not `transposed`, times `scale`, as `[tile][k][vector][lane]`.
    Matrix {
        /// Whether the source is `[n, k]`.
        transposed: bool,
        /// Lanes of a vector.
        lanes: usize,
        /// Vectors of each tile of `n`.
        tiles: Vec<usize>,
        /// Bits of the f32 that every element is multiplied by.
        scale: u32,
    },
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

impl ConvPacking {
    /// Input channels of a packed group, and blocks of them, for weights with `ic` channels in each group of the model.
    fn inputs(&self, ic: usize) -> (usize, usize) {
        let channels = ic * self.merged;
        (channels, channels.div_ceil(self.src_lanes))
    }

    fn vectors(&self) -> usize {
        self.tiles.iter().sum()
    }
}

/// Weights of the model `[oc, ic, kh, kw]` as numbers.
struct Weights<'a> {
    bytes: &'a [u8],
    oc: usize,
    ic: usize,
    taps: usize,
}

impl<'a> Weights<'a> {
    fn new(t: &'a Tensor) -> Option<Weights<'a>> {
        match t.shape().dims() {
            &[oc, ic, kh, kw] if t.dtype() == DType::F32 => {
                Some(Weights { bytes: t.bytes(), oc, ic, taps: kh * kw })
            }
            _ => None,
        }
    }

    /// The kernels of an output channel for `n` input channels from `first` on, row-major `[n][taps]`; those that do not
    /// exist are left out.
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
        let dims = source.shape.dims();
        let dim = |i: usize| dims.get(i).copied().unwrap_or(1);
        let elements = match self {
            Packing::Conv(p) => {
                p.groups * p.vectors() * p.lanes * p.inputs(dim(1)).1 * p.src_lanes * dim(2) * dim(3)
            }
            Packing::Winograd(size, p) => {
                let elements = size.input() * size.input();
                elements * p.vectors() * p.lanes * p.inputs(dim(1)).1 * p.src_lanes
            }
            Packing::Depthwise { lanes } => dim(0).div_ceil(*lanes) * lanes * dim(2) * dim(3),
            Packing::Vector { len } => *len,
            Packing::Matrix { transposed, lanes, tiles, .. } => {
                tiles.iter().sum::<usize>() * lanes * if *transposed { dim(1) } else { dim(0) }
            }
        };
        TensorType::new(DType::F32, [elements])
    }

    /// Writes the packed elements, little-endian; `out` has the size of [`Packing::ty`] and is zero. A source that is not
    /// what the recipe was made for leaves zeros.
    pub fn pack(&self, source: &Tensor, out: &mut [u8]) {
        match self {
            Packing::Conv(p) => {
                if let Some(w) = Weights::new(source) {
                    conv(p, &w, out);
                }
            }
            Packing::Winograd(size, p) => {
                if let Some(w) = Weights::new(source).filter(|w| w.taps == 9) {
                    winograd::pack(*size, p, &w, out);
                }
            }
            Packing::Depthwise { lanes } => {
                if let Some(w) = Weights::new(source) {
                    for c in 0..w.oc {
                        let block = (c / lanes) * w.taps * lanes + c % lanes;
                        for (tap, x) in w.row(c, 0, 1).chunks_exact(4).enumerate() {
                            put(out, block + tap * lanes, x);
                        }
                    }
                }
            }
            Packing::Vector { .. } => {
                let n = source.bytes().len().min(out.len());
                out[..n].copy_from_slice(&source.bytes()[..n]);
            }
            Packing::Matrix { transposed, lanes, tiles, scale } => {
                matrix(*transposed, *lanes, tiles, f32::from_bits(*scale), source, out);
            }
        }
    }
}

/// Element `at` becomes these four bytes.
fn put(out: &mut [u8], at: usize, x: &[u8]) {
    if let Some(place) = out.get_mut(4 * at..4 * at + 4) {
        place.copy_from_slice(x);
    }
}

fn conv(p: &ConvPacking, w: &Weights<'_>, out: &mut [u8]) {
    let (channels, blocks) = p.inputs(w.ic);
    let group_oc = w.oc / p.groups;
    let mut rest = out.as_chunks_mut::<4>().0;
    for group in 0..p.groups {
        let mut first = 0;
        for &vectors in &p.tiles {
            let row = vectors * p.lanes;
            for block in 0..blocks {
                let (begin, end) = (block * p.src_lanes, ((block + 1) * p.src_lanes).min(channels));
                let Some((to, behind)) = rest.split_at_mut_checked(w.taps * p.src_lanes * row) else {
                    return;
                };
                rest = behind;
                // Eight output channels at a time: their kernels are read side by side and written as runs.
                for lane in (0..row).step_by(LANES) {
                    let kernels: [&[[u8; 4]]; LANES] = std::array::from_fn(|i| {
                        let oc = first + lane + i;
                        if lane + i >= row || oc >= group_oc {
                            return &[][..];
                        }
                        match p.merged {
                            1 => w.row(group * group_oc + oc, begin, end - begin).as_chunks::<4>().0,
                            _ => &[][..],
                        }
                    });
                    interleave(&kernels, w.taps, p.src_lanes, &mut to[lane..], row);
                }
                if p.merged > 1 {
                    diagonal(p, w, (group * group_oc, first, row), begin..end, to);
                }
            }
            first += row;
        }
    }
}

/// Output channels whose kernels are read side by side.
const LANES: usize = 8;

/// Element `t` of input channel `c` of kernel `i` goes to `(t * channels + c) * row + i`.
fn interleave(kernels: &[&[[u8; 4]]; LANES], taps: usize, channels: usize, to: &mut [[u8; 4]], row: usize) {
    let n = kernels.iter().map(|k| k.len()).max().unwrap_or(0);
    if kernels.iter().all(|k| k.len() == n) {
        for c in 0..n / taps {
            for t in 0..taps {
                let at = (t * channels + c) * row;
                let Some(place) = to.get_mut(at..at + LANES) else { return };
                for (x, k) in place.iter_mut().zip(kernels) {
                    *x = k[c * taps + t];
                }
            }
        }
        return;
    }
    for (i, k) in kernels.iter().enumerate() {
        for (c, kernel) in k.chunks_exact(taps).enumerate() {
            for (t, x) in kernel.iter().enumerate() {
                if let Some(place) = to.get_mut((t * channels + c) * row + i) {
                    *place = *x;
                }
            }
        }
    }
}

/// The kernels of several groups of the model in one block: each output channel has those of its own group only.
fn diagonal(
    p: &ConvPacking,
    w: &Weights<'_>,
    (group, first, row): (usize, usize, usize),
    channels: std::ops::Range<usize>,
    to: &mut [[u8; 4]],
) {
    let group_oc = w.oc / p.groups;
    for lane in (0..row).filter(|lane| first + lane < group_oc) {
        let oc = first + lane;
        let model_group = oc / (group_oc / p.merged).max(1);
        let own = model_group * w.ic..(model_group + 1) * w.ic;
        let (begin, end) = (channels.start.max(own.start), channels.end.min(own.end));
        let source = if begin < end { w.row(group + oc, begin - own.start, end - begin) } else { &[] };
        for (i, kernel) in source.as_chunks::<4>().0.chunks_exact(w.taps).enumerate() {
            let c = begin + i - channels.start;
            for (tap, x) in kernel.iter().enumerate() {
                if let Some(place) = to.get_mut((tap * p.src_lanes + c) * row + lane) {
                    *place = *x;
                }
            }
        }
    }
}

fn matrix(transposed: bool, lanes: usize, tiles: &[usize], scale: f32, source: &Tensor, out: &mut [u8]) {
    let &[rows, columns] = source.shape().dims() else { return };
    if source.dtype() != DType::F32 {
        return;
    }
    let (n, k) = if transposed { (rows, columns) } else { (columns, rows) };
    let from = source.bytes().as_chunks::<4>().0;
    let to = out.as_chunks_mut::<4>().0;
    let (mut first, mut at) = (0, 0);
    for &vectors in tiles {
        let row = vectors * lanes;
        for lane in (0..row).filter(|lane| first + lane < n) {
            for i in 0..k {
                let place = if transposed { (first + lane) * k + i } else { i * n + first + lane };
                let (Some(x), Some(y)) = (from.get(place), to.get_mut(at + i * row + lane)) else { return };
                *y = (f32::from_le_bytes(*x) * scale).to_le_bytes();
            }
        }
        first += row;
        at += k * row;
    }
}
