//! Copies of channels to other lanes: concatenation where the channels before do not fill blocks.
//!
//! ```text
//! for row parallel  for plane  for block of channels  for run of lanes (unrolled)
//!   call lanes: for pixel
//! ```
//!
//! A run is the largest power of two of channels that stay together on both sides.

use crate::layout::Map;
use crate::leaf::programs::{Lanes, Source};
use crate::strategy::refusal::{Refusal, distance};
use crate::strategy::rows::each_plane;
use crate::target::Target;
use crate::tile::{BufferRole, Distance, NestBuilder, SlotValue, TileNest};

/// The nest that puts channel `c` of `src` at channel `first + c` of `dst`, and zeros in the lanes after the last one in its
/// block. Buffers: src, dst, maps of the same extents but for channels.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, or lanes are not those of the target.
pub fn nest(src: &Map, dst: &Map, first: usize, target: Target) -> Result<TileNest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let lanes = src.layout.lanes;
    if lanes != width.lanes() as usize || dst.layout.lanes != lanes {
        return Err(Refusal::Unfit("blocks of channels of different sizes"));
    }
    let run = 1 << first.trailing_zeros().min(lanes.trailing_zeros());
    let pixel_bytes = distance(src.pixel_bytes())?;
    let mut b = NestBuilder::new("shift", if src.mb > 1 { src.mb } else { src.h });
    let (from, to) = (b.buffer(src.ty(), BufferRole::Src), b.buffer(dst.ty(), BufferRole::Dst));
    let outer = Distance::default().plus(b.parallel(), 1);
    b.each(if src.mb > 1 { src.h } else { 1 }, |b, l| {
        let inner = Distance::default().plus(l, 1);
        let (image, row) = if src.mb > 1 { (outer, inner) } else { (Distance::default(), outer) };
        each_plane(b, src.d, |b, plane| {
            // The lanes of a channel of the block.
            let at = |map: &Map, block: &Distance, channel: usize| {
                let block = block.clone().offset((channel / lanes) as i64);
                image
                    .times(map.image_bytes())
                    .and(&block.times(map.block_bytes()))
                    .and(&plane.times(map.plane_bytes()))
                    .and(&row.times(map.row_bytes()))
                    .offset(map.origin() + 4 * (channel % lanes) as i64)
            };
            let call = |b: &mut NestBuilder, block: &Distance, channel: usize, source| {
                let leaf = Lanes { width, lanes: run as u8, pixel_bytes, source };
                b.call(leaf.program(), &|name| match name {
                    "src" => Some(SlotValue::Pointer(from, at(src, block, channel))),
                    "dst" => Some(SlotValue::Pointer(to, at(dst, block, first + channel))),
                    "trips" => Some(SlotValue::Number(src.w as i64)),
                    _ => None,
                })
            };
            let (full, rest) = (src.c / lanes, (src.c % lanes).div_ceil(run) * run);
            if full > 0 {
                b.each(full, |b, l| {
                    let block = Distance::default().plus(l, 1);
                    (0..lanes).step_by(run).try_for_each(|c| call(b, &block, c, Source::Pixels))
                })?;
            }
            let last = Distance::new(full as i64);
            (0..rest).step_by(run).try_for_each(|c| call(b, &last, c, Source::Pixels))?;
            let end = (first + rest).next_multiple_of(lanes) - first;
            (rest..end).step_by(run).try_for_each(|c| call(b, &last, c, Source::Number(0.0)))
        })
    })?;
    Ok(b.finish())
}
