//! The opset that a node needs.

use octrt_ops::def::binary::BinaryKind;
use octrt_ops::def::cumulative::CumulativeKind;
use octrt_ops::def::group_normalization::ScalePer;
use octrt_ops::def::pad::PadMode;
use octrt_ops::def::reduce::ReduceKind;
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform};
use octrt_ops::def::scatter::ScatterReduction;
use octrt_ops::def::unary::UnaryKind;
use octrt_ops::{DType, Graph, Node, Op, Tensor};

/// The opset of exported models, unless they need a later one.
pub(super) const OPSET: i64 = 17;

/// The first opset, not before [`OPSET`], that can express the node.
pub(super) fn first_opset(graph: &Graph, node: &Node) -> i64 {
    let input = |i: usize| node.input(i);
    let is_computed = |i: usize| input(i).is_some_and(|v| graph.constant(v).is_none());
    let is_wide = |i: usize| {
        let dtype = input(i).and_then(|v| graph.constant(v)).map(Tensor::dtype);
        matches!(dtype, Some(DType::U16 | DType::I16))
    };
    match &node.op {
        Op::AveragePool(op) if !op.window.dilations.is_empty() => 19,
        Op::AffineGrid(_) | Op::GridSample(_) => 20,
        // What nonpad_kv_seqlen is came later.
        Op::Attention(_) if input(6).is_some() => 24,
        Op::Attention(_) | Op::RotaryEmbedding(_) => 23,
        Op::DeformConv(_) => 19,
        Op::LpPool(op) if op.ceil_mode || !op.window.dilations.is_empty() => 18,
        Op::Cumulative(op) if op.kind == CumulativeKind::Prod => 26,
        Op::GroupNormalization(op) if op.per == ScalePer::Group => 18,
        Op::GroupNormalization(_) => 21,
        Op::Pad(op) if op.mode == PadMode::Wrap => 19,
        Op::Pad(_) if input(3).is_some() => 18,
        Op::QuantizeLinear(op) if op.precision.is_some() => 23,
        Op::QuantizeLinear(op) if op.block_size > 0 || op.output_dtype.is_some() => 21,
        Op::DequantizeLinear(op) if op.block_size > 0 => 21,
        // Integers of 16 bits: from opset 21 on.
        Op::QuantizeLinear(_) | Op::DequantizeLinear(_) if is_wide(2) || is_wide(0) => 21,
        Op::Resize(op) if op.coordinates == CoordinateTransform::HalfPixelSymmetric => 19,
        Op::Resize(op) if op.antialias || !op.axes.is_empty() || op.aspect != AspectPolicy::Stretch => 18,
        Op::Reduce(op) if op.kind != ReduceKind::Sum && (op.noop_with_empty_axes || is_computed(1)) => 18,
        Op::Swish(_) | Op::TensorScatter(_) => 24,
        Op::Gelu(_) => 20,
        Op::Unary(op) if matches!(op.kind, UnaryKind::Mish | UnaryKind::BitwiseNot) => 18,
        Op::Binary(op) if is_bitwise(op.kind) => 18,
        Op::CenterCropPad(_) | Op::Col2Im(_) => 18,
        Op::ScatterElements(op) if is_order(op.reduction) => 18,
        Op::ScatterNd(op) if is_order(op.reduction) => 18,
        Op::RmsNormalization(_) => 23,
        // Before opset 18 a split into unequal parts cannot be written without sizes.
        Op::Split(_) if input(1).is_none() => 18,
        _ => OPSET,
    }
}

fn is_bitwise(kind: BinaryKind) -> bool {
    matches!(kind, BinaryKind::BitwiseAnd | BinaryKind::BitwiseOr | BinaryKind::BitwiseXor)
}

fn is_order(reduction: ScatterReduction) -> bool {
    matches!(reduction, ScatterReduction::Max | ScatterReduction::Min)
}
