//! Direct convolution: register tiles of pixels times channels over flattened maps.
//!
//! ```text
//! fuse the axes of the map -> split in chunks, parallel -> cut channels in tiles -> split the sum in parts
//!   -> cut pixels in tiles -> tensorize
//! ```
//!
//! A *part* of the input channels is one whose weights stay in the level-1 cache while the tiles of pixels pass, or of few
//! terms; sums of parts are added by way of the output.
//!
//! A *chunk* is a run of output pixels whose input stays in the level-2 cache while all output channels pass; where
//! the weights are the larger part there is one chunk, and output channels are the parallel loop. Tiles are as even
//! as they can be, and their pixels lie where tables say, so that a row's end costs nothing.

use octrt_ops::expr::{BufId, Expr, VarId};

use crate::leaf::programs::{Conv, Epilogue, Reduction, Start};
use crate::leaf::{Width, registers};
use crate::nest::blocked::conv::{ConvLoops, buffers};
use crate::schedule::cut::Run;
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::conv::{ConvTile, UNROLLED};
use crate::target::{Caches, Target};

use super::conv::ConvProblem;
use super::refusal::Refusal;
use super::tiles::{self, EvenSplit};

/// From this many tiles of pixels on, parts of the input channels pay.
const MANY_TILES: usize = 6;

/// Terms of a part where there are fewer tiles, unless one block of input channels has more.
const TERMS: usize = 288;

/// The schedule of a convolution.
///
/// # Errors
/// [`Refusal`] where distances do not fit leaf programs.
pub fn schedule(p: &ConvProblem, target: Target) -> Result<Schedule, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    if p.merged() > 1 && p.tail.base.is_some() {
        return Err(Refusal::Unfit("merged groups with a base to add"));
    }
    let (nest, l) = p.naive()?;
    let mut s = Schedule::new(nest);
    s.start_from(buffers::BIAS)?;
    let pixel = s.fuse(&l.pixel)?;
    let pixels = s.extent(pixel);
    let chunks = chunks(p, pixels, width, target);
    let [chunk, pixel] = s.split(pixel, pixels / chunks)?;
    let vectors = tiles::vectors(p.dst_blocks());
    let same = p.oc.is_multiple_of(p.dst.layout.lanes) && vectors.iter().all(|t| *t == vectors[0]);
    let by_channel = chunks == 1 && p.src.mb == 1 && p.groups == 1 && same;
    let (block, parallel) = match by_channel {
        // Tiles of channels are the parallel loop.
        true => {
            let [tile, vector] = s.split(l.block, vectors[0])?;
            s.reorder(&order(&[tile, l.image, chunk, l.group, pixel, vector], &l))?;
            (Run::new(tile, vector), tile)
        }
        false => {
            let first = if p.src.mb > 1 { [l.image, chunk] } else { [chunk, l.image] };
            s.reorder(&order(&[first[0], first[1], l.group, l.block, pixel], &l))?;
            (Run::new(l.block, l.block), first[0])
        }
    };
    s.parallel(parallel)?;
    let tile = Direct { p, target, width, l: &l, pixel, pixels };
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

/// The order of these loops, then those of a sum and its lanes.
fn order(outer: &[VarId], l: &ConvLoops) -> Vec<VarId> {
    let sum = [l.lane, l.ic].into_iter().chain(l.taps.iter().copied()).chain([l.channel]);
    outer.iter().copied().chain(sum).collect()
}

struct Direct<'a> {
    p: &'a ConvProblem,
    target: Target,
    width: Width,
    l: &'a ConvLoops,
    pixel: VarId,
    pixels: usize,
}

impl Direct<'_> {
    /// Schedules a run of tiles of output channels.
    fn channels(&self, s: &mut Schedule, run: &Run) -> Result<(), Refusal> {
        let pixel = run.of(self.pixel);
        s.pack(buffers::WEI, pixel, run.inner)?;
        let of = |l: VarId| run.of(l);
        let whole = self.tile(&of, (pixel, run.inner), Expr::int(0));
        let most = self.most_pixels(s.conv(&whole, self.width)?)?;
        let split = EvenSplit::new(s.extent(pixel), most);
        let sizes = self.parts(s.extent(pixel));
        let base = self.p.tail.base.map(|_| BufId(buffers::BIAS.0 + 1));
        if sizes.len() == 1 {
            return self.pixels(s, pixel, split, &whole);
        }
        for part in s.split_sum((pixel, run.of(self.l.ic)), &sizes, base)? {
            let of = |l: VarId| part.of(run.of(l));
            let tile = self.tile(&of, (part.of(pixel), part.of(run.inner)), part.start.clone());
            self.pixels(s, part.of(pixel), split, &tile)?;
        }
        Ok(())
    }

    /// Schedules the pixels of a tile of output channels.
    fn pixels(
        &self,
        s: &mut Schedule,
        pixel: VarId,
        split: EvenSplit,
        tile: &ConvTile,
    ) -> Result<(), Refusal> {
        let ahead = self.ahead(s.extent(tile.vector), split.large + split.small);
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
            base: self.p.tail.base.map(|_| BufId(buffers::BIAS.0 + 1)),
            ahead: (0, Expr::int(0)),
        }
    }

    /// Bytes of the next tile's weights that each trip brings near, where weights come from beyond the level-2 cache.
    fn ahead(&self, vectors: usize, pixel_tiles: usize) -> i32 {
        let p = self.p;
        let all = p.groups * p.dst_blocks() * p.vector_bytes(self.width);
        let columns = p.kernel[2] * p.src.layout.lanes;
        if all <= self.target.caches().l2 / 2 || columns > UNROLLED || p.merged() > 1 || pixel_tiles < 4 {
            return 0;
        }
        let trip = columns * vectors * self.width.bytes() as usize;
        trip.div_ceil(pixel_tiles).next_multiple_of(4).min(256) as i32
    }

    /// Blocks of input channels of each part of the sum. They are those of the widest tile of output channels for all, so
    /// that equal weights of two channels give equal sums.
    fn parts(&self, pixels: usize) -> Vec<usize> {
        let p = self.p;
        let blocks = p.src_blocks();
        let vectors = tiles::vectors(p.dst_blocks()).into_iter().max().unwrap_or(1);
        let pixel_tiles = pixels.div_ceil(tiles::pixels(self.width, vectors));
        let block_bytes = p.vector_bytes(self.width) * vectors / blocks.max(1);
        let Caches { l1, .. } = self.target.caches();
        let most = (l1 / 2 / block_bytes.max(1)).max(1);
        // Few tiles of pixels use no weight often enough: there, parts are for the digits of long sums.
        let terms = p.taps() * p.src.layout.lanes;
        let (most, is_long) = match pixel_tiles < MANY_TILES {
            true => ((TERMS / terms).max(1), blocks * terms >= 2 * TERMS),
            false => (most, true),
        };
        if p.merged() > 1 || blocks <= most || !is_long {
            return vec![blocks];
        }
        // The first parts are larger by a block each where the number of parts does not divide.
        let parts = blocks.div_ceil(most);
        (0..parts).map(|i| blocks / parts + usize::from(i < blocks % parts)).collect()
    }

    /// Pixels of the largest tile that fits the registers: where they lie in tables, each takes a general one.
    fn most_pixels(&self, leaf: Conv) -> Result<usize, Refusal> {
        let pixels = tiles::pixels(self.width, leaf.vectors);
        // Distances of pixels share the general registers with those of taps.
        let pixels = if leaf.reduction == Reduction::Table { pixels.min(10) } else { pixels };
        let most = match leaf.merged {
            1 => pixels,
            merged => pixels.min((tiles::pixels(self.width, 2) * 2 / merged).max(1)),
        };
        let most = most.min(leaf.pixels);
        let last = Epilogue { base: Some(leaf.epilogue.dst.clone()), ..leaf.epilogue.clone() };
        let last = Conv { start: Start::Zero, epilogue: last, ..leaf.clone() };
        let ways = if leaf.merged > 1 { vec![leaf] } else { vec![leaf, last] };
        let fits = |n: &usize| {
            let fits = |leaf: &Conv| Conv { pixels: *n, ahead: 4, ..leaf.clone() }.program();
            ways.iter().all(|leaf| registers::allocate(&fits(leaf)).is_ok())
        };
        (1..=most).rev().find(fits).ok_or(Refusal::Registers)
    }
}

/// In how many runs of equal length the output pixels are cut: few, but so many that the input of one stays in the
/// level-2 cache while weights pass. For a multiple of eight, which usual numbers of threads share evenly, an eighth more
/// bytes are allowed.
fn chunks(p: &ConvProblem, pixels: usize, width: Width, target: Target) -> usize {
    let l2 = target.caches().l2;
    let weights = p.groups * p.dst_blocks() * p.vector_bytes(width);
    let src = p.src.image_bytes() as usize;
    let passes = tiles::vectors(p.dst_blocks()).len();
    // Bytes that come from beyond the level-2 cache.
    let traffic = |n: usize| {
        let fits = src / n + p.vector_bytes(width) * 2 <= l2 * 3 / 4;
        let again = if weights + src / n <= l2 * 3 / 4 { 1 } else { n };
        weights * again + src * if fits { 1 } else { passes }
    };
    let cost = |n: usize| if n == 1 || n.is_multiple_of(8) { traffic(n) } else { traffic(n) / 8 * 9 };
    let good = |n: &usize| pixels.is_multiple_of(*n) && pixels / n >= 8 * tiles::pixels(width, 2);
    (1..=pixels.min(256)).filter(|n| *n == 1 || good(n)).min_by_key(|&n| (cost(n), n)).unwrap_or(1)
}
