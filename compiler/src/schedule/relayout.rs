//! Changing how a tensor lies in memory.

use octrt_ops::TensorType;
use octrt_ops::expr::{BufId, Expr, VarId};

use super::{Rule, ScheduleError, refused};
use crate::nest::index::resolve;
use crate::nest::{BufferRole, Define, Nest, defines, has_call};

/// Cuts a dimension of a buffer into blocks, whose places become the last dimension.
///
/// ```text
/// out b1: f32[16,5,6]    b1[L0, L1, L2]
/// -> relayout b1 dimension 0 by 8
/// out b1: f32[2,5,6,8]   b1[div(L0, 8), L1, L2, rem(L0, 8)]
/// ```
///
/// Quotients and remainders that bounds tell are taken: `L0` split by 8 before gives `b1[L3, L1, L2, L4]`.
///
/// # Errors
/// [`ScheduleError`] for a buffer that is neither read nor written as a whole tensor, a dimension that it does not have, a size
/// that does not divide it, and where calls have taken the place of definitions.
pub fn relayout(nest: &mut Nest, buffer: BufId, dim: usize, by: usize) -> Result<(), ScheduleError> {
    const NAME: &str = "relayout";
    let refuse = |expected: &'static str, found: String| {
        Err(refused(NAME, nest, Rule::Buffer { id: buffer, expected, found }))
    };
    let ty = match nest.buffers.get(buffer.index()) {
        Some(b) if !matches!(b.role, BufferRole::Table(_)) => b.ty.clone(),
        Some(b) => return refuse("a tensor", format!("`{}`", b.role.word())),
        None => return refuse("a tensor", "none".into()),
    };
    let mut dims = ty.shape.dims().to_vec();
    let Some(extent) = dims.get(dim).copied() else {
        return refuse("a dimension that it has", format!("dimension {dim} of {ty}"));
    };
    if by == 0 || extent % by != 0 {
        return refuse("a size that divides its dimension", format!("{by} of {extent}"));
    }
    let other_rank = |d: &&Define| {
        let all = d.loads().into_iter().chain([(d.dst, &d.index[..])]);
        all.into_iter().any(|(b, index)| b == buffer && index.len() != dims.len())
    };
    if has_call(&nest.body) || defines(&nest.body).iter().any(other_rank) {
        return refuse("definitions that index it by its dimensions", "others".into());
    }
    dims[dim] = extent / by;
    dims.push(by);
    let known: Vec<(VarId, usize)> = nest.loops().iter().map(|l| (l.id, l.extent)).collect();
    let extents = |v: VarId| known.iter().find(|(l, _)| *l == v).map(|(_, n)| *n);
    let moved = |index: &[Expr]| -> Vec<Expr> {
        let mut index = index.to_vec();
        let n = Expr::int(by);
        let within = resolve(&(index[dim].clone() % n.clone()), &extents);
        index[dim] = resolve(&(index[dim].clone() / n), &extents);
        index.push(within);
        index
    };
    nest.buffers[buffer.index()].ty = TensorType::new(ty.dtype, dims);
    let mut load = |e: &Expr| match e {
        Expr::Load(b, index) if *b == buffer => Some(Expr::load(*b, moved(index))),
        _ => None,
    };
    for s in &mut nest.body {
        s.each_define(&mut |d| {
            d.rewrite(&mut load);
            if d.dst == buffer {
                d.index = moved(&d.index);
            }
        });
    }
    Ok(())
}
