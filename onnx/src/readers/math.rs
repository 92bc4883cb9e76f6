//! Arithmetic: element by element, and matrix products.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::bit_shift::{BitShift, ShiftDirection};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::cast_like::CastLike;
use octrt_ops::def::clip::Clip;
use octrt_ops::def::compare::Compare;
use octrt_ops::def::elu::Elu;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::hard_sigmoid::HardSigmoid;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::modulo::Mod;
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::unary::Unary;
use octrt_ops::def::where_::Where;
use octrt_ops::{Tensor, ValueId};

use crate::elem::ElemType;
use crate::error::{Fault, invalid, unsupported};
use crate::names::{BINARY, COMPARE, SHIFT, UNARY, value_of};
use crate::node::NodeReader;
use crate::readers::legacy;

/// Functions of one tensor without attributes: `Relu`, `Sigmoid`, ...
pub(crate) fn unary(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Some(kind) = value_of(UNARY, n.op_type()) else {
        return invalid!("'{}' is no function of one tensor", n.op_type());
    };
    n.emit(Unary { kind }, n.inputs(1, 0)?)
}

/// Functions of two tensors: `Add`, `Mul`, ...
pub(crate) fn binary(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Some(kind) = value_of(BINARY, n.op_type()) else {
        return invalid!("'{}' is no function of two tensors", n.op_type());
    };
    let inputs = legacy::operands(n)?;
    let divisor = inputs[1].filter(|_| kind == BinaryKind::Div).and_then(|v| n.tensor_of(v));
    if divisor.and_then(|t| t.to_i64s().ok()).is_some_and(|elements| elements.contains(&0)) {
        n.warn("the divisor holds the integer 0: what it divides becomes 0");
    }
    n.emit(Binary { kind }, inputs)
}

/// `Mod`: A, B.
pub(crate) fn modulo(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Mod { fmod: n.attrs.flag("fmod")? };
    n.emit(op, n.inputs(2, 0)?)
}

/// `BitShift`: X, Y.
pub(crate) fn bit_shift(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if !n.attrs.has("direction") {
        return invalid!("attribute 'direction' is missing");
    }
    let op = BitShift { direction: n.attrs.keyword("direction", SHIFT, ShiftDirection::Left)? };
    n.emit(op, n.inputs(2, 0)?)
}

/// Comparisons: `Equal`, `Less`, ...
pub(crate) fn compare(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Some(kind) = value_of(COMPARE, n.op_type()) else {
        return invalid!("'{}' is no comparison", n.op_type());
    };
    let inputs = legacy::operands(n)?;
    n.emit(Compare { kind }, inputs)
}

/// `Sum`, `Max`, `Min`, `Mean` of any number of tensors, as a chain from left to right.
pub(crate) fn fold(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let kind = match n.op_type() {
        "Max" => BinaryKind::Max,
        "Min" => BinaryKind::Min,
        _ => BinaryKind::Add,
    };
    let values = n.variadic()?;
    let [first, rest @ ..] = values.as_slice() else { return invalid!("expected at least 1 input, found 0") };
    if n.op_type() == "Mean" && !rest.is_empty() {
        let count = n.constant("count", Tensor::scalar(values.len() as f32));
        let sum = chain(n, kind, *first, rest)?;
        return n.emit(Binary { kind: BinaryKind::Div }, vec![Some(sum), Some(count)]);
    }
    match rest {
        [] => n.emit(Identity {}, vec![Some(*first)]),
        [middle @ .., last] => {
            let sum = chain(n, kind, *first, middle)?;
            n.emit(Binary { kind }, vec![Some(sum), Some(*last)])
        }
    }
}

fn chain(
    n: &mut NodeReader<'_>,
    kind: BinaryKind,
    first: ValueId,
    rest: &[ValueId],
) -> Result<ValueId, Fault> {
    let mut sum = first;
    for (i, value) in rest.iter().enumerate() {
        sum = n.step(&format!("{}", i + 1), Binary { kind }, vec![Some(sum), Some(*value)])?;
    }
    Ok(sum)
}

/// `Clip`; the limits are attributes before opset 11, inputs from then on.
pub(crate) fn clip(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.opset() >= 11 {
        return n.emit(Clip {}, n.inputs(1, 2)?);
    }
    let min = n.attrs.float("min")?.map(|v| n.constant("min", Tensor::scalar(v)));
    let max = n.attrs.float("max")?.map(|v| n.constant("max", Tensor::scalar(v)));
    let data = n.inputs(1, 0)?[0];
    n.emit(Clip {}, vec![data, min, max])
}

/// `LeakyRelu`.
pub(crate) fn leaky_relu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = LeakyRelu { alpha: n.attrs.float("alpha")?.unwrap_or(0.01) };
    n.emit(op, n.inputs(1, 0)?)
}

/// `Elu`.
pub(crate) fn elu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Elu { alpha: n.attrs.float("alpha")?.unwrap_or(1.0) };
    n.emit(op, n.inputs(1, 0)?)
}

/// `HardSigmoid`.
pub(crate) fn hard_sigmoid(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = HardSigmoid {
        alpha: n.attrs.float("alpha")?.unwrap_or(0.2),
        beta: n.attrs.float("beta")?.unwrap_or(0.5),
    };
    n.emit(op, n.inputs(1, 0)?)
}

/// `PRelu`: data, slope.
pub(crate) fn prelu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let mut inputs = n.inputs(2, 0)?;
    if let (true, [Some(data), Some(slope)]) = (n.opset() < 7, &inputs[..]) {
        inputs[1] = Some(legacy::slope(n, *data, *slope)?);
    }
    n.emit(PRelu {}, inputs)
}

/// `Where`: condition, then, else.
pub(crate) fn where_(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.emit(Where {}, n.inputs(3, 0)?)
}

/// `MatMul`.
pub(crate) fn matmul(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.emit(MatMul {}, n.inputs(2, 0)?)
}

/// `Gemm`: A, B, C. Before opset 7 `broadcast` said whether C is, as it always is from then on.
pub(crate) fn gemm(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.opset() < 7 {
        n.attrs.ignore(&["broadcast"]);
    }
    let op = Gemm {
        alpha: n.attrs.float("alpha")?.unwrap_or(1.0),
        beta: n.attrs.float("beta")?.unwrap_or(1.0),
        trans_a: n.attrs.flag("transA")?,
        trans_b: n.attrs.flag("transB")?,
    };
    n.emit(op, n.inputs(2, 1)?)
}

/// `Cast`, to f16 and bf16 by way of f32; `saturate` and `round_mode` speak of 8-bit floats only. Before opset 6 `to` was the name of the type.
pub(crate) fn cast(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["saturate", "round_mode"]);
    let elem = match n.attrs.is_text("to") && n.opset() < 6 {
        true => {
            let name = n.attrs.text("to")?.unwrap_or_default();
            let elem = ElemType::from_name(&name);
            elem.ok_or_else(|| Fault::Invalid(format!("attribute 'to': '{name}' is no element type")))?
        }
        false => ElemType::from_onnx(i32::try_from(n.attrs.required_int("to")?).unwrap_or(-1)),
    };
    let inputs = n.inputs(1, 0)?;
    match (elem.narrow_float(), elem.dtype()) {
        (Some(format), _) => n.emit_rounded(inputs[0], format),
        (None, Some(to)) => n.emit(Cast { to }, inputs),
        (None, None) => unsupported!("conversion to {elem}"),
    }
}

/// `CastLike`: data, a tensor of the new element type, f16 and bf16 where the model says that it is of one of them.
pub(crate) fn cast_like(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["saturate", "round_mode"]);
    let inputs = n.inputs(2, 0)?;
    match inputs[1].and_then(|target| n.narrow_float(target)) {
        Some(format) => n.emit_rounded(inputs[0], format),
        None => n.emit(CastLike {}, inputs),
    }
}
