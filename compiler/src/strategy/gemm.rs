//! Products of plain matrices: with packed weights, or of two that lie row by row.
//!
//! ```text
//! products, chunks of rows or tiles of columns, parallel -> split the sum in parts -> cut rows in tiles -> tensorize
//! ```
//!
//! A *part* of a long sum starts from zero and is added to what the parts before have stored: sums of sums lose fewer
//! digits than a single one, and the weights of a part stay in the level-1 cache while rows pass.
//!
//! Where weights come from beyond the level-2 cache and rows are few, calls bring the next tile's near.
//!
//! A *chunk* is a run of rows that stays in the level-2 cache while the tiles of columns of packed weights pass.
//!
//! Of two matrices that lie row by row, tiles of columns of the right one come in *panels*, whose columns are copied first,
//! those of each tile side by side.

use octrt_ops::expr::{Expr, VarId};

use crate::leaf::Width;
use crate::nest::blocked::gemm::{BIAS, BLOCK, LANE, PRODUCT, RHS, ROW, SUM};
use crate::schedule::cut::Run;
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::conv::ConvTile;
use crate::schedule::tensorize::copy::CopyTile;
use crate::target::Target;

use super::gemm_tiling::{ahead, chunk, panel, parts, tiles};
use super::problem::{Bias, GemmProblem, Rhs};
use super::refusal::Refusal;
use super::tiles::{self, EvenSplit};

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
    if p.bias != Bias::Absent {
        s.start_from(BIAS)?;
    }
    // Threads share products; where there is one product, chunks of rows or tiles of columns.
    let products = (p.batch > 1).then_some(PRODUCT);
    let order = |inner: &[VarId]| products.iter().chain(inner).copied().collect::<Vec<_>>();
    // The last tile may end within a vector, so tiles of equal form but for the last share the parallel loop.
    if p.n == blocks * lanes && tiles.iter().all(|t| *t == tiles[0]) {
        let [tile, vector] = s.split(BLOCK, tiles[0])?;
        let rows = chunk(p, tiles.len(), target);
        if p.rhs == Rhs::Packed && rows < p.m {
            let [chunk, row] = s.split(ROW, rows)?;
            s.reorder(&[chunk, tile, row, vector, LANE, SUM])?;
            s.parallel(chunk)?;
            columns(&mut s, p, target, &Run::new(tile, vector), (row, None))?;
        } else if p.rhs == Rhs::Packed || p.m <= 2 {
            s.reorder(&order(&[tile, ROW, vector, LANE, SUM]))?;
            s.parallel(products.unwrap_or(tile))?;
            columns(&mut s, p, target, &Run::new(tile, vector), (ROW, None))?;
        } else {
            let panels = Panels { p, width, target, vectors: tiles[0] };
            let [panel, tile] = panels.cut(&mut s, &Run::new(tile, vector), tiles.len())?;
            s.reorder(&order(&[panel, ROW, tile, vector, LANE, SUM]))?;
            s.parallel(products.unwrap_or(panel))?;
            panels.schedule(&mut s, &Run::new(panel, vector), tile)?;
        }
    } else {
        s.reorder(&order(&[BLOCK, ROW, LANE, SUM]))?;
        if let Some(products) = products {
            s.parallel(products)?;
        }
        let last = tiles.len() - 1;
        let mut runs: Vec<(usize, usize)> =
            tiles::runs(&tiles[..last]).into_iter().map(|(_, n, size)| (size, n)).collect();
        runs.push((tiles[last], 1));
        for (run, (vectors, n)) in s.cut(BLOCK, &runs)?.into_iter().zip(runs) {
            if p.rhs == Rhs::Each && p.m > 2 && n > 1 {
                let panels = Panels { p, width, target, vectors };
                let [panel, tile] = panels.cut(&mut s, &run, n)?;
                s.reorder(&[panel, run.of(ROW), tile, run.inner])?;
                panels.schedule(&mut s, &run.with_outer(panel), tile)?;
                continue;
            }
            s.reorder(&[run.of(ROW), run.inner])?;
            columns(&mut s, p, target, &run, (run.of(ROW), None))?;
        }
    }
    if p.rhs == Rhs::Packed {
        s.flatten(RHS)?;
    }
    Ok(s)
}

/// Tiles of equally many vectors of columns, in panels.
struct Panels<'a> {
    p: &'a GemmProblem,
    width: Width,
    target: Target,
    vectors: usize,
}

impl Panels<'_> {
    /// The loops over panels of a run of so many tiles, and over the tiles of each.
    fn cut(&self, s: &mut Schedule, run: &Run, tiles: usize) -> Result<[VarId; 2], Refusal> {
        let size = panel(self.p, (self.vectors, tiles), (self.width, self.target));
        Ok(s.split(run.outer, size)?)
    }

    /// Schedules the panels of a run.
    fn schedule(&self, s: &mut Schedule, run: &Run, tile: VarId) -> Result<(), Refusal> {
        let lanes = self.width.lanes() as usize;
        let copy = copied(s, run.outer, self.p, [self.vectors * lanes, lanes])?;
        columns(s, self.p, self.target, run, (run.of(ROW), Some(tile)))?;
        s.tensorize_copy(&copy, self.width)?;
        Ok(())
    }
}

/// Copies the columns of a panel, those of each tile side by side; gives the loops of the copy, which a call replaces when
/// all else is scheduled.
fn copied(
    s: &mut Schedule,
    panel: VarId,
    p: &GemmProblem,
    [columns, lanes]: [usize; 2],
) -> Result<CopyTile, Refusal> {
    let (scratch, loops) = s.stage_read(RHS, panel)?;
    let column = loops.last().ok_or(Refusal::Defect("a copy without loops"))?;
    let [run, column] = s.split(*column, columns)?;
    let [vector, lane] = s.split(column, lanes)?;
    // [k, columns] -> [tile, k, columns of a tile]
    let rank = loops.len();
    s.relayout(scratch, rank - 2, p.k)?;
    s.relayout(scratch, rank - 1, columns)?;
    Ok(CopyTile { run, vector, lane })
}

/// Schedules a run of tiles of columns, with this loop over rows; those of a panel are one more loop inside.
fn columns(
    s: &mut Schedule,
    p: &GemmProblem,
    target: Target,
    run: &Run,
    (row, tile): (VarId, Option<VarId>),
) -> Result<(), Refusal> {
    let (sum, lane) = (run.of(SUM), run.of(LANE));
    if p.rhs == Rhs::Packed {
        s.pack(RHS, row, run.inner)?;
    }
    let sizes = parts(p.k);
    if sizes.len() == 1 {
        return rows(s, p, target, ([row, run.inner, lane, sum], tile));
    }
    for part in s.split_sum((row, sum), &sizes)? {
        let of = |l: VarId| part.of(l);
        rows(s, p, target, ([row, run.inner, lane, sum].map(of), tile.map(of)))?;
    }
    Ok(())
}

/// Schedules the rows of a tile of columns, for a part of the sum.
fn rows(
    s: &mut Schedule,
    p: &GemmProblem,
    target: Target,
    ([row, vector, lane, sum], tile): ([VarId; 4], Option<VarId>),
) -> Result<(), Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let terms = s.extent(sum);
    let unrolled = [8, 4, 2].into_iter().find(|c| terms.is_multiple_of(*c)).unwrap_or(1);
    let [ic, channel] = s.split(sum, unrolled)?;
    let most = if p.m > 2 { tiles::pixels(width, s.extent(vector)) } else { 1 };
    let all = s.extent(row);
    let split = EvenSplit::new(all, most);
    let runs: Vec<(usize, usize)> = split.runs().map(|(_, size, n)| (size, n)).collect();
    let trip = unrolled * s.extent(vector) * width.bytes() as usize;
    let ahead = ahead(p, (split.large + split.small, trip), width, target);
    let mut before = 0;
    for (run, (_, n)) in s.cut(row, &runs)?.iter().zip(&runs) {
        if let Some(tile) = tile {
            s.reorder(&[run.of(tile), run.inner])?;
        }
        let [vector, lane, ic, channel] = [vector, lane, ic, channel].map(|l| run.of(l));
        let part = (Expr::int(0), p.k / unrolled);
        let (taps, ahead) = (Vec::new(), (ahead, Expr::Var(run.outer) + Expr::int(before)));
        before += n;
        let tile = ConvTile { pixel: run.inner, pixels: all, vector, lane, ic, taps, channel, part, ahead };
        s.tensorize_conv(&tile, width)?;
    }
    Ok(())
}
