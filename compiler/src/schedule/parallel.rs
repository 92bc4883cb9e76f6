//! Giving a loop to the threads.

use octrt_ops::expr::VarId;

use super::{Rule, ScheduleError, loop_of, refused};
use crate::nest::{Form, Loop, Nest, Role, Stmt};

/// Splits the iterations of the outermost loop, a serial data loop, between threads.
///
/// ```text
/// for L in 32
/// ->
/// for L in 32 parallel
/// ```
///
/// That iterations write different elements is proved when the nest is [verified](crate::nest::verify).
///
/// # Errors
/// [`ScheduleError`] for any other loop.
pub fn parallel(nest: &mut Nest, l: VarId) -> Result<(), ScheduleError> {
    let (of, _) = loop_of("parallel", nest, l)?;
    let outermost = matches!(&nest.body[..], [Stmt::Loop(first, _)] if first.id == l);
    if !outermost || of.role != Role::Data || of.form != Form::Serial {
        let (expected, found) = ("the outermost loop, a serial data loop".into(), of.to_string());
        return Err(refused("parallel", nest, Rule::Loop { id: l, expected, found }));
    }
    nest.edit(l, |of, body| vec![Stmt::Loop(Loop { form: Form::Parallel, ..of }, body)]);
    Ok(())
}
