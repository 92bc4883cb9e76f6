//! Attributes of ONNX nodes.

use octrt_ops::def::round_float::FloatFormat;
use octrt_ops::window::Window;

use crate::elem::ElemType;
use crate::names::{AUTO_PAD, name_of};
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

/// The window of an operator; lists that are empty are left out.
pub(super) fn window(w: &Window) -> Vec<AttributeProto> {
    let mut list = explicit_window(w);
    list.push(text("auto_pad", name_of(AUTO_PAD, &w.auto_pad)));
    list
}

/// As [`window`], of an operator whose padding is never derived.
pub(super) fn explicit_window(w: &Window) -> Vec<AttributeProto> {
    [("kernel_shape", &w.kernel), ("strides", &w.strides), ("dilations", &w.dilations), ("pads", &w.pads)]
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
