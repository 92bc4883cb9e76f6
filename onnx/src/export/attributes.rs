//! Attributes of ONNX nodes.

use octrt_ops::def::round_float::FloatFormat;

use crate::elem::ElemType;
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

/// The window of an operator; what is empty is the default.
pub(super) fn window(
    kernel: &[usize],
    strides: &[usize],
    dilations: &[usize],
    pads: &[usize],
) -> Vec<AttributeProto> {
    [("kernel_shape", kernel), ("strides", strides), ("dilations", dilations), ("pads", pads)]
        .iter()
        .flat_map(|(name, values)| extents(name, values))
        .collect()
}

/// The type that a rounded value has in ONNX.
pub(super) fn narrow(to: FloatFormat) -> ElemType {
    match to {
        FloatFormat::F16 => ElemType::F16,
        FloatFormat::BF16 => ElemType::BF16,
    }
}
