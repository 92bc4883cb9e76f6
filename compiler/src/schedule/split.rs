//! Splitting a loop in two.

use octrt_ops::expr::{Expr, VarId};

use super::{Rewrite, ScheduleError};
use crate::loop_ir::{Form, Kernel, Loop, Role};

/// Splits loop `l` of extent `E` in tiles of `factor`. Gives the new kernel, the loop over tiles, the loop in a tile.
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
/// [`ScheduleError`] when the factor is 0, or the extent or more; when it does not divide the extent of a reduce loop
/// (which would combine values twice) or of a parallel loop (whose threads would write the same elements); for a
/// vector loop.
pub fn split(k: &Kernel, l: VarId, factor: usize) -> Result<(Kernel, VarId, VarId), ScheduleError> {
    let rewrite = Rewrite { primitive: "split", kernel: k };
    let at = rewrite.position(l)?;
    let Loop { extent, role, form, .. } = k.loops[at];
    let exact = extent.checked_rem(factor) == Some(0);
    if factor == 0 || factor >= extent {
        return Err(rewrite.refuse_loop(
            l,
            format!("a factor from 1 to less than its extent {extent}"),
            factor,
        ));
    }
    if !exact && (role == Role::Reduce || form == Form::Parallel) {
        let kind = if role == Role::Reduce { "reduce" } else { "parallel" };
        return Err(rewrite.refuse_loop(
            l,
            format!("a factor that divides the extent {extent} of a {kind} loop"),
            factor,
        ));
    }
    if form == Form::Vector {
        return Err(rewrite.refuse_loop(l, "a loop that is not yet a vector", form));
    }
    let [outer, inner] = rewrite.fresh()?;
    let start = Expr::Var(outer) * Expr::int(factor);
    let start = if exact { start } else { start.min(Expr::int(extent - factor)) };
    let mut result = rewrite.substitute(&[(l, start + Expr::Var(inner))]);
    let within = if form == Form::Parallel { Form::Serial } else { form };
    let pair = [
        Loop { id: outer, extent: extent.div_ceil(factor), role, form },
        Loop { id: inner, extent: factor, role, form: within },
    ];
    result.loops.splice(at..=at, pair);
    Ok((rewrite.done(result)?, outer, inner))
}
