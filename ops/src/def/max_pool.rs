//! ONNX operator MaxPool.

use crate::window::AutoPad;

/// ONNX operator MaxPool.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool {
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
    /// Whether the output extent is rounded up.
    pub ceil_mode: bool,
}

crate::attributes!(MaxPool { kernel, strides, dilations, pads, auto_pad, ceil_mode });

crate::def::unfinished!(MaxPool);
