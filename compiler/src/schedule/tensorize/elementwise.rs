//! What is computed element by element as leaf programs.
//!
//! ```text
//! for L1 in 3 { for L2 in 32 { b2[add(mul(L1, 32), L2)]  max(b0[..], b1[0]) } }
//! -> tensorize elementwise L1 inner L2
//! call "elementwise_4" (operand0 = b0 + .., operand1 = b1, dst = b2 + .., trips = 3)
//! ```

use octrt_ops::expr::{BufId, Expr, VarId};

use super::call::{Values, calls};
use super::finish::Finish;
use super::walk::{ELEMENT, distance_of, of_loops, take};
use super::{FORMULA, inside, unfit};
use crate::leaf::Width;
use crate::leaf::programs::{Elementwise, OPERAND, Reads};
use crate::nest::affine::Affine;
use crate::nest::{Define, Nest, pointer};
use crate::strategy::refusal::Refusal;

/// The loops of elements in a row, one directly in the other.
#[derive(Clone, Copy, Debug)]
pub struct ElementwiseTile {
    /// Runs of elements.
    pub run: VarId,
    /// Elements of a run.
    pub inner: VarId,
}

/// Puts a call in the place of what is inside `tile.run`; gives the name of its program.
///
/// # Errors
/// [`Refusal::Tensorize`] where the loops do something else, [`Refusal::Distance`].
pub fn elementwise(nest: &mut Nest, tile: &ElementwiseTile, width: Width) -> Result<String, Refusal> {
    let define = inside(nest, &[tile.run, tile.inner], &[])?;
    let Define { dst, index, when: None, value, reduce: None, update: false } = define else {
        return Err(unfit("a definition without a condition"));
    };
    let finish = Finish::of(value, (*dst, &index[..]));
    let finish = finish.filter(|f| f.exists.is_none() && !f.adds_stored).ok_or(unfit(FORMULA))?;
    let extent = |l: VarId| nest.extent(l).unwrap_or(1);
    let elements = extent(tile.inner);
    let place = |b: BufId, index: &[Expr]| -> (Affine, [i64; 2]) {
        let mut at = distance_of(nest, b, index);
        let steps = [tile.run, tile.inner].map(|l| take(&mut at, l));
        (at, steps)
    };
    // Where there is one element, or one run, it does not matter how far the next one would be.
    let goes = |[run, inner]: [i64; 2], bytes: i64| {
        (elements == 1 || inner == bytes) && (extent(tile.run) == 1 || run == bytes * elements as i64)
    };
    let around = nest.outside(tile.run);
    let mut values = Values::new();
    let mut reads = Vec::new();
    for ((b, index), name) in finish.operands.iter().zip(OPERAND) {
        let (at, steps) = place(*b, index);
        reads.push(match () {
            () if goes(steps, ELEMENT) => Reads::Along,
            () if goes(steps, 0) => Reads::Single,
            () => return Err(unfit("elements that lie side by side, or one for all")),
        });
        values.set(name, Some(pointer(*b, of_loops(&around, &at)?)));
    }
    let (at, steps) = place(*dst, index);
    if !goes(steps, ELEMENT) {
        return Err(unfit("results that lie side by side"));
    }
    values.set("dst", Some(pointer(*dst, of_loops(&around, &at)?)));
    values.number("trips", extent(tile.run));
    let lanes = width.lanes() as usize;
    let tail = u8::try_from(elements % lanes).ok().filter(|tail| *tail > 0);
    let vectors = elements.div_ceil(lanes);
    let program = Elementwise { width, vectors, formula: finish.formula, operands: reads, tail }.program();
    calls(nest, tile.run, program, &values)
}
