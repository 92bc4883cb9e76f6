//! Copies of channels to other lanes: concatenation where the channels before do not fill blocks.
//!
//! ```text
//! for row parallel  for plane  for block of channels  for run of lanes (unrolled)
//!   call lanes: for pixel
//! ```
//!
//! A run is the largest power of two of channels that stay together on both sides.

use octrt_ops::expr::Expr;

use crate::layout::Map;
use crate::leaf::programs::{Lanes, Source};
use crate::nest::build::{Builder, Value};
use crate::nest::strides::Strides;
use crate::nest::{BufferRole, Nest};
use crate::strategy::refusal::{Refusal, distance};
use crate::target::Target;

/// The nest that puts channel `c` of `src` at channel `first + c` of `dst`, and zeros in the lanes after the last one in its
/// block. Buffers: src, dst, maps of the same extents but for channels.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, or lanes are not those of the target.
pub fn nest(src: &Map, dst: &Map, first: usize, target: Target) -> Result<Nest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let lanes = src.layout.lanes;
    if lanes != width.lanes() as usize || dst.layout.lanes != lanes {
        return Err(Refusal::Unfit("blocks of channels of different sizes"));
    }
    let run = 1 << first.trailing_zeros().min(lanes.trailing_zeros());
    let pixel_bytes = distance(Strides::of(src).pixel)?;
    let mut b = Builder::new("shift", if src.mb > 1 { src.mb } else { src.h });
    let (from, to) = (b.buffer(src.ty(), BufferRole::Src), b.buffer(dst.ty(), BufferRole::Dst));
    let outer = b.parallel();
    b.each(if src.mb > 1 { src.h } else { 1 }, |b, inner| {
        let (image, row) = if src.mb > 1 { (&outer, inner) } else { (&Expr::int(0), &outer) };
        b.each(src.d, |b, plane| {
            // The lanes of a channel of the block.
            let at = |map: &Map, block: &Expr, channel: usize| {
                let block = block.clone() + Expr::int(channel / lanes);
                let mut index = map.index(image, &block, [plane.clone(), row.clone(), Expr::int(0)]);
                index.pop();
                index.push(Expr::int(channel % lanes));
                index
            };
            let call = |b: &mut Builder, block: &Expr, channel: usize, source| {
                let leaf = Lanes { width, lanes: run as u8, pixel_bytes, source };
                b.call(leaf.program(), &|name| match name {
                    "src" => Some(Value::At(from, at(src, block, channel))),
                    "dst" => Some(Value::At(to, at(dst, block, first + channel))),
                    "trips" => Some(Value::Number(src.w as i64)),
                    _ => None,
                })
            };
            let (full, rest) = (src.c / lanes, (src.c % lanes).div_ceil(run) * run);
            b.each(full, |b, block| {
                (0..lanes).step_by(run).try_for_each(|c| call(b, block, c, Source::Pixels(pixel_bytes)))
            })?;
            let last = Expr::int(full);
            (0..rest).step_by(run).try_for_each(|c| call(b, &last, c, Source::Pixels(pixel_bytes)))?;
            let end = (first + rest).next_multiple_of(lanes) - first;
            (rest..end).step_by(run).try_for_each(|c| call(b, &last, c, Source::Number(0.0)))
        })
    })?;
    b.finish()
}
