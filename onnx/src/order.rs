//! Topological order of nodes, and the rules of names: every value is defined exactly once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::dataflow::names_read;
use crate::error::{Fault, OnnxError};
use crate::inline::SourceNode;

/// Positions of `nodes` in topological order; where there is a choice, in the given order. `given` tells the values that
/// none of them defines: inputs, initializers, values of a graph around them.
///
/// # Errors
/// [`OnnxError::Invalid`] for a value that is undefined or defined twice, and for cycles.
pub(crate) fn topological(
    nodes: &[SourceNode<'_>],
    given: &dyn Fn(&str) -> bool,
) -> Result<Vec<usize>, OnnxError> {
    let definer = definers(nodes, given)?;
    let mut missing = vec![0usize; nodes.len()];
    let mut users = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let inputs = node.proto.input.len();
        let read = names_read(&node.proto);
        for (k, name) in read.into_iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            match definer.get(name) {
                Some(&d) => {
                    missing[i] += 1;
                    users[d].push(i);
                }
                None if given(name) => {}
                None => {
                    let what = if k < inputs {
                        format!("input {k} '{name}'")
                    } else {
                        format!("'{name}', which a branch reads,")
                    };
                    let message = format!("{what} is not defined by any node, input or initializer");
                    return Err(Fault::Invalid(message).at(node.place()));
                }
            }
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..nodes.len()).filter(|i| missing[*i] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(i)) = ready.pop() {
        order.push(i);
        for &user in &users[i] {
            missing[user] -= 1;
            if missing[user] == 0 {
                ready.push(Reverse(user));
            }
        }
    }
    if order.len() == nodes.len() { Ok(order) } else { Err(cycle(nodes, &definer, &missing)) }
}

fn definers<'a>(
    nodes: &'a [SourceNode<'_>],
    given: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<&'a str, usize>, OnnxError> {
    let mut definer: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for name in node.proto.output.iter().filter(|name| !name.is_empty()) {
            let also = match definer.insert(name, i) {
                Some(other) => nodes[other].place(),
                None if given(name) => "an input or initializer".into(),
                None => continue,
            };
            return Err(Fault::Invalid(format!("output '{name}' is also defined by {also}")).at(node.place()));
        }
    }
    Ok(definer)
}

/// The error that names one cycle among the nodes that still miss inputs.
fn cycle(nodes: &[SourceNode<'_>], definer: &BTreeMap<&str, usize>, missing: &[usize]) -> OnnxError {
    // Every node that misses inputs has a definer that misses inputs too, so walking back must meet a node twice.
    let mut path: Vec<usize> = missing.iter().position(|m| *m > 0).into_iter().collect();
    let mut position = BTreeMap::new();
    while let Some(&at) = path.last() {
        if let Some(start) = position.insert(at, path.len()) {
            path.drain(..start - 1);
            break;
        }
        let read = names_read(&nodes[at].proto).into_iter();
        path.extend(read.filter_map(|n| definer.get(n)).find(|d| missing[**d] > 0));
    }
    path.reverse();
    let names: Vec<&str> = path.iter().take(8).map(|i| nodes[*i].name.as_str()).collect();
    let more = if path.len() > names.len() { " -> ..." } else { "" };
    Fault::Invalid(format!("its nodes form a cycle: {}{more}", names.join(" -> "))).at("graph")
}
