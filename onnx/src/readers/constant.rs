//! Tensors from nothing.

use octrt_ops::def::constant_of_shape::ConstantOfShape;
use octrt_ops::def::range::Range;
use octrt_ops::{OpError, Tensor};

use crate::error::{Fault, invalid, unsupported};
use crate::node::NodeReader;

fn fault(e: OpError) -> Fault {
    Fault::Invalid(e.to_string())
}

/// `Constant` in each of its forms; becomes a tensor of the graph, not a node.
pub(crate) fn constant(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    for name in ["value_string", "value_strings", "sparse_value"] {
        if n.attrs.has(name) {
            return unsupported!("attribute '{name}'; only dense tensors of numbers are supported");
        }
    }
    n.inputs(0, 0)?;
    let mut found = Vec::new();
    if let Some(proto) = n.attrs.tensor("value")? {
        found.push(n.load(proto)?);
    }
    if let Some(v) = n.attrs.float("value_float")? {
        found.push(Tensor::scalar(v));
    }
    if let Some(v) = n.attrs.int("value_int")? {
        found.push(Tensor::scalar(v));
    }
    if let Some(v) = n.attrs.floats("value_floats")? {
        found.push(Tensor::new([v.len()], v).map_err(fault)?);
    }
    if let Some(v) = n.attrs.ints("value_ints")? {
        found.push(Tensor::new([v.len()], v).map_err(fault)?);
    }
    match <[Tensor; 1]>::try_from(found) {
        Ok([tensor]) => n.define(tensor),
        Err(found) => invalid!("expected one of the attributes value..., found {}", found.len()),
    }
}

/// `ConstantOfShape`: shape. The attribute `value`, one element, becomes input 1.
pub(crate) fn constant_of_shape(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let value = match n.attrs.tensor("value")? {
        None => Tensor::new([1], &[0f32]),
        Some(proto) => n.load(proto)?.reshaped([1]),
    };
    let value = n.constant("value", value.map_err(fault)?);
    let shape = n.inputs(1, 0)?[0];
    n.emit(ConstantOfShape {}, vec![shape, Some(value)])
}

/// `Range`: start, limit, delta. `stash_type` speaks of 16-bit floats, which are computed in f32.
pub(crate) fn range(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.attrs.ignore(&["stash_type"]);
    n.emit(Range {}, n.inputs(3, 0)?)
}
