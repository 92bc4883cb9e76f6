//! What reads or writes elements by index, and what knows places in a tensor.

use octrt_ops::def::center_crop_pad::CenterCropPad;
use octrt_ops::def::col2im::Col2Im;
use octrt_ops::def::compress::Compress;
use octrt_ops::def::eye_like::EyeLike;
use octrt_ops::def::gather_elements::GatherElements;
use octrt_ops::def::gather_nd::GatherNd;
use octrt_ops::def::max_unpool::MaxUnpool;
use octrt_ops::def::one_hot::OneHot;
use octrt_ops::def::reverse_sequence::ReverseSequence;
use octrt_ops::def::scatter::ScatterReduction;
use octrt_ops::def::scatter_elements::ScatterElements;
use octrt_ops::def::scatter_nd::ScatterNd;
use octrt_ops::def::tensor_scatter::{CacheMode, TensorScatter};
use octrt_ops::def::trilu::Trilu;

use crate::attr::Flag;
use crate::elem::ElemType;
use crate::error::{Fault, unsupported};
use crate::names::{CACHE_MODE, SCATTER};
use crate::node::NodeReader;
use crate::readers::window::kernel;

/// `GatherElements`: data, indices.
pub(crate) fn gather_elements(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = GatherElements { axis: n.attrs.int("axis")?.unwrap_or(0) };
    n.emit(op, n.inputs(2, 0)?)
}

/// `GatherND`: data, indices; `batch_dims` from opset 12 on.
pub(crate) fn gather_nd(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = GatherNd { batch_dims: n.attrs.extent("batch_dims")?.unwrap_or(0) };
    n.emit(op, n.inputs(2, 0)?)
}

/// `ScatterElements`, and `Scatter`, its first name: data, indices, updates; `reduction` from opset 16 on.
pub(crate) fn scatter_elements(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = ScatterElements {
        axis: n.attrs.int("axis")?.unwrap_or(0),
        reduction: n.attrs.keyword("reduction", SCATTER, ScatterReduction::Replace)?,
    };
    n.emit(op, n.inputs(3, 0)?)
}

/// `ScatterND`: data, indices, updates; `reduction` from opset 16 on.
pub(crate) fn scatter_nd(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = ScatterNd { reduction: n.attrs.keyword("reduction", SCATTER, ScatterReduction::Replace)? };
    n.emit(op, n.inputs(3, 0)?)
}

/// `TensorScatter`: past_cache, update, write_indices.
pub(crate) fn tensor_scatter(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = TensorScatter {
        axis: n.attrs.int("axis")?.unwrap_or(-2),
        mode: n.attrs.keyword("mode", CACHE_MODE, CacheMode::Linear)?,
    };
    n.emit(op, n.inputs(2, 1)?)
}

/// `ReverseSequence`: input, sequence_lens.
pub(crate) fn reverse_sequence(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = ReverseSequence {
        batch_axis: n.attrs.int("batch_axis")?.unwrap_or(1),
        time_axis: n.attrs.int("time_axis")?.unwrap_or(0),
    };
    n.emit(op, n.inputs(2, 0)?)
}

/// `Compress`: input, condition.
pub(crate) fn compress(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Compress { axis: n.attrs.int("axis")? };
    n.emit(op, n.inputs(2, 0)?)
}

/// `CenterCropPad`: input_data, shape.
pub(crate) fn center_crop_pad(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = CenterCropPad { axes: n.attrs.ints("axes")?.map(<[i64]>::to_vec) };
    n.emit(op, n.inputs(2, 0)?)
}

/// `Col2Im`: input, image_shape, block_shape.
pub(crate) fn col2im(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Col2Im {
        dilations: n.attrs.extents("dilations")?,
        pads: n.attrs.extents("pads")?,
        strides: n.attrs.extents("strides")?,
    };
    n.emit(op, n.inputs(3, 0)?)
}

/// `MaxUnpool`: X, I, output_shape.
pub(crate) fn max_unpool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = MaxUnpool {
        kernel: kernel(n)?,
        pads: n.attrs.extents("pads")?,
        strides: n.attrs.extents("strides")?,
    };
    n.emit(op, n.inputs(2, 1)?)
}

/// `OneHot`: indices, depth, values.
pub(crate) fn one_hot(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = OneHot { axis: n.attrs.int("axis")?.unwrap_or(-1) };
    n.emit(op, n.inputs(3, 0)?)
}

/// `Trilu`: input, k.
pub(crate) fn trilu(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Trilu { upper: n.attrs.flag_or("upper", Flag::On)? };
    n.emit(op, n.inputs(1, 1)?)
}

/// `EyeLike`.
pub(crate) fn eye_like(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let dtype = match n.attrs.int("dtype")? {
        None => None,
        Some(code) => {
            let elem = ElemType::from_onnx(i32::try_from(code).unwrap_or(-1));
            match elem.dtype() {
                None => return unsupported!("elements of {elem}"),
                dtype => dtype,
            }
        }
    };
    let op = EyeLike { dtype, k: n.attrs.int("k")?.unwrap_or(0) };
    n.emit(op, n.inputs(1, 0)?)
}
