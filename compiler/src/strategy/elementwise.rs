//! Kernels without reduction: each element is made from a few others.
//!
//! ```text
//! for L0 in 64  for L1 in 56  for L2 in 56          b1[..] = f(b0[L0, L1, L2])
//! for L0 in 64  for L1 in 56  for L3 in 14  for L4 in 4 vector
//! ```

use octrt_ops::expr::VarId;

use crate::loop_ir::{Kernel, lanes};
use crate::schedule::{ScheduleError, split, vectorize};
use crate::target::Target;

use super::{all_f32, axes};

/// Whether vectors of other types than f32 serve the kernel.
fn at_once(kernel: &Kernel, lane: VarId) -> bool {
    lanes::stores(kernel.dst_ty().dtype) && lanes::together(kernel, &kernel.body, lane)
}

/// Vectorises the innermost loop where it walks through memory one element at a time.
///
/// # Errors
/// [`ScheduleError`] when a primitive refuses: a defect.
pub fn schedule(kernel: &Kernel) -> Result<Kernel, ScheduleError> {
    let Some(inner) = axes(kernel).pop() else { return Ok(kernel.clone()) };
    let contiguous = inner.dst == Some(1) && inner.loads.iter().all(|s| matches!(s, Some(0 | 1)));
    if !contiguous || !(all_f32(kernel) || at_once(kernel, inner.id)) || inner.extent < Target::LANES {
        return Ok(kernel.clone());
    }
    if inner.extent == Target::LANES {
        return vectorize::vectorize(kernel, inner.id);
    }
    let (k, _, lane) = split::split(kernel, inner.id, Target::LANES)?;
    vectorize::vectorize(&k, lane)
}
