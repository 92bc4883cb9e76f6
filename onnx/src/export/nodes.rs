//! One node of a graph as ONNX nodes.

use octrt_ops::def::arg_extreme::Tie;
use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::eye_like::EyeLike;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::group_normalization::{GroupNormalization, ScalePer};
use octrt_ops::def::is_inf::IsInf;
use octrt_ops::def::lp_normalization::Norm;
use octrt_ops::def::lrn::Lrn;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::resize::{AspectPolicy, Resize};
use octrt_ops::def::round_float::RoundFloat;
use octrt_ops::def::scatter::ScatterReduction;
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::window::Window;
use octrt_ops::{DType, Node, Op, Operator, Tensor, ValueId};

use super::attributes::{attribute, explicit_window, extents, float, int, ints, narrow, text, window};
use super::writer::{Writer, tensor};
use super::{recurrent, vision};
use crate::elem::ElemType;
use crate::error::{Fault, invalid, unsupported};
use crate::names::{
    ARG_EXTREME, ASPECT, BINARY, CACHE_MODE, COMPARE, COORDINATES, CUMULATIVE, DEPTH_ORDER, GELU,
    GLOBAL_POOL, NEAREST_MODE, PAD_MODE, REDUCE, RESIZE_MODE, SCATTER, SHIFT, UNARY, name_of,
};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};

mod quant;

/// Adds `node` to `w`.
///
/// # Errors
/// [`Fault::Unsupported`] when an input is not a constant but must become an attribute.
pub(super) fn write(w: &mut Writer<'_>, node: &Node) -> Result<(), Fault> {
    match &node.op {
        Op::Softmax(op) if op.span == SoftmaxSpan::Trailing => {
            return write_trailing(w, node, softmax_name(op), op.axis);
        }
        Op::Hardmax(op) if op.span == SoftmaxSpan::Trailing => {
            return write_trailing(w, node, "Hardmax", op.axis);
        }
        Op::GroupNormalization(op) if op.per == ScalePer::Group && w.opset >= 21 => {
            return unsupported!("scales per group; from opset 21 on they are per channel");
        }
        Op::Reduce(op) => return write_reduce(w, node, op),
        Op::ConstantOfShape(_) => return write_constant_of_shape(w, node),
        Op::GlobalLpPool(op) => vision::check_exponent(op.p)?,
        Op::LpPool(op) => vision::check_exponent(op.p)?,
        Op::MaxPoolIndices(op) => return vision::write_max_pool_indices(w, node, op),
        Op::RoundFloat(op) => return write_round_float(w, node, op),
        Op::If(_) => return write_if(w, node),
        _ => {}
    }
    let (op_type, mut attributes) = form(&node.op);
    let has_sizes = node.inputs.get(1).is_some_and(Option::is_some);
    if matches!(node.op, Op::Split(_)) && !has_sizes {
        attributes.push(int("num_outputs", node.outputs.len() as i64));
    }
    if matches!(node.op, Op::Gru(_) | Op::Lstm(_) | Op::Rnn(_)) {
        attributes.extend(recurrent::hidden_size(w.graph, node));
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
        Op::AffineGrid(op) => ("AffineGrid", vec![int("align_corners", op.align_corners.into())]),
        Op::ArgExtreme(op) => {
            let last = int("select_last_index", (op.tie == Tie::Last).into());
            let keep = int("keepdims", op.keep_dims.into());
            (name_of(ARG_EXTREME, &op.kind), vec![int("axis", op.axis), keep, last])
        }
        Op::Attention(op) => ("Attention", vision::attention(op)),
        Op::AveragePool(op) => ("AveragePool", average_pool(op)),
        Op::BatchNormalization(op) => ("BatchNormalization", vec![float("epsilon", op.epsilon)]),
        Op::Binary(op) => (name_of(BINARY, &op.kind), vec![]),
        Op::BitShift(op) => ("BitShift", vec![text("direction", name_of(SHIFT, &op.direction))]),
        Op::Cast(op) => ("Cast", vec![int("to", ElemType::from(op.to).onnx().into())]),
        Op::Celu(op) => ("Celu", vec![float("alpha", op.alpha)]),
        Op::CenterCropPad(op) => ("CenterCropPad", op.axes.iter().map(|axes| ints("axes", axes)).collect()),
        Op::Col2Im(op) => ("Col2Im", explicit_window(&op.window())),
        Op::Compare(op) => (name_of(COMPARE, &op.kind), vec![]),
        Op::Compress(op) => ("Compress", op.axis.iter().map(|axis| int("axis", *axis)).collect()),
        Op::Concat(op) => ("Concat", vec![int("axis", op.axis)]),
        Op::Conv(op) => ("Conv", conv(&op.window, op.group)),
        Op::ConvInteger(op) => ("ConvInteger", conv(&op.window, op.group)),
        Op::ConvTranspose(op) => ("ConvTranspose", conv_transpose(op)),
        Op::Cumulative(op) => {
            let flags = vec![int("exclusive", op.exclusive.into()), int("reverse", op.reverse.into())];
            (name_of(CUMULATIVE, &op.kind), flags)
        }
        Op::DeformConv(op) => ("DeformConv", vision::deform_conv(op)),
        Op::DepthToSpace(op) => {
            let mode = text("mode", name_of(DEPTH_ORDER, &op.mode));
            ("DepthToSpace", vec![int("blocksize", op.blocksize as i64), mode])
        }
        Op::Einsum(op) => ("Einsum", vec![text("equation", &op.equation)]),
        Op::DequantizeLinear(op) => ("DequantizeLinear", quant::dequantize_linear(op)),
        Op::Elu(op) => ("Elu", vec![float("alpha", op.alpha)]),
        Op::EyeLike(op) => ("EyeLike", eye_like(op)),
        Op::Flatten(op) => ("Flatten", vec![int("axis", op.axis)]),
        Op::Gather(op) => ("Gather", vec![int("axis", op.axis)]),
        Op::GatherElements(op) => ("GatherElements", vec![int("axis", op.axis)]),
        Op::GatherNd(op) => ("GatherND", vec![int("batch_dims", op.batch_dims as i64)]),
        Op::Gelu(op) => ("Gelu", vec![text("approximate", name_of(GELU, &op.approximate))]),
        Op::Gemm(op) => ("Gemm", gemm(op)),
        Op::GlobalLpPool(op) => ("GlobalLpPool", vec![int("p", op.p as i64)]),
        Op::GlobalPool(op) => (name_of(GLOBAL_POOL, &op.kind), vec![]),
        Op::GridSample(op) => ("GridSample", vision::grid_sample(op)),
        Op::GroupNormalization(op) => ("GroupNormalization", group_normalization(op)),
        Op::Gru(op) => ("GRU", recurrent::gru(op)),
        Op::HardSigmoid(op) => ("HardSigmoid", vec![float("alpha", op.alpha), float("beta", op.beta)]),
        Op::Hardmax(op) => ("Hardmax", vec![int("axis", op.axis)]),
        Op::InstanceNormalization(op) => ("InstanceNormalization", vec![float("epsilon", op.epsilon)]),
        Op::IsInf(op) => ("IsInf", is_inf(op)),
        Op::LayerNormalization(op) => ("LayerNormalization", normalization(op.axis, op.epsilon, op.stash)),
        Op::LeakyRelu(op) => ("LeakyRelu", vec![float("alpha", op.alpha)]),
        Op::LpNormalization(op) => {
            let p = if op.norm == Norm::L1 { 1 } else { 2 };
            ("LpNormalization", vec![int("axis", op.axis), int("p", p)])
        }
        Op::LpPool(op) => ("LpPool", vision::lp_pool(op)),
        Op::Lrn(op) => ("LRN", lrn(op)),
        Op::Lstm(op) => ("LSTM", recurrent::lstm(op)),
        Op::MaxPool(op) => ("MaxPool", max_pool(op)),
        Op::MaxPoolIndices(op) => (op.name(), vec![]),
        Op::MaxRoiPool(op) => ("MaxRoiPool", vision::max_roi_pool(op)),
        Op::MaxUnpool(op) => ("MaxUnpool", explicit_window(&op.window())),
        Op::MeanVarianceNormalization(op) => ("MeanVarianceNormalization", vec![ints("axes", &op.axes)]),
        Op::Mod(op) => ("Mod", vec![int("fmod", op.fmod.into())]),
        Op::OneHot(op) => ("OneHot", vec![int("axis", op.axis)]),
        Op::Pad(op) => ("Pad", vec![text("mode", name_of(PAD_MODE, &op.mode))]),
        Op::QLinearConv(op) => ("QLinearConv", conv(&op.window, op.group)),
        Op::QuantizeLinear(op) => ("QuantizeLinear", quant::quantize_linear(op)),
        Op::Reduce(op) => (name_of(REDUCE, &op.kind), vec![]),
        Op::Reshape(op) => ("Reshape", vec![int("allowzero", op.allow_zero.into())]),
        Op::Resize(op) => ("Resize", resize(op)),
        Op::ReverseSequence(op) => {
            ("ReverseSequence", vec![int("batch_axis", op.batch_axis), int("time_axis", op.time_axis)])
        }
        Op::RmsNormalization(op) => ("RMSNormalization", normalization(op.axis, op.epsilon, op.stash)),
        Op::Rnn(op) => ("RNN", recurrent::rnn(op)),
        Op::RoiAlign(op) => ("RoiAlign", vision::roi_align(op)),
        Op::RotaryEmbedding(op) => ("RotaryEmbedding", vision::rotary_embedding(op)),
        Op::RoundFloat(op) => ("Cast", vec![int("to", narrow(op.to).onnx().into())]),
        Op::ScatterElements(op) => ("ScatterElements", scatter(Some(op.axis), op.reduction)),
        Op::ScatterNd(op) => ("ScatterND", scatter(None, op.reduction)),
        Op::Selu(op) => ("Selu", vec![float("alpha", op.alpha), float("gamma", op.gamma)]),
        Op::Shape(op) => {
            let end = op.end.map(|end| int("end", end));
            ("Shape", [int("start", op.start)].into_iter().chain(end).collect())
        }
        Op::Shrink(op) => ("Shrink", vec![float("bias", op.bias), float("lambd", op.lambd)]),
        Op::Softmax(op) => (softmax_name(op), vec![int("axis", op.axis)]),
        Op::SpaceToDepth(op) => ("SpaceToDepth", vec![int("blocksize", op.blocksize as i64)]),
        Op::Split(op) => ("Split", vec![int("axis", op.axis)]),
        Op::Swish(op) => ("Swish", vec![float("alpha", op.alpha)]),
        Op::TensorScatter(op) => {
            ("TensorScatter", vec![int("axis", op.axis), text("mode", name_of(CACHE_MODE, &op.mode))])
        }
        Op::ThresholdedRelu(op) => ("ThresholdedRelu", vec![float("alpha", op.alpha)]),
        Op::TopK(op) => {
            let largest = int("largest", op.largest.into());
            ("TopK", vec![int("axis", op.axis), largest, int("sorted", op.sorted.into())])
        }
        Op::Transpose(op) => ("Transpose", extents("perm", &op.perm)),
        Op::Trilu(op) => ("Trilu", vec![int("upper", op.upper.into())]),
        Op::Unary(op) => (name_of(UNARY, &op.kind), vec![]),
        // Operators without attributes have their ONNX names.
        Op::CastLike(op) => (op.name(), vec![]),
        Op::Clip(op) => (op.name(), vec![]),
        Op::ConstantOfShape(op) => (op.name(), vec![]),
        Op::DynamicQuantizeLinear(op) => (op.name(), vec![]),
        Op::Expand(op) => (op.name(), vec![]),
        Op::Identity(op) => (op.name(), vec![]),
        Op::IsNan(op) => (op.name(), vec![]),
        Op::If(op) => (op.name(), vec![]),
        Op::MatMul(op) => (op.name(), vec![]),
        Op::MatMulInteger(op) => (op.name(), vec![]),
        Op::PRelu(op) => (op.name(), vec![]),
        Op::QLinearMatMul(op) => (op.name(), vec![]),
        Op::Range(op) => (op.name(), vec![]),
        Op::Size(op) => (op.name(), vec![]),
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

/// `Softmax(x) -> Reshape(Softmax(Flatten(x)), Shape(x))`: from opset 13 on ONNX has no softmax over several axes, and no
/// hardmax.
fn write_trailing(w: &mut Writer<'_>, node: &Node, name: &str, axis: i64) -> Result<(), Fault> {
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
    step("Flatten", [&data, none], &flat, vec![int("axis", axis)]);
    step(name, [&flat, none], &soft, vec![int("axis", 1)]);
    step("Shape", [&data, none], &shape, vec![]);
    step("Reshape", [&soft, &shape], &output, vec![]);
    Ok(())
}

/// `RoundFloat(x) -> Cast(Cast(x, to narrow), to float)`: values of the narrower type go on as f32.
fn write_round_float(w: &mut Writer<'_>, node: &Node, op: &RoundFloat) -> Result<(), Fault> {
    let (Some(Some(data)), [output]) = (node.inputs.first(), node.outputs.as_slice()) else {
        return invalid!("a conversion has one input and one output");
    };
    let (data, output) = (w.name(*data).to_string(), w.name(*output).to_string());
    let rounded = format!("{output}/rounded");
    for (from, to, elem) in [(&data, &rounded, narrow(op.to)), (&rounded, &output, ElemType::F32)] {
        w.nodes.push(NodeProto {
            op_type: "Cast".into(),
            name: format!("{}/{elem}", node.name),
            input: vec![from.clone()],
            output: vec![to.clone()],
            attribute: vec![int("to", elem.onnx().into())],
            ..NodeProto::default()
        });
    }
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
    let Some(value) = node.input(i) else { return Ok(None) };
    match w.graph.constant(value) {
        Some(t) => Ok(Some(t)),
        None => unsupported!("input {i} is computed; opset {} needs a constant there", w.opset),
    }
}

fn eye_like(op: &EyeLike) -> Vec<AttributeProto> {
    let dtype = op.dtype.map(|d| int("dtype", ElemType::from(d).onnx().into()));
    dtype.into_iter().chain([int("k", op.k)]).collect()
}

fn is_inf(op: &IsInf) -> Vec<AttributeProto> {
    vec![int("detect_negative", op.detect_negative.into()), int("detect_positive", op.detect_positive.into())]
}

/// The reduction is written only where it is not the default, see [`first_opset`].
fn scatter(axis: Option<i64>, reduction: ScatterReduction) -> Vec<AttributeProto> {
    let reduction =
        (reduction != ScatterReduction::Replace).then(|| text("reduction", name_of(SCATTER, &reduction)));
    axis.map(|axis| int("axis", axis)).into_iter().chain(reduction).collect()
}

fn average_pool(op: &AveragePool) -> Vec<AttributeProto> {
    let mut list = window(&op.window);
    list.push(int("ceil_mode", op.ceil_mode.into()));
    list.push(int("count_include_pad", op.count_include_pad.into()));
    list
}

fn conv(w: &Window, group: usize) -> Vec<AttributeProto> {
    let mut list = window(w);
    list.push(int("group", group as i64));
    list
}

fn max_pool(op: &MaxPool) -> Vec<AttributeProto> {
    let mut list = window(&op.window);
    list.push(int("ceil_mode", op.ceil_mode.into()));
    list
}

fn conv_transpose(op: &ConvTranspose) -> Vec<AttributeProto> {
    let mut list = conv(&op.window, op.group);
    list.extend(extents("output_padding", &op.output_padding));
    list.extend(extents("output_shape", &op.output_shape));
    list
}

fn normalization(axis: i64, epsilon: f32, stash: DType) -> Vec<AttributeProto> {
    let stash = int("stash_type", ElemType::from(stash).onnx().into());
    vec![int("axis", axis), float("epsilon", epsilon), stash]
}

/// Before opset 21 there is no type of statistics.
fn group_normalization(op: &GroupNormalization) -> Vec<AttributeProto> {
    let mut list = vec![int("num_groups", op.groups as i64), float("epsilon", op.epsilon)];
    if op.per == ScalePer::Channel {
        list.push(int("stash_type", ElemType::from(op.stash).onnx().into()));
    }
    list
}

fn lrn(op: &Lrn) -> Vec<AttributeProto> {
    let size = int("size", op.size as i64);
    vec![float("alpha", op.alpha), float("beta", op.beta), float("bias", op.bias), size]
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
