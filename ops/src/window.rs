//! Sliding windows over spatial axes: what convolutions and poolings share.

use std::ops::Range;

use crate::attr_enum;
use crate::compute::Compute;
use crate::error::OpError;
use crate::expr::{BufId, Expr, Scalar};
use crate::shape::{Shape, TensorType};

/// Largest extent, step and padding, so that arithmetic with a few of them cannot overflow.
pub const LIMIT: usize = 1 << 40;

/// How padding is derived (ONNX attribute `auto_pad`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoPad {
    /// From the attribute `pads`.
    #[default]
    NotSet,
    /// `out = ceil(in / stride)`, an odd rest at the end.
    SameUpper,
    /// `out = ceil(in / stride)`, an odd rest at the beginning.
    SameLower,
    /// No padding.
    Valid,
}

attr_enum!(AutoPad { NotSet = "notset", SameUpper = "same_upper", SameLower = "same_lower", Valid = "valid" });

/// How an output extent is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Windows that do not fit are dropped.
    Floor,
    /// A last window may hang over the end, if it begins inside the input or the padding before it.
    Ceil,
}

impl Rounding {
    /// What ONNX's attribute `ceil_mode` says.
    pub fn of(ceil_mode: bool) -> Self {
        if ceil_mode { Rounding::Ceil } else { Rounding::Floor }
    }
}

/// A window along one axis with everything known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAxis {
    /// Input extent.
    pub input: usize,
    /// Window extent, before dilation.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Step between elements of a window.
    pub dilation: usize,
    /// Padding before the input.
    pub pad_begin: usize,
    /// Padding after the input.
    pub pad_end: usize,
    /// Number of windows.
    pub output: usize,
}

impl WindowAxis {
    /// Input positions from the first element of a window to its last, both included.
    pub fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Positions after the input that windows or padding reach: `pad_end`, or more where a last window hangs over.
    pub fn reach_end(&self) -> usize {
        let last = self.output.saturating_sub(1) * self.stride + self.extent();
        self.pad_end.max(last.saturating_sub(self.pad_begin + self.input))
    }

    /// The elements of window `o` that lie in the input.
    pub fn inside(&self, o: usize) -> Range<usize> {
        let end = self.elements_before(o, self.pad_begin + self.input);
        self.elements_before(o, self.pad_begin).min(end)..end
    }

    /// Number of elements of window `o` that lie in the input or its padding.
    pub fn count_padded(&self, o: usize) -> usize {
        self.elements_before(o, self.pad_begin + self.input + self.pad_end)
    }

    /// Number of elements of window `o` before `position`, counted from the beginning of the padding.
    fn elements_before(&self, o: usize, position: usize) -> usize {
        position.saturating_sub(o * self.stride).div_ceil(self.dilation).min(self.kernel)
    }

    /// Position of element `k` of window `o`, counted from the beginning of the padding: `o * stride + k * dilation`.
    pub fn position(&self, o: Expr, k: Expr) -> Expr {
        let times = |e: Expr, n: usize| if n == 1 { e } else { e * Expr::int(n) };
        times(o, self.stride) + times(k, self.dilation)
    }
}

/// One element of a window that lies in the input: its place in the window and in the input, both row-major over the
/// spatial axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Place in the window.
    pub kernel: usize,
    /// Place in the input.
    pub input: usize,
}

/// The elements of the window at output position `at` that lie in the input, in row-major order.
pub fn taps(window: &[WindowAxis], at: &[usize]) -> Vec<Tap> {
    if window.iter().zip(at).any(|(w, &o)| w.inside(o).is_empty()) {
        return Vec::new();
    }
    let mut taps = vec![Tap { kernel: 0, input: 0 }];
    for (w, &o) in window.iter().zip(at) {
        let inside = w.inside(o);
        taps = taps
            .iter()
            .flat_map(|t| {
                inside.clone().map(|k| Tap {
                    kernel: t.kernel * w.kernel + k,
                    input: t.input * w.input + o * w.stride + k * w.dilation - w.pad_begin,
                })
            })
            .collect();
    }
    taps
}

/// Extents of the input along each axis.
pub fn input_extents(window: &[WindowAxis]) -> Shape {
    Shape::new(window.iter().map(|w| w.input).collect::<Vec<_>>())
}

/// Number of windows along each axis.
pub fn output_extents(window: &[WindowAxis]) -> Shape {
    Shape::new(window.iter().map(|w| w.output).collect::<Vec<_>>())
}

/// The output `[mb, c, windows..]` of a pooling over an input `[mb, c, spatial..]`.
pub fn pooled(input: &Shape, window: &[WindowAxis]) -> Shape {
    Shape::new([&input[..2], output_extents(window).dims()].concat())
}

/// Stage `pad`: copies `src [mb, c, spatial..]` into a tensor with a border of `fill` that holds every window. Gives
/// `src` itself when no window leaves it.
///
/// # Errors
/// [`OpError::TooLarge`] when the padded tensor cannot be addressed.
pub fn pad_stage(c: &mut Compute, src: BufId, window: &[WindowAxis], fill: Scalar) -> Result<BufId, OpError> {
    if window.iter().all(|w| w.pad_begin == 0 && w.reach_end() == 0) {
        return Ok(src);
    }
    let TensorType { dtype, shape } = c.ty(src).clone();
    let lead = shape.rank() - window.len();
    let mut dims = shape.dims()[..lead].to_vec();
    dims.extend(window.iter().map(|w| w.pad_begin + w.input + w.reach_end()));
    let ty = TensorType::new(dtype, dims);
    ty.shape.checked_bytes(dtype)?;
    let fill = Expr::Const(fill);
    if shape.numel() == 0 {
        return Ok(c.map("pad", ty, fill));
    }
    let mut index: Vec<Expr> = (0..lead).map(Expr::var).collect();
    let mut inside: Option<Expr> = None;
    for (i, w) in window.iter().enumerate() {
        let at = Expr::var(lead + i);
        if w.pad_begin == 0 && w.reach_end() == 0 {
            index.push(at);
            continue;
        }
        let at = if w.pad_begin == 0 { at } else { at - Expr::int(w.pad_begin) };
        let within = at.clone().within(w.input);
        inside = Some(inside.map_or(within.clone(), |i| i.and(within)));
        index.push(at.clamp(0, w.input as i64 - 1));
    }
    let copy = Expr::load(src, index);
    Ok(c.map("pad", ty, inside.map_or(copy.clone(), |i| i.select(copy, fill))))
}

/// The window of a convolution or pooling as its attributes say it: ONNX's `kernel_shape`, `strides`, `dilations`, `pads`
/// and `auto_pad`. Extents and steps count elements of the input along its spatial axes, outermost axis first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Extents before dilation, one per spatial axis; empty: those of the weight, where there is one.
    pub kernel: Vec<usize>,
    /// Steps between windows, one per spatial axis; empty: all 1.
    pub strides: Vec<usize>,
    /// Steps between the elements of a window, one per spatial axis; empty: all 1.
    pub dilations: Vec<usize>,
    /// Elements of padding: those before each spatial axis, then those after each; empty: all 0. Used when `auto_pad` is
    /// `NotSet`.
    pub pads: Vec<usize>,
    /// How padding is derived.
    pub auto_pad: AutoPad,
}

crate::attributes!(Window { kernel, strides, dilations, pads, auto_pad });

impl Window {
    /// The window along each spatial axis of an input of the extents `input`.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when list lengths do not fit the number of spatial axes, a stride, dilation or kernel extent is
    /// 0, or a window is larger than the padded input.
    pub fn axes(&self, input: &[usize], rounding: Rounding) -> Result<Vec<WindowAxis>, OpError> {
        self.axes_with(&self.kernel, input, rounding)
    }

    /// As [`Window::axes`], with extents of the window that are known from elsewhere: `kernel`.
    ///
    /// # Errors
    /// As [`Window::axes`].
    pub fn axes_with(
        &self,
        kernel: &[usize],
        input: &[usize],
        rounding: Rounding,
    ) -> Result<Vec<WindowAxis>, OpError> {
        let n = input.len();
        if kernel.len() != n {
            let message = format!("kernel has {} axes, the input {n} spatial axes", kernel.len());
            return Err(OpError::Invalid(message));
        }
        let strides = per_axis(&self.strides, "strides", 1, n)?;
        let dilations = per_axis(&self.dilations, "dilations", 1, n)?;
        let pads = per_axis(&self.pads, "pads", 0, 2 * n)?;
        (0..n)
            .map(|i| {
                let explicit = (pads[i], pads[n + i]);
                axis(input[i], kernel[i], strides[i], dilations[i], explicit, self.auto_pad, rounding)
                    .map_err(|m| OpError::Invalid(format!("spatial axis {i}: {m}")))
            })
            .collect()
    }

    /// The window of a pooling over an input `[mb, c, spatial..]`.
    ///
    /// # Errors
    /// [`OpError::Invalid`] as [`Window::axes`], or when the input has no spatial axes.
    pub fn pool_axes(&self, input: &Shape, rounding: Rounding) -> Result<Vec<WindowAxis>, OpError> {
        if input.rank() < 3 {
            return Err(OpError::Invalid(format!(
                "input 0 (X): expected [batch, channels, spatial..], found {input}"
            )));
        }
        self.axes(&input[2..], rounding)
    }

    /// Checks that the window is that of a weight `[_, _, spatial..]`, of rank 2 or above.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it has other extents.
    pub(crate) fn check_weight(&self, wei: &Shape) -> Result<(), OpError> {
        if self.kernel.is_empty() || self.kernel == wei[2..] {
            return Ok(());
        }
        Err(OpError::Invalid(format!("attribute kernel is {:?}, the weight is {wei}", self.kernel)))
    }
}

/// An attribute with a value for each spatial axis (or two), or `len` times `default` when it is empty.
///
/// # Errors
/// [`OpError::Invalid`] when it has another length.
pub fn per_axis(v: &[usize], name: &str, default: usize, len: usize) -> Result<Vec<usize>, OpError> {
    match v.len() {
        0 => Ok(vec![default; len]),
        l if l == len => Ok(v.to_vec()),
        l => Err(OpError::Invalid(format!("{name}: expected {len} values for the spatial axes, found {l}"))),
    }
}

fn axis(
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    explicit: (usize, usize),
    auto_pad: AutoPad,
    rounding: Rounding,
) -> Result<WindowAxis, String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(format!("kernel {kernel}, stride {stride} and dilation {dilation} must be positive"));
    }
    if [input, kernel, stride, dilation, explicit.0, explicit.1].into_iter().any(|v| v > LIMIT)
        || (kernel - 1).saturating_mul(dilation) > LIMIT
    {
        return Err("extents are out of range".into());
    }
    let extent = (kernel - 1) * dilation + 1;
    let (pad_begin, pad_end) = match auto_pad {
        AutoPad::NotSet => explicit,
        AutoPad::Valid => (0, 0),
        AutoPad::SameUpper | AutoPad::SameLower => {
            let total = (input.div_ceil(stride).saturating_sub(1) * stride + extent).saturating_sub(input);
            let (small, large) = (total / 2, total - total / 2);
            if auto_pad == AutoPad::SameUpper { (small, large) } else { (large, small) }
        }
    };
    let padded = input + pad_begin + pad_end;
    let Some(room) = padded.checked_sub(extent) else {
        return Err(format!("a window of {extent} does not fit into a padded input of {padded}"));
    };
    if input == 0 && matches!(auto_pad, AutoPad::SameUpper | AutoPad::SameLower) {
        return Ok(WindowAxis { input, kernel, stride, dilation, pad_begin, pad_end, output: 0 });
    }
    let mut output = room / stride + 1;
    // A window that would begin in the padding after the input does not count.
    if rounding == Rounding::Ceil && room % stride != 0 && output * stride < input + pad_begin {
        output += 1;
    }
    Ok(WindowAxis { input, kernel, stride, dilation, pad_begin, pad_end, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(
        input: usize,
        kernel: usize,
        stride: usize,
        pads: [usize; 2],
        auto_pad: AutoPad,
        rounding: Rounding,
    ) -> WindowAxis {
        let (kernel, strides, pads) = (vec![kernel], vec![stride], pads.to_vec());
        let w = Window { kernel, strides, pads, auto_pad, ..Window::default() };
        w.axes(&[input], rounding).unwrap()[0]
    }

    #[test]
    fn output_extents() {
        let out = |i, k, s, p, r| one(i, k, s, p, AutoPad::NotSet, r).output;
        assert_eq!(out(224, 7, 2, [3, 3], Rounding::Floor), 112);
        assert_eq!(out(15, 2, 2, [0, 0], Rounding::Floor), 7);
        assert_eq!(out(15, 2, 2, [0, 0], Rounding::Ceil), 8);
        assert_eq!(out(2, 1, 3, [0, 1], Rounding::Ceil), 1);
    }

    #[test]
    fn same_puts_the_odd_rest_where_it_belongs() {
        let upper = one(5, 2, 2, [9, 9], AutoPad::SameUpper, Rounding::Floor);
        assert_eq!((upper.pad_begin, upper.pad_end, upper.output), (0, 1, 3));
        let lower = one(5, 2, 2, [9, 9], AutoPad::SameLower, Rounding::Floor);
        assert_eq!((lower.pad_begin, lower.pad_end, lower.output), (1, 0, 3));
    }

    #[test]
    fn elements_of_a_window() {
        // Positions -1, 1 | 1, 3 | 3, 5 of an input of 4 with padding 1 and 1; the last one hangs over.
        let w =
            WindowAxis { input: 4, kernel: 2, stride: 2, dilation: 2, pad_begin: 1, pad_end: 1, output: 3 };
        assert_eq!([w.inside(0), w.inside(1), w.inside(2)], [1..2, 0..2, 0..1]);
        assert_eq!([0, 1, 2].map(|o| w.count_padded(o)), [2, 2, 1]);
        assert_eq!((w.extent(), w.reach_end()), (3, 2));
        let tap = |kernel, input| Tap { kernel, input };
        assert_eq!(taps(&[w], &[1]), [tap(0, 1), tap(1, 3)]);
        assert_eq!(taps(&[w, w], &[0, 2]), [tap(2, 7)]);
        assert_eq!(w.position(Expr::var(2), Expr::var(4)).to_string(), "add(mul(L2, 2), mul(L4, 2))");
    }

    #[test]
    fn nonsense_is_refused() {
        let of = |input: &[usize], kernel: &[usize], strides: &[usize]| {
            let (kernel, strides) = (kernel.to_vec(), strides.to_vec());
            Window { kernel, strides, ..Window::default() }.axes(input, Rounding::Floor)
        };
        assert!(of(&[4], &[5], &[1]).is_err());
        assert!(of(&[4], &[1], &[0]).is_err());
        assert!(of(&[4, 4], &[1, 1], &[1]).is_err());
        assert!(of(&[4], &[usize::MAX], &[1]).is_err());
    }
}
