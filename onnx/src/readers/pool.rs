//! Pooling.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::global_pool::GlobalPool;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::window::AutoPad;

use crate::error::{Fault, invalid};
use crate::names::{AUTO_PAD, GLOBAL_POOL, value_of};
use crate::node::NodeReader;

fn kernel(n: &mut NodeReader<'_>) -> Result<Vec<usize>, Fault> {
    let kernel = n.attrs.extents("kernel_shape")?;
    if kernel.is_empty() {
        return invalid!("attribute 'kernel_shape' is missing");
    }
    Ok(kernel)
}

/// `AveragePool`; `dilations` from opset 19 on.
pub(crate) fn average_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = AveragePool {
        kernel: kernel(n)?,
        strides: n.attrs.extents("strides")?,
        dilations: n.attrs.extents("dilations")?,
        pads: n.attrs.extents("pads")?,
        auto_pad: n.attrs.keyword("auto_pad", AUTO_PAD, AutoPad::NotSet)?,
        ceil_mode: n.attrs.flag("ceil_mode")?,
        count_include_pad: n.attrs.flag("count_include_pad")?,
    };
    n.emit(op, n.inputs(1, 0)?)
}

/// `MaxPool`; `storage_order` speaks of the indices, which are not computed.
pub(crate) fn max_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["storage_order"]);
    let op = MaxPool {
        kernel: kernel(n)?,
        strides: n.attrs.extents("strides")?,
        dilations: n.attrs.extents("dilations")?,
        pads: n.attrs.extents("pads")?,
        auto_pad: n.attrs.keyword("auto_pad", AUTO_PAD, AutoPad::NotSet)?,
        ceil_mode: n.attrs.flag("ceil_mode")?,
    };
    n.emit(op, n.inputs(1, 0)?)
}

/// `GlobalAveragePool`, `GlobalMaxPool`.
pub(crate) fn global_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Some(kind) = value_of(GLOBAL_POOL, n.op_type()) else {
        return invalid!("'{}' is no global pooling", n.op_type());
    };
    n.emit(GlobalPool { kind }, n.inputs(1, 0)?)
}
