//! Definitions with a reduction: convolutions, matrix products, poolings, softmax.
//!
//! A tile of results is held in registers while the reduce loops run: along one axis as vectors, along another as
//! independent chains that use each loaded vector again.
//!
//! ```text
//! for L0 in 64  for L1 in 56  for L2 in 56  reduce L3 in 32  reduce L4 in 3  reduce L5 in 3
//! for oc/4  for L1 in 56  for ow/8  reduce L3  reduce L4  reduce L5  for 4 unrolled  for 2 unrolled  for 4 vector
//! ```

use octrt_ops::expr::VarId;

use crate::nest::{Definition, Role};
use crate::schedule::ScheduleError;
use crate::schedule::script::Schedule;
use crate::target::Target;

use super::{Axis, all_f32, axes};

/// Vectors held along the vector axis.
const VECTORS: usize = 2;
/// Results held along the other axis, beside vectors and without them.
const CHAINS: [usize; 2] = [4, 8];

/// Holds a tile of results in registers.
///
/// # Errors
/// [`ScheduleError`] when a primitive refuses: a defect.
pub fn schedule(s: &mut Schedule, d: &Definition<'_>) -> Result<(), ScheduleError> {
    let axes = axes(d);
    let lanes = vector_axis(d, &axes);
    let chains = chain_axis(&axes, lanes);
    let mut inner = Vec::new();
    if let Some(axis) = chains {
        let limit = CHAINS[usize::from(lanes.is_none())];
        let wide = if lanes.is_some_and(|a| a.extent < VECTORS * Target::LANES) { 2 * limit } else { limit };
        inner.push(tile(s, axis, wide)?);
    }
    if let Some(axis) = lanes {
        let vectors = if axis.extent >= VECTORS * Target::LANES { VECTORS } else { 1 };
        let tile = tile(s, axis, vectors * Target::LANES)?;
        if vectors > 1 {
            inner.extend(s.split(tile, Target::LANES)?);
        } else {
            inner.push(tile);
        }
    }
    inside_sums(s, &inner, lanes.is_some())
}

/// Moves the tile's loops inside the reduce loops and gives them their form.
fn inside_sums(s: &mut Schedule, inner: &[VarId], vector: bool) -> Result<(), ScheduleError> {
    let of = |role: Role| -> Vec<VarId> {
        s.nest().loops().into_iter().filter(|l| l.role == role).map(|l| l.id).collect()
    };
    let (data, reduce) = (of(Role::Data), of(Role::Reduce));
    let outer = data.into_iter().filter(|id| !inner.contains(id));
    let order: Vec<VarId> = outer.chain(reduce).chain(inner.iter().copied()).collect();
    for &l in inner {
        s.unroll(l)?;
    }
    s.reorder(&order)?;
    match inner.last() {
        Some(&lane) if vector => s.vectorize(lane),
        _ => Ok(()),
    }
}

/// Splits `axis` so that its inner loop has `width` iterations, or takes it whole when it has at most as many.
fn tile(s: &mut Schedule, axis: &Axis, width: usize) -> Result<VarId, ScheduleError> {
    if axis.extent <= width {
        return Ok(axis.id);
    }
    Ok(s.split(axis.id, width)?[1])
}

/// The axis whose results lie side by side and are made from elements that lie side by side (or are the same).
fn vector_axis<'a>(d: &Definition<'_>, axes: &'a [Axis]) -> Option<&'a Axis> {
    if !all_f32(d) {
        return None;
    }
    let good = |a: &&Axis| {
        let side_by_side = a.loads.iter().filter(|s| matches!(s, Some(0 | 1))).count();
        // One strided operand is gathered; it pays when another axis uses the vector again.
        let reused =
            || chain_axis(axes, Some(a)).is_some_and(|c| c.loads.contains(&Some(0)) && c.extent >= 4);
        a.extent >= Target::LANES
            && a.dst == Some(1)
            && (side_by_side == a.loads.len()
                || (side_by_side + 1 == a.loads.len() && a.loads.len() > 1 && reused()))
    };
    axes.iter().rev().find(good)
}

/// The axis along which the most loads stay the same, other than `vector`; of equals the innermost.
fn chain_axis<'a>(axes: &'a [Axis], vector: Option<&Axis>) -> Option<&'a Axis> {
    // A load that varies along the vector axis is the dear one: an axis along which it stays the same comes first.
    let value = |a: &Axis| -> usize {
        a.loads
            .iter()
            .enumerate()
            .filter(|(_, s)| **s == Some(0))
            .map(|(i, _)| if vector.is_some_and(|v| v.loads[i] != Some(0)) { 2 } else { 1 })
            .sum()
    };
    axes.iter()
        .filter(|a| vector.is_none_or(|v| v.id != a.id) && a.extent >= 2 && a.dst.is_some())
        .max_by_key(|a| value(a))
}
