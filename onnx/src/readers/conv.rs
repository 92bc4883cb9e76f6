//! Convolutions.

use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::window::AutoPad;

use crate::error::Fault;
use crate::names::AUTO_PAD;
use crate::node::NodeReader;

/// `Conv`: data, weight, bias.
pub(crate) fn conv(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Conv {
        kernel: n.attrs.extents("kernel_shape")?,
        strides: n.attrs.extents("strides")?,
        dilations: n.attrs.extents("dilations")?,
        pads: n.attrs.extents("pads")?,
        auto_pad: n.attrs.keyword("auto_pad", AUTO_PAD, AutoPad::NotSet)?,
        group: n.attrs.extent("group")?.unwrap_or(1),
    };
    n.emit(op, n.inputs(2, 1)?)
}

/// `ConvTranspose`: data, weight, bias.
pub(crate) fn conv_transpose(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = ConvTranspose {
        kernel: n.attrs.extents("kernel_shape")?,
        strides: n.attrs.extents("strides")?,
        dilations: n.attrs.extents("dilations")?,
        pads: n.attrs.extents("pads")?,
        auto_pad: n.attrs.keyword("auto_pad", AUTO_PAD, AutoPad::NotSet)?,
        group: n.attrs.extent("group")?.unwrap_or(1),
        output_padding: n.attrs.extents("output_padding")?,
        output_shape: n.attrs.extents("output_shape")?,
    };
    n.emit(op, n.inputs(2, 1)?)
}
