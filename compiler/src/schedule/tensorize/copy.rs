//! Copies as leaf programs.

use octrt_ops::expr::{BufId, Expr, VarId};

use super::call::{Values, calls};
use super::walk::{ELEMENT, distance_of, of_loops, take};
use super::{inside, outside, unfit};
use crate::leaf::Width;
use crate::leaf::programs::Copy;
use crate::nest::affine::Affine;
use crate::nest::{Define, Nest, pointer};
use crate::strategy::refusal::{Refusal, distance};

/// The loops of a copy, all inside the first.
#[derive(Clone, Copy, Debug)]
pub struct CopyTile {
    /// Runs of vectors.
    pub run: VarId,
    /// Vectors of a run.
    pub vector: VarId,
    /// Elements of a vector.
    pub lane: VarId,
}

/// Puts a call in the place of what is inside `tile.run`; gives the name of its program.
///
/// # Errors
/// [`Refusal::Tensorize`] where the loops do something else, [`Refusal::Distance`].
pub fn copy(nest: &mut Nest, tile: &CopyTile, width: Width) -> Result<String, Refusal> {
    let define = inside(nest, &[tile.run, tile.vector, tile.lane], &[])?;
    let Define { dst, index, when: None, value: Expr::Load(src, from), reduce: None, update: false } = define
    else {
        return Err(unfit("a copy of elements, without a condition"));
    };
    if src == dst {
        return Err(unfit("a copy to another buffer"));
    }
    if nest.extent(tile.lane) != Some(width.lanes() as usize) {
        return Err(unfit("as many lanes as a vector has"));
    }
    let place = |b: BufId, index: &[Expr]| -> Result<(Affine, i32), Refusal> {
        let mut at = distance_of(nest, b, index);
        let step = take(&mut at, tile.run);
        let side_by_side = [(tile.lane, ELEMENT), (tile.vector, i64::from(width.bytes()))];
        outside(nest, &mut at, &side_by_side, "elements that lie side by side")?;
        Ok((at, distance(step)?))
    };
    let ((src_at, src_bytes), (dst_at, dst_bytes)) = (place(*src, from)?, place(*dst, index)?);
    let extent = |l: VarId| nest.extent(l).unwrap_or(1);
    let around = nest.outside(tile.run);
    let mut values = Values::new();
    values.set("src", Some(pointer(*src, of_loops(&around, &src_at)?)));
    values.set("dst", Some(pointer(*dst, of_loops(&around, &dst_at)?)));
    values.number("trips", extent(tile.run));
    let program = Copy { width, vectors: extent(tile.vector), rest: 0, src_bytes, dst_bytes }.program();
    calls(nest, tile.run, program, &values)
}
