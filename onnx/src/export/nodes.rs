//! One node of a graph as ONNX nodes.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::pad::PadMode;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, Resize};
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::{Graph, Node, Op, Operator, Tensor, ValueId};

use super::{Writer, tensor};
use crate::elem::ElemType;
use crate::error::{Fault, invalid, unsupported};
use crate::names::{
    ASPECT, AUTO_PAD, BINARY, COMPARE, COORDINATES, DEPTH_ORDER, GLOBAL_POOL, NEAREST_MODE, PAD_MODE, REDUCE,
    RESIZE_MODE, UNARY, name_of,
};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};

/// The opset of exported models, unless they need a later one.
pub(super) const OPSET: i64 = 17;

/// The first opset, not before [`OPSET`], that can express the node.
pub(super) fn first_opset(graph: &Graph, node: &Node) -> i64 {
    let input = |i: usize| node.inputs.get(i).copied().flatten();
    let is_computed = |i: usize| input(i).is_some_and(|v| graph.constant(v).is_none());
    match &node.op {
        Op::AveragePool(op) if !op.dilations.is_empty() => 19,
        Op::Pad(op) if op.mode == PadMode::Wrap => 19,
        Op::Pad(_) if input(3).is_some() => 18,
        Op::Resize(op) if op.coordinates == CoordinateTransform::HalfPixelSymmetric => 19,
        Op::Resize(op) if op.antialias || !op.axes.is_empty() || op.aspect != AspectPolicy::Stretch => 18,
        Op::Reduce(op) if op.kind != ReduceKind::Sum && (op.noop_with_empty_axes || is_computed(1)) => 18,
        // Before opset 18 a split into unequal parts cannot be written without sizes.
        Op::Split(_) if input(1).is_none() => 18,
        _ => OPSET,
    }
}

/// Adds `node` to `w`.
///
/// # Errors
/// [`Fault::Unsupported`] when an input is not a constant but must become an attribute.
pub(super) fn write(w: &mut Writer<'_>, node: &Node) -> Result<(), Fault> {
    match &node.op {
        Op::Softmax(op) if op.span == SoftmaxSpan::Trailing => return write_trailing_softmax(w, node, op),
        Op::Reduce(op) => return write_reduce(w, node, op),
        Op::ConstantOfShape(_) => return write_constant_of_shape(w, node),
        Op::If(_) => return write_if(w, node),
        _ => {}
    }
    let (op_type, mut attributes) = form(&node.op);
    let has_sizes = node.inputs.get(1).is_some_and(Option::is_some);
    if matches!(node.op, Op::Split(_)) && !has_sizes {
        attributes.push(int("num_outputs", node.outputs.len() as i64));
    }
    push(w, node, op_type, attributes, &node.inputs);
    Ok(())
}

fn push(
    w: &mut Writer<'_>,
    node: &Node,
    op_type: &str,
    attributes: Vec<AttributeProto>,
    inputs: &[Option<ValueId>],
) {
    let name = |v: &Option<ValueId>| v.map_or_else(String::new, |v| w.name(v).to_string());
    let proto = NodeProto {
        op_type: op_type.into(),
        name: node.name.clone(),
        input: inputs.iter().map(name).collect(),
        output: node.outputs.iter().map(|v| w.name(*v).to_string()).collect(),
        attribute: attributes,
        ..NodeProto::default()
    };
    w.nodes.push(proto);
}

/// Operator and attributes of a node that is one ONNX node with the same inputs.
fn form(op: &Op) -> (&'static str, Vec<AttributeProto>) {
    match op {
        Op::AveragePool(op) => ("AveragePool", average_pool(op)),
        Op::BatchNormalization(op) => ("BatchNormalization", vec![float("epsilon", op.epsilon)]),
        Op::Binary(op) => (name_of(BINARY, &op.kind), vec![]),
        Op::Cast(op) => ("Cast", vec![int("to", ElemType::from(op.to).onnx().into())]),
        Op::Compare(op) => (name_of(COMPARE, &op.kind), vec![]),
        Op::Concat(op) => ("Concat", vec![int("axis", op.axis)]),
        Op::Conv(op) => ("Conv", conv(op)),
        Op::ConvTranspose(op) => ("ConvTranspose", conv_transpose(op)),
        Op::DepthToSpace(op) => {
            let mode = text("mode", name_of(DEPTH_ORDER, &op.mode));
            ("DepthToSpace", vec![int("blocksize", op.blocksize as i64), mode])
        }
        Op::Elu(op) => ("Elu", vec![float("alpha", op.alpha)]),
        Op::Flatten(op) => ("Flatten", vec![int("axis", op.axis)]),
        Op::Gather(op) => ("Gather", vec![int("axis", op.axis)]),
        Op::Gemm(op) => ("Gemm", gemm(op)),
        Op::GlobalPool(op) => (name_of(GLOBAL_POOL, &op.kind), vec![]),
        Op::HardSigmoid(op) => ("HardSigmoid", vec![float("alpha", op.alpha), float("beta", op.beta)]),
        Op::LeakyRelu(op) => ("LeakyRelu", vec![float("alpha", op.alpha)]),
        Op::MaxPool(op) => ("MaxPool", max_pool(op)),
        Op::Pad(op) => ("Pad", vec![text("mode", name_of(PAD_MODE, &op.mode))]),
        Op::Reduce(op) => (name_of(REDUCE, &op.kind), vec![]),
        Op::Reshape(op) => ("Reshape", vec![int("allowzero", op.allow_zero.into())]),
        Op::Resize(op) => ("Resize", resize(op)),
        Op::Shape(op) => {
            let end = op.end.map(|end| int("end", end));
            ("Shape", [int("start", op.start)].into_iter().chain(end).collect())
        }
        Op::Softmax(op) => (softmax_name(op), vec![int("axis", op.axis)]),
        Op::SpaceToDepth(op) => ("SpaceToDepth", vec![int("blocksize", op.blocksize as i64)]),
        Op::Split(op) => ("Split", vec![int("axis", op.axis)]),
        Op::Transpose(op) => ("Transpose", extents("perm", &op.perm)),
        Op::Unary(op) => (name_of(UNARY, &op.kind), vec![]),
        // Operators without attributes have their ONNX names.
        Op::CastLike(op) => (op.name(), vec![]),
        Op::Clip(op) => (op.name(), vec![]),
        Op::ConstantOfShape(op) => (op.name(), vec![]),
        Op::Expand(op) => (op.name(), vec![]),
        Op::Identity(op) => (op.name(), vec![]),
        Op::If(op) => (op.name(), vec![]),
        Op::MatMul(op) => (op.name(), vec![]),
        Op::PRelu(op) => (op.name(), vec![]),
        Op::Range(op) => (op.name(), vec![]),
        Op::Slice(op) => (op.name(), vec![]),
        Op::Squeeze(op) => (op.name(), vec![]),
        Op::Tile(op) => (op.name(), vec![]),
        Op::Unsqueeze(op) => (op.name(), vec![]),
        Op::Where(op) => (op.name(), vec![]),
    }
}

fn softmax_name(op: &Softmax) -> &'static str {
    if op.log { "LogSoftmax" } else { "Softmax" }
}

/// `Softmax(x) -> Reshape(Softmax(Flatten(x)), Shape(x))`: from opset 13 on ONNX has no softmax over several axes.
fn write_trailing_softmax(w: &mut Writer<'_>, node: &Node, op: &Softmax) -> Result<(), Fault> {
    let (Some(Some(data)), [output]) = (node.inputs.first(), node.outputs.as_slice()) else {
        return invalid!("a softmax has one input and one output");
    };
    let (data, output) = (w.name(*data).to_string(), w.name(*output).to_string());
    let temporary = |role: &str| format!("{output}/{role}");
    let (flat, soft, shape) = (temporary("flat"), temporary("softmax"), temporary("shape"));
    let mut step = |op_type: &str, inputs: [&String; 2], output: &String, attribute: Vec<AttributeProto>| {
        w.nodes.push(NodeProto {
            op_type: op_type.into(),
            name: format!("{}/{op_type}", node.name),
            input: inputs.into_iter().filter(|name| !name.is_empty()).cloned().collect(),
            output: vec![output.clone()],
            attribute,
            ..NodeProto::default()
        });
    };
    let none = &String::new();
    step("Flatten", [&data, none], &flat, vec![int("axis", op.axis)]);
    step(softmax_name(op), [&flat, none], &soft, vec![int("axis", 1)]);
    step("Shape", [&data, none], &shape, vec![]);
    step("Reshape", [&soft, &shape], &output, vec![]);
    Ok(())
}

/// The axes are an attribute before opset 18, except those of `ReduceSum`.
fn write_reduce(w: &mut Writer<'_>, node: &Node, op: &Reduce) -> Result<(), Fault> {
    let mut attributes = vec![int("keepdims", op.keep_dims.into())];
    let op_type = name_of(REDUCE, &op.kind);
    if op.kind == ReduceKind::Sum || w.opset >= 18 {
        attributes.push(int("noop_with_empty_axes", op.noop_with_empty_axes.into()));
        push(w, node, op_type, attributes, &node.inputs);
        return Ok(());
    }
    if let Some(axes) = constant_input(w, node, 1)? {
        let axes = axes.to_i64s().map_err(|e| Fault::Invalid(e.to_string()))?;
        attributes.push(ints("axes", &axes));
    }
    push(w, node, op_type, attributes, node.inputs.get(..1).unwrap_or_default());
    Ok(())
}

fn write_constant_of_shape(w: &mut Writer<'_>, node: &Node) -> Result<(), Fault> {
    let value = constant_input(w, node, 1)?.map(|t| AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(Box::new(tensor("value", t))),
        ..AttributeProto::default()
    });
    let inputs = node.inputs.get(..1).unwrap_or_default();
    push(w, node, "ConstantOfShape", value.into_iter().collect(), inputs);
    Ok(())
}

/// Each branch is an `Identity` of a value of the graph.
fn write_if(w: &mut Writer<'_>, node: &Node) -> Result<(), Fault> {
    let (&[condition @ Some(_), Some(then), Some(other)], [output]) = (&node.inputs[..], &node.outputs[..])
    else {
        return invalid!("an If has three inputs and one output");
    };
    let branch = |name: &str, value: ValueId| {
        let result = format!("{}/{name}", w.name(*output));
        let identity = NodeProto {
            op_type: "Identity".into(),
            name: format!("{}/{name}", node.name),
            input: vec![w.name(value).into()],
            output: vec![result.clone()],
            ..NodeProto::default()
        };
        let result = ValueInfoProto { name: result, r#type: None };
        let graph = GraphProto {
            name: name.into(),
            node: vec![identity],
            output: vec![result],
            ..GraphProto::default()
        };
        AttributeProto { g: Some(Box::new(graph)), ..attribute(name, AttributeType::Graph) }
    };
    let branches = vec![branch("then_branch", then), branch("else_branch", other)];
    push(w, node, "If", branches, &[condition]);
    Ok(())
}

/// The tensor of an input that is omitted or a constant.
fn constant_input<'a>(w: &Writer<'a>, node: &Node, i: usize) -> Result<Option<&'a Tensor>, Fault> {
    let Some(value) = node.inputs.get(i).copied().flatten() else { return Ok(None) };
    match w.graph.constant(value) {
        Some(t) => Ok(Some(t)),
        None => unsupported!("input {i} is computed; opset {} needs a constant there", w.opset),
    }
}

fn average_pool(op: &AveragePool) -> Vec<AttributeProto> {
    let mut list = window(&op.kernel, &op.strides, &op.dilations, &op.pads);
    list.push(text("auto_pad", name_of(AUTO_PAD, &op.auto_pad)));
    list.push(int("ceil_mode", op.ceil_mode.into()));
    list.push(int("count_include_pad", op.count_include_pad.into()));
    list
}

fn max_pool(op: &MaxPool) -> Vec<AttributeProto> {
    let mut list = window(&op.kernel, &op.strides, &op.dilations, &op.pads);
    list.push(text("auto_pad", name_of(AUTO_PAD, &op.auto_pad)));
    list.push(int("ceil_mode", op.ceil_mode.into()));
    list
}

fn conv(op: &Conv) -> Vec<AttributeProto> {
    let mut list = window(&op.kernel, &op.strides, &op.dilations, &op.pads);
    list.push(text("auto_pad", name_of(AUTO_PAD, &op.auto_pad)));
    list.push(int("group", op.group as i64));
    list
}

fn conv_transpose(op: &ConvTranspose) -> Vec<AttributeProto> {
    let mut list = window(&op.kernel, &op.strides, &op.dilations, &op.pads);
    list.push(text("auto_pad", name_of(AUTO_PAD, &op.auto_pad)));
    list.push(int("group", op.group as i64));
    list.extend(extents("output_padding", &op.output_padding));
    list.extend(extents("output_shape", &op.output_shape));
    list
}

fn gemm(op: &Gemm) -> Vec<AttributeProto> {
    vec![
        float("alpha", op.alpha),
        float("beta", op.beta),
        int("transA", op.trans_a.into()),
        int("transB", op.trans_b.into()),
    ]
}

/// What opset 17 does not know is written only where it is not the default, see [`first_opset`].
fn resize(op: &Resize) -> Vec<AttributeProto> {
    let mut list = vec![
        text("mode", name_of(RESIZE_MODE, &op.mode)),
        text("coordinate_transformation_mode", name_of(COORDINATES, &op.coordinates)),
        text("nearest_mode", name_of(NEAREST_MODE, &op.nearest_mode)),
        float("cubic_coeff_a", op.cubic_coeff_a),
        int("exclude_outside", op.exclude_outside.into()),
        float("extrapolation_value", op.extrapolation_value),
    ];
    if op.antialias {
        list.push(int("antialias", 1));
    }
    if op.aspect != AspectPolicy::Stretch {
        list.push(text("keep_aspect_ratio_policy", name_of(ASPECT, &op.aspect)));
    }
    if !op.axes.is_empty() {
        list.push(ints("axes", &op.axes));
    }
    list
}

fn window(kernel: &[usize], strides: &[usize], dilations: &[usize], pads: &[usize]) -> Vec<AttributeProto> {
    [("kernel_shape", kernel), ("strides", strides), ("dilations", dilations), ("pads", pads)]
        .iter()
        .flat_map(|(name, values)| extents(name, values))
        .collect()
}

/// An attribute of extents; none for an empty list, which means the default.
fn extents(name: &str, values: &[usize]) -> Vec<AttributeProto> {
    if values.is_empty() {
        return Vec::new();
    }
    vec![ints(name, &values.iter().map(|v| *v as i64).collect::<Vec<i64>>())]
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

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}
