//! The numbers of the schedule of products: parts of sums, tiles of columns, panels.

use crate::leaf::Width;
use crate::target::Target;

use super::problem::{GemmProblem, Rhs};
use super::tiles::{self, EvenSplit};

/// Terms of a part of a sum.
const PART: usize = 256;

/// Terms of each part of a sum of `k` terms: the last has what is left beside its own.
pub fn parts(k: usize) -> Vec<usize> {
    let parts = (k / PART).max(1);
    (0..parts).map(|i| if i + 1 < parts { PART } else { k - (parts - 1) * PART }).collect()
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

/// Least rows of a chunk: so many that what a tile of columns costs to begin with does not matter.
const CHUNK: usize = 48;

/// Rows of each chunk, of which all are equal: all rows where they are few, where the level-2 cache holds them, or where there is
/// one tile of columns.
pub fn chunk(p: &GemmProblem, tiles: usize, target: Target) -> usize {
    let l2 = target.caches().l2;
    if p.batch > 1 || tiles < 2 || 4 * p.m * p.k <= l2 / 2 {
        return p.m;
    }
    // So many chunks that any number of threads shares them.
    let most = (l2 / 4 / (4 * p.k)).max(CHUNK).min(p.m / 8);
    (CHUNK..=most).rev().find(|rows| p.m.is_multiple_of(*rows)).unwrap_or(p.m)
}

/// Most tiles of rows that share the work of bringing weights near: more have too little to bring.
const BRINGING: usize = 16;

/// Bytes of the next tile's packed weights that each trip of so many bytes brings near, where these come from beyond the
/// level-2 cache and so many tiles of rows use a weight; 0 elsewhere.
pub fn ahead(p: &GemmProblem, (row_tiles, trip): (usize, usize), width: Width, target: Target) -> i32 {
    let bytes = p.n.div_ceil(width.lanes() as usize) * p.k * width.bytes() as usize;
    let serves = p.rhs == Rhs::Packed && bytes > target.cold_from() && (2..=BRINGING).contains(&row_tiles);
    if serves { trip.div_ceil(row_tiles).next_multiple_of(4) as i32 } else { 0 }
}

/// Most tiles of a panel.
const PANEL_TILES: usize = 32;

/// Tiles of equal form that share a panel: columns that are copied, those of each tile side by side. Their rows lie far from
/// each other, often at distances that share the lines of the caches. A panel stays in the level-2 cache while all rows pass,
/// and is wide, so that runs of results are long; where there is one product, there are eight panels, if tiles, for threads
/// to share.
pub fn panel(p: &GemmProblem, (vectors, tiles): (usize, usize), (width, target): (Width, Target)) -> usize {
    let bytes = p.k * vectors * width.bytes() as usize;
    let share = if p.batch > 1 { tiles } else { tiles / 8 };
    let most = (target.caches().l2 / 8 / bytes.max(1)).min(share).clamp(1, PANEL_TILES);
    (1..=most).rev().find(|n| tiles.is_multiple_of(*n)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_terms() {
        for k in 1..2000 {
            let parts = parts(k);
            assert_eq!(parts.iter().sum::<usize>(), k);
            assert!(parts.iter().all(|terms| *terms < 2 * PART), "{k}");
            assert!(parts.len() == 1 || parts.iter().all(|terms| *terms >= PART), "{k}");
        }
    }
}
