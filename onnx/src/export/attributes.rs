//! Attributes of ONNX nodes.

use crate::proto::AttributeProto;
use crate::proto::attribute_proto::AttributeType;

/// An attribute of extents; none for an empty list, which means the default.
pub(super) fn extents(name: &str, values: &[usize]) -> Vec<AttributeProto> {
    if values.is_empty() {
        return Vec::new();
    }
    vec![ints(name, &values.iter().map(|v| *v as i64).collect::<Vec<i64>>())]
}

pub(super) fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: kind as i32, ..AttributeProto::default() }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}
