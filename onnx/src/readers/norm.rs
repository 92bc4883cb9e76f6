//! Normalisations, and what only training needs.

use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};

use crate::attr::Flag;
use crate::error::{Fault, unsupported};
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

/// `Softmax`, `LogSoftmax`; before opset 13 over the axis and all after it.
pub(crate) fn softmax(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let (span, default) = if n.opset() < 13 { (SoftmaxSpan::Trailing, 1) } else { (SoftmaxSpan::Axis, -1) };
    let axis = n.attrs.int("axis")?.unwrap_or(default);
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
