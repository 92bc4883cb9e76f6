//! Definitions without reduction: each element is made from a few others.
//!
//! ```text
//! for L0 in 64  for L1 in 56  for L2 in 56          b1[..] = f(b0[L0, L1, L2])
//! for L0 in 64  for L1 in 56  for L3 in 14  for L4 in 4 vector
//! ```

use octrt_ops::expr::VarId;

use crate::nest::{Definition, lanes};
use crate::schedule::ScheduleError;
use crate::schedule::script::Schedule;
use crate::target::Target;

use super::{all_f32, axes};

/// Whether vectors of other types than f32 serve the definition.
fn at_once(d: &Definition<'_>, lane: VarId) -> bool {
    lanes::stores(d.dst_ty().dtype) && lanes::together(d, &d.define.value, lane)
}

/// Vectorises the innermost loop where it walks through memory one element at a time.
///
/// # Errors
/// [`ScheduleError`] when a primitive refuses: a defect.
pub fn schedule(s: &mut Schedule, d: &Definition<'_>) -> Result<(), ScheduleError> {
    let Some(inner) = axes(d).pop() else { return Ok(()) };
    let contiguous = inner.dst == Some(1) && inner.loads.iter().all(|s| matches!(s, Some(0 | 1)));
    if !contiguous || !(all_f32(d) || at_once(d, inner.id)) || inner.extent < Target::LANES {
        return Ok(());
    }
    let lane = if inner.extent == Target::LANES { inner.id } else { s.split(inner.id, Target::LANES)?[1] };
    s.vectorize(lane)
}
