//! What a reader sees of one node, and how it adds to the graph.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::{Graph, Op, Tensor, ValueId};

use crate::attr::Attrs;
use crate::error::{Fault, OnnxError, Unsupported, invalid, unsupported};
use crate::external::ExternalData;
use crate::inline::SourceNode;
use crate::proto::TensorProto;
use crate::tensor;

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
    /// Everything that is not supported.
    pub(crate) unsupported: Vec<Unsupported>,
    /// Positions in `unsupported` by operator, domain, opset and reason.
    listed: BTreeMap<(String, String, i64, String), usize>,
    /// The first error of another kind.
    pub(crate) error: Option<OnnxError>,
}

impl Scope {
    /// Takes note of a fault; the import goes on to find the others.
    pub(crate) fn report(&mut self, fault: Fault, place: String) {
        match fault.at(place) {
            OnnxError::Unsupported(items) => self.unsupported.extend(items),
            error => {
                self.error.get_or_insert(error);
            }
        }
    }

    /// Takes note of a fault of a node; nodes of one operator with one reason are listed together.
    pub(crate) fn report_node(&mut self, fault: Fault, node: &SourceNode<'_>) {
        let Fault::Unsupported(reason) = fault else { return self.report(fault, node.place()) };
        let (op, domain) = (node.proto.op_type.clone(), node.domain().to_string());
        let key = (op.clone(), domain.clone(), node.opset, reason.clone());
        let next = self.unsupported.len();
        let position = *self.listed.entry(key).or_insert(next);
        if let Some(Unsupported::Op { nodes, .. }) = self.unsupported.get_mut(position) {
            return nodes.push(node.name.clone());
        }
        self.unsupported.push(Unsupported::Op {
            op,
            domain,
            opset: node.opset,
            nodes: vec![node.name.clone()],
            reason,
        });
    }

    /// Stands in for a value that could not be made, so that what uses it can still be read.
    pub(crate) fn define_placeholder(&mut self, name: &str) {
        if !self.names.contains_key(name) {
            let value = self.graph.add_const(name, Tensor::scalar(0f32));
            self.names.insert(name.into(), value);
        }
    }
}

/// One node, as a reader sees it.
pub(crate) struct NodeReader<'a> {
    scope: &'a mut Scope,
    source: &'a SourceNode<'a>,
    external: &'a dyn ExternalData,
    /// Its attributes.
    pub(crate) attrs: Attrs<'a>,
}

impl<'a> NodeReader<'a> {
    /// For `source`, whose inputs all have values in `scope`.
    pub(crate) fn new(
        scope: &'a mut Scope,
        source: &'a SourceNode<'a>,
        external: &'a dyn ExternalData,
    ) -> Self {
        NodeReader { scope, source, external, attrs: Attrs::new(&source.proto.attribute) }
    }

    /// The version of the operators by which the node is to be read.
    pub(crate) fn opset(&self) -> i64 {
        self.source.opset
    }

    /// The name of the operator.
    pub(crate) fn op_type(&self) -> &'a str {
        &self.source.proto.op_type
    }

    /// The number of outputs, unnamed ones included.
    pub(crate) fn outputs(&self) -> usize {
        self.source.proto.output.len()
    }

    /// The inputs: the first `required` are given, at most `optional` follow.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for another number of inputs.
    pub(crate) fn inputs(&self, required: usize, optional: usize) -> Result<Vec<Option<ValueId>>, Fault> {
        let names = &self.source.proto.input;
        let given = names.iter().rposition(|n| !n.is_empty()).map_or(0, |last| last + 1);
        let most = required + optional;
        if given > most || given < required {
            let expected =
                if optional == 0 { format!("{required}") } else { format!("{required} to {most}") };
            return invalid!("expected {expected} inputs, found {given}");
        }
        if let Some(i) = names.iter().take(required).position(String::is_empty) {
            return invalid!("input {i} is missing");
        }
        Ok((0..most).map(|i| self.input(i)).collect())
    }

    /// The inputs of an operator with any number of them, but at least one, none omitted.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when there is none or one is omitted.
    pub(crate) fn variadic(&self) -> Result<Vec<ValueId>, Fault> {
        let count = self.source.proto.input.len();
        if count == 0 {
            return invalid!("expected at least 1 input, found 0");
        }
        (0..count)
            .map(|i| self.input(i).ok_or_else(|| Fault::Invalid(format!("input {i} is missing"))))
            .collect()
    }

    fn input(&self, i: usize) -> Option<ValueId> {
        let name = self.source.proto.input.get(i).filter(|name| !name.is_empty())?;
        self.scope.names.get(name).copied()
    }

    /// The elements of a value that is a tensor of the model.
    pub(crate) fn tensor_of(&self, value: ValueId) -> Option<&Tensor> {
        self.scope.graph.constant(value)
    }

    /// The tensor in an attribute.
    ///
    /// # Errors
    /// As [`tensor::load`].
    pub(crate) fn load(&mut self, proto: &TensorProto) -> Result<Tensor, Fault> {
        let loaded = tensor::load(proto, self.external)?;
        let place = self.source.place();
        self.scope.warnings.extend(loaded.remarks.iter().map(|r| format!("{place}: {r}")));
        Ok(loaded.tensor)
    }

    /// Takes note of something unusual that is read all the same.
    pub(crate) fn warn(&mut self, what: &str) {
        self.scope.warnings.push(format!("{}: {what}", self.source.place()));
    }

    /// A constant made from an attribute; `role` is the name of the input it becomes.
    pub(crate) fn constant(&mut self, role: &str, tensor: Tensor) -> ValueId {
        let name = format!("{}.{role}", self.source.name);
        self.scope.graph.add_const(name, tensor)
    }

    /// A constant list of integers; see [`NodeReader::constant`].
    ///
    /// # Errors
    /// None in practice; those of [`Tensor::new`].
    pub(crate) fn ints(&mut self, role: &str, elements: &[i64]) -> Result<ValueId, Fault> {
        let tensor = Tensor::new([elements.len()], elements).map_err(|e| Fault::Invalid(e.to_string()))?;
        Ok(self.constant(role, tensor))
    }

    /// Adds a node before the one that [`NodeReader::emit`] adds; `role` distinguishes it.
    pub(crate) fn step(
        &mut self,
        role: &str,
        op: impl Into<Op>,
        inputs: Vec<Option<ValueId>>,
    ) -> Result<ValueId, Fault> {
        let name = format!("{}.{role}", self.source.name);
        let outputs = self.scope.graph.add_node(name.clone(), op, inputs, &[&name]);
        outputs.first().copied().ok_or_else(|| Fault::Invalid("a node without outputs".into()))
    }

    /// Adds the node, of which only the first output may be used.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when another output is used, [`Fault::Invalid`] when there is none.
    pub(crate) fn emit(&mut self, op: impl Into<Op>, inputs: Vec<Option<ValueId>>) -> Result<(), Fault> {
        self.emit_first(op, inputs, 1)
    }

    /// Adds the node with all its outputs.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when there is none.
    pub(crate) fn emit_all(&mut self, op: impl Into<Op>, inputs: Vec<Option<ValueId>>) -> Result<(), Fault> {
        self.emit_first(op, inputs, self.outputs())
    }

    fn emit_first(
        &mut self,
        op: impl Into<Op>,
        mut inputs: Vec<Option<ValueId>>,
        count: usize,
    ) -> Result<(), Fault> {
        let names: Vec<&str> = self.output_names(count)?;
        while inputs.last().is_some_and(Option::is_none) {
            inputs.pop();
        }
        let values = self.scope.graph.add_node(&self.source.name, op, inputs, &names);
        for (name, value) in names.iter().zip(values).filter(|(name, _)| !name.is_empty()) {
            self.scope.names.insert((*name).into(), value);
        }
        Ok(())
    }

    /// Makes the only output a tensor of the graph.
    ///
    /// # Errors
    /// As [`NodeReader::emit`].
    pub(crate) fn define(&mut self, tensor: Tensor) -> Result<(), Fault> {
        for name in self.output_names(1)? {
            let value = self.scope.graph.add_const(name, tensor.clone());
            self.scope.names.insert(name.into(), value);
        }
        Ok(())
    }

    /// The first `count` output names; the others must not be used.
    fn output_names(&self, count: usize) -> Result<Vec<&'a str>, Fault> {
        let names = &self.source.proto.output;
        if names.is_empty() {
            return invalid!("it has no outputs");
        }
        let used = |name: &String| !name.is_empty() && self.scope.used.contains(name);
        if let Some(i) = names.iter().skip(count).position(used) {
            let i = i + count;
            return unsupported!("output {i} ('{}') is used; it is not computed", names[i]);
        }
        Ok(names.iter().take(count).map(String::as_str).collect())
    }
}
