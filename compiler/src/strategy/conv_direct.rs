//! Direct convolution: register tiles of pixels times channels over flattened maps.
//!
//! ```text
//! fuse the axes of the map -> split in chunks, parallel -> cut channels in tiles -> split the sum in parts
//!   -> cut pixels in tiles -> tensorize
//! ```
//!
//! A *part* of the input channels is one whose weights stay in the level-1 cache while the tiles of pixels pass, or of few
//! terms; sums of parts are added by way of the output. Where the input of a chunk is larger than the level-2 cache, all
//! tiles of channels take one part before the next.
//!
//! A *chunk* is a run of output pixels whose input stays in the level-2 cache while all output channels pass; where
//! the weights are the larger part there is one chunk, and output channels are the parallel loop, if there are tiles of them for
//! threads to share: else there are as many chunks. Windows of several planes have
//! chunks of a plane's pixels, and take these in all planes one after the other: planes that the next window sees too are near.
//! Tiles are as even as they can be, and their pixels lie where tables say, so that a row's end costs nothing.

use octrt_ops::expr::{Expr, VarId};

use crate::leaf::Width;
use crate::nest::blocked::conv::{ConvLoops, buffers};
use crate::schedule::cut::Run;
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::conv::ConvTile;
use crate::target::Target;

use super::conv::ConvProblem;
use super::conv_tiling::{ahead, chunks, even_parts, most_pixels, parts, parts_first, shared_chunks};
use super::decision::{Order, Tiling, can_share_channels};
use super::refusal::Refusal;
use super::share::Share;
use super::tiles::{self, EvenSplit};

/// The schedule of a convolution, with those of its numbers that a tiling names, which serves it.
///
/// # Errors
/// [`Refusal`] where distances do not fit leaf programs.
pub fn schedule(p: &ConvProblem, tiling: Tiling, target: Target) -> Result<Schedule, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let (nest, l) = p.naive()?;
    let mut s = Schedule::new(nest);
    s.start_from(buffers::BIAS)?;
    let chunks = chunks_of(p, tiling, width, target);
    // The loop over planes, where it is one of its own inside chunks.
    let plane = l.pixel.first().copied().filter(|_| chunks_planes(p, chunks));
    let pixel = s.fuse(&l.pixel[usize::from(plane.is_some())..])?;
    let pixels = s.extent(pixel);
    let [chunk, pixel] = s.split(pixel, p.dst.pixels() / chunks)?;
    let vectors = tiling.vectors(p);
    let by_channel = by_channel(p, tiling, chunks);
    let (block, parallel) = match by_channel {
        // Tiles of channels are the parallel loop.
        true => {
            let [tile, vector] = s.split(l.block, vectors[0])?;
            let outer = [tile, l.image, chunk].into_iter().chain(plane).chain([l.group, pixel, vector]);
            s.reorder(&order(&outer.collect::<Vec<_>>(), &l))?;
            (Run::new(tile, vector), tile)
        }
        false => {
            let first = if p.src.mb > 1 { [l.image, chunk] } else { [chunk, l.image] };
            let outer = first.into_iter().chain(plane).chain([l.group, l.block, pixel]);
            s.reorder(&order(&outer.collect::<Vec<_>>(), &l))?;
            (Run::new(l.block, l.block), first[0])
        }
    };
    s.parallel(parallel)?;
    let parts_first = !by_channel && parts_first(p, chunks, &vectors, (width, target));
    let tile = Direct { p, tiling, vectors: &vectors, target, width, l: &l, pixel, pixels, parts_first };
    if by_channel {
        tile.channels(&mut s, &block)?;
    } else {
        let rest = p.oc % p.dst.layout.lanes;
        let last = vectors.len() - usize::from(rest > 0);
        // A last tile with lanes that are no channels is one of its own.
        let mut runs: Vec<(usize, usize)> =
            tiles::runs(&vectors[..last]).into_iter().map(|(_, n, size)| (size, n)).collect();
        runs.extend(vectors[last..].iter().map(|size| (*size, 1)));
        for run in s.cut(block.outer, &runs)? {
            s.reorder(&[run.of(pixel), run.inner])?;
            tile.channels(&mut s, &run)?;
        }
    }
    s.flatten(buffers::WEI)?;
    Ok(s)
}

/// What of the result the iterations of the parallel loop of the schedule have for their own; `None` for runs of pixels that
/// are no rows.
pub fn share(p: &ConvProblem, tiling: Tiling, target: Target) -> Option<Share> {
    let chunks = chunks_of(p, tiling, target.width()?, target);
    let share = match by_channel(p, tiling, chunks) {
        true => Share::Blocks(tiling.vectors(p)[0]),
        false if p.src.mb > 1 || chunks == 1 => Share::Images,
        false => Share::Rows(chunks),
    };
    share.of(&p.dst).is_ok().then_some(share)
}

/// In how many runs of pixels the schedule cuts.
pub(super) fn chunks_of(p: &ConvProblem, tiling: Tiling, width: Width, target: Target) -> usize {
    tiling.chunks.unwrap_or_else(|| match chunks(p, width, target, |_| true) {
        1 if tiling.order.is_none() => shared_chunks(p, &tiling.vectors(p), width, target),
        n => n,
    })
}

/// Whether chunks are of the pixels of a plane, and of as many in each other one: see [`schedule`].
fn chunks_planes(p: &ConvProblem, chunks: usize) -> bool {
    p.dst.d > 1 && p.window.kernel[0] > 1 && chunks > p.dst.d && chunks.is_multiple_of(p.dst.d)
}

/// Whether tiles of channels are the parallel loop.
fn by_channel(p: &ConvProblem, tiling: Tiling, chunks: usize) -> bool {
    let wanted = tiling.order.unwrap_or(if chunks == 1 { Order::Channels } else { Order::Pixels });
    wanted == Order::Channels && can_share_channels(p, &tiling.vectors(p))
}

/// The order of these loops, then those of a sum and its lanes.
fn order(outer: &[VarId], l: &ConvLoops) -> Vec<VarId> {
    let sum = [l.lane, l.ic].into_iter().chain(l.taps.iter().copied()).chain([l.channel]);
    outer.iter().copied().chain(sum).collect()
}

struct Direct<'a> {
    p: &'a ConvProblem,
    tiling: Tiling,
    /// Vectors of each tile of output channels.
    vectors: &'a [usize],
    target: Target,
    width: Width,
    l: &'a ConvLoops,
    pixel: VarId,
    pixels: usize,
    /// Whether all tiles take a part of the input channels before the next one.
    parts_first: bool,
}

impl Direct<'_> {
    /// Schedules a run of tiles of output channels.
    fn channels(&self, s: &mut Schedule, run: &Run) -> Result<(), Refusal> {
        let pixel = run.of(self.pixel);
        s.pack(buffers::WEI, pixel, run.inner)?;
        let of = |l: VarId| run.of(l);
        let whole = self.tile(&of, (pixel, run.inner), Expr::int(0));
        let leaf = s.conv(&whole, self.width)?;
        let most = most_pixels(&leaf)?.min(self.tiling.pixels.unwrap_or(usize::MAX));
        let split = EvenSplit::new(s.extent(pixel), most);
        let ahead = ahead(self.p, &leaf, split.large + split.small, self.target);
        let sizes = self.parts(s.extent(pixel));
        if sizes.len() == 1 {
            return self.pixels(s, pixel, (split, ahead), &whole);
        }
        let outside = if self.parts_first { run.outer } else { pixel };
        for part in s.split_sum((outside, run.of(self.l.ic)), &sizes)? {
            let of = |l: VarId| part.of(run.of(l));
            let tile = self.tile(&of, (part.of(pixel), part.of(run.inner)), part.start.clone());
            self.pixels(s, part.of(pixel), (split, ahead), &tile)?;
        }
        Ok(())
    }

    /// Blocks of input channels of each part of the sums of so many pixels.
    fn parts(&self, pixels: usize) -> Vec<usize> {
        match self.tiling.parts {
            Some(parts) => even_parts(self.p.src_blocks(), parts),
            None => parts(self.p, (pixels, self.vectors), self.width, self.target),
        }
    }

    /// Schedules the pixels of a tile of output channels.
    fn pixels(
        &self,
        s: &mut Schedule,
        pixel: VarId,
        (split, ahead): (EvenSplit, i32),
        tile: &ConvTile,
    ) -> Result<(), Refusal> {
        let runs: Vec<(usize, usize)> = split.runs().map(|(_, size, n)| (size, n)).collect();
        let mut before = 0;
        for (run, (_, n)) in s.cut(pixel, &runs)?.iter().zip(&runs) {
            // Each tile of pixels brings its share of the next tile's weights.
            let number = Expr::Var(run.outer) + Expr::int(before);
            let tile = ConvTile { pixel: run.inner, ahead: (ahead, number), ..tile.named(&|l| run.of(l)) };
            s.tensorize_conv(&tile, self.width)?;
            before += n;
        }
        Ok(())
    }

    fn tile(&self, of: &dyn Fn(VarId) -> VarId, (pixel, vector): (VarId, VarId), start: Expr) -> ConvTile {
        ConvTile {
            pixel,
            pixels: self.pixels,
            vector,
            lane: of(self.l.lane),
            ic: of(self.l.ic),
            taps: self.l.taps.iter().map(|l| of(*l)).collect(),
            channel: of(self.l.channel),
            part: (start, self.p.src_blocks()),
            ahead: (0, Expr::int(0)),
        }
    }
}
