//! Convolutions.

use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::ConvTranspose;

use crate::error::Fault;
use crate::node::NodeReader;
use crate::readers::window::window;

/// `Conv`: data, weight, bias.
pub(crate) fn conv(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = Conv { window: window(n)?, group: n.attrs.extent("group")?.unwrap_or(1) };
    n.emit(op, n.inputs(2, 1)?)
}

/// `ConvTranspose`: data, weight, bias.
pub(crate) fn conv_transpose(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let op = ConvTranspose {
        window: window(n)?,
        group: n.attrs.extent("group")?.unwrap_or(1),
        output_padding: n.attrs.extents("output_padding")?,
        output_shape: n.attrs.extents("output_shape")?,
    };
    n.emit(op, n.inputs(2, 1)?)
}
