//! Windows of convolutions and poolings.

use octrt_ops::window::{AutoPad, Window};

use crate::error::{Fault, invalid};
use crate::names::AUTO_PAD;
use crate::node::NodeReader;

/// `kernel_shape`, `strides`, `dilations`, `pads`, `auto_pad`.
///
/// # Errors
/// [`Fault`] when one is of another type or no extents.
pub(crate) fn window(n: &mut NodeReader<'_>) -> Result<Window, Fault> {
    Ok(Window {
        kernel: n.attrs.extents("kernel_shape")?,
        strides: n.attrs.extents("strides")?,
        dilations: n.attrs.extents("dilations")?,
        pads: n.attrs.extents("pads")?,
        auto_pad: n.attrs.keyword("auto_pad", AUTO_PAD, AutoPad::NotSet)?,
    })
}

/// As [`window`], of an operator without a weight that could say the extents.
///
/// # Errors
/// As [`window`]; [`Fault::Invalid`] when there is no `kernel_shape`.
pub(crate) fn pooling(n: &mut NodeReader<'_>) -> Result<Window, Fault> {
    Ok(Window { kernel: kernel(n)?, ..window(n)? })
}

/// `kernel_shape`, which must be there.
///
/// # Errors
/// [`Fault::Invalid`] when it is not.
pub(crate) fn kernel(n: &mut NodeReader<'_>) -> Result<Vec<usize>, Fault> {
    let kernel = n.attrs.extents("kernel_shape")?;
    if kernel.is_empty() {
        return invalid!("attribute 'kernel_shape' is missing");
    }
    Ok(kernel)
}
