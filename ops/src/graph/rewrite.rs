//! Edits of a graph as values: a rule proposes a [`Patch`], [`apply`] carries it out, an [`Editor`] many of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::error::{GraphError, OpError};
use crate::graph::args::with_args;
use crate::graph::{Graph, Node, NodeId, Value, ValueDef, ValueId};
use crate::invalid;
use crate::op::Op;
use crate::tensor::Tensor;

mod editor;

pub use editor::Editor;

/// An edit of one graph: new constants and nodes, values whose users get another value instead, new names.
///
/// Values of the patch have ids from `graph.values.len()` on, in the order in which they are added.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Number of values of the graph that the patch is for: the first id of the patch's own values.
    base: usize,
    /// New values; `ValueDef::Node(n, _)` is position `n` in `nodes`.
    values: Vec<Value>,
    nodes: Vec<Node>,
    replacements: BTreeMap<ValueId, ValueId>,
    renames: BTreeMap<ValueId, String>,
}

impl Patch {
    /// A patch for `graph` that changes nothing.
    pub fn new(graph: &Graph) -> Self {
        Patch {
            base: graph.values.len(),
            values: Vec::new(),
            nodes: Vec::new(),
            replacements: BTreeMap::new(),
            renames: BTreeMap::new(),
        }
    }

    fn push(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId((self.base + self.values.len() - 1) as u32)
    }

    /// Adds a constant.
    pub fn add_const(&mut self, name: impl Into<String>, tensor: Tensor) -> ValueId {
        let ty = Some(tensor.ty().clone());
        self.push(Value { name: name.into(), def: ValueDef::Const(tensor), ty })
    }

    /// Adds a node whose inputs are values of the graph or earlier ones of the patch; returns its outputs.
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: Vec<Option<ValueId>>,
        output_names: &[&str],
    ) -> Vec<ValueId> {
        let id = NodeId(self.nodes.len() as u32);
        let value = |(i, name): (usize, &&str)| Value {
            name: (*name).to_string(),
            def: ValueDef::Node(id, i),
            ty: None,
        };
        let outputs: Vec<ValueId> = output_names.iter().enumerate().map(|o| self.push(value(o))).collect();
        self.nodes.push(Node { name: name.into(), op: op.into(), inputs, outputs: outputs.clone() });
        outputs
    }

    /// Gives `new` to the nodes and outputs of the graph that use `old`. Nodes of the patch keep using `old`, and
    /// all replacements happen at once: that of `a` by `b` is not followed by that of `b`.
    pub fn replace(&mut self, old: ValueId, new: ValueId) {
        self.replacements.insert(old, new);
    }

    /// Gives a value of the graph or of the patch another name. The names of graph outputs are not touched.
    pub fn rename(&mut self, value: ValueId, name: impl Into<String>) {
        self.renames.insert(value, name.into());
    }
}

/// The graph after the patch, for a graph that keeps the rules of [`verify::structure`](super::verify::structure).
///
/// New nodes stand after the nodes whose outputs they replace; where that breaks the topological order, nodes move
/// as little as needed. Outputs of new nodes have types when the types of all inputs are known. What the patch left
/// without users is still there: see [`compact`].
///
/// # Errors
/// [`GraphError`] when the patch was made for a graph with another number of values, mentions values that do not
/// exist, replaces a value by one of another type or one that depends on it, or an operator refuses its arguments.
pub fn apply(graph: &Graph, patch: &Patch) -> Result<Graph, GraphError> {
    apply_owned(graph.clone(), patch.clone())
}

/// As [`apply`], without copying the graph.
///
/// # Errors
/// As [`apply`].
pub fn apply_owned(mut graph: Graph, patch: Patch) -> Result<Graph, GraphError> {
    let (old_nodes, base) = (graph.nodes.len(), patch.base);
    let at_graph = |g: &Graph, e| GraphError::new(&g.name, "", e);
    check(&graph, &patch).map_err(|e| at_graph(&graph, e))?;
    graph.values.extend(patch.values);
    for node in patch.nodes {
        add_typed(&mut graph, node)?;
    }
    check_replacements(&graph, &patch.replacements).map_err(|e| at_graph(&graph, e))?;
    let mut place = 0;
    for old in patch.replacements.keys().filter(|v| v.index() < base) {
        if let ValueDef::Node(n, _) = graph.value(*old).def {
            place = place.max(n.index() + 1);
        }
    }
    let redirect = |v: &mut ValueId| *v = *patch.replacements.get(v).unwrap_or(v);
    for node in &mut graph.nodes[..old_nodes] {
        node.inputs.iter_mut().flatten().for_each(redirect);
    }
    graph.outputs.iter_mut().for_each(|o| redirect(&mut o.value));
    for (v, name) in patch.renames {
        graph.values[v.index()].name = name;
    }
    let new_nodes = graph.nodes.len() - old_nodes;
    graph.nodes[place.min(old_nodes)..].rotate_right(new_nodes);
    name_definitions(&mut graph);
    restore_order(&mut graph).map_err(|e| at_graph(&graph, e))?;
    Ok(graph)
}

/// Ids in range, before anything changes.
fn check(graph: &Graph, patch: &Patch) -> Result<(), OpError> {
    if patch.base != graph.values.len() {
        return invalid!(
            "the patch is for a graph of {} values, this one has {}",
            patch.base,
            graph.values.len()
        );
    }
    let all = patch.base + patch.values.len();
    for node in &patch.nodes {
        let own = node.outputs.first().map_or(all, |v| v.index());
        let limit = own.min(all);
        if let Some(v) = node.inputs.iter().flatten().find(|v| v.index() >= limit) {
            return invalid!("new node '{}' uses {v}, which is not defined before it", node.name);
        }
    }
    let pairs = patch.replacements.iter().flat_map(|(a, b)| [a, b]);
    match pairs.chain(patch.renames.keys()).find(|v| v.index() >= all) {
        Some(v) => invalid!("the patch mentions {v}, which does not exist"),
        None => Ok(()),
    }
}

/// Appends a node and infers the types of its outputs when those of its inputs are known.
fn add_typed(graph: &mut Graph, node: Node) -> Result<(), GraphError> {
    if node.inputs.iter().flatten().all(|v| graph.value(*v).ty.is_some()) {
        let types = with_args(graph, &node, |args| node.op.as_operator().infer(args))
            .and_then(|types| types)
            .and_then(|types| {
                if types.len() >= node.outputs.len() {
                    return Ok(types);
                }
                invalid!("{} outputs are used, the operator has {}", node.outputs.len(), types.len())
            })
            .map_err(|e| GraphError::new(&node.name, node.op.as_operator().name(), e))?;
        for (v, ty) in node.outputs.iter().zip(types) {
            graph.values[v.index()].ty = Some(ty);
        }
    }
    graph.nodes.push(node);
    Ok(())
}

fn check_replacements(graph: &Graph, pairs: &BTreeMap<ValueId, ValueId>) -> Result<(), OpError> {
    for (&old, &new) in pairs {
        if let (Some(a), Some(b)) = (&graph.value(old).ty, &graph.value(new).ty)
            && a != b
        {
            return invalid!("{old} of type {a} is replaced by {new} of type {b}");
        }
    }
    Ok(())
}

/// Makes the definitions of values name the positions of their nodes.
fn name_definitions(graph: &mut Graph) {
    for (n, node) in graph.nodes.iter().enumerate() {
        for (i, v) in node.outputs.iter().enumerate() {
            graph.values[v.index()].def = ValueDef::Node(NodeId(n as u32), i);
        }
    }
}

/// Sorts the nodes topologically; among those that could come next, the one that stood first does.
fn restore_order(graph: &mut Graph) -> Result<(), OpError> {
    let definer = |v: &ValueId| match graph.value(*v).def {
        ValueDef::Node(n, _) => Some(n.index()),
        _ => None,
    };
    let needs = |node: &Node| node.inputs.iter().flatten().filter_map(definer).collect::<Vec<_>>();
    if graph
        .nodes
        .iter()
        .enumerate()
        .all(|(i, n)| n.inputs.iter().flatten().filter_map(definer).all(|d| d < i))
    {
        return Ok(());
    }
    let count = graph.nodes.len();
    let mut missing = vec![0usize; count];
    let mut users = vec![Vec::new(); count];
    for (i, node) in graph.nodes.iter().enumerate() {
        for d in needs(node) {
            missing[i] += 1;
            users[d].push(i);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..count).filter(|&i| missing[i] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(i)) = ready.pop() {
        order.push(i);
        for &u in &users[i] {
            missing[u] -= 1;
            if missing[u] == 0 {
                ready.push(Reverse(u));
            }
        }
    }
    if let Some(i) = (0..count).find(|&i| missing[i] > 0) {
        return invalid!("the patch makes node '{}' depend on itself", graph.nodes[i].name);
    }
    let mut nodes: Vec<Option<Node>> = std::mem::take(&mut graph.nodes).into_iter().map(Some).collect();
    graph.nodes = order.into_iter().filter_map(|i| nodes[i].take()).collect();
    name_definitions(graph);
    Ok(())
}

/// What [`compact`] gives: the graph, and where its parts were before.
#[derive(Clone, Debug, PartialEq)]
pub struct Compacted {
    /// The graph without what no output needs.
    pub graph: Graph,
    /// For every node of the graph before, its new id; `None`: removed.
    pub nodes: Vec<Option<NodeId>>,
    /// For every value of the graph before, its new id; `None`: removed.
    pub values: Vec<Option<ValueId>>,
}

/// Removes the nodes that no output depends on and the values that nothing uses or defines any more, and numbers
/// the rest in the order in which they stood. Inputs stay, and so do unused outputs of nodes that stay.
///
/// The graph must keep the rules of [`verify::structure`](super::verify::structure).
pub fn compact(mut graph: Graph) -> Compacted {
    let (live_nodes, live_values) = live(&graph);
    let nodes: Vec<Option<NodeId>> = number(&live_nodes).map(|n| n.map(NodeId)).collect();
    let values: Vec<Option<ValueId>> = number(&live_values).map(|n| n.map(ValueId)).collect();
    if nodes.iter().all(Option::is_some) && values.iter().all(Option::is_some) {
        return Compacted { graph, nodes, values };
    }
    retain(&mut graph.nodes, &live_nodes);
    retain(&mut graph.values, &live_values);
    // Every value that is mentioned by what stays is live.
    let renumber = |v: &mut ValueId| *v = values[v.index()].unwrap_or(*v);
    for node in &mut graph.nodes {
        node.inputs.iter_mut().flatten().for_each(renumber);
        node.outputs.iter_mut().for_each(renumber);
    }
    graph.inputs.iter_mut().for_each(|i| renumber(&mut i.value));
    graph.outputs.iter_mut().for_each(|o| renumber(&mut o.value));
    name_definitions(&mut graph);
    Compacted { graph, nodes, values }
}

/// For every node, whether an output depends on it. The graph must keep the rules of
/// [`verify::structure`](super::verify::structure), outputs aside.
pub fn live_nodes(graph: &Graph) -> Vec<bool> {
    live(graph).0
}

/// The nodes that an output depends on, and the values that are an input, an output or mentioned by such a node.
fn live(graph: &Graph) -> (Vec<bool>, Vec<bool>) {
    let mut live_values = vec![false; graph.values.len()];
    let mut live_nodes = vec![false; graph.nodes.len()];
    let ends = graph.outputs.iter().map(|o| o.value).chain(graph.inputs.iter().map(|i| i.value));
    ends.for_each(|v| live_values[v.index()] = true);
    for (node, live) in graph.nodes.iter().zip(&mut live_nodes).rev() {
        *live = node.outputs.iter().any(|v| live_values[v.index()]);
        if *live {
            node.inputs.iter().flatten().chain(&node.outputs).for_each(|v| live_values[v.index()] = true);
        }
    }
    (live_nodes, live_values)
}

/// Counts the live ones.
fn number(live: &[bool]) -> impl Iterator<Item = Option<u32>> + '_ {
    live.iter().scan(0, |next, &live| {
        let id = *next;
        *next += u32::from(live);
        Some(live.then_some(id))
    })
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| keep.next() == Some(&true));
}

#[cfg(test)]
mod tests;
