//! The numbers of direct convolution's schedule: how many pixels, chunks and parts.

use crate::leaf::programs::{Conv, Epilogue, Reduction};
use crate::leaf::{Width, registers};
use crate::nest::strides::Strides;
use crate::target::{Caches, Target};

use super::conv::ConvProblem;
use super::decision::can_share_channels;
use super::refusal::Refusal;
use super::tiles;

/// Most runs of pixels.
const MOST: usize = 256;

/// Most runs of the pixels of a volume.
const MOST_OF_PLANES: usize = 1024;

/// Iterations of a parallel loop that usual numbers of threads share.
const SHARED: usize = 8;

/// From this many tiles of pixels on, parts of the input channels pay.
const MANY_TILES: usize = 6;

/// Terms of a part where there are fewer tiles, unless one block of input channels has more.
pub(super) const TERMS: usize = 288;

/// In how many runs of equal length the output pixels are cut: few, but so many that the input of one stays in the
/// level-2 cache while weights pass. For a multiple of eight, which usual numbers of threads share evenly, an eighth more
/// bytes are allowed. Only numbers that are `allowed` are taken; 1 always is.
pub fn chunks(p: &ConvProblem, width: Width, target: Target, allowed: impl Fn(usize) -> bool) -> usize {
    let (l2, pixels) = (target.caches().l2, p.dst.pixels());
    let most = if p.dst.d > 1 { MOST_OF_PLANES } else { MOST };
    let weights = p.groups * p.dst_blocks() * p.vector_bytes(width);
    let src = p.src.image_bytes() as usize;
    let vectors = tiles::vectors(p.dst_blocks());
    // Each pass of weights reads the input, and every window its own planes of it.
    let of_planes = if p.dst.d > 1 { p.window.kernel[0].div_ceil(p.window.strides[0]) } else { 1 };
    let passes = vectors.len() * of_planes;
    // Bytes that come from beyond the level-2 cache.
    let traffic = |n: usize| {
        let fits = fits_whole(p, n, width, target) || parts_first(p, n, &vectors, (width, target));
        let again = if weights + seen_bytes(p, n) <= l2 * 3 / 4 { 1 } else { n };
        weights * again + src * if fits { 1 } else { passes }
    };
    let cost = |n: usize| if n == 1 || n.is_multiple_of(8) { traffic(n) } else { traffic(n) / 8 * 9 };
    let planes = |n: usize| n.is_multiple_of(p.dst.d) || p.dst.d.is_multiple_of(n);
    let good =
        |n: &usize| pixels.is_multiple_of(*n) && planes(*n) && pixels / n >= 4 * tiles::pixels(width, 2);
    (1..=pixels.min(most))
        .filter(|n| *n == 1 || good(n) && allowed(*n))
        .min_by_key(|&n| (cost(n), n))
        .unwrap_or(1)
}

/// So many runs of pixels, where one would do for the caches but threads cannot share the tiles of output channels, of so
/// many vectors each, or there are few: 1 where runs would be short, or weights would come from far for each of them.
pub fn shared_chunks(p: &ConvProblem, vectors: &[usize], width: Width, target: Target) -> usize {
    let weights = p.groups * p.dst_blocks() * p.vector_bytes(width);
    let by_channel = can_share_channels(p, vectors);
    let enough = by_channel && (vectors.len() >= SHARED || weights > target.caches().l2 / 2);
    if p.src.mb > 1 || enough {
        return 1;
    }
    let pixels = p.dst.pixels();
    let good = |n: &usize| pixels.is_multiple_of(*n) && pixels / n >= 4 * tiles::pixels(width, 2);
    let chunks: Vec<usize> = (1..=pixels.min(MOST)).filter(good).collect();
    let found = chunks.iter().copied().find(|n| *n >= SHARED).or(chunks.last().copied()).unwrap_or(1);
    if by_channel && found <= vectors.len() { 1 } else { found }
}

/// Bytes of the input that one of `n` runs of pixels sees; of what windows see of the next run, planes only.
fn seen_bytes(p: &ConvProblem, n: usize) -> usize {
    if p.dst.d == 1 {
        return p.src.image_bytes() as usize / n;
    }
    let plane = p.src.blocks() * Strides::of(&p.src).plane as usize;
    let (run, of_plane) = (p.dst.pixels() / n, p.dst.h * p.dst.w);
    let kernel = (p.window.kernel[0] - 1) * p.window.dilations[0] + 1;
    match run / of_plane.max(1) {
        // Some rows of each plane of a window.
        0 => plane * p.window.kernel[0] * run / of_plane.max(1),
        planes => plane * ((planes - 1) * p.window.strides[0] + kernel),
    }
}

/// Whether the input of one of `n` runs of pixels stays in the level-2 cache beside the weights of a tile of channels.
fn fits_whole(p: &ConvProblem, n: usize, width: Width, target: Target) -> bool {
    seen_bytes(p, n) + p.vector_bytes(width) * 2 <= target.caches().l2 * 3 / 4
}

/// Whether all tiles of output channels, of so many vectors each, take a part of the input channels of one of `n` runs of
/// pixels before the next part: where the input of the run does not stay in the level-2 cache, but that of a part does, and
/// the sums of all channels.
pub fn parts_first(p: &ConvProblem, n: usize, vectors: &[usize], (width, target): (Width, Target)) -> bool {
    if n == 1 || fits_whole(p, n, width, target) {
        return false;
    }
    let parts = parts(p, (p.dst.pixels() / n, vectors), width, target).len();
    let (src, dst) = (seen_bytes(p, n), p.dst.image_bytes() as usize / n);
    let weights = p.vector_bytes(width) * 2;
    parts > 1 && (src + weights) / parts + dst <= target.caches().l2 * 3 / 4
}

/// Blocks of input channels of each part of the sum of a chunk of pixels, where tiles of output channels have so many vectors. They are those of the widest tile of output channels for all, so
/// that equal weights of two channels give equal sums.
pub fn parts(
    p: &ConvProblem,
    (pixels, vectors): (usize, &[usize]),
    width: Width,
    target: Target,
) -> Vec<usize> {
    let blocks = p.src_blocks();
    let vectors = vectors.iter().copied().max().unwrap_or(1);
    let pixel_tiles = pixels.div_ceil(tiles::pixels(width, vectors));
    let block_bytes = p.vector_bytes(width) * vectors / blocks.max(1);
    let Caches { l1, .. } = target.caches();
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
    even_parts(blocks, blocks.div_ceil(most))
}

/// Blocks of each of so many parts: the first ones are larger by a block where their number does not divide.
pub fn even_parts(blocks: usize, parts: usize) -> Vec<usize> {
    (0..parts).map(|i| blocks / parts + usize::from(i < blocks % parts)).collect()
}

/// Bytes of the next tile's weights that each trip brings near, where weights come from beyond the level-2 cache.
pub fn ahead(p: &ConvProblem, leaf: &Conv, pixel_tiles: usize, target: Target) -> i32 {
    let all = p.groups * p.dst_blocks() * p.vector_bytes(leaf.width);
    if all <= target.cold_from() || leaf.merged > 1 || pixel_tiles < 2 {
        return 0;
    }
    share(leaf, pixel_tiles)
}

/// Bytes of the next tile's weights that each trip brings near, so that so many tiles of pixels bring all of them.
pub fn share(leaf: &Conv, pixel_tiles: usize) -> i32 {
    (leaf.trip_bytes() as usize).div_ceil(pixel_tiles.max(1)).next_multiple_of(4) as i32
}

/// Pixels of the largest tile that fits the registers: where they lie in tables, each takes a general one.
pub fn most_pixels(leaf: &Conv) -> Result<usize, Refusal> {
    let pixels = tiles::pixels(leaf.width, leaf.vectors);
    // Distances of pixels share the general registers with those of taps.
    let pixels = if leaf.reduction == Reduction::Table { pixels.min(10) } else { pixels };
    let most = match leaf.merged {
        1 => pixels,
        merged => pixels.min((tiles::pixels(leaf.width, 2) * 2 / merged).max(1)),
    };
    let most = most.min(leaf.pixels);
    (1..=most).rev().find(|pixels| fits(leaf, *pixels)).ok_or(Refusal::Registers)
}

/// Whether a tile of so many pixels fits the registers, in each part of a sum.
fn fits(leaf: &Conv, pixels: usize) -> bool {
    // Every channel of every tap takes the same registers.
    let taps = leaf.taps.first().copied().into_iter().collect();
    let whole = Conv { pixels, ahead: 4, taps, channels: 1, ..leaf.clone() };
    let partial = Some(leaf.epilogue.dst.clone());
    let epilogue = Epilogue { partial, ..leaf.epilogue.clone() };
    let last = Conv { epilogue, ..whole.clone() };
    registers::fits(&whole.program()) && (leaf.merged > 1 || registers::fits(&last.program()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::programs::{Advance, Axis, Bias, Grid, Pixels, Weights};

    #[test]
    fn one_channel_of_one_tap_tells_whether_a_tile_fits() {
        let even = || Grid { pixels: Pixels::Strided { bytes: 64, repeat: 1 }, vector_bytes: 4096 };
        let table = || Grid { pixels: Pixels::Table, vector_bytes: 4096 };
        let rows = || Reduction::Loops(vec![Axis { name: "kh", src: Advance::Bytes(512) }]);
        let mut refused = 0;
        for (width, vectors) in [(Width::W8, 1), (Width::W8, 2), (Width::W16, 2), (Width::W16, 4)] {
            for (src, reduction) in
                [(even(), rows()), (table(), rows()), (even(), Reduction::Table), (table(), Reduction::Table)]
            {
                let leaf = Conv {
                    width,
                    pixels: 40,
                    vectors,
                    channels: width.lanes() as usize,
                    taps: vec![0, 64, 128],
                    src,
                    weights: Weights::Packed,
                    reduction,
                    merged: 1,
                    ahead: 4,
                    epilogue: Epilogue { bias: Bias::Vectors, ..Epilogue::store(table()) },
                };
                for pixels in 1..=32 {
                    let whole = Conv { pixels, ..leaf.clone() };
                    let partial = Some(table());
                    let epilogue = Epilogue { partial, ..whole.epilogue.clone() };
                    let last = Conv { epilogue, ..whole.clone() };
                    let all = [whole, last].iter().all(|l| registers::allocate(&l.program()).is_ok());
                    assert_eq!(fits(&leaf, pixels), all, "{pixels} pixels of {leaf:?}");
                    refused += usize::from(!all);
                }
            }
        }
        assert!(refused > 0, "every tile fits");
    }
}
