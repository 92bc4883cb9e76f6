//! ONNX bytes to a graph.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::{Dim, Graph, ValueId};
use prost::bytes::Bytes;

use crate::body::{initializer_place, read_initializers, read_node};
use crate::dataflow::names_read;
use crate::elem::ElemType;
use crate::error::{Fault, OnnxError, Unsupported};
use crate::external::{ExternalData, NoExternalData};
use crate::inline::{Library, Within};
use crate::model::{self, DeclaredType, Opsets};
use crate::node::Source;
use crate::order;
use crate::proto::{GraphProto, ModelProto, ValueInfoProto};
use crate::scope::{Outcome, Scope};
use crate::support::{self, MAX_OPSET};

/// A model as a graph, and what the graph does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The network; its weights share the bytes of the model where their type allows it.
    pub graph: Graph,
    /// The inputs as the model declares them, in the order of `graph.inputs`.
    pub inputs: Vec<Port>,
    /// The outputs as the model declares them, in the order of `graph.outputs`.
    pub outputs: Vec<Port>,
    /// The model's own notes (`metadata_props`).
    pub metadata: BTreeMap<String, String>,
    /// Version of the standard operators.
    pub opset: i64,
    /// Version of the file format.
    pub ir_version: i64,
    /// The program that wrote the model and its version; empty when it does not say.
    pub producer: String,
    /// What is unusual but was read: one sentence each, naming the place.
    pub warnings: Vec<String>,
}

/// An input or output of a model at its border.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Element type that callers give or get; the graph computes in [`ElemType::dtype`]. None for an output whose type
    /// the model does not declare.
    pub elem: Option<ElemType>,
    /// Declared extents; none for an output whose shape the model does not declare.
    pub dims: Option<Vec<Dim>>,
}

/// Reads a model of any opset. `external` gives the weights that are not in `model`.
///
/// Constants and initializers become constants of the graph, also those that older models list as inputs; unused ones
/// are left out. f16 and bf16 become f32 everywhere, and only casts to them round to the smaller type. Functions of
/// the model are inlined; nodes are sorted if they are not; those that no output needs are left out, whatever is wrong
/// with them. Of an If whose condition follows from constants and from shapes that the model fixes, the branch that is
/// taken becomes part of the graph; both do where the condition is known later, see
/// [`octrt_ops::def::if_`]. Nothing else is evaluated, and the graph has no inferred shapes.
///
/// # Errors
/// [`OnnxError`]; where the model uses several things that are not supported, all of them.
pub fn import(model: Bytes, external: &dyn ExternalData) -> Result<Imported, OnnxError> {
    let model = model::decode(model)?;
    let (imported, outcome) = read(&model, external)?;
    if let Some(error) = outcome.error {
        return Err(error);
    }
    if !outcome.unsupported.is_empty() {
        return Err(OnnxError::Unsupported(outcome.unsupported));
    }
    Ok(Imported { graph: outcome.graph, warnings: outcome.warnings, ..imported })
}

/// Everything in `model` that [`import`] does not support, without reading external data; empty when it supports all.
///
/// # Errors
/// [`OnnxError`] when so much is wrong with the model that its nodes cannot be told.
pub fn unsupported(model: Bytes) -> Result<Vec<Unsupported>, OnnxError> {
    let found =
        model::decode(model).and_then(|m| read(&m, &NoExternalData).map(|(_, outcome)| outcome.unsupported));
    match found {
        Err(OnnxError::Unsupported(items)) => Ok(items),
        other => other,
    }
}

/// Everything but the graph and the warnings, which are in the outcome, as are errors of single parts.
fn read(model: &ModelProto, external: &dyn ExternalData) -> Result<(Imported, Outcome), OnnxError> {
    let opsets = Opsets::new(&model.opset_import).map_err(|e| e.at("model"))?;
    let empty = GraphProto::default();
    let graph = model.graph.as_ref().unwrap_or(&empty);
    let library = Library::new(model)?;
    let source = Source { library: &library, external, operators: support::reader };
    let nodes = library.flatten(&graph.node, Within { opsets: &opsets, prefix: "", depth: 0 })?;
    let given = given(graph)?;
    let order = order::topological(&nodes, &|name| given.contains(name))?;

    let mut scope = Scope::default();
    scope.graph.name.clone_from(&graph.name);
    let names = nodes.iter().flat_map(|n| names_read(&n.proto));
    scope.used = names.chain(graph.output.iter().map(|o| o.name.as_str())).map(str::to_string).collect();
    note_header(&opsets, &mut scope);
    if !order.is_sorted() {
        scope.warnings.push("the nodes were not in topological order; they have been sorted".into());
    }
    let inputs = read_inputs(graph, &mut scope);
    read_initializers(graph, source, &mut scope);
    for &i in &order {
        read_node(&nodes[i], source, &mut scope);
    }
    let outputs = read_outputs(graph, &mut scope)?;
    let entries = model.metadata_props.iter().map(|e| (e.key.clone(), e.value.clone()));
    let imported = Imported {
        graph: Graph::default(),
        inputs,
        outputs,
        metadata: entries.collect(),
        opset: opsets.version(""),
        ir_version: model.ir_version,
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().into(),
        warnings: Vec::new(),
    };
    Ok((imported, scope.finish()))
}

/// Names of inputs and initializers, which nodes must not define again.
fn given(graph: &GraphProto) -> Result<BTreeSet<&str>, OnnxError> {
    let mut inputs = BTreeSet::new();
    let mut initializers = BTreeSet::new();
    for input in &graph.input {
        if input.name.is_empty() {
            return Err(Fault::Invalid("an input has no name".into()).at("graph"));
        }
        if !inputs.insert(input.name.as_str()) {
            return Err(Fault::Invalid("it is declared twice".into()).at(input_place(input)));
        }
    }
    for tensor in &graph.initializer {
        if !initializers.insert(tensor.name.as_str()) {
            return Err(Fault::Invalid("it is defined twice".into()).at(initializer_place(tensor)));
        }
    }
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()).map(|v| v.name.as_str());
    Ok(inputs.into_iter().chain(initializers).chain(sparse).collect())
}

fn input_place(input: &ValueInfoProto) -> String {
    format!("input '{}'", input.name)
}

fn note_header(opsets: &Opsets, scope: &mut Scope) {
    let opset = opsets.version("");
    if opset > MAX_OPSET {
        scope.warnings.push(format!(
            "opset {opset} is newer than {MAX_OPSET}, the last one known; operators are read as of opset {MAX_OPSET}"
        ));
    }
}

fn read_inputs(graph: &GraphProto, scope: &mut Scope) -> Vec<Port> {
    let constants: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let mut ports = Vec::new();
    for input in graph.input.iter().filter(|i| !constants.contains(i.name.as_str())) {
        match read_input(input, scope) {
            Ok((port, value)) => {
                scope.names.insert(port.name.clone(), value);
                ports.push(port);
            }
            Err(fault) => {
                scope.report_input(fault, input_place(input), &input.name);
            }
        }
    }
    ports
}

fn read_input(input: &ValueInfoProto, scope: &mut Scope) -> Result<(Port, ValueId), Fault> {
    let mut remarks = Vec::new();
    let declared = model::tensor_type(input.r#type.as_ref(), &mut remarks)?;
    let Some(elem) = declared.elem else { return Err(Fault::Invalid("it has no element type".into())) };
    let Some(dtype) = elem.dtype() else {
        return Err(Fault::Unsupported(format!("its elements are {elem}")));
    };
    let Some(dims) = declared.dims else {
        return Err(Fault::Unsupported("the number of its dimensions is not declared".into()));
    };
    let place = input_place(input);
    scope.warnings.extend(remarks.iter().map(|r| format!("{place}: {r}")));
    let value = scope.graph.add_input(&input.name, dtype, dims.clone());
    scope.note_type(value, elem);
    Ok((Port { name: input.name.clone(), elem: Some(elem), dims: Some(dims) }, value))
}

fn read_outputs(graph: &GraphProto, scope: &mut Scope) -> Result<Vec<Port>, OnnxError> {
    if graph.output.is_empty() {
        return Err(Fault::Invalid("it has no outputs".into()).at("graph"));
    }
    let mut ports: Vec<Port> = Vec::new();
    let mut names = BTreeSet::new();
    for output in &graph.output {
        let place = || format!("output '{}'", output.name);
        let invalid = |message: &str| Err(Fault::Invalid(message.into()).at(place()));
        let Some(&value) = scope.names.get(&output.name) else {
            return invalid("it is not defined by any node, input or initializer");
        };
        if !names.insert(&output.name) {
            return invalid("it is declared twice");
        }
        scope.graph.add_output(&output.name, value);
        let declared = model::tensor_type(output.r#type.as_ref(), &mut Vec::new()).unwrap_or_else(|fault| {
            scope.report(fault, place());
            DeclaredType::default()
        });
        let port = Port { name: output.name.clone(), elem: declared.elem, dims: declared.dims };
        if let Some(elem) = port.elem.filter(|e| e.dtype().is_none()) {
            scope.report(Fault::Unsupported(format!("its elements are {elem}")), place());
        }
        ports.push(port);
    }
    Ok(ports)
}
