//! Maps whose planes, rows and columns are repeated whole numbers of times, in blocks of channels.
//!
//! ```text
//! for block parallel  for row  for each copy of it  call copy  columns, a vector each, as often as columns are repeated
//! ```

use octrt_ops::expr::Expr;

use crate::layout::{AXES, Map};
use crate::leaf::programs::Copy;
use crate::nest::build::{Builder, Value};
use crate::nest::strides::Strides;
use crate::nest::{BufferRole, Nest};
use crate::target::Target;

use super::refusal::{Refusal, distance};
use super::share::Share;

/// The nest. Buffers: src, dst. Element `i` of an axis of dst is element `i / repeats` of src.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, or maps whose blocks are no vectors or whose extents are others.
pub fn nest(src: &Map, dst: &Map, repeats: [usize; AXES], target: Target) -> Result<Nest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let lanes = width.lanes() as usize;
    let extents: Vec<usize> = src.extents().iter().zip(repeats).map(|(n, r)| n * r).collect();
    let alike = extents == dst.extents() && (src.mb, src.blocks()) == (dst.mb, dst.blocks());
    if !alike || [src, dst].iter().any(|m| m.layout.lanes != lanes) || repeats.contains(&0) {
        return Err(Refusal::Unfit("maps that are not repeated, or no blocks of channels"));
    }
    let share = Share::usual(dst);
    let mut b = Builder::new("nearest", share.extent(dst));
    let (from, to) = (b.buffer(src.ty(), BufferRole::Src), b.buffer(dst.ty(), BufferRole::Dst));
    let pixel = Strides::of(dst).pixel * repeats[2] as i64;
    let leaf = Copy {
        width,
        vectors: 1,
        rest: 0,
        src_bytes: distance(Strides::of(src).pixel)?,
        dst_bytes: distance(pixel)?,
    };
    let program = leaf.program();
    let outer = b.parallel();
    let (zero, images) = (Expr::int(0), share == Share::Images);
    b.each(if images { dst.blocks() } else { 1 }, |b, l| {
        let (image, block) = if images { (&outer, l) } else { (&zero, &outer) };
        let (planes, rows) = (src.d, src.h);
        b.each(planes, |b, plane| {
            b.each(rows, |b, row| {
                b.each(repeats[0], |b, again_plane| {
                    b.each(repeats[1], |b, again_row| {
                        b.each(repeats[2], |b, again_column| {
                            let at = |e: &Expr, repeats: usize, again: &Expr| {
                                e.clone() * Expr::int(repeats) + again.clone()
                            };
                            let here = src.index(image, block, [plane.clone(), row.clone(), Expr::int(0)]);
                            let there = [
                                at(plane, repeats[0], again_plane),
                                at(row, repeats[1], again_row),
                                again_column.clone(),
                            ];
                            let there = dst.index(image, block, there);
                            b.call(program.clone(), &|name| match name {
                                "src" => Some(Value::At(from, here.clone())),
                                "dst" => Some(Value::At(to, there.clone())),
                                "trips" => Some(Value::Number(src.w as i64)),
                                _ => None,
                            })
                        })
                    })
                })
            })
        })
    })?;
    b.finish()
}
