//! ONNX operator ConvTranspose.

use crate::window::AutoPad;

/// ONNX operator ConvTranspose.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose {
    /// Extents of the window; for convolutions empty: those of the weight.
    pub kernel: Vec<usize>,
    /// Steps between windows, one per spatial axis; empty: all 1.
    pub strides: Vec<usize>,
    /// Steps between the elements of a window; empty: all 1.
    pub dilations: Vec<usize>,
    /// Padding, all begins then all ends; empty: all 0. Used when `auto_pad` is `NotSet`.
    pub pads: Vec<usize>,
    /// How padding is derived.
    pub auto_pad: AutoPad,
    /// Number of groups.
    pub group: usize,
    /// Added to one side of the output extents; empty: all 0.
    pub output_padding: Vec<usize>,
    /// Spatial output extents from which padding is derived; empty: derived from padding.
    pub output_shape: Vec<usize>,
}

crate::attributes!(ConvTranspose {
    kernel,
    strides,
    dilations,
    pads,
    auto_pad,
    group,
    output_padding,
    output_shape
});

crate::def::unfinished!(ConvTranspose);
