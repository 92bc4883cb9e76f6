//! ONNX operator Conv.

use crate::window::AutoPad;

/// ONNX operator Conv.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
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
}

crate::attributes!(Conv { kernel, strides, dilations, pads, auto_pad, group });

crate::def::unfinished!(Conv);
