//! Normalisations, and what only training needs.

use octrt_ops::DType;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::group_normalization::{GroupNormalization, ScalePer};
use octrt_ops::def::hardmax::Hardmax;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::instance_normalization::InstanceNormalization;
use octrt_ops::def::layer_normalization::LayerNormalization;
use octrt_ops::def::lp_normalization::{LpNormalization, Norm};
use octrt_ops::def::lrn::Lrn;
use octrt_ops::def::mean_variance_normalization::MeanVarianceNormalization;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::rms_normalization::RmsNormalization;
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::{Tensor, ValueId};

use crate::attr::{Attrs, Flag};
use crate::elem::ElemType;
use crate::error::{Fault, invalid, unsupported};
use crate::node::NodeReader;

/// `BatchNormalization`: data, scale, bias, mean, variance. `spatial` existed before opset 9, `is_test` before 7,
/// `training_mode` from 14 on. Before that it is training when an output besides the first has a name and `is_test` does
/// not say otherwise.
pub(crate) fn batch_normalization(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let epsilon = n.attrs.float("epsilon")?.unwrap_or(1e-5);
    let momentum = n.attrs.float("momentum")?.unwrap_or(0.9);
    if !n.attrs.flag_or("spatial", Flag::On)? {
        return unsupported!("spatial is 0; only statistics per channel are supported");
    }
    let is_training = match n.opset() {
        14.. => n.attrs.flag("training_mode")?,
        opset => {
            let is_test = opset < 7 && n.attrs.int("is_test")?.is_some_and(|v| v != 0);
            !is_test && (1..n.outputs()).any(|i| n.is_named(i))
        }
    };
    let inputs = n.inputs(5, 0)?;
    if is_training {
        return normalize_by_batch(n, &inputs, epsilon, momentum);
    }
    n.emit(BatchNormalization { epsilon }, inputs)
}

/// Normalisation by the mean and the variance of the data itself, of all elements of a channel:
///
/// ```text
/// maps = Reshape(X, [0, 0, -1]); mean = ReduceMean(maps); variance = ReduceMean((maps - mean)^2)
/// Y = BatchNormalization(X, scale, B, mean, variance)
/// ```
///
/// From opset 14 on outputs 1 and 2 are the stored statistics, moved towards those of the data by `1 - momentum`.
fn normalize_by_batch(
    n: &mut NodeReader<'_>,
    inputs: &[Option<ValueId>],
    epsilon: f32,
    momentum: f32,
) -> Result<(), Fault> {
    let mean_of = |keep_dims| Reduce { kind: ReduceKind::Mean, keep_dims, noop_with_empty_axes: false };
    let (shape, axes) = (n.ints("shape", &[0, 0, -1])?, n.ints("axes", &[0, 2])?);
    let maps = n.step("maps", Reshape { allow_zero: false }, vec![inputs[0], Some(shape)])?;
    let center = n.step("center", mean_of(true), vec![Some(maps), Some(axes)])?;
    let binary = |kind| Binary { kind };
    let apart = n.step("apart", binary(BinaryKind::Sub), vec![Some(maps), Some(center)])?;
    let square = n.step("square", binary(BinaryKind::Mul), vec![Some(apart), Some(apart)])?;
    let variance = n.step("variance", mean_of(false), vec![Some(square), Some(axes)])?;
    let list = n.ints("list", &[-1])?;
    let mean = n.step("mean", Reshape { allow_zero: false }, vec![Some(center), Some(list)])?;
    let statistics = [Some(mean), Some(variance)];
    n.emit_output(0, BatchNormalization { epsilon }, [&inputs[..3], &statistics[..]].concat());
    if n.opset() < 14 {
        n.refuse_outputs_from(1);
        return Ok(());
    }
    for (i, role, stored, new) in [(1, "mean", inputs[3], mean), (2, "variance", inputs[4], variance)] {
        if !n.is_used(i) {
            continue;
        }
        let keep = n.constant(&format!("{role}.keep"), Tensor::scalar(momentum));
        let take = n.constant(&format!("{role}.take"), Tensor::scalar(1.0 - momentum));
        let old = n.step(&format!("{role}.old"), binary(BinaryKind::Mul), vec![stored, Some(keep)])?;
        let new = n.step(&format!("{role}.new"), binary(BinaryKind::Mul), vec![Some(new), Some(take)])?;
        n.emit_output(i, binary(BinaryKind::Add), vec![Some(old), Some(new)]);
    }
    n.refuse_outputs_from(3);
    Ok(())
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

/// `Dropout`, which does nothing at inference: data, ratio, training_mode. `is_test` existed before opset 7, when 0 was the
/// default that models for inference keep.
pub(crate) fn dropout(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["ratio", "seed"]);
    if n.opset() < 7 {
        n.attrs.ignore(&["is_test"]);
    }
    let inputs = n.inputs(1, 2)?;
    if let Some(training) = inputs[2] {
        match n.known(training) {
            Some(t) if t.to_f64s().iter().all(|v| *v == 0.0) => {}
            Some(_) => return unsupported!("training_mode is true; only inference is supported"),
            None => return unsupported!("training_mode is not a constant; only inference is supported"),
        }
    }
    n.emit(Identity {}, vec![inputs[0]])
}
