//! Ranges of index expressions, as the compiler finds them, and the proof that loads are in bounds.

use octrt_ops::compute::{BufferKind, Compute, Stage};
use octrt_ops::expr::{BinaryFn, BufId, Expr, Scalar, VarId};
use octrt_ops::{DType, Tensor};

/// A closed range; `None` when nothing is known.
type Range = Option<(i128, i128)>;

/// Proves that every load of `stage` is in bounds and reads an input, a table or one of `defined`.
///
/// # Errors
/// The load that is not.
pub fn prove(c: &Compute, stage: &Stage, defined: &[BufId]) -> Result<(), String> {
    // Where nothing runs because an extent is 0, loads must be provable all the same: one step is assumed.
    let axes = stage.update.as_ref().map_or(c.ty(stage.dst).shape.dims(), |u| &u.extents);
    let dims: Vec<usize> = axes.iter().map(|&d| d.max(1)).collect();
    let mut with_reduced = dims.clone();
    with_reduced.extend(stage.reduce.iter().flat_map(|r| r.extents.iter().map(|&d| d.max(1))));
    Prover { c, extents: &with_reduced, defined }.expression(&stage.body)?;
    if let Some(u) = &stage.update {
        Prover { c, extents: &dims, defined }.expression(&Expr::Load(stage.dst, u.index.clone()))?;
    }
    if let Some(r) = &stage.reduce {
        let outer = Prover { c, extents: &dims, defined };
        outer.expression(&r.init)?;
        outer.expression(&r.finish)?;
    }
    Ok(())
}

struct Prover<'a> {
    c: &'a Compute,
    extents: &'a [usize],
    defined: &'a [BufId],
}

impl Prover<'_> {
    fn expression(&self, e: &Expr) -> Result<(), String> {
        let mut bad = None;
        e.visit(&mut |e| match e {
            Expr::Load(b, index) if !self.in_bounds(*b, index) => bad = bad.take().or(Some(e.to_string())),
            Expr::Var(VarId(v)) if *v as usize >= self.extents.len() => bad = Some(e.to_string()),
            _ => {}
        });
        bad.map_or(Ok(()), |e| Err(format!("cannot prove {e} in bounds, variables {:?}", self.extents)))
    }

    fn in_bounds(&self, b: BufId, index: &[Expr]) -> bool {
        let buffer = &self.c.buffers[b.0 as usize];
        let known = buffer.kind != BufferKind::Stage || self.defined.contains(&b);
        let inside = |(e, &d): (&Expr, &usize)| match self.range(e) {
            Some((lo, hi)) => 0 <= lo && hi < d as i128,
            None => false,
        };
        let shape = &buffer.ty.shape;
        known && index.len() == shape.rank() && index.iter().zip(shape.iter()).all(inside)
    }

    fn range(&self, e: &Expr) -> Range {
        match e {
            Expr::Const(Scalar::I64(v)) => Some(((*v).into(), (*v).into())),
            Expr::Var(v) => Some((0, *self.extents.get(v.0 as usize)? as i128 - 1)),
            Expr::Load(b, _) => match &self.c.buffers[b.0 as usize].kind {
                BufferKind::Table(t) => table_range(t),
                _ => None,
            },
            Expr::Binary(f, a, b) => binary(*f, self.range(a), self.range(b)),
            Expr::Select(_, a, b) => {
                let ((a, b), (c, d)) = (self.range(a)?, self.range(b)?);
                Some((a.min(c), b.max(d)))
            }
            _ => None,
        }
    }
}

fn table_range(t: &Tensor) -> Range {
    if t.dtype() != DType::I64 {
        return None;
    }
    let v = t.to_i64s().ok()?;
    Some(((*v.iter().min()?).into(), (*v.iter().max()?).into()))
}

fn binary(f: BinaryFn, a: Range, b: Range) -> Range {
    if let (BinaryFn::Min, Some((_, hi)), None) | (BinaryFn::Min, None, Some((_, hi))) = (f, a, b) {
        return Some((i64::MIN.into(), hi));
    }
    if let (BinaryFn::Max, Some((lo, _)), None) | (BinaryFn::Max, None, Some((lo, _))) = (f, a, b) {
        return Some((lo, i64::MAX.into()));
    }
    let ((a, b), (c, d)) = (a?, b?);
    let (lo, hi) = match f {
        BinaryFn::Add => (a + c, b + d),
        BinaryFn::Sub => (a - d, b - c),
        BinaryFn::Mul => {
            let products = [a * c, a * d, b * c, b * d];
            (*products.iter().min()?, *products.iter().max()?)
        }
        BinaryFn::Min => (a.min(c), b.min(d)),
        BinaryFn::Max => (a.max(c), b.max(d)),
        BinaryFn::Div if c == d && c > 0 => (a / c, b / c),
        BinaryFn::Rem if c == d && c > 0 && a >= 0 => (if b < c { a } else { 0 }, b.min(c - 1)),
        BinaryFn::Rem if c == d && c > 0 => (-(c - 1), c - 1),
        _ => return None,
    };
    // Beyond i64 the arithmetic wraps.
    (lo >= i64::MIN.into() && hi <= i64::MAX.into()).then_some((lo, hi))
}
