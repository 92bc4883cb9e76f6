//! Element by element on blocked activations, row by row: copies between layouts, activations, sums of two tensors, and
//! the borders of halos.

use crate::layout::{Halo, Map};
use crate::leaf::build::{Activation, Elementwise, Fill, Other};
use crate::leaf::{BinaryOp, Width};
use crate::target::Target;
use crate::tile::{BufferRole, Distance, LoopId, NestBuilder, SlotValue, TileNest};

/// `dst = activation(op(src, other))`. Buffers, in order: src, other if there is one, dst.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsProblem {
    /// The input.
    pub src: Map,
    /// A second input of the same extents, and what is done with it.
    pub other: Option<(BinaryOp, Map)>,
    /// The output: at least as many blocks of channels as the input.
    pub dst: Map,
    /// The block of the output that the first block of the input goes to.
    pub first_block: usize,
    /// The function that is applied.
    pub activation: Activation,
}

/// The nest; `None` where there are no leaf programs.
pub fn nest(p: &RowsProblem, target: Target) -> Option<TileNest> {
    let width = target.width()?;
    let maps: Vec<&Map> = [&p.src, &p.dst].into_iter().chain(p.other.iter().map(|(_, m)| m)).collect();
    // Without halos the rows of a block lie one after the other.
    let whole = maps.iter().all(|m| m.layout.halo.is_none());
    let (rows, columns) = if whole { (1, p.src.h * p.src.w) } else { (p.src.h, p.src.w) };
    let vectors = (1..=4).rev().find(|v| columns % v == 0).unwrap_or(1);
    let other = p.other.map_or(Other::Absent, |(op, _)| Other::Along(op));
    let leaf = Elementwise { width, vectors, other, activation: p.activation, tail: None }.program();
    let mut b = NestBuilder::new("elementwise", if p.src.mb > 1 { p.src.mb } else { p.src.blocks() });
    let src = b.buffer(p.src.ty(), BufferRole::Src);
    let other = p.other.map(|(_, map)| (b.buffer(map.ty(), BufferRole::Src), map));
    let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
    each_block(&mut b, &p.src, |b, image, block| {
        b.each(rows, |b, row| {
            let place = |buffer, map: &Map, first: usize| {
                let block = block.offset(first as i64).times(map.block_bytes());
                let at = image.times(map.image_bytes()).and(&block).plus(row, map.row_bytes());
                Some(SlotValue::Pointer(buffer, at.offset(map.pixel(0, 0))))
            };
            b.call(leaf.clone(), &|name| match name {
                "src" => place(src, &p.src, 0),
                "other" => other.as_ref().and_then(|(buffer, map)| place(*buffer, map, 0)),
                "dst" => place(dst, &p.dst, p.first_block),
                "trips" => Some(SlotValue::Number((columns / vectors) as i64)),
                _ => None,
            });
        });
    });
    Some(b.finish())
}

/// Calls `body` for every picture and block: the parallel loop runs over pictures, or over blocks where there is one
/// picture.
fn each_block(b: &mut NestBuilder, map: &Map, body: impl FnOnce(&mut NestBuilder, &Distance, BlockAt)) {
    let outer = b.parallel();
    if map.mb > 1 {
        b.each(map.blocks(), |b, l| body(b, &Distance::default().plus(outer, 1), BlockAt(l)));
    } else {
        body(b, &Distance::default(), BlockAt(outer));
    }
}

/// The block that a loop stands at.
#[derive(Clone, Copy)]
struct BlockAt(LoopId);

impl BlockAt {
    fn offset(self, first: i64) -> Distance {
        Distance::new(first).plus(self.0, 1)
    }
}

/// Writes the halo of a map. Buffers: dst.
pub fn border(map: &Map, target: Target) -> Option<TileNest> {
    let width: Width = target.width()?;
    let Halo { top, bottom, left, right } = map.layout.halo;
    let leaf = Fill { width, value: map.layout.border.value() }.program();
    let mut b = NestBuilder::new("border", if map.mb > 1 { map.mb } else { map.blocks() });
    let dst = b.buffer(map.ty(), BufferRole::Dst);
    let columns = left + map.w + right;
    each_block(&mut b, map, |b, image, block| {
        let base = image.times(map.image_bytes()).and(&block.offset(0).times(map.block_bytes()));
        let run = |b: &mut NestBuilder, at: Distance, pixels: usize| {
            if pixels > 0 {
                b.call(leaf.clone(), &|name| match name {
                    "dst" => Some(SlotValue::Pointer(dst, at.clone())),
                    "trips" => Some(SlotValue::Number(pixels as i64)),
                    _ => None,
                });
            }
        };
        // The right end of a row and the left end of the next one are one run.
        run(b, base.clone(), top * columns + left);
        let row_end = base.clone().offset(map.pixel(0, map.w as i64));
        if left + right > 0 {
            b.each(map.h - 1, |b, row| run(b, row_end.clone().plus(row, map.row_bytes()), left + right));
        }
        run(b, base.offset(map.pixel(map.h as i64 - 1, map.w as i64)), right + bottom * columns);
    });
    Some(b.finish())
}
