//! Normalisations, and what only training needs.

use octrt_ops::DType;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::group_normalization::{GroupNormalization, ScalePer};
use octrt_ops::def::hardmax::Hardmax;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::instance_normalization::InstanceNormalization;
use octrt_ops::def::layer_normalization::LayerNormalization;
use octrt_ops::def::lp_normalization::{LpNormalization, Norm};
use octrt_ops::def::lrn::Lrn;
use octrt_ops::def::mean_variance_normalization::MeanVarianceNormalization;
use octrt_ops::def::rms_normalization::RmsNormalization;
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};

use crate::attr::{Attrs, Flag};
use crate::elem::ElemType;
use crate::error::{Fault, invalid, unsupported};
use crate::node::NodeReader;

/// `BatchNormalization`: data, scale, bias, mean, variance. `spatial` existed before opset 9, `training_mode` from 14 on.
pub(crate) fn batch_normalization(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["momentum"]);
    let epsilon = n.attrs.float("epsilon")?.unwrap_or(1e-5);
    if n.attrs.flag("training_mode")? {
        return unsupported!("training_mode is 1; only inference is supported");
    }
    if !n.attrs.flag_or("spatial", Flag::On)? {
        return unsupported!("spatial is 0; only statistics per channel are supported");
    }
    n.emit(BatchNormalization { epsilon }, n.inputs(5, 0)?)
}

/// `epsilon`, 1e-5 when omitted.
fn epsilon(attrs: &mut Attrs<'_>) -> Result<f32, Fault> {
    Ok(attrs.float("epsilon")?.unwrap_or(1e-5))
}

/// `stash_type`, the type of statistics, f32 when omitted; float16 and bfloat16 are carried in f32.
fn stash(attrs: &mut Attrs<'_>) -> Result<DType, Fault> {
    let Some(given) = attrs.int("stash_type")? else { return Ok(DType::F32) };
    match i32::try_from(given).ok().map(ElemType::from_onnx) {
        Some(ElemType::F32 | ElemType::F16 | ElemType::BF16) => Ok(DType::F32),
        Some(ElemType::F64) => Ok(DType::F64),
        _ => invalid!("attribute 'stash_type': expected a type of floats, found {given}"),
    }
}

/// `LayerNormalization`: data, scale, bias; outputs result, mean, inverse deviation.
pub(crate) fn layer_normalization(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let axis = n.attrs.int("axis")?.unwrap_or(-1);
    let (epsilon, stash) = (epsilon(&mut n.attrs)?, stash(&mut n.attrs)?);
    n.emit_all(LayerNormalization { axis, epsilon, stash }, n.inputs(2, 1)?)
}

/// `InstanceNormalization`: data, scale, bias. `consumed_inputs` existed before opset 6.
pub(crate) fn instance_normalization(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["consumed_inputs"]);
    let epsilon = epsilon(&mut n.attrs)?;
    n.emit(InstanceNormalization { epsilon }, n.inputs(3, 0)?)
}

/// `GroupNormalization`: data, scale, bias. Before opset 21 these belong to groups, from then on to channels.
pub(crate) fn group_normalization(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let given = n.attrs.required_int("num_groups")?;
    let Ok(groups) = usize::try_from(given) else {
        return invalid!("attribute 'num_groups': expected at least 1, found {given}");
    };
    let (epsilon, stash) = (epsilon(&mut n.attrs)?, stash(&mut n.attrs)?);
    let per = if n.opset() < 21 { ScalePer::Group } else { ScalePer::Channel };
    n.emit(GroupNormalization { groups, epsilon, per, stash }, n.inputs(3, 0)?)
}

/// `RMSNormalization`: data, scale.
pub(crate) fn rms_normalization(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let axis = n.attrs.int("axis")?.unwrap_or(-1);
    let (epsilon, stash) = (epsilon(&mut n.attrs)?, stash(&mut n.attrs)?);
    n.emit(RmsNormalization { axis, epsilon, stash }, n.inputs(2, 0)?)
}

/// `LRN`.
pub(crate) fn lrn(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let alpha = n.attrs.float("alpha")?.unwrap_or(1e-4);
    let beta = n.attrs.float("beta")?.unwrap_or(0.75);
    let bias = n.attrs.float("bias")?.unwrap_or(1.0);
    let given = n.attrs.required_int("size")?;
    match usize::try_from(given) {
        Ok(size) if size > 0 => n.emit(Lrn { alpha, beta, bias, size }, n.inputs(1, 0)?),
        _ => invalid!("attribute 'size': expected at least 1, found {given}"),
    }
}

/// `LpNormalization`.
pub(crate) fn lp_normalization(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let axis = n.attrs.int("axis")?.unwrap_or(-1);
    let norm = match n.attrs.int("p")?.unwrap_or(2) {
        1 => Norm::L1,
        2 => Norm::L2,
        p => return invalid!("attribute 'p': expected 1 or 2, found {p}"),
    };
    n.emit(LpNormalization { axis, norm }, n.inputs(1, 0)?)
}

/// `MeanVarianceNormalization`.
pub(crate) fn mean_variance_normalization(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let axes = n.attrs.ints("axes")?.unwrap_or(&[0, 2, 3]).to_vec();
    n.emit(MeanVarianceNormalization { axes }, n.inputs(1, 0)?)
}

/// Over which axes softmax and its like go: from the axis on before opset 13, over the axis from then on; and the axis.
fn span(n: &mut NodeReader<'_>) -> Result<(SoftmaxSpan, i64), Fault> {
    let (span, default) = if n.opset() < 13 { (SoftmaxSpan::Trailing, 1) } else { (SoftmaxSpan::Axis, -1) };
    Ok((span, n.attrs.int("axis")?.unwrap_or(default)))
}

/// `Hardmax`; see [`softmax`].
pub(crate) fn hardmax(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let (span, axis) = span(n)?;
    n.emit(Hardmax { axis, span }, n.inputs(1, 0)?)
}

/// `Softmax`, `LogSoftmax`; before opset 13 over the axis and all after it.
pub(crate) fn softmax(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let (span, axis) = span(n)?;
    n.emit(Softmax { axis, span, log: n.op_type() == "LogSoftmax" }, n.inputs(1, 0)?)
}

/// `Dropout`, which does nothing at inference: data, ratio, training_mode.
pub(crate) fn dropout(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["ratio", "seed"]);
    let inputs = n.inputs(1, 2)?;
    if let Some(training) = inputs[2] {
        match n.tensor_of(training) {
            Some(t) if t.to_f64s().iter().all(|v| *v == 0.0) => {}
            Some(_) => return unsupported!("training_mode is true; only inference is supported"),
            None => return unsupported!("training_mode is not a constant; only inference is supported"),
        }
    }
    n.emit(Identity {}, vec![inputs[0]])
}
