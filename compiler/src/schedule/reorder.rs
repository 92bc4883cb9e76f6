//! Changing the order of loops.

use octrt_ops::expr::VarId;

use super::{Rule, ScheduleError, refused, unwrapped};
use crate::nest::{Form, Loop, Nest, Role, Stmt, around};

/// Puts loops that stand directly inside each other in a new order, outermost first.
///
/// ```text
/// for L0 in 8  for L1 in 4 unrolled  reduce L2 in 9
/// -> reorder L0 L2 L1
/// for L0 in 8  reduce L2 in 9  for L1 in 4 unrolled
/// ```
///
/// A data loop that moves inside a reduce loop holds accumulators.
///
/// # Errors
/// [`ScheduleError`] where these are no such loops, reduce loops change places (sums would be rounded differently), a
/// parallel loop or turns would not be outermost, or a vector loop not innermost.
pub fn reorder(nest: &mut Nest, order: &[VarId]) -> Result<(), ScheduleError> {
    let refuse = |rule| Err(refused("reorder", nest, rule));
    if let Some(unknown) = order.iter().find(|l| nest.find(**l).is_none()) {
        return refuse(Rule::Unknown(*unknown));
    }
    let outermost = nest.loops().into_iter().find(|l| order.contains(&l.id)).map(|l| l.id);
    let Some((at, whole)) = outermost.and_then(|l| Some((l, nest.find(l)?))) else {
        return refuse(Rule::Order(0));
    };
    let mut chain = Vec::new();
    let mut inside = std::slice::from_ref(whole);
    while let [Stmt::Loop(l, body)] = inside
        && chain.len() < order.len()
    {
        chain.push(l);
        inside = body;
    }
    let found: Vec<&Loop> =
        order.iter().filter_map(|id| chain.iter().find(|l| l.id == *id).copied()).collect();
    let twice = |(i, id): (usize, &VarId)| order[..i].contains(id);
    if found.len() != chain.len() || order.len() != chain.len() || order.iter().enumerate().any(twice) {
        return refuse(Rule::Order(order.len()));
    }
    let last = found.len() - 1;
    for (i, l) in found.iter().enumerate() {
        let expected = match l.form {
            Form::Parallel | Form::Turn if i != 0 => "it to be the outermost",
            Form::Vector if i != last => "it to be the innermost",
            _ => continue,
        };
        return refuse(Rule::Loop {
            id: l.id,
            expected: expected.into(),
            found: format!("loop {i} from outside"),
        });
    }
    let reduce = |loops: &[&Loop]| -> Vec<VarId> {
        loops.iter().filter(|l| l.role == Role::Reduce).map(|l| l.id).collect()
    };
    let (before, after) = (reduce(&chain), reduce(&found));
    if let Some((id, was)) = after.iter().zip(&before).find(|(a, b)| a != b) {
        let (expected, found) = (format!("reduce loop {was} here, as before"), id.to_string());
        return refuse(Rule::Loop { id: *id, expected, found });
    }
    nest.edit(at, |l, body| {
        let (mut chain, inner) = unwrapped(l, body, order.len());
        chain.sort_by_key(|l| order.iter().position(|id| *id == l.id));
        around(chain.into_iter(), inner)
    });
    Ok(())
}
