//! Convolution from plain maps to plain maps: weights times pixels, with vectors along the pixels.
//!
//! ```text
//! for chunk of pixels parallel  for image  for tile of output channels  for tile of pixels
//!   call product: for input channels
//! ```
//!
//! A tile's pixels are one run of the input for each tap: pixels of any map where the window is one, else those of a row. A
//! chunk's input stays in the level-2 cache while output channels pass. The pixels left over are a nest of their own, which
//! shares tiles of output channels.

use octrt_ops::expr::{BufId, Expr};
use octrt_ops::{DType, TensorType};

use crate::layout::Map;
use crate::leaf::Width;
use crate::leaf::programs::Product;
use crate::nest::build::{Builder, Value};
use crate::nest::strides::Strides;
use crate::nest::{BufferRole, Nest};
use crate::pack::ConvPacking;
use crate::strategy::problem::PlainConvProblem;
use crate::strategy::refusal::{Refusal, distance};
use crate::target::Target;

/// Vectors of a tile of pixels.
const VECTORS: usize = 3;

/// Fewest and most tiles of a chunk, and how many chunks are enough for any number of threads.
const TILES: (usize, usize) = (4, 16);
const CHUNKS: usize = 8;

impl PlainConvProblem {
    /// How the weights are cut.
    pub fn packing(&self, width: Width) -> ConvPacking {
        let rows = rows(width);
        ConvPacking {
            lanes: rows,
            src_lanes: 1,
            groups: 1,
            merged: 1,
            tiles: vec![1; self.dst.c.div_ceil(rows)],
        }
    }

    /// The program of a whole tile.
    fn leaf(&self, width: Width) -> Result<Product, Refusal> {
        let fits = |n: &usize| self.src.c.is_multiple_of(*n) && n * self.kernel <= PlainConvProblem::COLUMNS;
        let terms = (1..=8).rev().find(fits).unwrap_or(1);
        let (src, dst) = (Strides::of(&self.src), Strides::of(&self.dst));
        let far = src.pixel * (self.kernel * self.dilation) as i64;
        distance(src.block * terms as i64 + far)?;
        distance(dst.block * rows(width) as i64)?;
        let tap = |k: usize| distance(src.pixel * (k * self.dilation) as i64);
        Ok(Product {
            width,
            rows: rows(width),
            packed: rows(width),
            vectors: VECTORS,
            terms,
            taps: (0..self.kernel).map(tap).collect::<Result<_, _>>()?,
            right_bytes: distance(src.block)?,
            dst_bytes: distance(dst.block)?,
            tail: None,
            activation: self.activation,
        })
    }
}

/// Output channels of a tile.
fn rows(width: Width) -> usize {
    match width {
        Width::W8 => 4,
        Width::W16 => 8,
    }
}

/// The nests: of chunks, and of what is left over, where there is anything.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, for other maps, and for distances of more than 32 bits.
pub fn nests(p: &PlainConvProblem, target: Target) -> Result<Vec<Nest>, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    if !p.is_fit() {
        return Err(Refusal::Unfit("pixels that are no run of the input for each tap"));
    }
    let leaf = p.leaf(width)?;
    let lanes = width.lanes() as usize;
    let (vectors, tail) = (p.dst.pixels() / lanes, p.dst.pixels() % lanes);
    let tiles = vectors / VECTORS;
    let tile_bytes = p.src.c * VECTORS * width.bytes() as usize;
    let most = (target.caches().l2 / 8 / tile_bytes.max(1)).clamp(1, TILES.1);
    let chunks = (tiles / TILES.0).min(CHUNKS).max(tiles / most).max(1);
    let of_chunk = tiles / chunks;
    let mut all = Vec::new();
    if of_chunk > 0 {
        let mut b = Builder::new("conv_plain", chunks);
        let first = b.parallel() * Expr::int(of_chunk * VECTORS * lanes);
        let calls = Calls::new(p, &mut b, leaf.rows);
        b.each(p.src.mb, |b, image| {
            calls.channels(b, &leaf, |b, leaf, tile| {
                b.each(of_chunk, |b, at| {
                    let pixel = first.clone() + at.clone() * Expr::int(VECTORS * lanes);
                    calls.call(b, leaf, [image, tile, &pixel])
                })
            })
        })?;
        all.push(b.finish()?);
    }
    let (more, vectors) = (tiles - chunks * of_chunk, vectors % VECTORS + usize::from(tail > 0));
    if more + vectors > 0 {
        let shares = p.dst.c.is_multiple_of(leaf.rows);
        let mut b = Builder::new("conv_plain", if shares { p.dst.c / leaf.rows } else { 1 });
        let outer = b.parallel();
        let calls = Calls::new(p, &mut b, leaf.rows);
        let end = Product { vectors, tail: (tail > 0).then_some(tail as u8), ..leaf.clone() };
        let run = |b: &mut Builder, leaf: &Product, image: &Expr, tile: Expr| {
            let pixel = tile * Expr::int(VECTORS * lanes);
            match shares {
                true => calls.call(b, leaf, [image, &outer, &pixel]),
                false => calls.channels(b, leaf, |b, leaf, tile| calls.call(b, leaf, [image, tile, &pixel])),
            }
        };
        b.each(p.src.mb, |b, image| {
            b.each(more, |b, at| run(b, &leaf, image, Expr::int(chunks * of_chunk) + at.clone()))?;
            if vectors > 0 { run(b, &end, image, Expr::int(tiles)) } else { Ok(()) }
        })?;
        all.push(b.finish()?);
    }
    Ok(all)
}

/// What the calls of a nest have in common.
struct Calls<'a> {
    p: &'a PlainConvProblem,
    /// Source, weights, bias, destination.
    buffers: [BufId; 4],
}

impl<'a> Calls<'a> {
    fn new(p: &'a PlainConvProblem, b: &mut Builder, rows: usize) -> Calls<'a> {
        let floats = |dims: &[usize]| TensorType::new(DType::F32, dims.to_vec());
        let tiles = p.dst.c.div_ceil(rows);
        let wei = floats(&[tiles, p.src.c, p.kernel, rows]);
        let [src, wei, bias] =
            [p.src.ty(), wei, floats(&[tiles * rows])].map(|ty| b.buffer(ty, BufferRole::Src));
        let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
        Calls { p, buffers: [src, wei, bias, dst] }
    }

    /// Writes what `body` writes for each tile of output channels, which is given the program for as many.
    fn channels(
        &self,
        b: &mut Builder,
        leaf: &Product,
        body: impl Fn(&mut Builder, &Product, &Expr) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let full = self.p.dst.c / leaf.packed;
        b.each(full, |b, tile| body(b, leaf, tile))?;
        match self.p.dst.c % leaf.packed {
            0 => Ok(()),
            rows => body(b, &Product { rows, ..leaf.clone() }, &Expr::int(full)),
        }
    }

    /// A call for a tile of output channels and one of pixels.
    fn call(&self, b: &mut Builder, leaf: &Product, [image, tile, pixel]: [&Expr; 3]) -> Result<(), Refusal> {
        let ([src, wei, bias, dst], zero) = (self.buffers, Expr::int(0));
        let channel = tile.clone() * Expr::int(leaf.packed);
        let place = |map: &Map, channel: &Expr, pixel: Expr| {
            map.index(image, channel, [Expr::int(0), Expr::int(0), pixel])
        };
        b.call(leaf.program(), &|name| match name {
            "left" => Some(Value::At(wei, vec![tile.clone(), zero.clone(), zero.clone(), zero.clone()])),
            "right" => {
                let before = Expr::int(-(self.p.pad as i64));
                Some(Value::At(src, place(&self.p.src, &zero, pixel.clone() + before)))
            }
            "bias" => Some(Value::At(bias, vec![channel.clone()])),
            "dst" => Some(Value::At(dst, place(&self.p.dst, &channel, pixel.clone()))),
            "trips" => Some(Value::Number((self.p.src.c / leaf.terms) as i64)),
            _ => None,
        })
    }
}
