//! Attributes of operators on images, regions and attention.

use octrt_ops::Node;
use octrt_ops::def::attention::{Attention, AttentionStep};
use octrt_ops::def::deform_conv::DeformConv;
use octrt_ops::def::grid_sample::GridSample;
use octrt_ops::def::lp_pool::LpPool;
use octrt_ops::def::max_pool_indices::MaxPoolIndices;
use octrt_ops::def::max_roi_pool::MaxRoiPool;
use octrt_ops::def::roi_align::RoiAlign;
use octrt_ops::def::rotary_embedding::RotaryEmbedding;

use super::attributes::{explicit_window, extents, float, int, text, window};
use super::writer::Writer;
use crate::error::{Fault, invalid, unsupported};
use crate::names::{ROI_MODE, SAMPLE_MODE, SAMPLE_PADDING, name_of};
use crate::proto::{AttributeProto, NodeProto};

pub(super) fn grid_sample(op: &GridSample) -> Vec<AttributeProto> {
    vec![
        text("mode", name_of(SAMPLE_MODE, &op.mode)),
        text("padding_mode", name_of(SAMPLE_PADDING, &op.padding)),
        int("align_corners", op.align_corners.into()),
    ]
}

pub(super) fn roi_align(op: &RoiAlign) -> Vec<AttributeProto> {
    let shift = if op.half_pixel { "half_pixel" } else { "output_half_pixel" };
    let extent = |i: usize| op.output.get(i).map_or(1, |&n| n as i64);
    vec![
        text("mode", name_of(ROI_MODE, &op.mode)),
        text("coordinate_transformation_mode", shift),
        int("output_height", extent(0)),
        int("output_width", extent(1)),
        int("sampling_ratio", op.sampling_ratio as i64),
        float("spatial_scale", op.spatial_scale),
    ]
}

pub(super) fn max_roi_pool(op: &MaxRoiPool) -> Vec<AttributeProto> {
    let mut list = extents("pooled_shape", &op.output);
    list.push(float("spatial_scale", op.spatial_scale));
    list
}

pub(super) fn deform_conv(op: &DeformConv) -> Vec<AttributeProto> {
    let mut list = explicit_window(&op.window());
    list.push(int("group", op.group as i64));
    list.push(int("offset_group", op.offset_group as i64));
    list
}

pub(super) fn attention(op: &Attention) -> Vec<AttributeProto> {
    let step = AttentionStep::ALL.iter().position(|s| *s == op.step).unwrap_or(0);
    let mut list = vec![
        int("is_causal", op.is_causal.into()),
        float("softcap", op.softcap),
        int("qk_matmul_output_mode", step as i64),
    ];
    list.extend(op.q_num_heads.map(|n| int("q_num_heads", n as i64)));
    list.extend(op.kv_num_heads.map(|n| int("kv_num_heads", n as i64)));
    list.extend(op.scale.map(|scale| float("scale", scale)));
    list
}

pub(super) fn rotary_embedding(op: &RotaryEmbedding) -> Vec<AttributeProto> {
    vec![
        int("interleaved", op.interleaved.into()),
        int("num_heads", op.num_heads as i64),
        int("rotary_embedding_dim", op.rotary_dim as i64),
    ]
}

/// Whether an Lp pooling can be written: ONNX has integer exponents.
///
/// # Errors
/// [`Fault::Unsupported`] for another exponent.
pub(super) fn check_exponent(p: f32) -> Result<(), Fault> {
    if p.fract() == 0.0 && p.abs() < 1e9 { Ok(()) } else { unsupported!("the exponent {p} is no integer") }
}

pub(super) fn lp_pool(op: &LpPool) -> Vec<AttributeProto> {
    let mut list = window(&op.window);
    list.push(int("ceil_mode", op.ceil_mode.into()));
    list.push(int("p", op.p as i64));
    list
}

/// The second output of a `MaxPool` whose first one nobody uses.
///
/// # Errors
/// [`Fault::Invalid`] when the node has another number of inputs or outputs.
pub(super) fn write_max_pool_indices(
    w: &mut Writer<'_>,
    node: &Node,
    op: &MaxPoolIndices,
) -> Result<(), Fault> {
    let (Some(Some(data)), [output]) = (node.inputs.first(), node.outputs.as_slice()) else {
        return invalid!("places of maxima have one input and one output");
    };
    let (data, output) = (w.name(*data).to_string(), w.name(*output).to_string());
    let mut attribute = window(&op.window);
    attribute.push(int("ceil_mode", op.ceil_mode.into()));
    attribute.push(int("storage_order", op.column_major.into()));
    w.nodes.push(NodeProto {
        op_type: "MaxPool".into(),
        name: node.name.clone(),
        input: vec![data],
        output: vec![format!("{output}/maxima"), output],
        attribute,
        ..NodeProto::default()
    });
    Ok(())
}
