//! Input channels that a table names.

use octrt_ops::expr::{Expr, VarId};

use super::walk::Digit;
use super::{outside, unfit};
use crate::nest::Nest;
use crate::nest::affine::Affine;
use crate::nest::{Buffer, BufferRole};
use crate::strategy::refusal::Refusal;

/// The part of a distance that elements of a table decide.
pub(super) struct Named {
    /// Bytes for each element of the table.
    pub(super) distances: Vec<i64>,
    /// Position of the first element that the loops inside the tile read.
    pub(super) first: Affine,
}

impl Named {
    /// What elements of a table have to do with a distance, taken out of it; the loop `l` reads them one after the other, the
    /// loops `others` of the tile leave them as they are.
    ///
    /// # Errors
    /// [`Refusal::Tensorize`] where it is not one element that decides, or they are read in another order.
    pub(super) fn take(
        nest: &Nest,
        at: &mut Affine,
        l: VarId,
        others: &[VarId],
    ) -> Result<Option<Named>, Refusal> {
        let terms: Vec<(i64, Expr)> = at.terms.extract_if(.., |(_, atom)| loads(atom)).collect();
        let digits: Vec<(i64, Digit<'_>)> = terms.iter().map(|(c, e)| (*c, Digit::new(e))).collect();
        let Some((_, Digit { of: element, .. })) = digits.first() else { return Ok(None) };
        let of_one = digits.iter().all(|(_, d)| d.of == *element);
        let table = match element {
            Expr::Load(b, index) if of_one => nest.buffers.get(b.0 as usize).map(|b| (b, index)),
            _ => None,
        };
        let Some((Buffer { ty, role: BufferRole::Table(table), .. }, index)) = table else {
            return Err(unfit("input channels that are elements of one table"));
        };
        let elements = table.to_i64s().map_err(|_| Refusal::Defect("a table that holds no numbers"))?;
        let distance = |n: i64| digits.iter().map(|(c, digit)| c * digit.part(n)).sum();
        let distances = elements.into_iter().map(distance).collect();
        let mut first = Affine::flat(&ty.shape, index);
        let strides: Vec<(VarId, i64)> = others.iter().map(|l| (*l, 0)).chain([(l, 1)]).collect();
        outside(nest, &mut first, &strides, "a table that the loop over its channels reads in order")?;
        Ok(Some(Named { distances, first }))
    }
}

fn loads(e: &Expr) -> bool {
    let mut found = false;
    e.visit(&mut |e| found |= matches!(e, Expr::Load(..)));
    found
}
