//! Control flow.

use octrt_ops::def::if_::{If, chosen};

use crate::error::{Fault, invalid};
use crate::node::NodeReader;
use crate::subgraph;

/// `If`: condition. Where it is known now, the nodes of the branch that is taken are added and its values are the outputs.
/// Elsewhere those of both are added, and the graph chooses when the condition is known: with the extents of the inputs, or
/// with their elements where a graph is made for these.
pub(crate) fn if_(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let condition = n.inputs(1, 0)?[0];
    let (then, other) = (n.attrs.required_graph("then_branch")?, n.attrs.required_graph("else_branch")?);
    let taken = match condition.and_then(|v| n.known(v)) {
        Some(known) => Some(chosen(known).map_err(|e| Fault::Invalid(e.to_string()))?),
        None => None,
    };
    let mut branches = Vec::new();
    for (i, name, graph) in [(1, "then_branch", then), (2, "else_branch", other)] {
        if taken.is_some_and(|taken| taken != i) {
            continue;
        }
        let values = subgraph::read(n, graph)?;
        if values.len() != n.outputs() {
            let expected = n.outputs();
            return invalid!(
                "attribute '{name}': expected a graph of {expected} outputs, found {}",
                values.len()
            );
        }
        branches.push(values);
    }
    match &branches[..] {
        [then, other] => {
            for (i, (a, b)) in then.iter().zip(other).enumerate() {
                n.emit_output(i, If {}, vec![condition, Some(*a), Some(*b)]);
            }
        }
        taken => taken.iter().flatten().enumerate().for_each(|(i, value)| n.show(i, *value)),
    }
    Ok(())
}
