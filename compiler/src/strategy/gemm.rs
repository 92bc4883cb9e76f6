//! Matrix products with packed weights on plain matrices.
//!
//! ```text
//! tiles of columns, parallel -> split the sum in parts -> cut rows in tiles -> tensorize
//! ```
//!
//! A *part* of a long sum starts from zero and is added to what the parts before have stored: sums of sums lose fewer
//! digits than a single one, and the weights of a part stay in the level-1 cache while rows pass.

use octrt_ops::expr::{Expr, VarId};

use crate::leaf::Width;
use crate::nest::blocked::gemm::{BIAS, BLOCK, LANE, ROW, SUM, WEI};
use crate::schedule::cut::Run;
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::conv::ConvTile;
use crate::target::Target;

use super::problem::GemmProblem;
use super::refusal::Refusal;
use super::tiles::{self, EvenSplit};

/// Terms of a part of a sum.
const PART: usize = 256;

/// Terms of each part of a sum of `k` terms: the last has what is left beside its own.
fn parts(k: usize) -> Vec<usize> {
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

/// The schedule.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs or distances do not fit them.
pub fn schedule(p: &GemmProblem, target: Target) -> Result<Schedule, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let lanes = width.lanes() as usize;
    let tiles = tiles(p, width);
    let blocks = tiles.iter().sum::<usize>();
    let mut s = Schedule::new(p.naive(lanes, blocks)?);
    s.start_from(BIAS)?;
    // The last tile may end within a vector, so tiles of equal form but for the last share the parallel loop.
    if p.n == blocks * lanes && tiles.iter().all(|t| *t == tiles[0]) {
        let [tile, vector] = s.split(BLOCK, tiles[0])?;
        s.reorder(&[tile, ROW, vector, LANE, SUM])?;
        s.parallel(tile)?;
        columns(&mut s, p, width, &Run::new(tile, vector))?;
    } else {
        s.reorder(&[BLOCK, ROW, LANE, SUM])?;
        let last = tiles.len() - 1;
        let mut runs: Vec<(usize, usize)> =
            tiles::runs(&tiles[..last]).into_iter().map(|(_, n, size)| (size, n)).collect();
        runs.push((tiles[last], 1));
        for run in s.cut(BLOCK, &runs)? {
            s.reorder(&[run.of(ROW), run.inner])?;
            columns(&mut s, p, width, &run)?;
        }
    }
    s.flatten(WEI)?;
    Ok(s)
}

/// Schedules a run of tiles of columns.
fn columns(s: &mut Schedule, p: &GemmProblem, width: Width, run: &Run) -> Result<(), Refusal> {
    let (row, sum, lane) = (run.of(ROW), run.of(SUM), run.of(LANE));
    s.pack(WEI, row, run.inner)?;
    let sizes = parts(p.k);
    if sizes.len() == 1 {
        return rows(s, p, width, [row, run.inner, lane, sum]);
    }
    for part in s.split_sum((row, sum), &sizes, None)? {
        rows(s, p, width, [row, run.inner, lane, sum].map(|l| part.of(l)))?;
    }
    Ok(())
}

/// Schedules the rows of a tile of columns, for a part of the sum.
fn rows(
    s: &mut Schedule,
    p: &GemmProblem,
    width: Width,
    [row, vector, lane, sum]: [VarId; 4],
) -> Result<(), Refusal> {
    let terms = s.extent(sum);
    let unrolled = [8, 4, 2].into_iter().find(|c| terms.is_multiple_of(*c)).unwrap_or(1);
    let [ic, channel] = s.split(sum, unrolled)?;
    let most = if p.m > 2 { tiles::pixels(width, s.extent(vector)) } else { 1 };
    let runs: Vec<(usize, usize)> = EvenSplit::new(p.m, most).runs().map(|(_, size, n)| (size, n)).collect();
    for run in s.cut(row, &runs)? {
        let [vector, lane, ic, channel] = [vector, lane, ic, channel].map(|l| run.of(l));
        let part = (Expr::int(0), p.k / unrolled);
        let (taps, ahead) = (Vec::new(), (0, Expr::int(0)));
        let tile = ConvTile {
            pixel: run.inner,
            pixels: p.m,
            vector,
            lane,
            ic,
            taps,
            channel,
            part,
            base: None,
            ahead,
        };
        s.tensorize_conv(&tile, width)?;
    }
    Ok(())
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
