//! Convolutions of small groups: an output block sees the input channels of the groups that it has a part of, and no
//! others. A table says which they are.
//!
//! ```text
//! blocks parallel -> fuse the axes of the map -> cut pixels in tiles -> tensorize
//! ```
//!
//! Where groups do not fill blocks, weights are 0 for the channels of a block's other groups. So a number that is not finite
//! reaches all groups that share its block, as Winograd's algorithm carries it to a tile: not for strict precision.

use octrt_ops::expr::{BufId, Expr, VarId};

use crate::leaf::programs::Conv;
use crate::leaf::{Width, registers};
use crate::nest::blocked::conv::{ConvLoops, buffers};
use crate::pack::GroupedPacking;
use crate::schedule::cut::Run;
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::conv::ConvTile;
use crate::target::Target;

use super::conv::ConvProblem;
use super::refusal::Refusal;
use super::share::Share;
use super::tiles::{self, EvenSplit};

/// Most columns of a window, which are unrolled.
const COLUMNS: usize = 16;

/// Most pixels of a tile: distances of pixels share the general registers with those of taps.
const PIXELS: usize = 10;

/// How the weights of a convolution are packed.
///
/// # Errors
/// [`Refusal::Unfit`] where a block sees so many channels that zeros are most of the work.
pub fn packing(p: &ConvProblem) -> Result<GroupedPacking, Refusal> {
    let packing = p.grouped_packing();
    let seen = packing.channels(p.oc * p.groups, p.ic);
    // Zeros for each weight of a channel that has the largest part of its block.
    if seen > 8 * p.ic.max(p.dst.layout.lanes) {
        return Err(Refusal::Unfit("most of the work would be zeros of other groups"));
    }
    if p.window.kernel[2] > COLUMNS {
        return Err(Refusal::Unfit("a window of many columns in groups that share blocks of channels"));
    }
    Ok(packing)
}

/// The schedule of a convolution with groups of any size.
///
/// # Errors
/// [`Refusal`] where distances do not fit leaf programs.
pub fn schedule(p: &ConvProblem, target: Target) -> Result<Schedule, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let (nest, l) = p.naive()?;
    let table = BufId(nest.buffers.len() as u32 - 1);
    let mut s = Schedule::new(nest);
    s.start_from(buffers::BIAS)?;
    let pixel = s.fuse(&l.pixel)?;
    let blocks = s.extent(l.block);
    let rest = usize::from(!p.dst.c.is_multiple_of(p.dst.layout.lanes));
    // A last block with lanes that are no channels is one of its own, and then blocks are no parallel loop.
    if p.src.mb == 1 && rest == 0 {
        let [block, vector] = s.split(l.block, 1)?;
        s.reorder(&order(&[block, l.image, l.group, pixel, vector], &l))?;
        s.parallel(block)?;
        pixels(&mut s, &l, width, (pixel, &Run::new(block, vector)))?;
    } else {
        s.reorder(&order(&[l.image, l.group, l.block, pixel], &l))?;
        s.parallel(l.image)?;
        let runs = [(1, blocks - rest), (1, rest)].into_iter().filter(|(_, n)| *n > 0);
        for run in s.cut(l.block, &runs.collect::<Vec<_>>())? {
            s.reorder(&[run.of(pixel), run.inner])?;
            pixels(&mut s, &l, width, (pixel, &run))?;
        }
    }
    s.flatten(buffers::WEI)?;
    s.drop(table)?;
    Ok(s)
}

/// What of the result the iterations of the parallel loop have for their own.
pub fn share(p: &ConvProblem) -> Share {
    if p.dst.c.is_multiple_of(p.dst.layout.lanes) { Share::usual(&p.dst) } else { Share::Images }
}

/// The order of these loops, then those of a sum and its lanes.
fn order(outer: &[VarId], l: &ConvLoops) -> Vec<VarId> {
    let sum = [l.lane, l.ic].into_iter().chain(l.taps.iter().copied()).chain([l.channel]);
    outer.iter().copied().chain(sum).collect()
}

/// Schedules the pixels of a run of blocks.
fn pixels(
    s: &mut Schedule,
    l: &ConvLoops,
    width: Width,
    (pixel, block): (VarId, &Run),
) -> Result<(), Refusal> {
    let pixel = block.of(pixel);
    s.pack(buffers::WEI, pixel, block.inner)?;
    let all = s.extent(pixel);
    let whole = ConvTile {
        pixel,
        pixels: all,
        vector: block.inner,
        lane: block.of(l.lane),
        ic: block.of(l.ic),
        taps: l.taps.iter().map(|l| block.of(*l)).collect(),
        channel: block.of(l.channel),
        part: (Expr::int(0), s.extent(block.of(l.ic))),
        ahead: (0, Expr::int(0)),
    };
    let leaf = s.conv(&whole, width)?;
    let fits = |n: &usize| registers::fits(&Conv { pixels: *n, ..leaf.clone() }.program());
    let most = (1..=tiles::pixels(width, 1).min(PIXELS).min(all)).rev().find(fits);
    let most = most.ok_or(Refusal::Registers)?;
    let runs: Vec<(usize, usize)> = EvenSplit::new(all, most).runs().map(|(_, size, n)| (size, n)).collect();
    for run in s.cut(pixel, &runs)? {
        let tile = ConvTile { pixel: run.inner, ..whole.named(&|l| run.of(l)) };
        s.tensorize_conv(&tile, width)?;
    }
    Ok(())
}
