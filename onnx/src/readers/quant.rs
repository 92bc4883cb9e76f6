//! Quantised operators. Those of domain `com.microsoft` become what they stand for: `DequantizeLinear`, the operator on
//! numbers, `QuantizeLinear`.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::conv_integer::ConvInteger;
use octrt_ops::def::dequantize_linear::DequantizeLinear;
use octrt_ops::def::dynamic_quantize_linear::DynamicQuantizeLinear;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::matmul_integer::MatMulInteger;
use octrt_ops::def::qlinear_conv::QLinearConv;
use octrt_ops::def::qlinear_matmul::QLinearMatMul;
use octrt_ops::def::quantize_linear::QuantizeLinear;
use octrt_ops::def::round_float::FloatFormat;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Op, Tensor, ValueId};

use crate::elem::ElemType;
use crate::error::{Fault, invalid, unsupported};
use crate::names::AUTO_PAD;
use crate::node::NodeReader;
use crate::readers::window::{kernel, window};

/// The element type in attribute `name`; none when it is omitted or 0.
fn element_type(n: &mut NodeReader<'_>, name: &'static str) -> Result<Option<ElemType>, Fault> {
    let code = n.attrs.int(name)?.filter(|code| *code != 0);
    Ok(code.map(|code| ElemType::from_onnx(i32::try_from(code).unwrap_or(-1))))
}

/// `QuantizeLinear`: x, scale, zero point; `saturate` speaks of 8-bit floats only. From opset 23 on x is divided in the
/// type of the scale where no `precision` is given.
pub(crate) fn quantize(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["saturate"]);
    let output_dtype = match element_type(n, "output_dtype")? {
        None => None,
        Some(elem @ (ElemType::U8 | ElemType::I8 | ElemType::U16 | ElemType::I16)) => elem.dtype(),
        Some(elem) => return unsupported!("quantisation to {elem}"),
    };
    let inputs = n.inputs(2, 1)?;
    let precision = match element_type(n, "precision")? {
        None if n.opset() >= 23 => inputs[1].and_then(|scale| n.narrow_float(scale)),
        None | Some(ElemType::F32) => None,
        Some(ElemType::F16) => Some(FloatFormat::F16),
        Some(ElemType::BF16) => Some(FloatFormat::BF16),
        Some(elem) => return unsupported!("division in {elem}"),
    };
    let axis = n.attrs.int("axis")?.unwrap_or(1);
    let block_size = n.attrs.extent("block_size")?.unwrap_or(0);
    n.emit(QuantizeLinear { axis, block_size, output_dtype, precision }, inputs)
}

/// `DequantizeLinear`: x, scale, zero point.
pub(crate) fn dequantize(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    match element_type(n, "output_dtype")? {
        None | Some(ElemType::F32 | ElemType::F16 | ElemType::BF16) => {}
        Some(elem) => return unsupported!("dequantisation to {elem}"),
    }
    let axis = n.attrs.int("axis")?.unwrap_or(1);
    let block_size = n.attrs.extent("block_size")?.unwrap_or(0);
    n.emit(DequantizeLinear { axis, block_size }, n.inputs(2, 1)?)
}

/// `DynamicQuantizeLinear`: x; three outputs.
pub(crate) fn dynamic_quantize(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.outputs() != 3 {
        return invalid!("expected 3 outputs, found {}", n.outputs());
    }
    n.emit_all(DynamicQuantizeLinear {}, n.inputs(1, 0)?)
}

/// `QLinearConv`: x, w, y with scale and zero point each, bias.
pub(crate) fn qlinear_conv(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.attrs.flag("channels_last")? {
        return unsupported!("channels_last is 1");
    }
    let op = QLinearConv { window: window(n)?, group: n.attrs.extent("group")?.unwrap_or(1) };
    n.emit(op, n.inputs(8, 1)?)
}

/// `ConvInteger`: x, w, their zero points.
pub(crate) fn conv_integer(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = ConvInteger { window: window(n)?, group: n.attrs.extent("group")?.unwrap_or(1) };
    n.emit(op, n.inputs(2, 2)?)
}

/// `QLinearMatMul`: a, b, y with scale and zero point each.
pub(crate) fn qlinear_matmul(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.emit(QLinearMatMul {}, n.inputs(8, 0)?)
}

/// `MatMulInteger`: a, b, their zero points.
pub(crate) fn matmul_integer(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.emit(MatMulInteger {}, n.inputs(2, 2)?)
}

/// A quantised value: itself, its scale, its zero point.
type Quantised = [Option<ValueId>; 3];

fn numbers(n: &mut NodeReader<'_>, role: &str, value: Quantised) -> Result<Option<ValueId>, Fault> {
    n.step(role, DequantizeLinear { axis: 1, block_size: 0 }, value.to_vec()).map(Some)
}

/// The output: `value` with a scale and a zero point, which says its type.
fn quantised(
    n: &mut NodeReader<'_>,
    value: ValueId,
    [scale, zero]: [Option<ValueId>; 2],
) -> Result<(), Fault> {
    if scale.is_none() || zero.is_none() {
        return unsupported!("the output's scale or zero point is omitted");
    }
    let op = QuantizeLinear { axis: 1, block_size: 0, output_dtype: None, precision: None };
    n.emit(op, vec![Some(value), scale, zero])
}

/// `QLinearAdd`, `QLinearMul`: a, b with scale and zero point each; scale and zero point of the output.
pub(crate) fn qlinear_binary(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let kind = if n.op_type() == "QLinearMul" { BinaryKind::Mul } else { BinaryKind::Add };
    let i = sparse_inputs(n, &[0, 1, 3, 4, 6], 8)?;
    let a = numbers(n, "a", [i[0], i[1], i[2]])?;
    let b = numbers(n, "b", [i[3], i[4], i[5]])?;
    let y = n.step("numbers", Binary { kind }, vec![a, b])?;
    quantised(n, y, [i[6], i[7]])
}

/// The `count` inputs, of which those at `required` are given.
fn sparse_inputs(
    n: &NodeReader<'_>,
    required: &[usize],
    count: usize,
) -> Result<Vec<Option<ValueId>>, Fault> {
    let inputs = n.inputs(0, count)?;
    match required.iter().find(|i| inputs[**i].is_none()) {
        Some(i) => invalid!("input {i} is missing"),
        None => Ok(inputs),
    }
}

/// An operator of one quantised tensor: x, its scale and zero point; scale and zero point of the output.
fn qlinear_unary(n: &mut NodeReader<'_>, op: impl Into<Op>) -> Result<(), Fault> {
    let i = sparse_inputs(n, &[0, 1, 3], 5)?;
    let x = numbers(n, "x", [i[0], i[1], i[2]])?;
    let y = n.step("numbers", op, vec![x])?;
    quantised(n, y, [i[3], i[4]])
}

fn refuse_channels_last(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.attrs.flag("channels_last")? {
        return unsupported!("channels_last is 1");
    }
    Ok(())
}

/// `QLinearGlobalAveragePool`.
pub(crate) fn qlinear_global_average_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    refuse_channels_last(n)?;
    qlinear_unary(n, GlobalPool { kind: GlobalPoolKind::Average })
}

/// `QLinearAveragePool`.
pub(crate) fn qlinear_average_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    refuse_channels_last(n)?;
    let op = AveragePool {
        window: Window {
            kernel: kernel(n)?,
            strides: n.attrs.extents("strides")?,
            pads: n.attrs.extents("pads")?,
            auto_pad: n.attrs.keyword("auto_pad", AUTO_PAD, AutoPad::NotSet)?,
            ..Window::default()
        },
        ceil_mode: n.attrs.flag("ceil_mode")?,
        count_include_pad: n.attrs.flag("count_include_pad")?,
    };
    qlinear_unary(n, op)
}

/// `QLinearLeakyRelu`.
pub(crate) fn qlinear_leaky_relu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let alpha = n.attrs.float("alpha")?.unwrap_or(0.01);
    qlinear_unary(n, LeakyRelu { alpha })
}

/// `QLinearSigmoid`.
pub(crate) fn qlinear_sigmoid(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    qlinear_unary(n, Unary { kind: UnaryKind::Sigmoid })
}

/// `QLinearConcat`: scale and zero point of the output; then each operand, its scale and its zero point.
pub(crate) fn qlinear_concat(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let axis = n.attrs.required_int("axis")?;
    let inputs = n.variadic()?;
    let (output, operands) = inputs.split_at(inputs.len().min(2));
    let [scale, zero] = output else { return invalid!("expected at least 5 inputs, found {}", inputs.len()) };
    let (operands, rest) = operands.as_chunks::<3>();
    if operands.is_empty() || !rest.is_empty() {
        return invalid!("expected 2 inputs and 3 for each operand, found {}", inputs.len());
    }
    let mut parts = Vec::new();
    for (i, operand) in operands.iter().enumerate() {
        parts.push(numbers(n, &format!("x{i}"), operand.map(Some))?);
    }
    let y = n.step("numbers", Concat { axis }, parts)?;
    quantised(n, y, [Some(*scale), Some(*zero)])
}

/// `QGemm`: A, B with scale and zero point each, C in i32, scale and zero point of the output, which is of numbers
/// without them: `alpha * a_scale * b_scale * (A * B + C)` with the sum in i32.
pub(crate) fn qgemm(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let alpha = n.attrs.float("alpha")?.unwrap_or(1.0);
    let turn = [n.attrs.flag("transA")?, n.attrs.flag("transB")?];
    let i = n.inputs(6, 3)?;
    let mut operands = [i[0], i[3]];
    for ((operand, turn), role) in operands.iter_mut().zip(turn).zip(["a", "b"]) {
        if turn {
            *operand = Some(n.step(role, Transpose { perm: vec![1, 0] }, vec![*operand])?);
        }
    }
    let binary = |kind| Binary { kind };
    let mut sum = n.step("product", MatMulInteger {}, vec![operands[0], operands[1], i[2], i[5]])?;
    if i[6].is_some() {
        sum = n.step("sum", binary(BinaryKind::Add), vec![Some(sum), i[6]])?;
    }
    let sum = n.step("f32", Cast { to: DType::F32 }, vec![Some(sum)])?;
    let alpha = n.constant("alpha", Tensor::scalar(alpha));
    let scale = n.step("a_scale", binary(BinaryKind::Mul), vec![Some(alpha), i[1]])?;
    let scale = n.step("scale", binary(BinaryKind::Mul), vec![Some(scale), i[4]])?;
    let [None, None] = [i[7], i[8]] else {
        let factor = n.step("factor", binary(BinaryKind::Div), vec![Some(scale), i[7]])?;
        let quotient = n.step("quotient", binary(BinaryKind::Mul), vec![Some(sum), Some(factor)])?;
        let one = n.constant("one", Tensor::scalar(1f32));
        return quantised(n, quotient, [i[7].map(|_| one), i[8]]);
    };
    n.emit(binary(BinaryKind::Mul), vec![Some(sum), Some(scale)])
}
