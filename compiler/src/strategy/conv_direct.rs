//! Direct convolution: register tiles of pixels times channels over flattened maps.
//!
//! ```text
//! for chunk parallel  for group  for tile of oc  for part of ic  for tile of pixels
//!   call conv: for block of ic  for kd  for kh   (kw and channels unrolled)
//! ```
//!
//! A *part* of the input channels is one whose weights stay in the level-1 cache while the tiles of pixels pass, or of few
//! terms; sums of parts are added by way of the output.
//!
//! A *chunk* is a run of output pixels whose input stays in the level-2 cache while all output channels pass; where
//! the weights are the larger part there is one chunk, and output channels are the parallel loop. Tiles are as even
//! as they can be, and their pixels lie where tables say, so that a row's end costs nothing.

use octrt_ops::{DType, TensorType};

use crate::leaf::programs::{Advance, Axis, Conv, Epilogue, Reduction, Start};
use crate::leaf::{Program, Width, registers};
use crate::target::{Caches, Target};
use crate::tile::{BufferId, BufferRole, Distance, LoopId, NestBuilder, SlotValue, TileNest};

use super::conv::{Addend, ConvProblem, Pixel, distances, operands};
use super::pixels::{Walk, table};
use super::refusal::{Refusal, distance};
use super::tiles::{self, EvenSplit};

/// Most input channels times columns of a window that are unrolled.
const UNROLLED: usize = 32;

/// The part of a sum that a call computes: what it starts from and what happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All of it.
    Whole,
    /// From the bias, with what is added first; stored as it is.
    First,
    /// From zero, then added to what the part before has stored: sums of sums, which lose fewer digits than a single one.
    Middle,
    /// As in the middle; then finished.
    Last,
}

/// The nest of a convolution.
///
/// # Errors
/// [`Refusal`] where distances do not fit leaf programs.
pub fn nest(p: &ConvProblem, target: Target) -> Result<TileNest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    if p.merged() > 1 && p.tail.base.is_some() {
        return Err(Refusal::Unfit("merged groups with a base to add"));
    }
    let all = p.dst_pixels();
    let chunks = chunks(p, all.len(), width, target);
    let tiles = tiles::vectors(p.dst_blocks());
    let rest = p.oc % p.dst.layout.lanes;
    let same = rest == 0 && tiles.iter().all(|t| *t == tiles[0]);
    let by_channel = chunks == 1 && p.src.mb == 1 && p.groups == 1 && same;
    let extent = match (p.src.mb, chunks) {
        (1, 1) if by_channel => tiles.len(),
        (1, chunks) => chunks,
        (mb, _) => mb,
    };
    let mut b = NestBuilder::new("conv", extent);
    let outer = b.parallel();
    let emitter = Emitter::new(&mut b, p, width, &all, (chunks, target))?;
    let image = if p.src.mb > 1 { Distance::default().plus(outer, 1) } else { Distance::default() };
    if by_channel {
        let tile =
            Tile { first: Distance::default().plus(outer, tiles[0] as i64), vectors: tiles[0], used: None };
        emitter.pixels(&mut b, &image, &Distance::default(), &Distance::default(), &tile)?;
        return Ok(b.finish());
    }
    let inner = if p.src.mb > 1 { chunks } else { 1 };
    b.each(inner, |b, l| {
        let chunk = if p.src.mb > 1 { l } else { outer };
        let chunk = if chunks > 1 { Distance::default().plus(chunk, 1) } else { Distance::default() };
        b.each(p.groups, |b, group| {
            let group = Distance::default().plus(group, 1);
            // A last tile with lanes that are no channels is one of its own.
            let (full, last) = tiles.split_at(tiles.len() - usize::from(rest > 0));
            for (first, n, vectors) in tiles::runs(full) {
                b.each(n, |b, tile| {
                    let first = Distance::new((first * tiles[0]) as i64).plus(tile, vectors as i64);
                    let tile = Tile { first, vectors, used: None };
                    emitter.pixels(b, &image, &group, &chunk, &tile)
                })?;
            }
            for &vectors in last {
                let first = Distance::new(full.iter().sum::<usize>() as i64);
                let tile = Tile { first, vectors, used: Some(rest as u8) };
                emitter.pixels(b, &image, &group, &chunk, &tile)?;
            }
            Ok::<_, Refusal>(())
        })
    })?;
    Ok(b.finish())
}

/// A tile of output channels.
struct Tile {
    /// Its first vector in the group.
    first: Distance,
    vectors: usize,
    /// Lanes of its last vector that are channels, where some are not.
    used: Option<u8>,
}

/// Where a call stands: picture, group, first pixel, first block of input channels and how many.
struct At<'a> {
    image: &'a Distance,
    group: &'a Distance,
    pixel: &'a Distance,
    block: &'a Distance,
    blocks: usize,
    /// Bytes from the next tile's weights on that the call brings near.
    share: &'a Distance,
    part: Part,
}

/// From this many tiles of pixels on, parts of the input channels pay.
const MANY_TILES: usize = 6;

/// Terms of a part where there are fewer tiles, unless one block of input channels has more.
const TERMS: usize = 288;

struct Emitter<'a> {
    p: &'a ConvProblem,
    width: Width,
    src: Walk,
    dst: Walk,
    base: Option<Walk>,
    addend: Option<Walk>,
    wei: BufferId,
    bias: BufferId,
    taps: Option<BufferId>,
    chunk: usize,
    /// Sizes of the caches.
    l1: usize,
    l2: usize,
}

impl<'a> Emitter<'a> {
    fn new(
        b: &mut NestBuilder,
        p: &'a ConvProblem,
        width: Width,
        all: &[Pixel],
        (chunks, target): (usize, Target),
    ) -> Result<Self, Refusal> {
        let lanes = width.lanes() as usize;
        let wei = p.groups * p.dst_blocks() * p.vector_bytes(width) / 4;
        let [src, wei, bias] = operands(b, p, wei);
        let mut walk = |addend: Option<Addend>| match addend {
            Some(a) => a.walk(b, all).map(Some),
            None => Ok(None),
        };
        let (base, addend) = (walk(p.tail.base)?, walk(p.tail.addend)?);
        let from: Vec<i64> = all.iter().map(|at| p.src_pixel(*at)).collect();
        let to = distances(&p.dst, all);
        let src = Walk::new(b, src, 0, p.src.block_bytes(), &from)?;
        let taps = if p.kernel[2] * p.src.layout.lanes > UNROLLED { Some(tap_table(b, p)?) } else { None };
        let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
        let dst = Walk::new(b, dst, 0, p.dst.block_bytes(), &to)?;
        debug_assert_eq!(lanes, p.dst.layout.lanes);
        let Caches { l1, l2 } = target.caches();
        Ok(Emitter { p, width, src, dst, base, addend, wei, bias, taps, chunk: all.len() / chunks, l1, l2 })
    }

    /// The calls for all pixel tiles of a chunk and one tile of output channels.
    fn pixels(
        &self,
        b: &mut NestBuilder,
        image: &Distance,
        group: &Distance,
        chunk: &Distance,
        tile: &Tile,
    ) -> Result<(), Refusal> {
        let split = EvenSplit::new(self.chunk, self.most_pixels(tile)?);
        let tiles = split.large + split.small;
        let ahead = self.ahead(tile.vectors, tiles);
        for (part, first, blocks, n) in self.parts() {
            b.each(n, |b, l| {
                let block = Distance::new(first as i64).plus(l, blocks as i64);
                let mut before = 0;
                for (first, size, n) in split.runs() {
                    let program = self.program(size, tile, (part, ahead))?;
                    b.each(n, |b, l: LoopId| {
                        let pixel = chunk.times(self.chunk as i64).offset(first as i64).plus(l, size as i64);
                        // Each tile of pixels brings its share of the next tile's weights.
                        let trips = (blocks * self.p.kernel[0] * self.p.kernel[1]) as i64;
                        let share = Distance::new(before).plus(l, 1).times(trips * i64::from(ahead));
                        let at =
                            At { image, group, pixel: &pixel, block: &block, blocks, share: &share, part };
                        self.call(b, program, &at, tile)
                    })?;
                    before += n as i64;
                }
                Ok::<_, Refusal>(())
            })?;
        }
        Ok(())
    }

    /// Bytes of the next tile's weights that each trip brings near, where weights come from beyond the level-2 cache.
    fn ahead(&self, vectors: usize, pixel_tiles: usize) -> i32 {
        let p = self.p;
        let all = p.groups * p.dst_blocks() * p.vector_bytes(self.width);
        if all <= self.l2 / 2 || self.taps.is_some() || p.merged() > 1 || pixel_tiles < 4 {
            return 0;
        }
        let trip = p.kernel[2] * p.src.layout.lanes * vectors * self.width.bytes() as usize;
        trip.div_ceil(pixel_tiles).next_multiple_of(4).min(256) as i32
    }

    /// Parts of the input channels: which, first block, blocks of each, how many of them. They are those of the widest tile
    /// of output channels for all, so that equal weights of two channels give equal sums.
    fn parts(&self) -> Vec<(Part, usize, usize, usize)> {
        let blocks = self.p.src_blocks();
        let vectors = tiles::vectors(self.p.dst_blocks()).into_iter().max().unwrap_or(1);
        let pixel_tiles = self.chunk.div_ceil(tiles::pixels(self.width, vectors));
        let block_bytes = self.p.vector_bytes(self.width) * vectors / blocks.max(1);
        let most = (self.l1 / 2 / block_bytes.max(1)).max(1);
        // Few tiles of pixels use no weight often enough: there, parts are for the digits of long sums.
        let terms = self.p.taps() * self.p.src.layout.lanes;
        let (most, is_long) = match pixel_tiles < MANY_TILES {
            true => ((TERMS / terms).max(1), blocks * terms >= 2 * TERMS),
            false => (most, true),
        };
        if self.p.merged() > 1 || blocks <= most || !is_long {
            return vec![(Part::Whole, 0, blocks, 1)];
        }
        let parts = blocks.div_ceil(most);
        let (size, rest) = (blocks / parts, blocks % parts);
        // The first parts are larger by a block each where the number of parts does not divide.
        let sizes: Vec<usize> = (0..parts).map(|i| size + usize::from(i < rest)).collect();
        let mut out: Vec<(Part, usize, usize, usize)> = Vec::new();
        let mut first = 0;
        for (i, &size) in sizes.iter().enumerate() {
            let part = match i {
                0 => Part::First,
                i if i + 1 == parts => Part::Last,
                _ => Part::Middle,
            };
            match out.last_mut() {
                Some((Part::Middle, _, s, n)) if part == Part::Middle && *s == size => *n += 1,
                _ => out.push((part, first, size, 1)),
            }
            first += size;
        }
        out
    }

    fn call(&self, b: &mut NestBuilder, program: Program, at: &At<'_>, tile: &Tile) -> Result<(), Refusal> {
        let p = self.p;
        let At { image, group, pixel, block, blocks, share, part } = *at;
        let oc = group.times(p.dst_blocks() as i64).and(&tile.first);
        // Where taps are in a table, it tells the blocks apart.
        let first = group.times(p.src_blocks() as i64);
        let ic = if self.taps.is_some() { first } else { first.and(block) };
        let taps = p.taps() as i64;
        let vector_bytes = p.vector_bytes(self.width) as i64;
        // Bytes of the weights of one block of input channels for this tile.
        let block_bytes = vector_bytes * tile.vectors as i64 / p.src_blocks() as i64;
        let of_image = |a: Option<Addend>| a.map(|a| image.times(a.map.image_bytes()));
        let (base, addend) = (of_image(p.tail.base), of_image(p.tail.addend));
        let dst = self.dst.pointer(pixel, &oc, &image.times(p.dst.image_bytes()));
        b.call(program, &|name| match name {
            "src" => Some(self.src.pointer(pixel, &ic, &image.times(p.src.image_bytes()))),
            "src_offsets" => self.src.offsets(pixel),
            "wei" => {
                Some(SlotValue::Pointer(self.wei, oc.times(vector_bytes).and(&block.times(block_bytes))))
            }
            "ahead" => {
                let next = oc.times(vector_bytes).offset(vector_bytes * tile.vectors as i64);
                Some(SlotValue::Pointer(self.wei, next.and(&block.times(block_bytes)).and(share)))
            }
            "bias" => Some(SlotValue::Pointer(self.bias, oc.times(self.width.bytes().into()))),
            "dst" => Some(dst.clone()),
            "dst_offsets" => self.dst.offsets(pixel),
            "base" if matches!(part, Part::Middle | Part::Last) => Some(dst.clone()),
            "base_offsets" if matches!(part, Part::Middle | Part::Last) => self.dst.offsets(pixel),
            "base" => Some(self.base.as_ref()?.pointer(pixel, &oc, base.as_ref()?)),
            "base_offsets" => self.base.as_ref()?.offsets(pixel),
            "residual" => Some(self.addend.as_ref()?.pointer(pixel, &oc, addend.as_ref()?)),
            "residual_offsets" => self.addend.as_ref()?.offsets(pixel),
            "ic" => Some(SlotValue::Number(blocks as i64)),
            "kd" => Some(SlotValue::Number(p.kernel[0] as i64)),
            "kh" => Some(SlotValue::Number(p.kernel[1] as i64)),
            "taps" => Some(SlotValue::Number(blocks as i64 * taps)),
            "tap_offsets" => Some(SlotValue::Pointer(self.taps?, block.times(4 * taps))),
            _ => None,
        })?;
        Ok(())
    }

    /// Pixels of the largest tile that fits the registers: where they lie in tables, each takes a general one.
    fn most_pixels(&self, tile: &Tile) -> Result<usize, Refusal> {
        let vectors = tile.vectors;
        let pixels = tiles::pixels(self.width, vectors);
        // Distances of pixels share the general registers with those of taps.
        let pixels = if self.taps.is_some() { pixels.min(10) } else { pixels };
        let most = match self.p.merged() {
            1 => pixels,
            merged => pixels.min((tiles::pixels(self.width, 2) * 2 / merged).max(1)),
        };
        let fits = |n: &usize| {
            [Part::Whole, Part::Last]
                .into_iter()
                .all(|part| self.program(*n, tile, (part, 4)).is_ok_and(|p| registers::allocate(&p).is_ok()))
        };
        (1..=most.min(self.chunk)).rev().find(fits).ok_or(Refusal::Registers)
    }

    fn program(&self, pixels: usize, tile: &Tile, (part, ahead): (Part, i32)) -> Result<Program, Refusal> {
        let vectors = tile.vectors;
        let p = self.p;
        let (taps, reduction) = match self.taps {
            Some(_) => (vec![0], Reduction::Table),
            None => {
                let column = p.tap_steps()[2];
                let taps = (0..p.kernel[2] as i64).map(|k| distance(k * column)).collect::<Result<_, _>>()?;
                (taps, Reduction::Loops(loops(p)?))
            }
        };
        let leaf = Conv {
            width: self.width,
            pixels,
            vectors,
            channels: p.src.layout.lanes,
            taps,
            src: self.src.grid()?,
            reduction,
            merged: p.merged(),
            ahead,
            start: match part {
                Part::Whole | Part::First => Start::Bias,
                Part::Middle | Part::Last => Start::Zero,
            },
            epilogue: self.epilogue(tile, part)?,
        };
        Ok(leaf.program())
    }

    /// What happens to the sums of a part.
    fn epilogue(&self, tile: &Tile, part: Part) -> Result<Epilogue, Refusal> {
        let stored = self.dst.grid()?;
        let finished = self.p.tail.epilogue(&self.dst, self.base.as_ref(), self.addend.as_ref())?;
        Ok(match part {
            Part::Whole => Epilogue { used: tile.used, ..finished },
            Part::First => Epilogue { base: finished.base, ..Epilogue::store(stored) },
            Part::Middle => Epilogue { base: Some(stored.clone()), ..Epilogue::store(stored) },
            Part::Last => Epilogue { base: Some(stored), used: tile.used, ..finished },
        })
    }
}

/// The loops over blocks of input channels, planes and rows of the window; one of a single plane or row is left out.
fn loops(p: &ConvProblem) -> Result<Vec<Axis>, Refusal> {
    let steps = [p.src.block_bytes(), p.tap_steps()[0], p.tap_steps()[1]];
    let all = ["ic", "kd", "kh"].into_iter().zip(steps).zip([0, p.kernel[0], p.kernel[1]]);
    let mut axes = Vec::new();
    // How far the loops within one have moved the pointer.
    let mut within = 0;
    for ((name, step), extent) in all.rev().filter(|(_, extent)| *extent != 1) {
        axes.push(Axis { name, src: Advance::Bytes(distance(step - within)?) });
        within = step * extent as i64;
    }
    axes.reverse();
    Ok(axes)
}

/// The distances of all taps of all blocks of input channels, in the order of the packed weights.
fn tap_table(b: &mut NestBuilder, p: &ConvProblem) -> Result<BufferId, Refusal> {
    let ([planes, rows, columns], [plane, row, column]) = (p.kernel.map(|k| k as i64), p.tap_steps());
    let mut entries = Vec::new();
    for block in 0..p.src_blocks() as i64 {
        for (kd, kh) in (0..planes).flat_map(|kd| (0..rows).map(move |kh| (kd, kh))) {
            for kw in 0..columns {
                entries.push(distance(block * p.src.block_bytes() + kd * plane + kh * row + kw * column)?);
            }
        }
    }
    let table = table(&entries)?;
    let ty = TensorType::new(DType::I32, [entries.len()]);
    Ok(b.buffer(ty, BufferRole::Table(table)))
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
