//! The graph under construction, and what was found on the way.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::def::if_::If;
use octrt_ops::def::round_float::FloatFormat;
use octrt_ops::graph::infer::Knowledge;
use octrt_ops::graph::rewrite;
use octrt_ops::{Graph, NodeId, Tensor, ValueId};

use crate::dataflow::names_read;
use crate::elem::ElemType;
use crate::error::{Fault, OnnxError, Unsupported};
use crate::inline::SourceNode;

/// The graph under construction and what was found on the way.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// The graph so far.
    pub(crate) graph: Graph,
    /// Values by their ONNX names.
    pub(crate) names: BTreeMap<String, ValueId>,
    /// ONNX names that some node or output of the graph uses.
    pub(crate) used: BTreeSet<String>,
    /// See [`crate::Imported::warnings`].
    pub(crate) warnings: Vec<String>,
    /// Values that the model has as f16 or bf16, as far as it says so where they come from.
    narrow: BTreeMap<ValueId, FloatFormat>,
    faults: Vec<Found>,
    known: Knowledge,
}

/// A fault of a part of the model.
#[derive(Debug)]
struct Found {
    fault: Fault,
    place: Place,
    /// The node that stands in for what could not be made: the fault counts where an output needs it. None: always.
    needed_for: Option<NodeId>,
}

#[derive(Debug)]
enum Place {
    Part(String),
    Node { name: String, op: String, domain: String, opset: i64 },
}

/// What the import comes to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The graph without nodes that no output needs.
    pub(crate) graph: Graph,
    /// See [`crate::Imported::warnings`].
    pub(crate) warnings: Vec<String>,
    /// Everything that is not supported, in the order of the model.
    pub(crate) unsupported: Vec<Unsupported>,
    /// The first error of another kind.
    pub(crate) error: Option<OnnxError>,
}

impl Scope {
    /// Takes note of the element type that a value has in the model.
    pub(crate) fn note_type(&mut self, value: ValueId, elem: ElemType) {
        if let Some(format) = elem.narrow_float() {
            self.note_narrow(value, format);
        }
    }

    /// Takes note that a value has a narrow float's type in the model.
    pub(crate) fn note_narrow(&mut self, value: ValueId, format: FloatFormat) {
        self.narrow.insert(value, format);
    }

    /// The narrower float that the elements of a value have in the model, where that is known.
    pub(crate) fn narrow_float(&self, value: ValueId) -> Option<FloatFormat> {
        self.narrow.get(&value).copied()
    }

    /// Takes note of a fault, whether or not an output depends on it; the import goes on to find the others.
    pub(crate) fn report(&mut self, fault: Fault, place: String) {
        self.faults.push(Found { fault, place: Place::Part(place), needed_for: None });
    }

    /// Takes note of a fault of an input of the model, which counts in any case.
    pub(crate) fn report_input(&mut self, fault: Fault, place: String, name: &str) {
        self.stand_in(Vec::new(), &[name]);
        self.report(fault, place);
    }

    /// Takes note of a fault because of which the value `name` cannot be made; it counts where an output needs the value.
    pub(crate) fn report_value(&mut self, fault: Fault, place: String, name: &str) {
        let needed_for = self.stand_in(Vec::new(), &[name]);
        self.faults.push(Found { fault, place: Place::Part(place), needed_for });
    }

    /// Takes note of a fault of a node because of which the values `names` cannot be made; it counts where an output needs
    /// one of them, and then also what the node reads.
    pub(crate) fn report_node(&mut self, fault: Fault, node: &SourceNode<'_>, names: &[&str]) {
        let read = names_read(&node.proto);
        let inputs = read.into_iter().filter_map(|name| self.names.get(name).copied().map(Some)).collect();
        let place = Place::Node {
            name: node.name.clone(),
            op: node.proto.op_type.clone(),
            domain: node.domain().to_string(),
            opset: node.opset,
        };
        let needed_for = self.stand_in(inputs, names);
        self.faults.push(Found { fault, place, needed_for });
    }

    /// Adds a node in the place of what could not be made, which has the values `names` that are not defined yet; none when
    /// all are. It is an If without a condition, so nothing follows from it.
    fn stand_in(&mut self, inputs: Vec<Option<ValueId>>, names: &[&str]) -> Option<NodeId> {
        let open = |name: &&&str| !name.is_empty() && !self.names.contains_key(**name);
        let names: Vec<&str> = names.iter().filter(open).copied().collect();
        if names.is_empty() {
            return None;
        }
        let id = NodeId(self.graph.nodes.len() as u32);
        let inputs = [None].into_iter().chain(inputs).collect();
        let values = self.graph.add_node("", If {}, inputs, &names);
        self.names.extend(names.iter().map(|name| name.to_string()).zip(values));
        Some(id)
    }

    /// The elements of a value, when they follow from constants and from shapes that the model fixes.
    pub(crate) fn known(&mut self, value: ValueId) -> Option<&Tensor> {
        match self.graph.constant(value) {
            Some(_) => self.graph.constant(value),
            None => self.known.constant(&self.graph, value),
        }
    }

    /// Leaves out what no output needs: nodes, and the faults of what they stand in for.
    pub(crate) fn finish(self) -> Outcome {
        let live = rewrite::live_nodes(&self.graph);
        let mut list = List::default();
        let mut error = None;
        for found in self.faults {
            if found.needed_for.is_some_and(|n| !live[n.index()]) {
                continue;
            }
            if let Some(other) = list.add(found) {
                error.get_or_insert(other);
            }
        }
        let graph = if live.contains(&false) { rewrite::compact(self.graph).graph } else { self.graph };
        Outcome { graph, warnings: self.warnings, unsupported: list.items, error }
    }
}

/// What is not supported; nodes of one operator with one reason are listed together.
#[derive(Default)]
struct List {
    items: Vec<Unsupported>,
    /// Positions in `items` by operator, domain, opset and reason.
    positions: BTreeMap<(String, String, i64, String), usize>,
}

impl List {
    /// Adds a fault; gives back one of another kind.
    fn add(&mut self, found: Found) -> Option<OnnxError> {
        let error = match (found.fault, found.place) {
            (Fault::Unsupported(reason), Place::Node { name, op, domain, opset }) => {
                self.add_node(name, op, domain, opset, reason);
                return None;
            }
            (fault, Place::Part(place)) => fault.at(place),
            (fault, Place::Node { name, op, .. }) => fault.at(format!("node '{name}' ({op})")),
        };
        match error {
            OnnxError::Unsupported(items) => {
                self.items.extend(items);
                None
            }
            other => Some(other),
        }
    }

    fn add_node(&mut self, name: String, op: String, domain: String, opset: i64, reason: String) {
        let next = self.items.len();
        let key = (op.clone(), domain.clone(), opset, reason.clone());
        let position = *self.positions.entry(key).or_insert(next);
        match self.items.get_mut(position) {
            Some(Unsupported::Op { nodes, .. }) => nodes.push(name),
            _ => self.items.push(Unsupported::Op { op, domain, opset, nodes: vec![name], reason }),
        }
    }
}
