//! Reductions over axes, positions of extremes, running sums.

use octrt_ops::def::arg_extreme::{ArgExtreme, Tie};
use octrt_ops::def::cumulative::Cumulative;
use octrt_ops::def::reduce::Reduce;
use octrt_ops::def::top_k::TopK;

use crate::attr::Flag;
use crate::error::{Fault, invalid};
use crate::names::{ARG_EXTREME, CUMULATIVE, REDUCE, value_of};
use crate::node::NodeReader;

/// `ReduceMean`, `ReduceSum`, ... The axes are an attribute before opset 18 (13 for `ReduceSum`), an
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

/// `ArgMax`, `ArgMin`; `select_last_index` exists from opset 12 on.
pub(crate) fn arg_extreme(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Some(kind) = value_of(ARG_EXTREME, n.op_type()) else {
        return invalid!("'{}' is no search", n.op_type());
    };
    let axis = n.attrs.int("axis")?.unwrap_or(0);
    let keep_dims = n.attrs.flag_or("keepdims", Flag::On)?;
    let tie = if n.attrs.flag("select_last_index")? { Tie::Last } else { Tie::First };
    n.emit(ArgExtreme { kind, axis, keep_dims, tie }, n.inputs(1, 0)?)
}

/// `CumSum`, `CumProd`: data, axis.
pub(crate) fn cumulative(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let Some(kind) = value_of(CUMULATIVE, n.op_type()) else {
        return invalid!("'{}' is no running sum", n.op_type());
    };
    let (exclusive, reverse) = (n.attrs.flag("exclusive")?, n.attrs.flag("reverse")?);
    n.emit(Cumulative { kind, exclusive, reverse }, n.inputs(2, 0)?)
}

/// `TopK`: data, K, which is an attribute before opset 10; `largest` and `sorted` exist from 11 on.
pub(crate) fn top_k(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let axis = n.attrs.int("axis")?.unwrap_or(-1);
    if n.opset() < 10 {
        let k = n.attrs.required_int("k")?;
        let inputs = vec![n.inputs(1, 0)?[0], Some(n.ints("k", &[k])?)];
        return n.emit_all(TopK { axis, largest: true, sorted: true }, inputs);
    }
    let (largest, sorted) = (n.attrs.flag_or("largest", Flag::On)?, n.attrs.flag_or("sorted", Flag::On)?);
    n.emit_all(TopK { axis, largest, sorted }, n.inputs(2, 0)?)
}
