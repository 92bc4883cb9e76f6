//! A graph to ONNX bytes.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::graph::{ValueDef, infer, verify};
use octrt_ops::{DType, Dim, Graph, Node, Op, Shape, TensorType, ValueId};
use prost::Message;

use crate::dataflow::names_read;
use crate::elem::ElemType;
use crate::error::{Fault, OnnxError};
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

mod attributes;
mod nodes;
mod opset;
mod recurrent;
mod vision;
mod writer;

use writer::{Writer, tensor};

/// The file format's limit on one message.
const MAX_BYTES: usize = i32::MAX as usize;
/// Extent that stands for unknown ones when the ranks of outputs are looked for.
const SAMPLE_EXTENT: usize = 64;

/// The graph as an ONNX model with `metadata` as its notes. The opset is 17, or the first later one that has what the
/// graph uses. Constants become initializers; those that no node uses are left out.
///
/// Importing the result gives an equal graph up to names and the order of values, except that a rounding to a narrower
/// float gets a `Cast` to f32 before and after it, that a softmax over trailing axes becomes `Flatten`, `Softmax`, `Reshape`, that an output which shows an input, a constant or another output's
/// value gets an `Identity`, and that the value of a `ConstantOfShape` is always given and of shape `[1]`.
///
/// The branches of an `If` only name values of the graph, so other programs compute what both of them need.
///
/// # Errors
/// [`OnnxError::Invalid`] when the structure of the graph is broken or an output has the name of another input,
/// [`OnnxError::Unsupported`] when an input is no constant that ONNX wants as an attribute, [`OnnxError::TooLarge`]
/// above 2 GiB, the limit of the format.
pub fn export(graph: &Graph, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>, OnnxError> {
    verify::structure(graph).map_err(|e| Fault::Invalid(e.to_string()).at("graph"))?;
    let opset = graph.nodes.iter().map(|n| opset::first_opset(graph, n)).fold(opset::OPSET, i64::max);
    let mut writer = Writer { graph, opset, names: value_names(graph)?, nodes: Vec::new() };
    for node in &graph.nodes {
        nodes::write(&mut writer, node).map_err(|f| f.at(format!("node '{}'", node.name)))?;
    }
    writer.write_output_copies();
    let entries =
        metadata.iter().map(|(k, v)| StringStringEntryProto { key: k.clone(), value: v.clone() }).collect();
    let model = ModelProto {
        ir_version: ir_version(opset),
        producer_name: "octrt".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(writer.finish()),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        metadata_props: entries,
        functions: Vec::new(),
    };
    match model.encoded_len() {
        size if size > MAX_BYTES => {
            Err(Fault::TooLarge(format!("{size} bytes, the format's limit is {MAX_BYTES}")).at("model"))
        }
        _ => Ok(model.encode_to_vec()),
    }
}

impl Writer<'_> {
    /// Outputs whose name is not that of their value.
    fn write_output_copies(&mut self) {
        for output in &self.graph.outputs {
            let from = self.name(output.value);
            if from != output.name {
                let identity = NodeProto {
                    op_type: "Identity".into(),
                    name: format!("output {}", output.name),
                    input: vec![from.into()],
                    output: vec![output.name.clone()],
                    ..NodeProto::default()
                };
                self.nodes.push(identity);
            }
        }
    }

    fn finish(self) -> GraphProto {
        let used: BTreeSet<&str> = self.nodes.iter().flat_map(names_read).collect();
        let constants = self.graph.values.iter().zip(&self.names).filter_map(|(v, name)| match &v.def {
            ValueDef::Const(t) if used.contains(name.as_str()) => Some(tensor(name, t)),
            _ => None,
        });
        let inputs = self.graph.inputs.iter().map(|input| {
            let ty = tensor_type(input.dtype, Some(shape(input.dims.iter().map(extent))));
            ValueInfoProto { name: self.name(input.value).into(), r#type: Some(ty) }
        });
        GraphProto {
            name: if self.graph.name.is_empty() { "graph".into() } else { self.graph.name.clone() },
            initializer: constants.collect(),
            input: inputs.collect(),
            output: outputs(self.graph),
            sparse_initializer: Vec::new(),
            node: self.nodes,
        }
    }
}

/// A name for each value, all different: inputs keep theirs, what an output shows is named as the output.
/// The oldest version of the format that goes with an opset.
fn ir_version(opset: i64) -> i64 {
    match opset {
        ..19 => 8,
        19..21 => 9,
        21..23 => 10,
        23 => 11,
        _ => 12,
    }
}

fn value_names(graph: &Graph) -> Result<Vec<String>, OnnxError> {
    let mut names = vec![String::new(); graph.values.len()];
    let mut taken: BTreeSet<String> = graph.outputs.iter().map(|o| o.name.clone()).collect();
    for input in &graph.inputs {
        let name = &graph.value(input.value).name;
        let shown = graph.outputs.iter().find(|o| o.name == *name);
        if shown.is_some_and(|o| o.value != input.value) {
            let message = format!("an input that it does not show has the name '{name}' too");
            return Err(Fault::Invalid(message).at("output"));
        }
        names[input.value.index()] = match shown {
            Some(_) => name.clone(),
            None => fresh(name, input.value, &mut taken),
        };
    }
    for output in &graph.outputs {
        let is_node = graph.producer(output.value).is_some();
        let name = &mut names[output.value.index()];
        if is_node && name.is_empty() {
            *name = output.name.clone();
        }
    }
    for (i, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
        *name = fresh(&graph.values[i].name, ValueId(i as u32), &mut taken);
    }
    Ok(names)
}

/// `wanted`, or a name made from `id` and it when it is empty or taken.
fn fresh(wanted: &str, id: ValueId, taken: &mut BTreeSet<String>) -> String {
    let mut name = if wanted.is_empty() { format!("v{}", id.0) } else { wanted.to_string() };
    while !taken.insert(name.clone()) {
        name = format!("v{}.{name}", id.0);
    }
    name
}

fn extent(dim: &Dim) -> Dimension {
    let value = match dim {
        Dim::Fixed(d) => Some(dimension::Value::DimValue(*d as i64)),
        Dim::Dynamic(name) if name.is_empty() => None,
        Dim::Dynamic(name) => Some(dimension::Value::DimParam(name.clone())),
    };
    Dimension { value }
}

fn shape(dims: impl Iterator<Item = Dimension>) -> TensorShapeProto {
    TensorShapeProto { dim: dims.collect() }
}

fn tensor_type(dtype: DType, shape: Option<TensorShapeProto>) -> TypeProto {
    let tensor = type_proto::Tensor { elem_type: ElemType::from(dtype).onnx(), shape };
    TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }
}

/// The outputs with as much of their types as is known: extents for graphs of fixed shape, else only their number.
fn outputs(graph: &Graph) -> Vec<ValueInfoProto> {
    let is_fixed = graph.inputs.iter().flat_map(|i| &i.dims).all(|d| matches!(d, Dim::Fixed(_)));
    let specialized = sample(graph);
    let dtypes = dtypes(graph);
    let dims = |s: &Shape| {
        let known = |d: usize| Some(dimension::Value::DimValue(d as i64));
        shape(s.iter().map(|d| Dimension { value: if is_fixed { known(*d) } else { None } }))
    };
    graph
        .outputs
        .iter()
        .enumerate()
        .map(|(i, o)| {
            let from_sample = specialized.as_ref().and_then(|g| g.value(g.outputs[i].value).ty.as_ref());
            let ty = graph.value(o.value).ty.as_ref().or(from_sample);
            let dtype = ty.map_or(dtypes[o.value.index()], |ty| ty.dtype);
            ValueInfoProto {
                name: o.name.clone(),
                r#type: Some(tensor_type(dtype, ty.map(|ty| dims(&ty.shape)))),
            }
        })
        .collect()
}

/// The graph for its own shapes, unknown extents taken as [`SAMPLE_EXTENT`]; none when it does not fit such inputs.
fn sample(graph: &Graph) -> Option<Graph> {
    let types: Vec<TensorType> = graph
        .inputs
        .iter()
        .map(|input| {
            let dims = input.dims.iter().map(|d| match d {
                Dim::Fixed(d) => *d,
                Dim::Dynamic(_) => SAMPLE_EXTENT,
            });
            TensorType::new(input.dtype, dims.collect::<Vec<usize>>())
        })
        .collect();
    infer::specialize(graph, &types, infer::Limits::default()).ok()
}

/// The element type of every value; it does not depend on shapes.
fn dtypes(graph: &Graph) -> Vec<DType> {
    let mut dtypes = vec![DType::F32; graph.values.len()];
    for input in &graph.inputs {
        dtypes[input.value.index()] = input.dtype;
    }
    for (dtype, value) in dtypes.iter_mut().zip(&graph.values) {
        if let ValueDef::Const(t) = &value.def {
            *dtype = t.dtype();
        }
    }
    for node in &graph.nodes {
        for (i, output) in node.outputs.iter().enumerate() {
            dtypes[output.index()] = result_dtype(node, i, &dtypes);
        }
    }
    dtypes
}

/// The element type of output `position`.
fn result_dtype(node: &Node, position: usize, dtypes: &[DType]) -> DType {
    let of = |i: usize| node.input(i).map_or(DType::F32, |v| dtypes[v.index()]);
    match &node.op {
        Op::Cast(cast) => cast.to,
        Op::Compare(_) | Op::IsInf(_) | Op::IsNan(_) => DType::Bool,
        Op::LayerNormalization(op) if position > 0 => op.stash,
        Op::EyeLike(op) => op.dtype.unwrap_or(of(0)),
        Op::OneHot(_) => of(2),
        Op::ArgExtreme(_) | Op::MaxPoolIndices(_) | Op::Shape(_) | Op::Size(_) => DType::I64,
        Op::TopK(_) if position == 1 => DType::I64,
        Op::ConvInteger(_) | Op::MatMulInteger(_) => DType::I32,
        Op::DequantizeLinear(_) => of(1),
        Op::DynamicQuantizeLinear(_) => {
            if position == 1 {
                DType::F32
            } else {
                DType::U8
            }
        }
        Op::QLinearConv(_) | Op::QLinearMatMul(_) => of(7),
        Op::QuantizeLinear(op) => match node.input(2) {
            Some(zero) => dtypes[zero.index()],
            None => op.output_dtype.unwrap_or(DType::U8),
        },
        Op::CastLike(_) | Op::ConstantOfShape(_) | Op::If(_) | Op::Where(_) => of(1),
        _ => of(0),
    }
}
