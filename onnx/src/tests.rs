//! Tests on models built by hand. The functions here build them.

use prost::Message;
use prost::bytes::Bytes;

use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_proto::DataType;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};
use crate::{Imported, NoExternalData, OnnxError, import};

mod control;
mod dead;
mod functions;
mod legacy;
mod quant;
mod readers;
mod robust;
mod structure;
mod tensors;

/// `Op(a, b) -> c`, with omitted inputs and outputs as "".
fn node(op: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: outputs.iter().map(|s| s.to_string()).collect(),
        attribute,
        ..NodeProto::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: kind as i32, ..AttributeProto::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { floats: values.to_vec(), ..attribute(name, AttributeType::Floats) }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.into()), ..attribute(name, AttributeType::String) }
}

fn tensor_attribute(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(Box::new(value)), ..attribute(name, AttributeType::Tensor) }
}

fn tensor(name: &str, elem: DataType, dims: &[i64]) -> TensorProto {
    TensorProto { name: name.into(), data_type: elem as i32, dims: dims.to_vec(), ..TensorProto::default() }
}

fn f32_tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto { float_data: values.to_vec(), ..tensor(name, DataType::Float, dims) }
}

fn i64_tensor(name: &str, values: &[i64]) -> TensorProto {
    TensorProto { int64_data: values.to_vec(), ..tensor(name, DataType::Int64, &[values.len() as i64]) }
}

/// An input or output; an extent of -1 is written as it is.
fn port(name: &str, elem: DataType, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|d| Dimension { value: Some(dimension::Value::DimValue(*d)) }).collect();
    let ty = type_proto::Tensor { elem_type: elem as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(ty)) }),
    }
}

/// A model of opset 13 with input `x` and output `y`, both `float[1,4,6,6]`.
fn model(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let graph = GraphProto {
        name: "g".into(),
        node: nodes,
        initializer,
        input: vec![port("x", DataType::Float, &[1, 4, 6, 6])],
        output: vec![port("y", DataType::Float, &[1, 4, 6, 6])],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn with_opset(mut model: ModelProto, version: i64) -> ModelProto {
    model.opset_import[0].version = version;
    model
}

fn graph_of(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().expect("a graph")
}

fn bytes(model: &ModelProto) -> Bytes {
    Bytes::from(model.encode_to_vec())
}

fn load(model: &ModelProto) -> Result<Imported, OnnxError> {
    import(bytes(model), &NoExternalData)
}

/// The message of the error that `model` gives.
fn error(model: &ModelProto) -> String {
    load(model).expect_err("an error").to_string()
}
