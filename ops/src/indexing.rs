//! Indices that are data: integers of an input that name elements along an axis, negative ones counted from its end.

use crate::arg::Arg;
use crate::compute::{Check, Compute, Reduce, ReduceFn};
use crate::dtype::DType;
use crate::error::OpError;
use crate::expr::{BufId, CompareFn, Expr};
use crate::index::vars;
use crate::invalid;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// An axis that indices go into, and its extent.
pub type Target = (usize, usize);

/// An input of indices: all into one axis, or as many along its last axis as there are targets, each into its own.
#[derive(Clone, Debug)]
pub struct Indices<'a> {
    arg: Arg<'a>,
    targets: Vec<Target>,
    /// The indices counted from the beginning, when they are known.
    known: Option<Vec<i64>>,
}

/// What indices into a target must be.
pub fn expected((axis, n): Target) -> String {
    format!("indices: expected -{n} to {} for the extent {n} of axis {axis}", n.saturating_sub(1))
}

/// The indices counted from the beginning of their axes.
///
/// # Errors
/// [`OpError::Invalid`] when one is out of range or they are no integers.
pub fn from_the_beginning(indices: &Tensor, targets: &[Target]) -> Result<Vec<i64>, OpError> {
    let resolve = |(i, &target): (i64, &Target)| {
        let extent = i64::try_from(target.1).unwrap_or(i64::MAX);
        match if i < 0 { i + extent } else { i } {
            at if (0..extent).contains(&at) => Ok(at),
            _ => invalid!("{}, found {i}", expected(target)),
        }
    };
    indices.to_i64s()?.into_iter().zip(targets.iter().cycle()).map(resolve).collect()
}

impl<'a> Indices<'a> {
    /// The indices `arg` into the targets, of which there is at least one.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when there are indices into an axis without elements, or a known one is out of range.
    pub fn new(arg: Arg<'a>, targets: Vec<Target>) -> Result<Self, OpError> {
        if let Some((axis, _)) = targets.iter().find(|(_, n)| *n == 0 && arg.shape.numel() > 0) {
            return invalid!("indices: expected none, axis {axis} has no elements; found {}", arg.ty());
        }
        let known = arg.value.map(|t| from_the_beginning(t, &targets)).transpose()?;
        Ok(Indices { arg, targets, known })
    }

    /// The indices as a buffer of `c`: input `i`, whose range is checked when the model runs, or a table.
    ///
    /// # Errors
    /// None in practice; those of [`Tensor::new`].
    pub fn buffer(&self, c: &mut Compute, i: usize) -> Result<BufId, OpError> {
        match &self.known {
            Some(known) => Ok(c.table(Tensor::new(self.arg.shape.clone(), known)?)),
            None => {
                let b = c.input(i, &self.arg);
                let check = self.check(c, b)?;
                c.checks.push(check);
                Ok(b)
            }
        }
    }

    /// The index at `place` of the buffer, which goes into target `target`: counted from the beginning and in bounds.
    pub fn at(&self, b: BufId, place: Vec<Expr>, target: usize) -> Expr {
        let i = Expr::load(b, place);
        let n = self.targets[target].1;
        match (&self.known, self.targets.len()) {
            (Some(_), 1) => return i,
            // The bounds of the table are those of all targets.
            (Some(_), _) => return i.clamp(0, n as i64 - 1),
            (None, _) => {}
        }
        let i = if self.arg.dtype == DType::I64 { i } else { i.cast(DType::I64) };
        let from_end = i.clone() + Expr::int(n);
        let i = Expr::compare(CompareFn::Lt, i.clone(), Expr::int(0)).select(from_end, i);
        i.clamp(0, n as i64 - 1)
    }

    /// That every index is in range.
    fn check(&self, c: &mut Compute, b: BufId) -> Result<Check, OpError> {
        let rank = self.arg.shape.rank();
        let i = Expr::load(b, vars(rank)).cast(DType::I64);
        let (extent, message) = match self.targets[..] {
            [target] => (Expr::int(target.1), expected(target)),
            _ => {
                let extents: Vec<i64> = self.targets.iter().map(|t| t.1 as i64).collect();
                let table = c.table(Tensor::new([extents.len()], &extents)?);
                let message = format!("indices: expected -n to n - 1 for each n of the extents {extents:?}");
                (Expr::load(table, [Expr::var(rank - 1)]), message)
            }
        };
        let lowest = Expr::int(0) - extent.clone();
        let above = Expr::compare(CompareFn::Ge, i.clone(), lowest);
        let inside = above.and(Expr::compare(CompareFn::Lt, i, extent));
        Ok(check_all(c, self.arg.shape, inside, format!("{message}, found another")))
    }
}

/// A check that `holds`, of the elements of a tensor of this shape, is true of all of them.
pub fn check_all(c: &mut Compute, shape: &Shape, holds: Expr, message: String) -> Check {
    let reduce = Reduce {
        extents: shape.dims().to_vec(),
        combine: ReduceFn::Min,
        init: Expr::int(1),
        finish: Expr::compare(CompareFn::Eq, Expr::Acc, Expr::int(1)),
    };
    let ty = TensorType::new(DType::Bool, Shape::scalar());
    let ok = c.reduce("in range", ty, reduce, holds.select(Expr::int(1), Expr::int(0)));
    Check { ok, message }
}
