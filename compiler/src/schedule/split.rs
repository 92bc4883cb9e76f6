//! Splitting a loop in two.

use octrt_ops::expr::{Expr, VarId};

use super::{Rule, ScheduleError, loop_of, refused};
use crate::nest::{Form, Loop, Nest, Role, Stmt, around, defines, has_call};

/// Splits loop `l` of extent `E` in tiles of `factor`. Gives the loop over tiles and the loop in a tile.
///
/// ```text
/// for L in E            e(L)
/// ->
/// for Lo in E / factor
/// for Li in factor      e(add(mul(Lo, factor), Li))                               where factor divides E
///
/// for Lo in ceil(E / factor)
/// for Li in factor      e(add(min(mul(Lo, factor), E - factor), Li))              where it does not
/// ```
///
/// In the second form the last tile begins early enough to be whole and defines some elements once more, alike.
/// A parallel loop gives a parallel loop over serial tiles, an unrolled one two unrolled loops.
///
/// # Errors
/// [`ScheduleError`] when the factor is 0 or more than the extent; when it does not divide the extent of a reduce loop (which
/// would combine values twice), of a parallel loop (whose threads would write the same elements), or of one around
/// definitions that load what they write, but for what earlier turns have written; for a vector loop, turns, and around calls.
pub fn split(nest: &mut Nest, l: VarId, factor: usize) -> Result<[VarId; 2], ScheduleError> {
    let (of, body) = loop_of("split", nest, l)?;
    let refuse =
        |expected: String, found: String| Err(refused("split", nest, Rule::Loop { id: l, expected, found }));
    let Loop { extent, role, form, .. } = *of;
    if matches!(form, Form::Vector | Form::Turn) {
        return refuse("a serial, parallel or unrolled loop".into(), of.to_string());
    }
    if has_call(body) {
        let expected = "definitions, which no call has replaced";
        return Err(refused("split", nest, Rule::Inside { id: l, expected }));
    }
    if factor == 0 || factor > extent {
        return refuse(format!("a factor from 1 to its extent {extent}"), factor.to_string());
    }
    let exact = extent.is_multiple_of(factor);
    let kind = match () {
        () if exact => None,
        () if role == Role::Reduce => Some("a reduce loop"),
        () if form == Form::Parallel => Some("a parallel loop"),
        // In turns, what is loaded was defined by an earlier turn.
        () if !in_turns(nest) && defines(body).iter().any(|d| d.loads_of(d.dst)) => {
            Some("a loop around a definition that loads what it writes")
        }
        () => None,
    };
    if let Some(kind) = kind {
        return refuse(format!("a factor that divides the extent {extent} of {kind}"), factor.to_string());
    }
    let next = nest.fresh().0;
    let ids = [VarId(next), VarId(next.saturating_add(1))];
    let start = Expr::Var(ids[0]) * Expr::int(factor);
    let start = if exact { start } else { start.min(Expr::int(extent - factor)) };
    let at = start + Expr::Var(ids[1]);
    let within = if form == Form::Parallel { Form::Serial } else { form };
    let outer = Loop { id: ids[0], extent: extent.div_ceil(factor), role, form };
    let inner = Loop { id: ids[1], extent: factor, role, form: within };
    nest.edit(l, |_, mut body| {
        body.iter_mut().for_each(|s| s.substitute(l, &at));
        around([outer, inner].into_iter(), body)
    });
    Ok(ids)
}

fn in_turns(nest: &Nest) -> bool {
    matches!(&nest.body[..], [Stmt::Loop(l, _)] if l.form == Form::Turn)
}
