//! Attributes of quantised operators.

use octrt_ops::def::dequantize_linear::DequantizeLinear;
use octrt_ops::def::quantize_linear::QuantizeLinear;

use crate::elem::ElemType;
use crate::export::attributes::{int, narrow};
use crate::proto::AttributeProto;

/// What opset 17 does not know is written only where it is not the default, see [`first_opset`].
pub(super) fn quantize_linear(op: &QuantizeLinear) -> Vec<AttributeProto> {
    let block = (op.block_size > 0).then(|| int("block_size", op.block_size as i64));
    let dtype = op.output_dtype.map(|d| int("output_dtype", ElemType::from(d).onnx().into()));
    let precision = op.precision.map(|p| int("precision", narrow(p).onnx().into()));
    [int("axis", op.axis)].into_iter().chain(block).chain(dtype).chain(precision).collect()
}

pub(super) fn dequantize_linear(op: &DequantizeLinear) -> Vec<AttributeProto> {
    let block = (op.block_size > 0).then(|| int("block_size", op.block_size as i64));
    [int("axis", op.axis)].into_iter().chain(block).collect()
}
