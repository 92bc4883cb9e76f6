//! Poolings over whole maps.
//!
//! ```text
//! for picture, or blocks of channels, parallel  for tile of channels  for piece of the map
//!   call pool: for rows  for columns
//! ```

use octrt_ops::expr::Expr;

use crate::layout::{AXES, Map};
use crate::leaf::programs::{Epilogue, Formula, Grid, OPERAND, Pixels, Pool, PoolKind, Reduction, Sums};
use crate::leaf::{Program, Width};
use crate::nest::build::{Builder, Value};
use crate::nest::strides::{Strides, nested};
use crate::nest::{BufferRole, Nest};
use crate::target::Target;

use super::problem::WindowKind;
use super::refusal::{Refusal, distance};
use super::share::Share;
use super::tail::Tail;
use super::tiles::EvenSplit;

/// Most rows and columns that are added one after the other.
const RUN: usize = 512;

/// Pixels from which on each row is a sum of its own.
const MANY: usize = 128;

/// Pieces of an axis of at most [`RUN`] elements: first element, extent, how many. The first stands alone.
fn pieces(extent: usize) -> Vec<(usize, usize, usize)> {
    let mut pieces = vec![];
    for (first, size, n) in EvenSplit::new(extent, RUN).runs() {
        if first == 0 {
            pieces.extend([(0, size, 1), (size, size, n - 1)]);
        } else {
            pieces.push((first, size, n));
        }
    }
    pieces.retain(|(_, _, n)| *n > 0);
    pieces
}

/// Averages or maxima over whole maps: one pixel per channel, several blocks of channels at once. A large map is averaged in
/// pieces, rows by themselves, whose averages are added. Buffers: src, dst.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs or distances do not fit them.
pub fn nest(kind: WindowKind, src: &Map, dst: &Map, target: Target) -> Result<Nest, Refusal> {
    nest_in(kind, (src, dst), Share::Images, target)
}

/// The nest whose parallel loop shares the result so.
///
/// # Errors
/// As [`nest`], and where shares would not be equal, or have a part of a map.
pub fn nest_in(
    kind: WindowKind,
    (src, dst): (&Map, &Map),
    share: Share,
    target: Target,
) -> Result<Nest, Refusal> {
    share.of(dst)?;
    if let Share::Rows(2..) = share {
        return Err(Refusal::Unfit("whole maps by runs of rows"));
    }
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    // Without rows around them, the rows of all planes lie one after the other.
    let halo = src.layout.halo;
    let [d, h, w] = if halo.top + halo.bottom == 0 { [1, src.d * src.h, src.w] } else { src.extents() };
    let whole = |extent: usize| vec![(0, extent, 1)];
    let (planes, rows, columns, kind) = match kind {
        WindowKind::Max => (whole(d), whole(h), whole(w), (PoolKind::Max, None)),
        WindowKind::Sum(factor) => {
            let planes = [(0, 1, 1), (1, 1, d - 1)].into_iter().filter(|(_, _, n)| *n > 0).collect();
            (planes, pieces(h), pieces(w), (PoolKind::Sum, Some(factor)))
        }
        WindowKind::Weights => return Err(Refusal::Defect("weights for a whole map")),
    };
    let rows = planes.iter().flat_map(|plane| rows.iter().map(move |row| (plane, row)));
    let pieces: Vec<[&(usize, usize, usize); AXES]> =
        rows.flat_map(|(plane, row)| columns.iter().map(move |column| [plane, row, column])).collect();
    let blocks = if let Share::Blocks(n) = share { n } else { src.blocks() };
    let mut b = Builder::new("global_pool", share.extent(src));
    let outer = b.parallel();
    let (image, first_block) = match share {
        Share::Blocks(n) => (Expr::int(0), outer * Expr::int(n)),
        _ => (outer, Expr::int(0)),
    };
    let from = b.buffer(src.ty(), BufferRole::Src);
    let to = b.buffer(dst.ty(), BufferRole::Dst);
    for (first, vectors, n) in EvenSplit::new(blocks, 4).runs() {
        b.each(n, |b, l| {
            let block = first_block.clone() + l.clone() * Expr::int(vectors) + Expr::int(first);
            let result = dst.index(&image, &block, [0; AXES].map(Expr::int));
            for piece in &pieces {
                let (first, extents) = (piece.map(|p| p.0), piece.map(|p| p.1));
                let is_first = first == [0; AXES];
                let program = global_program((kind, width), (src, dst), extents, (vectors, is_first))?;
                b.each(piece[0].2, |b, plane| {
                    b.each(piece[1].2, |b, i| {
                        b.each(piece[2].2, |b, j| {
                            let of = |axis: usize, i: &Expr| {
                                i.clone() * Expr::int(extents[axis]) + Expr::int(first[axis])
                            };
                            let at = src.index(&image, &block, [of(0, plane), of(1, i), of(2, j)]);
                            b.call(program, &|name| match name {
                                "src" => Some(Value::At(from, at.clone())),
                                name if name == "dst" || name == OPERAND[0] => {
                                    Some(Value::At(to, result.clone()))
                                }
                                "planes" => Some(Value::Number(extents[0] as i64)),
                                "rows" => Some(Value::Number(extents[1] as i64)),
                                "columns" => Some(Value::Number(extents[2] as i64)),
                                _ => None,
                            })
                        })
                    })
                })?;
            }
            Ok(())
        })?;
    }
    b.finish()
}

/// A piece of a map, which is added to what is stored unless it is the `first`.
fn global_program(
    ((kind, factor), width): ((PoolKind, Option<f32>), Width),
    (src, dst): (&Map, &Map),
    [d, h, w]: [usize; AXES],
    (vectors, is_first): (usize, bool),
) -> Result<Program, Refusal> {
    let Strides { plane, row, pixel, .. } = Strides::of(src);
    let loops = [("planes", d, plane), ("rows", h, row), ("columns", w, pixel)];
    let axes = nested(&loops[usize::from(d == 1)..])?;
    let grid = |map: &Map| {
        let pixels = Pixels::Strided { bytes: 0, repeat: 1 };
        Ok::<_, Refusal>(Grid { pixels, vector_bytes: distance(Strides::of(map).block)? })
    };
    let dst = grid(dst)?;
    let piece = factor.map_or(Expr::Acc, |factor| Expr::Acc * Expr::f32(factor));
    let (value, operands) = match is_first {
        true => (piece, Vec::new()),
        false => (piece + Tail::operand(0), vec![dst.clone()]),
    };
    let formula = Formula::of_buffers(&value).ok_or(Refusal::Defect("an average that is no formula"))?;
    let pool = Pool {
        width,
        pixels: 1,
        vectors,
        taps: vec![0],
        src: grid(src)?,
        reduction: Reduction::Loops(axes),
        kind,
        sums: if h * w > MANY { Sums::Runs } else { Sums::Single },
        epilogue: Epilogue { formula, operands, ..Epilogue::store(dst) },
    };
    Ok(pool.program())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_an_axis() {
        for extent in (1..3000).chain([262_144]) {
            let mut next = 0;
            for (first, size, n) in pieces(extent) {
                assert_eq!(first, next, "{extent}");
                assert!((1..=RUN).contains(&size), "{extent}");
                assert!(first > 0 || n == 1, "{extent}");
                next += size * n;
            }
            assert_eq!(next, extent);
        }
    }
}
