//! Who uses the values of a graph.

use super::{Graph, NodeId, ValueId};

/// A graph with the users of all its values.
#[derive(Debug)]
pub struct Users<'a> {
    graph: &'a Graph,
    users: Vec<Vec<NodeId>>,
    /// For each value, whether it is an output of the graph.
    outputs: Vec<bool>,
}

impl<'a> Users<'a> {
    /// Of all values of a graph.
    pub fn new(graph: &'a Graph) -> Self {
        let mut outputs = vec![false; graph.values.len()];
        graph.outputs.iter().for_each(|o| outputs[o.value.index()] = true);
        Users { graph, users: graph.users(), outputs }
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// All nodes that use a value, once per use.
    pub fn of(&self, v: ValueId) -> &[NodeId] {
        &self.users[v.index()]
    }

    /// Whether the value is an output of the graph.
    pub fn is_output(&self, v: ValueId) -> bool {
        self.outputs[v.index()]
    }

    /// The only user of a value that is no output.
    pub fn only(&self, v: ValueId) -> Option<NodeId> {
        match self.of(v) {
            [user] if !self.is_output(v) => Some(*user),
            _ => None,
        }
    }
}
