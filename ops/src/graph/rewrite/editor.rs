//! A graph under many patches, each carried out in time that depends on what it touches, not on the graph.

use std::ops::Deref;

use super::{Patch, add_typed, check, check_replacements, compact, name_definitions, restore_order};
use crate::error::GraphError;
use crate::graph::{Graph, NodeId, ValueDef, ValueId};
use crate::tensor::Tensor;

/// A graph that is being edited. It reads as a [`Graph`] whose ids stay what they are from patch to patch; nodes that
/// nothing needs any more and values of theirs are still in its lists, but no other node mentions them.
///
/// The nodes have an order, see [`Editor::first`]: that in which [`Editor::finish`] leaves them if it is topological.
#[derive(Clone, Debug)]
pub struct Editor {
    graph: Graph,
    /// For each value, the nodes that use it, and some that no longer do.
    users: Vec<Vec<NodeId>>,
    /// For each value, how often nodes use it.
    uses: Vec<usize>,
    /// For each value, the graph outputs that show it.
    shown: Vec<Vec<usize>>,
    order: Order,
}

/// Nodes in a row.
#[derive(Clone, Debug)]
struct Order {
    first: Option<NodeId>,
    last: Option<NodeId>,
    links: Vec<Link>,
}

/// A node's place in the row; one that has been taken out keeps the node before it.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: Option<NodeId>,
    after: Option<NodeId>,
    is_in: bool,
}

impl Order {
    fn of(count: usize) -> Self {
        let mut order = Order { first: None, last: None, links: Vec::with_capacity(count) };
        (0..count as u32).for_each(|i| order.insert(NodeId(i), order.last));
        order
    }

    /// Puts the next node there is behind `before`, or at the beginning.
    fn insert(&mut self, id: NodeId, before: Option<NodeId>) {
        let after = before.map_or(self.first, |b| self.links[b.index()].after);
        self.links.push(Link { before, after, is_in: true });
        match before {
            Some(b) => self.links[b.index()].after = Some(id),
            None => self.first = Some(id),
        }
        match after {
            Some(a) => self.links[a.index()].before = Some(id),
            None => self.last = Some(id),
        }
    }

    fn remove(&mut self, id: NodeId) {
        let Link { before, after, .. } = self.links[id.index()];
        self.links[id.index()].is_in = false;
        match before {
            Some(b) => self.links[b.index()].after = after,
            None => self.first = after,
        }
        match after {
            Some(a) => self.links[a.index()].before = before,
            None => self.last = before,
        }
    }

    /// The node itself if it is in the row, else the one that was before it when it was taken out, and so on.
    fn at_or_before(&self, mut id: Option<NodeId>) -> Option<NodeId> {
        while let Some(at) = id.filter(|at| !self.links[at.index()].is_in) {
            id = self.links[at.index()].before;
        }
        id
    }
}

impl Deref for Editor {
    type Target = Graph;
    fn deref(&self) -> &Graph {
        &self.graph
    }
}

impl Editor {
    /// To edit a graph that keeps the rules of [`verify::structure`](crate::graph::verify::structure).
    pub fn new(graph: Graph) -> Self {
        let users = graph.users();
        let uses = users.iter().map(Vec::len).collect();
        let mut shown = vec![Vec::new(); graph.values.len()];
        graph.outputs.iter().enumerate().for_each(|(i, o)| shown[o.value.index()].push(i));
        let order = Order::of(graph.nodes.len());
        Editor { graph, users, uses, shown, order }
    }

    /// The first node.
    pub fn first(&self) -> Option<NodeId> {
        self.order.first
    }

    /// The node behind `id`; where that is no longer there, behind the last one before it that is. The first one where
    /// `id` is none.
    pub fn after(&self, id: Option<NodeId>) -> Option<NodeId> {
        match self.order.at_or_before(id) {
            Some(id) => self.order.links[id.index()].after,
            None => self.order.first,
        }
    }

    /// Whether the node is still there.
    pub fn is_live(&self, id: NodeId) -> bool {
        self.order.links[id.index()].is_in
    }

    /// How often nodes use the value, and how many outputs of the graph show it.
    pub fn uses(&self, value: ValueId) -> (usize, usize) {
        (self.uses[value.index()], self.shown[value.index()].len())
    }

    /// As [`apply`](super::apply), and removes the nodes that nothing needs any more. A node that depends on itself is
    /// found by [`Editor::finish`].
    ///
    /// # Errors
    /// As [`apply`](super::apply); the editor is of no use then.
    pub fn apply(&mut self, mut patch: Patch) -> Result<(), GraphError> {
        let old_nodes = self.graph.nodes.len();
        let base = patch.base;
        let at_graph = |g: &Graph, e| GraphError::new(&g.name, "", e);
        check(&self.graph, &patch).map_err(|e| at_graph(&self.graph, e))?;
        for value in &mut patch.values {
            if let ValueDef::Node(n, _) = &mut value.def {
                n.0 += old_nodes as u32;
            }
        }
        self.graph.values.append(&mut patch.values);
        self.users.resize(self.graph.values.len(), Vec::new());
        self.uses.resize(self.graph.values.len(), 0);
        self.shown.resize(self.graph.values.len(), Vec::new());
        let mut place = self.place_of_new(&patch, base);
        for node in std::mem::take(&mut patch.nodes) {
            let id = NodeId(self.graph.nodes.len() as u32);
            for v in node.inputs.iter().flatten() {
                self.users[v.index()].push(id);
                self.uses[v.index()] += 1;
            }
            add_typed(&mut self.graph, node)?;
            self.order.insert(id, place);
            place = Some(id);
        }
        check_replacements(&self.graph, &patch.replacements).map_err(|e| at_graph(&self.graph, e))?;
        self.redirect(&patch, old_nodes);
        for (v, name) in std::mem::take(&mut patch.renames) {
            self.graph.values[v.index()].name = name;
        }
        let replaced = patch.replacements.keys().filter_map(|v| self.definer(*v));
        let new = (old_nodes..self.graph.nodes.len()).map(|i| NodeId(i as u32));
        let doubtful: Vec<NodeId> = replaced.chain(new).collect();
        self.remove_unused(doubtful);
        Ok(())
    }

    fn definer(&self, v: ValueId) -> Option<NodeId> {
        match self.graph.value(v).def {
            ValueDef::Node(n, _) => Some(n),
            _ => None,
        }
    }

    /// The node behind which new ones stand: the last of those whose values are replaced.
    fn place_of_new(&self, patch: &Patch, base: usize) -> Option<NodeId> {
        let old = patch.replacements.keys().filter(|v| v.index() < base);
        let mut nodes: Vec<NodeId> = old.filter_map(|v| self.definer(*v)).collect();
        nodes.dedup();
        match nodes[..] {
            [] => None,
            [one] => Some(one),
            _ => {
                let mut at = self.order.last;
                while let Some(id) = at.filter(|id| !nodes.contains(id)) {
                    at = self.order.links[id.index()].before;
                }
                at
            }
        }
    }

    /// Gives the nodes and outputs that were there before the patch what replaces what they use.
    fn redirect(&mut self, patch: &Patch, old_nodes: usize) {
        let mut readers: Vec<NodeId> = Vec::new();
        let mut outputs: Vec<usize> = Vec::new();
        for old in patch.replacements.keys() {
            let (new, before): (Vec<NodeId>, Vec<NodeId>) = std::mem::take(&mut self.users[old.index()])
                .into_iter()
                .partition(|n| n.index() >= old_nodes);
            self.users[old.index()] = new;
            readers.extend(before);
            outputs.append(&mut self.shown[old.index()]);
        }
        readers.sort_unstable();
        readers.dedup();
        for id in readers.into_iter().filter(|id| self.order.links[id.index()].is_in) {
            for v in self.graph.nodes[id.index()].inputs.iter_mut().flatten() {
                if let Some(new) = patch.replacements.get(v) {
                    self.uses[v.index()] -= 1;
                    self.uses[new.index()] += 1;
                    self.users[new.index()].push(id);
                    *v = *new;
                }
            }
        }
        for i in outputs {
            let output = &mut self.graph.outputs[i];
            output.value = patch.replacements.get(&output.value).copied().unwrap_or(output.value);
            self.shown[output.value.index()].push(i);
        }
    }

    /// Removes those of the nodes that nothing needs, and what only they need.
    fn remove_unused(&mut self, mut doubtful: Vec<NodeId>) {
        while let Some(id) = doubtful.pop() {
            let node = &self.graph.nodes[id.index()];
            if !self.is_live(id) || node.outputs.iter().any(|v| self.uses(*v) != (0, 0)) {
                continue;
            }
            self.order.remove(id);
            for v in std::mem::take(&mut self.graph.nodes[id.index()].inputs).into_iter().flatten() {
                self.uses[v.index()] -= 1;
                doubtful.extend(self.definer(v));
                if self.uses(v) == (0, 0) && self.graph.constant(v).is_some() {
                    forget(&mut self.graph, v);
                }
            }
        }
    }

    /// The graph after all patches, in order and without what no output depends on.
    ///
    /// # Errors
    /// [`GraphError`] when a patch has made a node depend on itself.
    pub fn finish(mut self) -> Result<Graph, GraphError> {
        let mut nodes: Vec<_> = std::mem::take(&mut self.graph.nodes).into_iter().map(Some).collect();
        let mut at = self.order.first;
        while let Some(id) = at {
            self.graph.nodes.extend(nodes[id.index()].take());
            at = self.order.links[id.index()].after;
        }
        for v in nodes.into_iter().flatten().flat_map(|n| n.outputs) {
            forget(&mut self.graph, v);
        }
        name_definitions(&mut self.graph);
        restore_order(&mut self.graph).map_err(|e| GraphError::new(&self.graph.name, "", e))?;
        Ok(compact(self.graph).graph)
    }
}

/// Makes a value that nothing needs a small constant, until it is removed.
fn forget(graph: &mut Graph, v: ValueId) {
    let nothing = Tensor::scalar(false);
    let value = &mut graph.values[v.index()];
    (value.ty, value.def) = (Some(nothing.ty().clone()), ValueDef::Const(nothing));
}
