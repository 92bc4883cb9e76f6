//! ONNX operator Resize.

/// Interpolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMode {
    /// The nearest element.
    Nearest,
    /// Multilinear.
    Linear,
    /// Cubic convolution.
    Cubic,
}

crate::attr_enum!(ResizeMode { Nearest = "nearest", Linear = "linear", Cubic = "cubic" });

/// Position in the input of an output index; see the ONNX operator `Resize` for the formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinateTransform {
    /// `(x + 0.5) / scale - 0.5`
    HalfPixel,
    /// Half pixel around the centre, for scales that do not give whole extents.
    HalfPixelSymmetric,
    /// Half pixel, but 0 when the output extent is 1.
    PytorchHalfPixel,
    /// `x * (in - 1) / (out - 1)`
    AlignCorners,
    /// `x / scale`
    Asymmetric,
    /// `(x + 0.5) / scale`
    TfHalfPixelForNn,
    /// Corners aligned to the region of interest.
    TfCropAndResize,
}

crate::attr_enum!(CoordinateTransform { HalfPixel = "half_pixel", HalfPixelSymmetric = "half_pixel_symmetric", PytorchHalfPixel = "pytorch_half_pixel", AlignCorners = "align_corners", Asymmetric = "asymmetric", TfHalfPixelForNn = "tf_half_pixel_for_nn", TfCropAndResize = "tf_crop_and_resize" });

/// Rounding of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearestMode {
    /// To nearest, halves down.
    RoundPreferFloor,
    /// To nearest, halves up.
    RoundPreferCeil,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

crate::attr_enum!(NearestMode { RoundPreferFloor = "round_prefer_floor", RoundPreferCeil = "round_prefer_ceil", Floor = "floor", Ceil = "ceil" });

/// How `sizes` are adapted to the input's aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AspectPolicy {
    /// Not at all.
    Stretch,
    /// The largest size with the input's aspect ratio within `sizes`.
    NotLarger,
    /// The smallest size with the input's aspect ratio not below `sizes`.
    NotSmaller,
}

crate::attr_enum!(AspectPolicy { Stretch = "stretch", NotLarger = "not_larger", NotSmaller = "not_smaller" });

/// ONNX operator Resize.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// Interpolation.
    pub mode: ResizeMode,
    /// Position in the input of an output index.
    pub coordinates: CoordinateTransform,
    /// Rounding of positions in mode `Nearest`.
    pub nearest_mode: NearestMode,
    /// Parameter of the cubic kernel.
    pub cubic_coeff_a: f32,
    /// Whether weights outside the input are set to 0 and the rest scaled to sum to 1.
    pub exclude_outside: bool,
    /// Value outside the region of interest (`TfCropAndResize`).
    pub extrapolation_value: f32,
    /// Whether downsampling widens the kernel.
    pub antialias: bool,
    /// How `sizes` are adapted to the input's aspect ratio.
    pub aspect: AspectPolicy,
    /// The axes that `roi`, `scales` and `sizes` speak of; empty: all.
    pub axes: Vec<i64>,
}

crate::attributes!(Resize {
    mode,
    coordinates,
    nearest_mode,
    cubic_coeff_a,
    exclude_outside,
    extrapolation_value,
    antialias,
    aspect,
    axes
});

crate::def::unfinished!(Resize);
