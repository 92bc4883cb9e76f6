//! Making a loop the lanes of a vector.

use octrt_ops::expr::VarId;

use super::{Rule, ScheduleError, loop_of, refused};
use crate::nest::{Form, Loop, Nest, Role, Stmt};
use crate::target::Target;

/// Makes the innermost loop, a serial or unrolled data loop of extent [`Target::LANES`], the lanes of a vector.
///
/// ```text
/// for L in 4
/// ->
/// for L in 4 vector
/// ```
///
/// That lanes are stored side by side is proved when the nest is [verified](crate::nest::verify).
///
/// # Errors
/// [`ScheduleError`] for any other loop.
pub fn vectorize(nest: &mut Nest, l: VarId) -> Result<(), ScheduleError> {
    let (of, body) = loop_of("vectorize", nest, l)?;
    let form = matches!(of.form, Form::Serial | Form::Unrolled);
    if of.role != Role::Data || !form || of.extent != Target::LANES {
        let expected = format!("a serial or unrolled data loop of extent {}", Target::LANES);
        return Err(refused("vectorize", nest, Rule::Loop { id: l, expected, found: of.to_string() }));
    }
    if !matches!(body, [Stmt::Define(_)]) {
        let expected = "one definition, with no loop around it";
        return Err(refused("vectorize", nest, Rule::Inside { id: l, expected }));
    }
    nest.edit(l, |of, body| vec![Stmt::Loop(Loop { form: Form::Vector, ..of }, body)]);
    Ok(())
}
