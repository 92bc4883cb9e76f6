//! What a reader sees of one node, and how it adds to the graph.

use octrt_ops::def::cast::Cast;
use octrt_ops::def::round_float::{FloatFormat, RoundFloat};
use octrt_ops::{DType, Op, Tensor, ValueId};

use crate::attr::Attrs;
use crate::error::{Fault, invalid};
use crate::external::ExternalData;
use crate::inline::{Library, SourceNode};
use crate::proto::TensorProto;
use crate::scope::Scope;
use crate::tensor;

/// Reads one node into the graph.
pub(crate) type Reader = fn(&mut NodeReader<'_>) -> Result<(), Fault>;

/// What parts of a model are read with: its functions, its weights outside, and the readers of operators.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The functions of the model.
    pub(crate) library: &'a Library<'a>,
    /// Weights that are not in the model.
    pub(crate) external: &'a dyn ExternalData,
    /// The reader of an operator by its domain, its name and the opset by which it is to be read, or why there is none.
    pub(crate) operators: fn(&str, &str, i64) -> Result<Reader, Fault>,
}

/// One node, as a reader sees it.
pub(crate) struct NodeReader<'a> {
    scope: &'a mut Scope,
    source: &'a SourceNode<'a>,
    model: Source<'a>,
    /// Its attributes.
    pub(crate) attrs: Attrs<'a>,
}

impl<'a> NodeReader<'a> {
    /// For `source`, whose inputs all have values in `scope`.
    pub(crate) fn new(scope: &'a mut Scope, source: &'a SourceNode<'a>, model: Source<'a>) -> Self {
        let mut attrs = Attrs::new(&source.proto.attribute);
        if source.opset < 6 {
            // Before opset 6 it said which inputs an operator may overwrite.
            attrs.ignore(&["consumed_inputs"]);
        }
        NodeReader { scope, source, model, attrs }
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

    /// The narrower float that the elements of a value have in the model, where that is known.
    pub(crate) fn narrow_float(&self, value: ValueId) -> Option<FloatFormat> {
        self.scope.narrow_float(value)
    }

    /// Adds nodes that convert the single input to f32 and round it; the result is known to be of that format.
    ///
    /// # Errors
    /// As [`NodeReader::emit`].
    pub(crate) fn emit_rounded(&mut self, data: Option<ValueId>, to: FloatFormat) -> Result<(), Fault> {
        let wide = self.step("f32", Cast { to: DType::F32 }, vec![data])?;
        self.emit(RoundFloat { to }, vec![Some(wide)])?;
        let result = self.source.proto.output.first().and_then(|name| self.scope.names.get(name)).copied();
        if let Some(value) = result {
            self.scope.note_narrow(value, to);
        }
        Ok(())
    }

    /// The elements of a value, when they follow from constants and from shapes that the model fixes.
    pub(crate) fn known(&mut self, value: ValueId) -> Option<&Tensor> {
        self.scope.known(value)
    }

    /// Whether output `i` is used.
    pub(crate) fn is_used(&self, i: usize) -> bool {
        self.output(i).is_some_and(|name| self.scope.used.contains(name))
    }

    /// Whether output `i` has a name.
    pub(crate) fn is_named(&self, i: usize) -> bool {
        self.output(i).is_some()
    }

    fn output(&self, i: usize) -> Option<&'a str> {
        self.source.proto.output.get(i).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The node, what the model is read with and the graph under construction: for graphs in its attributes.
    pub(crate) fn surroundings(&mut self) -> (&'a SourceNode<'a>, Source<'a>, &mut Scope) {
        (self.source, self.model, self.scope)
    }

    /// The tensor in an attribute.
    ///
    /// # Errors
    /// As [`tensor::load`].
    pub(crate) fn load(&mut self, proto: &TensorProto) -> Result<Tensor, Fault> {
        let loaded = tensor::load(proto, self.model.external)?;
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
    /// None; readers end with it.
    pub(crate) fn emit(&mut self, op: impl Into<Op>, inputs: Vec<Option<ValueId>>) -> Result<(), Fault> {
        self.emit_first(op, inputs, 1)
    }

    /// Adds the node with all its outputs.
    ///
    /// # Errors
    /// None; readers end with it.
    pub(crate) fn emit_all(&mut self, op: impl Into<Op>, inputs: Vec<Option<ValueId>>) -> Result<(), Fault> {
        self.emit_first(op, inputs, self.outputs())
    }

    fn emit_first(
        &mut self,
        op: impl Into<Op>,
        mut inputs: Vec<Option<ValueId>>,
        count: usize,
    ) -> Result<(), Fault> {
        let names: Vec<&str> = self.output_names(count);
        while inputs.last().is_some_and(Option::is_none) {
            inputs.pop();
        }
        let values = self.scope.graph.add_node(&self.source.name, op, inputs, &names);
        for (name, value) in names.iter().zip(values).filter(|(name, _)| !name.is_empty()) {
            self.scope.names.insert((*name).into(), value);
        }
        self.refuse_outputs_from(count);
        Ok(())
    }

    /// Makes the only output a tensor of the graph.
    ///
    /// # Errors
    /// As [`NodeReader::emit`].
    pub(crate) fn define(&mut self, tensor: Tensor) -> Result<(), Fault> {
        for name in self.output_names(1) {
            let value = self.scope.graph.add_const(name, tensor.clone());
            self.scope.names.insert(name.into(), value);
        }
        self.refuse_outputs_from(1);
        Ok(())
    }

    /// Makes output `i` a value that the graph has already.
    pub(crate) fn show(&mut self, i: usize, value: ValueId) {
        if let Some(name) = self.output(i) {
            self.scope.names.insert(name.into(), value);
        }
    }

    /// Adds the node that computes output `i` alone, which may be any.
    pub(crate) fn emit_output(&mut self, i: usize, op: impl Into<Op>, inputs: Vec<Option<ValueId>>) {
        let Some(output) = self.output(i) else { return };
        let name = if i == 0 { self.source.name.clone() } else { format!("{}.{i}", self.source.name) };
        let values = self.scope.graph.add_node(name, op, inputs, &[output]);
        values.into_iter().for_each(|v| self.show(i, v));
    }

    /// The first `count` output names.
    fn output_names(&self, count: usize) -> Vec<&'a str> {
        self.source.proto.output.iter().take(count).map(String::as_str).collect()
    }

    /// Takes note that the outputs from `count` on cannot be used.
    pub(crate) fn refuse_outputs_from(&mut self, count: usize) {
        for i in count..self.outputs() {
            if let Some(name) = self.output(i).filter(|_| self.is_used(i)) {
                let reason = format!("output {i} ('{name}') is used; it is not computed");
                self.scope.report_node(Fault::Unsupported(reason), self.source, &[name]);
            }
        }
    }
}
