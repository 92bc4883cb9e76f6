//! Sampling of images and of regions of them.

use octrt_ops::def::affine_grid::AffineGrid;
use octrt_ops::def::deform_conv::DeformConv;
use octrt_ops::def::grid_sample::{GridSample, SampleMode, SamplePadding};
use octrt_ops::def::max_roi_pool::MaxRoiPool;
use octrt_ops::def::roi_align::{RoiAlign, RoiMode};

use crate::error::Fault;
use crate::names::{Names, ROI_MODE, SAMPLE_MODE, SAMPLE_PADDING};
use crate::node::NodeReader;

/// `GridSample`; opset 16 names the modes otherwise.
pub(crate) fn grid_sample(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    const MODES_16: Names<SampleMode> =
        &[("bilinear", SampleMode::Linear), ("nearest", SampleMode::Nearest), ("bicubic", SampleMode::Cubic)];
    let modes = if n.opset() < 20 { MODES_16 } else { SAMPLE_MODE };
    let op = GridSample {
        mode: n.attrs.keyword("mode", modes, SampleMode::Linear)?,
        padding: n.attrs.keyword("padding_mode", SAMPLE_PADDING, SamplePadding::Zeros)?,
        align_corners: n.attrs.flag("align_corners")?,
    };
    n.emit(op, n.inputs(2, 0)?)
}

/// `AffineGrid`.
pub(crate) fn affine_grid(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = AffineGrid { align_corners: n.attrs.flag("align_corners")? };
    n.emit(op, n.inputs(2, 0)?)
}

/// `RoiAlign`; before opset 16 regions are not moved.
pub(crate) fn roi_align(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    const SHIFTS: Names<bool> = &[("half_pixel", true), ("output_half_pixel", false)];
    let shift = n.attrs.keyword("coordinate_transformation_mode", SHIFTS, n.opset() >= 16)?;
    let op = RoiAlign {
        mode: n.attrs.keyword("mode", ROI_MODE, RoiMode::Average)?,
        half_pixel: shift,
        output: vec![
            n.attrs.extent("output_height")?.unwrap_or(1),
            n.attrs.extent("output_width")?.unwrap_or(1),
        ],
        sampling_ratio: n.attrs.extent("sampling_ratio")?.unwrap_or(0),
        spatial_scale: n.attrs.float("spatial_scale")?.unwrap_or(1.0),
    };
    n.emit(op, n.inputs(3, 0)?)
}

/// `MaxRoiPool`.
pub(crate) fn max_roi_pool(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = MaxRoiPool {
        output: n.attrs.extents("pooled_shape")?,
        spatial_scale: n.attrs.float("spatial_scale")?.unwrap_or(1.0),
    };
    n.emit(op, n.inputs(2, 0)?)
}

/// `DeformConv`.
pub(crate) fn deform_conv(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = DeformConv {
        kernel: n.attrs.extents("kernel_shape")?,
        strides: n.attrs.extents("strides")?,
        dilations: n.attrs.extents("dilations")?,
        pads: n.attrs.extents("pads")?,
        group: n.attrs.extent("group")?.unwrap_or(1),
        offset_group: n.attrs.extent("offset_group")?.unwrap_or(1),
    };
    n.emit(op, n.inputs(3, 2)?)
}
