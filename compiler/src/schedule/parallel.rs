//! Giving a loop to the threads.

use octrt_ops::expr::VarId;

use super::{Rewrite, ScheduleError};
use crate::loop_ir::{Form, Kernel};

/// Splits the iterations of the outermost loop, a serial data loop, between threads.
///
/// ```text
/// for L in 32
/// ->
/// for L in 32 parallel
/// ```
///
/// # Errors
/// [`ScheduleError`] for any other loop, and where two iterations may write the same element.
pub fn parallel(k: &Kernel, l: VarId) -> Result<Kernel, ScheduleError> {
    let rewrite = Rewrite { primitive: "parallel", kernel: k };
    let at = rewrite.data_loop(l)?;
    if k.loops[at].form != Form::Serial {
        return Err(rewrite.refuse_loop(l, "a serial loop", k.loops[at].form));
    }
    let mut result = k.clone();
    result.loops[at].form = Form::Parallel;
    rewrite.done(result)
}
