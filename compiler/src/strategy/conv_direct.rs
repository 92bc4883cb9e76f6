//! Direct convolution: register tiles of pixels times channels over flattened maps.
//!
//! ```text
//! for chunk parallel  for group  for tile of oc  for tile of pixels
//!   call conv: for block of ic  for kh   (kw and channels unrolled)
//! ```
//!
//! A *chunk* is a run of output pixels whose input stays in the level-2 cache while all output channels pass; where
//! the weights are the larger part there is one chunk, and output channels are the parallel loop. Tiles are as even
//! as they can be, and their pixels lie where tables say, so that a row's end costs nothing.

use octrt_ops::{DType, Tensor, TensorType};

use crate::leaf::build::{Advance, Axis, Conv, Reduction, Start};
use crate::leaf::{Program, Width, registers};
use crate::target::Target;
use crate::tile::{BufferId, BufferRole, Distance, LoopId, NestBuilder, SlotValue, TileNest};

use super::conv::{ConvProblem, operands};
use super::pixels::Walk;
use super::tiles::{self, EvenSplit};

/// Most input channels times columns of a window that are unrolled.
const UNROLLED: usize = 32;

/// The nest of a convolution; `None` where distances do not fit leaf programs.
pub fn nest(p: &ConvProblem, target: Target) -> Option<TileNest> {
    let width = target.width()?;
    let all = p.dst_pixels();
    let chunks = chunks(p, all.len(), width, target);
    let tiles = tiles::vectors(p.dst_blocks());
    let by_channel = chunks == 1 && p.src.mb == 1 && p.groups == 1 && tiles.iter().all(|t| *t == tiles[0]);
    let extent = match (p.src.mb, chunks) {
        (1, 1) if by_channel => tiles.len(),
        (1, chunks) => chunks,
        (mb, _) => mb,
    };
    let mut b = NestBuilder::new("conv", extent);
    let outer = b.parallel();
    let emitter = Emitter::new(&mut b, p, width, &all, chunks)?;
    let image = if p.src.mb > 1 { Distance::default().plus(outer, 1) } else { Distance::default() };
    if by_channel {
        let tile = Tile { first: Distance::default().plus(outer, tiles[0] as i64), vectors: tiles[0] };
        emitter.pixels(&mut b, &image, &Distance::default(), &Distance::default(), &tile)?;
        return Some(b.finish());
    }
    let inner = if p.src.mb > 1 { chunks } else { 1 };
    let mut whole = Some(());
    b.each(inner, |b, l| {
        let chunk = if p.src.mb > 1 { l } else { outer };
        let chunk = if chunks > 1 { Distance::default().plus(chunk, 1) } else { Distance::default() };
        b.each(p.groups, |b, group| {
            let group = Distance::default().plus(group, 1);
            for (first, n, vectors) in tiles::runs(&tiles) {
                b.each(n, |b, tile| {
                    let first = Distance::new((first * tiles[0]) as i64).plus(tile, vectors as i64);
                    whole = whole.and(emitter.pixels(b, &image, &group, &chunk, &Tile { first, vectors }));
                });
            }
        });
    });
    whole.map(|()| b.finish())
}

/// A tile of output channels.
struct Tile {
    /// Its first vector in the group.
    first: Distance,
    vectors: usize,
}

struct Emitter<'a> {
    p: &'a ConvProblem,
    width: Width,
    src: Walk,
    dst: Walk,
    addend: Option<Walk>,
    wei: BufferId,
    bias: BufferId,
    taps: Option<BufferId>,
    chunk: usize,
}

impl<'a> Emitter<'a> {
    fn new(
        b: &mut NestBuilder,
        p: &'a ConvProblem,
        width: Width,
        all: &[(usize, usize)],
        chunks: usize,
    ) -> Option<Self> {
        let lanes = width.lanes() as usize;
        let wei = p.groups * p.dst_blocks() * p.vector_bytes(width) / 4;
        let [src, wei, bias] = operands(b, p, wei);
        let addend = p.tail.walk(b, all)?;
        let from: Vec<i64> = all.iter().map(|&(h, w)| p.src_pixel(h, w)).collect();
        let to: Vec<i64> = all.iter().map(|&(h, w)| p.dst.pixel(h as i64, w as i64)).collect();
        let src = Walk::new(b, src, 0, p.src.block_bytes(), &from)?;
        let taps = if p.kernel[1] * p.src.layout.lanes > UNROLLED { Some(tap_table(b, p)?) } else { None };
        let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
        let dst = Walk::new(b, dst, 0, p.dst.block_bytes(), &to)?;
        debug_assert_eq!(lanes, p.dst.layout.lanes);
        Some(Emitter { p, width, src, dst, addend, wei, bias, taps, chunk: all.len() / chunks })
    }

    /// The calls for all pixel tiles of a chunk and one tile of output channels.
    fn pixels(
        &self,
        b: &mut NestBuilder,
        image: &Distance,
        group: &Distance,
        chunk: &Distance,
        tile: &Tile,
    ) -> Option<()> {
        let mut whole = Some(());
        for (first, size, n) in EvenSplit::new(self.chunk, self.most_pixels(tile.vectors)?).runs() {
            let program = self.program(size, tile.vectors)?;
            b.each(n, |b, l: LoopId| {
                let pixel = chunk.times(self.chunk as i64).offset(first as i64).plus(l, size as i64);
                whole = whole.and(self.call(b, program, image, group, &pixel, tile));
            });
        }
        whole
    }

    fn call(
        &self,
        b: &mut NestBuilder,
        program: Program,
        image: &Distance,
        group: &Distance,
        pixel: &Distance,
        tile: &Tile,
    ) -> Option<()> {
        let p = self.p;
        let blocks = |per_group: usize| group.times(per_group as i64);
        let oc = blocks(p.dst_blocks()).and(&tile.first);
        let none = Distance::default();
        let vector_bytes = p.vector_bytes(self.width) as i64;
        let addend = p.tail.addend.map(|a| image.times(a.map.image_bytes()));
        b.call(program, &|name| match name {
            "src" => {
                Some(self.src.pointer(pixel, &blocks(p.src_blocks()), &image.times(p.src.image_bytes())))
            }
            "src_offsets" => self.src.offsets(pixel),
            "wei" => Some(SlotValue::Pointer(self.wei, oc.times(vector_bytes))),
            "bias" => Some(SlotValue::Pointer(self.bias, oc.times(self.width.bytes().into()))),
            "dst" => Some(self.dst.pointer(pixel, &oc, &image.times(p.dst.image_bytes()))),
            "dst_offsets" => self.dst.offsets(pixel),
            "residual" => Some(self.addend.as_ref()?.pointer(pixel, &oc, addend.as_ref()?)),
            "residual_offsets" => self.addend.as_ref()?.offsets(pixel),
            "ic" => Some(SlotValue::Number(p.src_blocks() as i64)),
            "kh" => Some(SlotValue::Number(p.kernel[0] as i64)),
            "taps" => Some(SlotValue::Number((p.src_blocks() * p.kernel[0] * p.kernel[1]) as i64)),
            "tap_offsets" => Some(SlotValue::Pointer(self.taps?, none.clone())),
            _ => None,
        });
        Some(())
    }

    /// Pixels of the largest tile that fits the registers: where they lie in tables, each takes a general one.
    fn most_pixels(&self, vectors: usize) -> Option<usize> {
        let pixels = tiles::pixels(self.width, vectors);
        // Distances of pixels share the general registers with those of taps.
        let pixels = if self.taps.is_some() { pixels.min(10) } else { pixels };
        let most = match self.p.merged {
            1 => pixels,
            merged => pixels.min((tiles::pixels(self.width, 2) * 2 / merged).max(1)),
        };
        let fits = |n: &usize| self.program(*n, vectors).is_some_and(|p| registers::allocate(&p).is_ok());
        (1..=most.min(self.chunk)).rev().find(fits)
    }

    fn program(&self, pixels: usize, vectors: usize) -> Option<Program> {
        let p = self.p;
        let small = |x: i64| i32::try_from(x).ok();
        let column = p.dilations[1] as i64 * p.src.pixel_bytes();
        let row = p.dilations[0] as i64 * p.src.row_bytes();
        let rows = p.kernel[0] as i64;
        let (taps, reduction) = match self.taps {
            Some(_) => (vec![0], Reduction::Table),
            None => {
                let taps: Option<Vec<i32>> = (0..p.kernel[1] as i64).map(|k| small(k * column)).collect();
                let kh = Axis { name: "kh", src: Advance::Bytes(small(row)?) };
                let step = |back: i64| small(p.src.block_bytes() - back).map(Advance::Bytes);
                let axes = match rows {
                    1 => vec![Axis { name: "ic", src: step(0)? }],
                    _ => vec![Axis { name: "ic", src: step(rows * row)? }, kh],
                };
                (taps?, Reduction::Loops(axes))
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
            merged: p.merged,
            start: Start::Bias,
            epilogue: p.tail.epilogue(&self.dst, self.addend.as_ref())?,
        };
        Some(leaf.program())
    }
}

/// The distances of all taps of all blocks of input channels, in the order of the packed weights.
fn tap_table(b: &mut NestBuilder, p: &ConvProblem) -> Option<BufferId> {
    let mut entries = Vec::new();
    for block in 0..p.src_blocks() as i64 {
        for kh in 0..p.kernel[0] as i64 {
            for kw in 0..p.kernel[1] as i64 {
                let row = kh * p.dilations[0] as i64 * p.src.row_bytes();
                let column = kw * p.dilations[1] as i64 * p.src.pixel_bytes();
                entries.push(i32::try_from(block * p.src.block_bytes() + row + column).ok()?);
            }
        }
    }
    let table = Tensor::new([entries.len()], &entries).ok()?;
    let ty = TensorType::new(DType::I32, [entries.len()]);
    Some(b.buffer(ty, BufferRole::Table(table)))
}

/// In how many runs of equal length the output pixels are cut: few, but so many that the input of one stays in the
/// level-2 cache while weights pass.
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
    let good = |n: &usize| pixels % n == 0 && pixels / n >= 8 * tiles::pixels(width, 2);
    (1..=pixels.min(256)).filter(|n| *n == 1 || good(n)).min_by_key(|&n| (traffic(n), n)).unwrap_or(1)
}
