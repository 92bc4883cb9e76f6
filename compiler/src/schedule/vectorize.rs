//! Making a loop the lanes of a vector.

use octrt_ops::expr::VarId;

use super::{Rewrite, ScheduleError};
use crate::loop_ir::{Form, Kernel};

/// Makes the innermost loop, a serial or unrolled data loop of extent [`Target::LANES`](crate::Target::LANES), the
/// lanes of a vector.
///
/// ```text
/// for L in 4
/// ->
/// for L in 4 vector
/// ```
///
/// # Errors
/// [`ScheduleError`] for any other loop.
pub fn vectorize(k: &Kernel, l: VarId) -> Result<Kernel, ScheduleError> {
    let rewrite = Rewrite { primitive: "vectorize", kernel: k };
    let at = rewrite.data_loop(l)?;
    if !matches!(k.loops[at].form, Form::Serial | Form::Unrolled) {
        return Err(rewrite.refuse_loop(l, "a serial or unrolled loop", k.loops[at].form));
    }
    let mut result = k.clone();
    result.loops[at].form = Form::Vector;
    rewrite.done(result)
}
