//! Depthwise convolution and pooling: windows over one block of channels at a time.
//!
//! ```text
//! blocks, or runs of rows, parallel -> cut rows and columns in tiles -> tensorize
//! ```

use crate::leaf::{Width, registers};
use crate::nest::blocked::window::{BIAS, WEI};
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::window::{WindowTile, describe};
use crate::target::Target;

use super::problem::{WindowKind, WindowProblem};
use super::refusal::Refusal;
use super::share::Share;
use super::tiles::EvenSplit;

/// The schedule.
///
/// # Errors
/// [`Refusal`] where distances do not fit leaf programs or nothing fits the registers.
pub fn schedule(p: &WindowProblem, target: Target) -> Result<Schedule, Refusal> {
    schedule_in(p, Share::usual(&p.dst), target)
}

/// The schedule whose parallel loop shares the result so.
///
/// # Errors
/// As [`schedule`], and where shares would not be equal.
pub fn schedule_in(p: &WindowProblem, share: Share, target: Target) -> Result<Schedule, Refusal> {
    share.of(&p.dst)?;
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let (nest, l) = p.naive()?;
    let mut s = Schedule::new(nest);
    if p.kind == WindowKind::Weights {
        s.start_from(BIAS)?;
    }
    let (&columns, outer) = l.pixel.split_last().ok_or(Refusal::Defect("maps without axes"))?;
    let mut row = outer.last().copied();
    match (share, row) {
        (Share::Images, _) => s.parallel(l.image)?,
        (Share::Blocks(1), _) => {
            s.reorder(&[l.block, l.image])?;
            s.parallel(l.block)?;
        }
        (Share::Blocks(n), _) => {
            let [run, _] = s.split(l.block, n)?;
            s.reorder(&[run, l.image])?;
            s.parallel(run)?;
        }
        (Share::Rows(n), Some(all)) => {
            let [run, inner] = s.split(all, p.dst.h / n)?;
            s.reorder(&[run, l.image, l.block])?;
            s.parallel(run)?;
            row = Some(inner);
        }
        (Share::Rows(_), None) => return Err(Refusal::Unfit("rows of a map that has none")),
    }
    let down = row.map_or(1, |row| s.extent(row));
    let tile = WindowTile { rows: row, columns, lane: l.lane, taps: l.taps };
    let [rows, most] = tile_of(&s, (p, down), &tile, width)?;
    let runs = |extent: usize, most: usize| -> Vec<(usize, usize)> {
        EvenSplit::new(extent, most).runs().map(|(_, size, n)| (size, n)).collect()
    };
    let Some(row) = tile.rows else {
        for run in s.cut(columns, &runs(p.dst.w, most))? {
            s.tensorize_window(&tile.in_run(&|l| run.of(l), None, run.inner), width)?;
        }
        return finished(s, p);
    };
    for down in s.cut(row, &runs(down, rows))? {
        let columns = down.of(columns);
        s.reorder(&[columns, down.inner])?;
        for right in s.cut(columns, &runs(p.dst.w, most))? {
            let row = right.of(down.inner);
            s.reorder(&[row, right.inner])?;
            s.tensorize_window(&tile.in_run(&|l| right.of(down.of(l)), Some(row), right.inner), width)?;
        }
    }
    finished(s, p)
}

/// Weights are a vector, as they are packed.
fn finished(mut s: Schedule, p: &WindowProblem) -> Result<Schedule, Refusal> {
    if p.kind == WindowKind::Weights {
        s.flatten(WEI)?;
    }
    Ok(s)
}

/// Rows and columns of the largest tile that fits the registers, of so many rows.
fn tile_of(
    s: &Schedule,
    (p, down): (&WindowProblem, usize),
    tile: &WindowTile,
    width: Width,
) -> Result<[usize; 2], Refusal> {
    let most = match width {
        Width::W8 => 14,
        Width::W16 => 28,
    };
    let call = describe(s.nest(), tile, width)?;
    let fitting = (1..=most).rev().find_map(|most| {
        let columns = EvenSplit::new(p.dst.w, most).size;
        let rows = (most / columns).clamp(1, down);
        let program = call.program([rows, columns]).ok()?;
        registers::fits(&program).then_some([rows, columns])
    });
    fitting.ok_or(Refusal::Registers)
}
