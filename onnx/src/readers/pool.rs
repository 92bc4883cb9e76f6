//! Pooling.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::global_lp_pool::GlobalLpPool;
use octrt_ops::def::global_pool::GlobalPool;
use octrt_ops::def::lp_pool::LpPool;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::max_pool_indices::MaxPoolIndices;

use crate::error::{Fault, invalid};
use crate::names::{GLOBAL_POOL, value_of};
use crate::node::NodeReader;
use crate::readers::window;

/// `AveragePool`; `dilations` from opset 19 on.
pub(crate) fn average_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = AveragePool {
        window: window::pooling(n)?,
        ceil_mode: n.attrs.flag("ceil_mode")?,
        count_include_pad: n.attrs.flag("count_include_pad")?,
    };
    n.emit(op, n.inputs(1, 0)?)
}

/// `MaxPool`; a node of its own for the output `Indices`.
pub(crate) fn max_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let column_major = n.attrs.flag("storage_order")?;
    let op = MaxPool { window: window::pooling(n)?, ceil_mode: n.attrs.flag("ceil_mode")? };
    let inputs = n.inputs(1, 0)?;
    if !n.is_used(1) {
        return n.emit(op, inputs);
    }
    let places = MaxPoolIndices { window: op.window.clone(), ceil_mode: op.ceil_mode, column_major };
    n.emit_output(0, op, inputs.clone());
    n.emit_output(1, places, inputs);
    Ok(())
}

/// `LpPool`.
pub(crate) fn lp_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = LpPool { window: window::pooling(n)?, ceil_mode: n.attrs.flag("ceil_mode")?, p: exponent(n)? };
    n.emit(op, n.inputs(1, 0)?)
}

/// `GlobalLpPool`.
pub(crate) fn global_lp_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = GlobalLpPool { p: exponent(n)? };
    n.emit(op, n.inputs(1, 0)?)
}

/// `p`: an integer, before opset 2 a float.
fn exponent(n: &mut NodeReader<'_>) -> Result<f32, Fault> {
    if n.opset() < 2 {
        return Ok(n.attrs.float("p")?.unwrap_or(2.0));
    }
    Ok(n.attrs.int("p")?.unwrap_or(2) as f32)
}

/// `GlobalAveragePool`, `GlobalMaxPool`.
pub(crate) fn global_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Some(kind) = value_of(GLOBAL_POOL, n.op_type()) else {
        return invalid!("'{}' is no global pooling", n.op_type());
    };
    n.emit(GlobalPool { kind }, n.inputs(1, 0)?)
}
