//! Making a leaf program of what is inside a loop.
//!
//! ```text
//! for L9 in 6 { for L10 in 2 { for L5 in 8 { reduce L6 in 4 { reduce L7 in 3 { reduce L8 in 3 { reduce L11 in 8 {
//!   b3[..]  init b2[..]  sum mul(b0[..], b1[..])  finish max(acc, 0)
//! -> tensorize L9
//! call "conv_6x16" (src = b0 + .., wei = b1 + .., bias = b2 + .., dst = b3 + .., ic = 4, kh = 3)
//! ```
//!
//! Where things lie follows from the definition's indices: strides of the loops inside become the leaf's distances, the
//! loops outside those of the call. An index that is a quotient or a remainder, as positions in fused loops are, becomes a
//! table of distances, and so does one with an element of a table. What the leaf computes is what the loops do: every stride
//! that it takes for granted is checked, else the primitive refuses.

use octrt_ops::DType;
use octrt_ops::expr::{BufId, Expr, VarId};

use crate::nest::affine::Affine;
use crate::nest::{Buffer, BufferRole, Define, Distance, Loop, Nest, Role};
use crate::strategy::refusal::Refusal;

mod call;
pub mod conv;
pub mod copy;
pub mod elementwise;
mod finish;
mod named;
mod walk;
pub mod window;

pub use walk::Tables;
use walk::{distance_of, of_loops, take};

/// The distance of an element from the beginning of a buffer, with these loops around it.
pub(crate) fn address(
    nest: &Nest,
    around: &[&Loop],
    buffer: BufId,
    index: &[Expr],
) -> Result<Distance, Refusal> {
    of_loops(around, &distance_of(nest, buffer, index))
}

/// What the end of a sum would have to be.
const FORMULA: &str = "a formula that leaf programs compute, of the result and a few elements";

/// A refusal: what the loops of the tile would have to be.
fn unfit(expected: &'static str) -> Refusal {
    Refusal::Tensorize(expected)
}

/// The definition inside the loops of a tile: `data` in any order, the first of them outermost, and `sum` in the order in which
/// the leaf adds, none of which has another loop beside or between.
fn inside<'a>(nest: &'a Nest, data: &[VarId], sum: &[VarId]) -> Result<&'a Define, Refusal> {
    let whole = data.first().and_then(|l| nest.find(*l)).ok_or(unfit("a loop that is there"))?;
    let (loops, define) = whole.chain();
    let define = define.ok_or(unfit("loops around one definition, each directly in the one before"))?;
    let of = |role| loops.iter().filter(move |l| l.role == role).map(|l| l.id);
    let all = of(Role::Data).count() == data.len() && of(Role::Data).all(|l| data.contains(&l));
    if !all || loops.len() != data.len() + sum.len() {
        return Err(unfit("the loops of a tile, and no others"));
    }
    if !of(Role::Reduce).eq(sum.iter().copied()) {
        return Err(unfit("a sum in the order of the leaf: blocks of channels, window, channels"));
    }
    let is_f32 = |b: BufId| match nest.buffers.get(b.0 as usize) {
        Some(Buffer { role: BufferRole::Table(_), ty, .. }) => ty.dtype == DType::I64,
        Some(b) => b.ty.dtype == DType::F32,
        None => false,
    };
    let mut all_f32 = is_f32(define.dst);
    let mut look = |e: &Expr| all_f32 &= !matches!(e, Expr::Load(b, _) if !is_f32(*b));
    define.expressions().for_each(|e| e.visit(&mut look));
    if all_f32 { Ok(define) } else { Err(unfit("tensors of f32 and tables of i64")) }
}

/// Takes loops inside a tile out of a distance, in which it must grow with them as `expected`; those of one iteration may
/// have any stride.
fn outside(
    nest: &Nest,
    at: &mut Affine,
    expected: &[(VarId, i64)],
    what: &'static str,
) -> Result<(), Refusal> {
    let fits = expected.iter().all(|&(l, bytes)| {
        let found = take(at, l);
        found == bytes || nest.extent(l) == Some(1)
    });
    if fits { Ok(()) } else { Err(unfit(what)) }
}
