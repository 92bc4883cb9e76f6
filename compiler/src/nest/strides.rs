//! How far elements lie from each other, in bytes, as leaf programs are told: derived from indices.

use octrt_ops::TensorType;
use octrt_ops::expr::{Expr, VarId};

use crate::layout::{AXES, Map};
use crate::leaf::programs::{Advance, Axis};
use crate::nest::affine::Affine;
use crate::strategy::refusal::{Refusal, distance};

/// Bytes of an element.
pub const ELEMENT: i64 = 4;

/// Bytes by which the element at an index of a tensor moves with each of these variables; 0 for one that does not occur, or
/// not as a term of a sum.
pub fn strides<const N: usize>(ty: &TensorType, index: &[Expr], along: [VarId; N]) -> [i64; N] {
    let at = Affine::flat(&ty.shape, index);
    along.map(|l| ELEMENT * at.stride(l).unwrap_or(0))
}

/// Bytes from one place of a map to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    /// From one block of channels to the next.
    pub block: i64,
    /// From one plane to the next.
    pub plane: i64,
    /// From one row to the next.
    pub row: i64,
    /// From one pixel of a row to the next.
    pub pixel: i64,
}

impl Strides {
    /// Those of a map; one without planes or rows has one of them.
    pub fn of(map: &Map) -> Strides {
        let map = Map { axes: AXES, ..*map };
        let along = [0, 1, 2, 3].map(VarId);
        let [block, plane, row, pixel] = along.map(Expr::Var);
        let index = map.index(&Expr::int(0), &block, [plane, row, pixel]);
        let [block, plane, row, pixel] = strides(&map.ty(), &index, along);
        Strides { block, plane, row, pixel }
    }
}

/// Counted loops of a leaf program, outermost first, from their names, trips and strides: an outer loop moves the pointer
/// from where the loop in it has left it.
///
/// # Errors
/// [`Refusal::Distance`].
pub fn nested(loops: &[(&'static str, usize, i64)]) -> Result<Vec<Axis>, Refusal> {
    let mut within = 0;
    let axis = |&(name, trips, stride): &(&'static str, usize, i64)| {
        let src = Advance::Bytes(distance(stride - within)?);
        within = trips as i64 * stride;
        Ok(Axis { name, src })
    };
    let mut axes: Vec<Axis> = loops.iter().rev().map(axis).collect::<Result<_, Refusal>>()?;
    axes.reverse();
    Ok(axes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Halo, Layout};

    #[test]
    fn strides_of_maps() {
        let halo = Halo { front: 0, back: 0, top: 1, bottom: 2, left: 3, right: 4 };
        let layout = Layout { halo, ..Layout::blocked(8) };
        let map = Map { mb: 2, c: 20, d: 1, h: 5, w: 6, axes: 2, layout };
        let (row, plane) = (13 * 32, 8 * 13 * 32);
        assert_eq!(Strides::of(&map), Strides { block: plane, plane, row, pixel: 32 });
        let halo = Halo { top: 0, bottom: 0, ..halo };
        let map = Map { h: 1, axes: 1, layout: Layout { halo, lanes: 1, ..layout }, ..map };
        let row = 13 * 4;
        assert_eq!(Strides::of(&map), Strides { block: row, plane: row, row, pixel: 4 });
    }

    #[test]
    fn inner_loops_leave_the_pointer_where_they_ended() {
        let axes = nested(&[("planes", 2, 1000), ("rows", 5, 100), ("columns", 6, 4)]).unwrap();
        let found: Vec<(&str, Advance)> = axes.iter().map(|a| (a.name, a.src)).collect();
        let bytes = Advance::Bytes;
        assert_eq!(found, [("planes", bytes(500)), ("rows", bytes(76)), ("columns", bytes(4))]);
        assert_eq!(nested(&[("rows", 2, 1 << 31)]), Err(Refusal::Distance));
    }
}
