//! Branches: what [`If`](crate::def::if_::If) leaves out.
//!
//! The nodes of both branches of an If stand in the graph. Which ones a run needs is known when the conditions are; what
//! goes wrong in the others is of no interest, so errors of nodes that only branches need are kept until one is taken.

use std::collections::BTreeMap;

use crate::def::if_::chosen;
use crate::error::{GraphError, OpError};
use crate::graph::{Graph, Node, NodeId, ValueId, fold};
use crate::op::Op;

/// For every node, whether the outputs need it whichever branches are taken of the Ifs whose conditions are not constants.
pub fn unconditional(graph: &Graph) -> Vec<bool> {
    let mut values = vec![false; graph.values.len()];
    let mut nodes = vec![false; graph.nodes.len()];
    graph.outputs.iter().for_each(|o| values[o.value.index()] = true);
    for (node, needed) in graph.nodes.iter().zip(&mut nodes).rev() {
        *needed = node.outputs.iter().any(|v| values[v.index()]);
        if *needed {
            let taken = if is_if(node) { taken(graph, node) } else { None };
            let reads = |i: usize| !is_if(node) || i == 0 || Some(i) == taken;
            let read = node.inputs.iter().enumerate().filter(|(i, _)| reads(*i)).filter_map(|(_, v)| *v);
            read.for_each(|v| values[v.index()] = true);
        }
    }
    nodes
}

/// Position of the branch of an If that is taken, where its condition is a constant.
fn taken(graph: &Graph, node: &Node) -> Option<usize> {
    let condition = graph.constant(node.inputs.first().copied()??)?;
    chosen(condition).ok()
}

/// Whether the node is an If.
pub fn is_if(node: &Node) -> bool {
    matches!(node.op, Op::If(_))
}

/// The errors of a walk over the nodes of a graph in order, of which some may not matter.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Empty for a graph without branches, whose nodes all matter.
    unconditional: Vec<bool>,
    /// By values that could not be made.
    kept: BTreeMap<ValueId, GraphError>,
}

impl Faults {
    /// For a walk over `graph`.
    pub(crate) fn of(graph: &Graph) -> Self {
        let unconditional = if graph.nodes.iter().any(is_if) { unconditional(graph) } else { Vec::new() };
        Faults { unconditional, kept: BTreeMap::new() }
    }

    /// The error because of which a value could not be made.
    pub(crate) fn of_value(&self, value: ValueId) -> Option<&GraphError> {
        self.kept.get(&value)
    }

    /// The error because of which the node cannot be looked at: that of an input.
    pub(crate) fn of_inputs(&self, node: &Node) -> Option<&GraphError> {
        if self.kept.is_empty() { None } else { node.inputs.iter().flatten().find_map(|v| self.of_value(*v)) }
    }

    /// Keeps the error of a node that only branches need.
    ///
    /// # Errors
    /// The error, where every run needs the node.
    pub(crate) fn keep(&mut self, id: NodeId, node: &Node, error: GraphError) -> Result<(), GraphError> {
        if self.unconditional.get(id.index()).is_none_or(|needed| *needed) {
            return Err(error);
        }
        self.kept.extend(node.outputs.iter().map(|v| (*v, error.clone())));
        Ok(())
    }
}

/// Values that stand for others: what the Ifs have chosen.
#[derive(Debug)]
pub(crate) struct Branches {
    /// Empty for a graph without branches.
    stands_for: Vec<ValueId>,
    faults: Faults,
}

impl Branches {
    /// For a walk over `graph`.
    pub(crate) fn of(graph: &Graph) -> Self {
        let faults = Faults::of(graph);
        let count = if faults.unconditional.is_empty() { 0 } else { graph.values.len() as u32 };
        Branches { stands_for: (0..count).map(ValueId).collect(), faults }
    }

    /// Whether any node is an If.
    pub(crate) fn any(&self) -> bool {
        !self.stands_for.is_empty()
    }

    fn of_value(&self, v: ValueId) -> ValueId {
        self.stands_for.get(v.index()).copied().unwrap_or(v)
    }

    /// Goes over node `id` of `graph`: lets it read what Ifs have chosen, decides it if it is an If itself, and calls
    /// `visit` otherwise, whose error counts where every run needs the node. Nodes are given in order.
    ///
    /// # Errors
    /// Those of `visit`; [`OpError::DataDependent`] for an If whose condition is not a constant.
    pub(crate) fn visit(
        &mut self,
        graph: &mut Graph,
        id: NodeId,
        visit: impl FnOnce(&mut Graph) -> Result<(), GraphError>,
    ) -> Result<(), GraphError> {
        if !self.any() {
            return visit(graph);
        }
        for v in graph.nodes[id.index()].inputs.iter_mut().flatten() {
            *v = self.of_value(*v);
        }
        let condition = graph.node(id).inputs.first().copied().flatten();
        if is_if(graph.node(id))
            && let Some(condition) = condition
            && graph.constant(condition).is_none()
        {
            fold::value(graph, condition);
        }
        let node = graph.node(id);
        let result = if is_if(node) {
            let result = node.outputs.first().copied();
            self.decide(graph, node).map(|taken| {
                result.into_iter().for_each(|v| self.stands_for[v.index()] = taken);
            })
        } else if let Some(error) = self.faults.of_inputs(node) {
            Err(error.clone())
        } else {
            visit(graph)
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) => self.faults.keep(id, graph.node(id), error),
        }
    }

    /// The value that an If chooses.
    fn decide(&self, graph: &Graph, node: &Node) -> Result<ValueId, GraphError> {
        let fail = |e| GraphError::new(&node.name, node.op.as_operator().name(), e);
        let input = |i: usize| {
            let missing = || fail(OpError::Invalid(format!("input {i} is missing")));
            node.input(i).ok_or_else(missing)
        };
        let condition = input(0)?;
        if let Some(error) = self.faults.of_value(condition) {
            return Err(error.clone());
        }
        let Some(known) = graph.constant(condition) else {
            let message = "which branch is taken must be known before the model runs";
            return Err(fail(OpError::DataDependent(message.into())));
        };
        let taken = input(chosen(known).map_err(fail)?)?;
        match self.faults.of_value(taken) {
            Some(error) => Err(error.clone()),
            None => Ok(taken),
        }
    }

    /// Lets the outputs of `graph` show what Ifs have chosen.
    ///
    /// # Errors
    /// The error of a value that is an output and could not be made.
    pub(crate) fn finish(&self, graph: &mut Graph) -> Result<(), GraphError> {
        for output in &mut graph.outputs {
            output.value = self.of_value(output.value);
            if let Some(error) = self.faults.of_value(output.value) {
                return Err(error.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
