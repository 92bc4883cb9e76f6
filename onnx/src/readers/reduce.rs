//! Reductions over axes.

use octrt_ops::def::reduce::Reduce;

use crate::attr::Flag;
use crate::error::{Fault, invalid};
use crate::names::{REDUCE, value_of};
use crate::node::NodeReader;

/// `ReduceMean`, `ReduceSum`, `ReduceMax`, `ReduceMin`. The axes are an attribute before opset 18 (13 for `ReduceSum`), an
/// input from then on.
pub(crate) fn reduce(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Some(kind) = value_of(REDUCE, n.op_type()) else {
        return invalid!("'{}' is no reduction", n.op_type());
    };
    let axes_are_input = n.opset() >= if n.op_type() == "ReduceSum" { 13 } else { 18 };
    let keep_dims = n.attrs.flag_or("keepdims", Flag::On)?;
    if axes_are_input {
        let noop_with_empty_axes = n.attrs.flag("noop_with_empty_axes")?;
        return n.emit(Reduce { kind, keep_dims, noop_with_empty_axes }, n.inputs(1, 1)?);
    }
    let data = n.inputs(1, 0)?[0];
    let axes = match n.attrs.ints("axes")? {
        Some(axes) if !axes.is_empty() => Some(n.ints("axes", axes)?),
        _ => None,
    };
    n.emit(Reduce { kind, keep_dims, noop_with_empty_axes: false }, vec![data, axes])
}
