//! Unrolling a loop.

use octrt_ops::expr::VarId;

use super::{Rule, ScheduleError, loop_of, refused};
use crate::nest::{Form, Loop, Nest, Stmt, has_call};

/// Makes a serial loop straight-line code.
///
/// ```text
/// for L in 4
/// ->
/// for L in 4 unrolled
/// ```
///
/// # Errors
/// [`ScheduleError`] for a loop that is not serial, and around calls.
pub fn unroll(nest: &mut Nest, l: VarId) -> Result<(), ScheduleError> {
    let (of, body) = loop_of("unroll", nest, l)?;
    if of.form != Form::Serial {
        let (expected, found) = ("a serial loop".into(), of.to_string());
        return Err(refused("unroll", nest, Rule::Loop { id: l, expected, found }));
    }
    if has_call(body) {
        let expected = "definitions, which no call has replaced";
        return Err(refused("unroll", nest, Rule::Inside { id: l, expected }));
    }
    nest.edit(l, |of, body| vec![Stmt::Loop(Loop { form: Form::Unrolled, ..of }, body)]);
    Ok(())
}
