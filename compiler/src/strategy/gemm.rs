//! Matrix products with packed weights on plain matrices.
//!
//! ```text
//! for tile of n parallel  for part of k  for tile of m
//!   call conv: for k   (one pixel is one row of the result)
//! ```
//!
//! A *part* of a long sum starts from zero and is added to what the parts before have stored: sums of sums lose fewer
//! digits than a single one, and the weights of a part stay in the level-1 cache while rows pass.

use octrt_ops::{DType, TensorType};

use crate::leaf::programs::{
    Activation, Advance, Axis, Conv, Epilogue, Grid, Pixels, Reduction, Residual, Start,
};
use crate::leaf::{Program, Width};
use crate::target::Target;
use crate::tile::{BufferRole, Distance, NestBuilder, SlotValue, TileNest};

use super::refusal::{Refusal, distance};
use super::tiles::{self, EvenSplit};

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

/// Terms of a part of a sum.
const PART: usize = 256;

/// Which part of a sum a call computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Whole,
    /// From the bias; stored as it is.
    First,
    /// Added to what is stored.
    Middle,
    /// Added to what is stored, and finished.
    Last,
}

/// Parts of a sum of `k` terms: which, first term, terms of each, how many of them.
fn parts(k: usize) -> Vec<(Stage, usize, usize, usize)> {
    let last = PART + k % PART;
    match (k / PART).saturating_sub(1) {
        0 => vec![(Stage::Whole, 0, k, 1)],
        1 => vec![(Stage::First, 0, PART, 1), (Stage::Last, PART, last, 1)],
        n => vec![
            (Stage::First, 0, PART, 1),
            (Stage::Middle, PART, PART, n - 1),
            (Stage::Last, n * PART, last, 1),
        ],
    }
}

/// Vectors of each tile of `n`: wide where there are few rows, since then every weight is used a few times only, and equal
/// where that leaves four or more, so that threads can share them.
pub fn tiles(p: &GemmProblem, width: Width) -> Vec<usize> {
    let blocks = p.n.div_ceil(width.lanes() as usize);
    if p.m > 2 {
        return tiles::vectors(blocks);
    }
    if let Some(equal) = (4..=8).rev().find(|size| blocks.is_multiple_of(*size)) {
        return vec![equal; blocks / equal];
    }
    let split = EvenSplit::new(blocks, 8);
    split.runs().flat_map(|(_, size, n)| std::iter::repeat_n(size, n)).collect()
}

/// The nest.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs or distances do not fit them.
pub fn nest(p: &GemmProblem, target: Target) -> Result<TileNest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let lanes = width.lanes() as usize;
    let matrix = |rows: usize, columns: usize| TensorType::new(DType::F32, [rows, columns]);
    let tiles = tiles(p, width);
    let padded = tiles.iter().sum::<usize>() * lanes;
    // The last tile may end within a vector, so tiles of equal form but for the last share the parallel loop.
    let same = p.n == padded && tiles.iter().all(|t| *t == tiles[0]);
    let mut b = NestBuilder::new("gemm", if same { tiles.len() } else { 1 });
    let outer = b.parallel();
    let src = b.buffer(matrix(p.m, p.k), BufferRole::Src);
    let wei = b.buffer(TensorType::new(DType::F32, [padded * p.k]), BufferRole::Src);
    let bias = b.buffer(TensorType::new(DType::F32, [padded]), BufferRole::Src);
    let dst = b.buffer(matrix(p.m, p.n), BufferRole::Dst);
    let emit = |b: &mut NestBuilder, first: Distance, vectors: usize, tail: Option<u8>| {
        let most = if p.m > 2 { tiles::pixels(width, vectors) } else { 1 };
        for (stage, first_k, terms, parts) in parts(p.k) {
            let channels = [8, 4, 2].into_iter().find(|c| terms.is_multiple_of(*c)).unwrap_or(1);
            let at = |part, floats: usize| {
                Distance::new((4 * first_k * floats) as i64).plus(part, (4 * terms * floats) as i64)
            };
            b.each(parts, |b, part| {
                for (row, size, n) in EvenSplit::new(p.m, most).runs() {
                    let program = program(p, width, (size, vectors, channels), (stage, tail))?;
                    b.each(n, |b, l| {
                        let row = Distance::new(row as i64).plus(l, size as i64);
                        let column = first.times(4 * lanes as i64);
                        let dst = SlotValue::Pointer(dst, row.times(4 * p.n as i64).and(&column));
                        let wei_at = first.times((lanes * p.k * 4) as i64).and(&at(part, vectors * lanes));
                        b.call(program, &|name| match name {
                            "src" => {
                                Some(SlotValue::Pointer(src, row.times(4 * p.k as i64).and(&at(part, 1))))
                            }
                            "wei" => Some(SlotValue::Pointer(wei, wei_at.clone())),
                            "bias" => Some(SlotValue::Pointer(bias, column.clone())),
                            "dst" | "residual" => Some(dst.clone()),
                            "k" => Some(SlotValue::Number((terms / channels) as i64)),
                            _ => None,
                        })
                    })?;
                }
                Ok::<_, Refusal>(())
            })?;
        }
        Ok::<(), Refusal>(())
    };
    if same {
        emit(&mut b, Distance::default().plus(outer, tiles[0] as i64), tiles[0], None)?;
    } else {
        let rest = p.n - (p.n - 1) / lanes * lanes;
        let mut first = 0;
        let last = tiles.len() - 1;
        for (_, n, vectors) in tiles::runs(&tiles[..last]) {
            b.each(n, |b, l| emit(b, Distance::new(first as i64).plus(l, vectors as i64), vectors, None))?;
            first += n * vectors;
        }
        let tail = (rest < lanes).then_some(rest as u8);
        emit(&mut b, Distance::new(first as i64), tiles[last], tail)?;
    }
    Ok(b.finish())
}

fn program(
    p: &GemmProblem,
    width: Width,
    (pixels, vectors, channels): (usize, usize, usize),
    (stage, tail): (Stage, Option<u8>),
) -> Result<Program, Refusal> {
    let grid = |row: usize| {
        let bytes = distance(4 * row as i64)?;
        Ok::<_, Refusal>(Grid { pixels: Pixels::Strided { bytes, repeat: 1 }, vector_bytes: width.bytes() })
    };
    let (src, dst) = (grid(p.k)?, grid(p.n)?);
    distance((4 * p.k.max(p.n) * pixels) as i64)?;
    let reduction = Reduction::Loops(vec![Axis { name: "k", src: Advance::Bytes(4 * channels as i32) }]);
    let (start, residual) = match stage {
        Stage::Whole | Stage::First => (Start::Bias, Residual::Absent),
        Stage::Middle | Stage::Last => (Start::Zero, Residual::Before(dst.clone())),
    };
    let activation = match stage {
        Stage::Whole | Stage::Last => p.activation,
        Stage::First | Stage::Middle => Activation::Identity,
    };
    let epilogue = Epilogue { base: None, residual, activation, dst, tail, used: None, pool: None };
    let (taps, merged, ahead) = (vec![0], 1, 0);
    Ok(Conv { width, pixels, vectors, channels, taps, src, reduction, merged, ahead, start, epilogue }
        .program())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_terms() {
        for k in 1..2000 {
            let mut next = 0;
            for (_, first, terms, n) in parts(k) {
                assert_eq!(first, next, "{k}");
                assert!(terms < 2 * PART, "{k}");
                next += terms * n;
            }
            assert_eq!(next, k);
        }
    }
}
