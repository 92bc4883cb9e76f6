//! Making two loops one.

use octrt_ops::expr::{Expr, VarId};

use super::{Rewrite, ScheduleError};
use crate::loop_ir::{Form, Kernel, Loop};

/// Fuses loop `outer` with the loop `inner` directly inside it. Gives the new kernel and the new loop.
///
/// ```text
/// for Lo in M
/// for Li in N          e(Lo, Li)
/// ->
/// for L in M * N       e(div(L, N), rem(L, N))
/// ```
///
/// Both loops have one role. They have one form, serial or unrolled, or the outer one is parallel and the inner one
/// serial; the new loop has the form of the outer one.
///
/// # Errors
/// [`ScheduleError`] for any other two loops.
pub fn fuse(k: &Kernel, outer: VarId, inner: VarId) -> Result<(Kernel, VarId), ScheduleError> {
    let rewrite = Rewrite { primitive: "fuse", kernel: k };
    let (at, below) = (rewrite.position(outer)?, rewrite.position(inner)?);
    let (a, b) = (&k.loops[at], &k.loops[below]);
    if below != at + 1 {
        return Err(rewrite.refuse_loop(
            inner,
            format!("a loop directly inside {outer}"),
            format!("loop {below}, not {}", at + 1),
        ));
    }
    if a.role != b.role {
        return Err(rewrite.refuse_loop(inner, format!("a loop like `{a}`"), format!("`{b}`")));
    }
    if !matches!(
        (a.form, b.form),
        (Form::Serial | Form::Parallel, Form::Serial) | (Form::Unrolled, Form::Unrolled)
    ) {
        return Err(rewrite.refuse_loop(inner, format!("a form that goes with {}", a.form), b.form));
    }
    let Some(extent) = a.extent.checked_mul(b.extent) else {
        return Err(rewrite.refuse_loop(inner, "a product of extents that can be counted", b.extent));
    };
    let [id, _] = rewrite.fresh()?;
    let whole = || Expr::Var(id);
    let n = Expr::int(b.extent);
    let mut result = rewrite.substitute(&[(outer, whole() / n.clone()), (inner, whole() % n)]);
    result.loops.splice(at..=below, [Loop { id, extent, role: a.role, form: a.form }]);
    Ok((rewrite.done(result)?, id))
}
