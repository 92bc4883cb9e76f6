//! Functions of one tensor with attributes.

use octrt_ops::def::celu::Celu;
use octrt_ops::def::gelu::{Gelu, GeluForm};
use octrt_ops::def::is_inf::{IsInf, IsNan};
use octrt_ops::def::selu::Selu;
use octrt_ops::def::shrink::Shrink;
use octrt_ops::def::swish::Swish;
use octrt_ops::def::thresholded_relu::ThresholdedRelu;

use crate::attr::Flag;
use crate::error::Fault;
use crate::names::GELU;
use crate::node::NodeReader;

/// `Gelu`.
pub(crate) fn gelu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Gelu { approximate: n.attrs.keyword("approximate", GELU, GeluForm::Erf)? };
    n.emit(op, n.inputs(1, 0)?)
}

/// `Swish`.
pub(crate) fn swish(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Swish { alpha: n.attrs.float("alpha")?.unwrap_or(1.0) };
    n.emit(op, n.inputs(1, 0)?)
}

/// `Selu`, whose defaults have more digits from opset 6 on.
pub(crate) fn selu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["consumed_inputs"]);
    let (alpha, gamma) = if n.opset() < 6 { (1.6732, 1.0507) } else { (1.673_263_2, 1.050_701) };
    let op = Selu {
        alpha: n.attrs.float("alpha")?.unwrap_or(alpha),
        gamma: n.attrs.float("gamma")?.unwrap_or(gamma),
    };
    n.emit(op, n.inputs(1, 0)?)
}

/// `Celu`.
pub(crate) fn celu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Celu { alpha: n.attrs.float("alpha")?.unwrap_or(1.0) };
    n.emit(op, n.inputs(1, 0)?)
}

/// `ThresholdedRelu`.
pub(crate) fn thresholded_relu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = ThresholdedRelu { alpha: n.attrs.float("alpha")?.unwrap_or(1.0) };
    n.emit(op, n.inputs(1, 0)?)
}

/// `Shrink`.
pub(crate) fn shrink(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op =
        Shrink { bias: n.attrs.float("bias")?.unwrap_or(0.0), lambd: n.attrs.float("lambd")?.unwrap_or(0.5) };
    n.emit(op, n.inputs(1, 0)?)
}

/// `IsInf`.
pub(crate) fn is_inf(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = IsInf {
        detect_negative: n.attrs.flag_or("detect_negative", Flag::On)?,
        detect_positive: n.attrs.flag_or("detect_positive", Flag::On)?,
    };
    n.emit(op, n.inputs(1, 0)?)
}

/// `IsNaN`.
pub(crate) fn is_nan(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.emit(IsNan {}, n.inputs(1, 0)?)
}
