//! Making one loop of several.

use octrt_ops::expr::{Expr, VarId};

use super::{Rule, ScheduleError, refused, unwrapped};
use crate::nest::{Form, Loop, Nest, Stmt};

/// Makes one loop of loops directly inside each other, outermost first. Gives the new loop.
///
/// ```text
/// for Lo in M
/// for Li in N          e(Lo, Li)
/// ->
/// for L in M * N       e(div(L, N), rem(L, N))
/// ```
///
/// The loops have one role. They are all serial or all unrolled, or the outermost is parallel and the others are serial; the
/// new loop has the form of the outermost. One loop is left as it is.
///
/// # Errors
/// [`ScheduleError`] for any other loops, and where a call is inside.
pub fn fuse(nest: &mut Nest, loops: &[VarId]) -> Result<VarId, ScheduleError> {
    let Some(&first) = loops.first() else { return Err(refused("fuse", nest, Rule::Order(0))) };
    let whole = nest.find(first).ok_or_else(|| refused("fuse", nest, Rule::Unknown(first)))?;
    if loops.len() == 1 {
        return Ok(first);
    }
    let (chain, define) = whole.chain();
    let refuse = |id, expected| Err(refused("fuse", nest, Rule::Inside { id, expected }));
    if chain.len() < loops.len() || chain.iter().zip(loops).any(|(l, id)| l.id != *id) {
        return refuse(first, "the other loops directly inside, in this order");
    }
    if define.is_none() {
        return refuse(first, "a perfect nest of one definition");
    }
    let fused = &chain[..loops.len()];
    for l in &fused[1..] {
        let goes = match fused[0].form {
            Form::Serial | Form::Parallel => l.form == Form::Serial,
            Form::Unrolled => l.form == Form::Unrolled,
            Form::Vector | Form::Turn => false,
        };
        if !goes || l.role != fused[0].role {
            let (expected, found) = (format!("a loop that goes with `{}`", fused[0]), l.to_string());
            return Err(refused("fuse", nest, Rule::Loop { id: l.id, expected, found }));
        }
    }
    let extent = fused.iter().try_fold(1usize, |n, l| n.checked_mul(l.extent));
    let Some(extent) = extent.filter(|n| i64::try_from(*n).is_ok()) else {
        return refuse(first, "a product of extents that can be counted");
    };
    let id = nest.fresh();
    // The last loop moves fastest.
    let mut values = Vec::new();
    let mut rest = Expr::Var(id);
    for (i, l) in fused.iter().enumerate().rev() {
        let n = Expr::int(l.extent);
        values.push((l.id, if i == 0 { rest.clone() } else { rest.clone() % n.clone() }));
        rest = rest / n;
    }
    let count = loops.len();
    nest.edit(first, |l, body| {
        let (_, mut inner) = unwrapped(l.clone(), body, count);
        let mut place = |e: &Expr| match e {
            Expr::Var(v) => values.iter().find(|(l, _)| l == v).map(|(_, e)| e.clone()),
            _ => None,
        };
        inner.iter_mut().for_each(|s| s.each_define(&mut |d| d.rewrite(&mut place)));
        vec![Stmt::Loop(Loop { id, extent, ..l }, inner)]
    });
    Ok(id)
}
