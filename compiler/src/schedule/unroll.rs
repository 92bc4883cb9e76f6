//! Unrolling a loop.

use octrt_ops::expr::VarId;

use super::{Rewrite, ScheduleError};
use crate::loop_ir::{Form, Kernel};

/// Makes a serial loop straight-line code.
///
/// ```text
/// for L in 4
/// ->
/// for L in 4 unrolled
/// ```
///
/// # Errors
/// [`ScheduleError`] for a loop that is not serial.
pub fn unroll(k: &Kernel, l: VarId) -> Result<Kernel, ScheduleError> {
    let rewrite = Rewrite { primitive: "unroll", kernel: k };
    let at = rewrite.position(l)?;
    if k.loops[at].form != Form::Serial {
        return Err(rewrite.refuse_loop(l, "a serial loop", k.loops[at].form));
    }
    let mut result = k.clone();
    result.loops[at].form = Form::Unrolled;
    rewrite.done(result)
}
