//! Shapes: what moves, cuts and joins elements without computing with them.

use octrt_ops::def::cast::Cast;
use octrt_ops::def::compare::{Compare, CompareKind};
use octrt_ops::def::concat::Concat;
use octrt_ops::def::depth_to_space::{DepthOrder, DepthToSpace};
use octrt_ops::def::expand::Expand;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gather::Gather;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::range::Range;
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::shape::ShapeOf;
use octrt_ops::def::size::Size;
use octrt_ops::def::slice::Slice;
use octrt_ops::def::space_to_depth::SpaceToDepth;
use octrt_ops::def::split::Split;
use octrt_ops::def::squeeze::Squeeze;
use octrt_ops::def::tile::Tile;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::unsqueeze::Unsqueeze;
use octrt_ops::def::where_::Where;
use octrt_ops::{DType, Tensor};

use crate::error::{Fault, invalid};
use crate::names::{DEPTH_ORDER, PAD_MODE};
use crate::node::NodeReader;
use crate::readers::legacy;

/// `Identity`.
pub(crate) fn identity(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.emit(Identity {}, n.inputs(1, 0)?)
}

/// `Reshape`: data, shape; `allowzero` from opset 14 on, the shape is an attribute before opset 5.
pub(crate) fn reshape(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.opset() < 5 {
        let data = n.inputs(1, 0)?[0];
        let shape = n.attrs.required_ints("shape")?;
        let shape = n.ints("shape", shape)?;
        return n.emit(Reshape { allow_zero: false }, vec![data, Some(shape)]);
    }
    let op = Reshape { allow_zero: n.attrs.flag("allowzero")? };
    n.emit(op, n.inputs(2, 0)?)
}

/// `Flatten`.
pub(crate) fn flatten(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Flatten { axis: n.attrs.int("axis")?.unwrap_or(1) };
    n.emit(op, n.inputs(1, 0)?)
}

/// `Squeeze`: data, axes; the axes are an attribute before opset 13.
pub(crate) fn squeeze(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.opset() >= 13 {
        return n.emit(Squeeze {}, n.inputs(1, 1)?);
    }
    let data = n.inputs(1, 0)?[0];
    let axes = n.attrs.ints("axes")?.map(|axes| n.ints("axes", axes)).transpose()?;
    n.emit(Squeeze {}, vec![data, axes])
}

/// `Unsqueeze`: data, axes; the axes are an attribute before opset 13.
pub(crate) fn unsqueeze(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.opset() >= 13 {
        return n.emit(Unsqueeze {}, n.inputs(2, 0)?);
    }
    let data = n.inputs(1, 0)?[0];
    let axes = n.attrs.required_ints("axes")?;
    let axes = n.ints("axes", axes)?;
    n.emit(Unsqueeze {}, vec![data, Some(axes)])
}

/// `Transpose`.
pub(crate) fn transpose(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Transpose { perm: n.attrs.extents("perm")? };
    n.emit(op, n.inputs(1, 0)?)
}

/// `Concat` of any number of tensors; before opset 4 along axis 1 if none is given.
pub(crate) fn concat(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let axis =
        if n.opset() < 4 { n.attrs.int("axis")?.unwrap_or(1) } else { n.attrs.required_int("axis")? };
    let op = Concat { axis };
    let inputs = n.variadic()?.into_iter().map(Some).collect();
    n.emit(op, inputs)
}

/// `Split`: data, sizes; the sizes are an attribute before opset 13, or an input, of the type of the data, in opset 1;
/// `num_outputs` exists from 18 on.
pub(crate) fn split(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Split { axis: n.attrs.int("axis")?.unwrap_or(0), num_outputs: n.outputs() };
    if let Some(declared) = n.attrs.extent("num_outputs")?
        && declared != op.num_outputs
    {
        return invalid!("attribute 'num_outputs' is {declared}, the node has {} outputs", op.num_outputs);
    }
    if n.opset() >= 13 {
        return n.emit_all(op, n.inputs(1, 1)?);
    }
    let inputs = n.inputs(1, if n.opset() < 2 { 1 } else { 0 })?;
    let sizes = match (n.attrs.ints("split")?, inputs.get(1).copied().flatten()) {
        (Some(sizes), _) => Some(n.ints("split", sizes)?),
        (None, Some(sizes)) => Some(n.step("sizes", Cast { to: DType::I64 }, vec![Some(sizes)])?),
        (None, None) => None,
    };
    n.emit_all(op, vec![inputs[0], sizes])
}

/// `Slice`: data, starts, ends, axes, steps; attributes (and no steps) before opset 10.
pub(crate) fn slice(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.opset() >= 10 {
        return n.emit(Slice {}, n.inputs(3, 2)?);
    }
    let data = n.inputs(1, 0)?[0];
    let (starts, ends) = (n.attrs.required_ints("starts")?, n.attrs.required_ints("ends")?);
    let (starts, ends) = (n.ints("starts", starts)?, n.ints("ends", ends)?);
    let axes = n.attrs.ints("axes")?.map(|axes| n.ints("axes", axes)).transpose()?;
    n.emit(Slice {}, vec![data, Some(starts), Some(ends), axes])
}

/// `Gather`: data, indices.
pub(crate) fn gather(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Gather { axis: n.attrs.int("axis")?.unwrap_or(0) };
    n.emit(op, n.inputs(2, 0)?)
}

/// `Tile`: data, repeats; before opset 6 data, the number of copies, the axis along which they lie.
pub(crate) fn tile(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.opset() >= 6 {
        return n.emit(Tile {}, n.inputs(2, 0)?);
    }
    // repeats = Where(Range(0, rank, 1) == axis, copies, 1)
    let [data, copies, axis] = n.inputs(3, 0)?[..] else { return invalid!("expected 3 inputs") };
    let rank = match data {
        Some(data) => legacy::rank(n, "data", data)?,
        None => return invalid!("input 0 is missing"),
    };
    let scalar = n.ints("scalar", &[])?;
    let rank = n.step("rank", Reshape { allow_zero: false }, vec![Some(rank), Some(scalar)])?;
    let (zero, one) = (n.constant("zero", Tensor::scalar(0i64)), n.constant("one", Tensor::scalar(1i64)));
    let axes = n.step("axes", Range {}, vec![Some(zero), Some(rank), Some(one)])?;
    let axis = n.step("axis", Cast { to: DType::I64 }, vec![axis])?;
    let copies = n.step("copies", Cast { to: DType::I64 }, vec![copies])?;
    let here = n.step("here", Compare { kind: CompareKind::Equal }, vec![Some(axes), Some(axis)])?;
    let repeats = n.step("repeats", Where {}, vec![Some(here), Some(copies), Some(one)])?;
    n.emit(Tile {}, vec![data, Some(repeats)])
}

/// `Expand`: data, shape.
pub(crate) fn expand(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.emit(Expand {}, n.inputs(2, 0)?)
}

/// `Shape`; `start` and `end` from opset 15 on.
pub(crate) fn shape(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = ShapeOf { start: n.attrs.int("start")?.unwrap_or(0), end: n.attrs.int("end")? };
    n.emit(op, n.inputs(1, 0)?)
}

/// `Size`.
pub(crate) fn size(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    n.emit(Size {}, n.inputs(1, 0)?)
}

/// `Pad`: data, pads, constant_value, axes (opset 18 on); attributes before opset 11, `paddings` for `pads` before 2.
pub(crate) fn pad(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Pad { mode: n.attrs.keyword("mode", PAD_MODE, PadMode::Constant)? };
    if n.opset() >= 11 {
        return n.emit(op, n.inputs(2, 2)?);
    }
    let data = n.inputs(1, 0)?[0];
    let pads = n.attrs.required_ints(if n.opset() < 2 { "paddings" } else { "pads" })?;
    let pads = n.ints("pads", pads)?;
    let value = n.attrs.float("value")?.filter(|v| *v != 0.0);
    let value = value.map(|v| n.constant("value", Tensor::scalar(v)));
    n.emit(op, vec![data, Some(pads), value])
}

/// `DepthToSpace`; `mode` from opset 11 on.
pub(crate) fn depth_to_space(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = DepthToSpace {
        blocksize: blocksize(n)?,
        mode: n.attrs.keyword("mode", DEPTH_ORDER, DepthOrder::Dcr)?,
    };
    n.emit(op, n.inputs(1, 0)?)
}

/// `SpaceToDepth`.
pub(crate) fn space_to_depth(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = SpaceToDepth { blocksize: blocksize(n)? };
    n.emit(op, n.inputs(1, 0)?)
}

fn blocksize(n: &mut NodeReader<'_>) -> Result<usize, Fault> {
    match n.attrs.extent("blocksize")? {
        Some(size) => Ok(size),
        None => invalid!("attribute 'blocksize' is missing"),
    }
}
