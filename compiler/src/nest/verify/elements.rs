//! What a definition touches of `Dst`, said as for calls: a slot for each place, and a footprint around it.
//!
//! ```text
//! for L0 in 4 parallel { for L1 in 9 { .. for L2 in 6 { for L3 in 8 { b3[0, L0, L1, L2, L3] = max(b3[..], 0) } } } }
//!                                         slot b3 + 1728*L0 + 192*L1, moved by 32 * {0..6}: 32 bytes, read and written
//! ```

use octrt_ops::expr::{BufId, Expr};

use super::table::ELEMENT;
use crate::leaf::SlotId;
use crate::leaf::footprint::{Footprint, Piece, Term, normal};
use crate::nest::affine::Affine;
use crate::nest::{BufferRole, Definition, Distance, SlotValue};

/// The elements of one definition.
pub(super) struct Elements {
    /// The buffer that is written.
    pub(super) dst: BufId,
    /// Where the elements lie in the first iterations of the definition's own loops, one slot for each place in `Dst`.
    pub(super) slots: Vec<SlotValue>,
    /// What lies there.
    pub(super) footprints: Vec<Footprint>,
    /// How the definition's own loops move each slot.
    pub(super) loops: Vec<Vec<Term>>,
}

impl Elements {
    /// Of a definition that keeps the rules, whose first `around` loops hold other statements too.
    pub(super) fn of(d: &Definition<'_>, around: usize) -> Result<Elements, String> {
        let mut out =
            Elements { dst: d.define.dst, slots: Vec::new(), footprints: Vec::new(), loops: Vec::new() };
        let wanted = |b: BufId| d.buffer(b).is_some_and(|b| b.role == BufferRole::Dst);
        let loads = d.define.loads().into_iter().map(|(b, index)| (b, index, false));
        let places = loads.chain([(d.define.dst, &d.define.index[..], true)]);
        for (b, index, store) in places.filter(|(b, ..)| wanted(*b)) {
            let (slot, loops, bytes) = place(d, around, b, index)?;
            let piece = Piece { byte: 0, entry: None, terms: Vec::new(), bytes };
            let known = (0..out.slots.len()).find(|i| out.slots[*i] == slot && out.loops[*i] == loops);
            let at = known.unwrap_or_else(|| {
                let id = SlotId(out.slots.len() as u16);
                out.footprints.push(Footprint { slot: id, table: None, reads: vec![], writes: vec![] });
                out.slots.push(slot);
                out.loops.push(loops);
                out.slots.len() - 1
            });
            let footprint = &mut out.footprints[at];
            let pieces = if store { &mut footprint.writes } else { &mut footprint.reads };
            if !pieces.contains(&piece) {
                pieces.push(piece);
                pieces.sort_unstable();
            }
        }
        Ok(out)
    }
}

/// Where the element at an index lies at the first iterations of the definition's own loops, how those move it, and the
/// bytes from there that are lanes.
fn place(
    d: &Definition<'_>,
    around: usize,
    b: BufId,
    index: &[Expr],
) -> Result<(SlotValue, Vec<Term>, i64), String> {
    let Some(ty) = d.buffer(b).map(|b| &b.ty) else { return Err(format!("there is no {b}")) };
    if ty.dtype.size() as i64 != ELEMENT {
        return Err(format!(
            "{b}: expected elements of {ELEMENT} bytes beside other statements, found {}",
            ty.dtype
        ));
    }
    let sum = Affine::flat(&ty.shape, index);
    let bytes =
        |elements: i64| elements.checked_mul(ELEMENT).ok_or_else(|| format!("{b}: a distance too far"));
    let mut at = Distance::new(bytes(sum.constant)?);
    let mut terms = Vec::new();
    for (factor, atom) in &sum.terms {
        let Expr::Var(l) = atom else {
            return Err(format!("{b}: expected a sum of loops beside other statements, found `{atom}`"));
        };
        let step = bytes(*factor)?;
        match d.loops[around..].iter().find(|own| own.id == *l) {
            Some(own) => terms.push(Term { step, table_step: 0, extent: own.extent as i64 }),
            None => at = at.plus(*l, step),
        }
    }
    // Lanes are one run, as they are for leaf programs.
    let row = ELEMENT * ty.shape.dims().last().map_or(1, |n| *n as i64);
    let mut run = ELEMENT;
    while run < row
        && let Some(i) = terms.iter().position(|t| t.step == run)
    {
        run *= terms.swap_remove(i).extent;
    }
    normal(&mut at.base, &mut 0, &mut terms);
    Ok((SlotValue::Pointer(b, at), terms, run))
}
