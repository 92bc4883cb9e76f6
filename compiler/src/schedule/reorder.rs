//! Changing the order of loops.

use octrt_ops::expr::VarId;

use super::{Rewrite, Rule, ScheduleError};
use crate::loop_ir::{Kernel, Role};

/// Puts the loops in a new order, outermost first, that names each loop once.
///
/// ```text
/// for L0 in 8  for L1 in 4 unrolled  reduce L2 in 9
/// -> reorder L0 L2 L1
/// for L0 in 8  reduce L2 in 9  for L1 in 4 unrolled
/// ```
///
/// A data loop that moves inside a reduce loop must be unrolled or a vector before: it holds accumulators.
///
/// # Errors
/// [`ScheduleError`] when the order is not one of all loops, when reduce loops change places (sums would be rounded
/// differently), or when a loop is where its form does not allow it.
pub fn reorder(k: &Kernel, order: &[VarId]) -> Result<Kernel, ScheduleError> {
    let rewrite = Rewrite { primitive: "reorder", kernel: k };
    let mut positions = Vec::with_capacity(order.len());
    for &id in order {
        let at = rewrite.position(id)?;
        if positions.contains(&at) {
            return Err(rewrite.refuse_loop(id, "each loop once in the new order", "it twice"));
        }
        positions.push(at);
    }
    if positions.len() != k.loops.len() {
        return Err(rewrite.refuse(Rule::Order(positions.len())));
    }
    let reduce: Vec<usize> =
        positions.iter().copied().filter(|&at| k.loops[at].role == Role::Reduce).collect();
    if let Some(w) = reduce.windows(2).find(|w| w[0] > w[1]) {
        let (first, second) = (k.loops[w[1]].id, k.loops[w[0]].id);
        let expected = format!("reduce loop {first} outside reduce loop {second}, as before");
        return Err(rewrite.refuse_loop(first, expected, "it inside"));
    }
    let loops = positions.iter().map(|&at| k.loops[at].clone()).collect();
    rewrite.done(Kernel { loops, ..k.clone() })
}
