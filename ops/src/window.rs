//! Sliding windows over spatial axes: what convolutions and poolings share.

use crate::attr_enum;
use crate::error::OpError;

/// How padding is derived (ONNX attribute `auto_pad`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoPad {
    /// From the attribute `pads`.
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

/// The attributes of a windowed operator; empty lists mean the defaults.
#[derive(Clone, Copy, Debug)]
pub struct WindowAttrs<'a> {
    /// Window extents.
    pub kernel: &'a [usize],
    /// Steps between windows; default 1.
    pub strides: &'a [usize],
    /// Steps between elements of a window; default 1.
    pub dilations: &'a [usize],
    /// Begins, then ends; default 0.
    pub pads: &'a [usize],
    /// How padding is derived.
    pub auto_pad: AutoPad,
    /// How output extents are rounded.
    pub rounding: Rounding,
}

/// Resolves a window over the spatial extents `input`.
///
/// # Errors
/// [`OpError::Invalid`] when list lengths do not fit the number of spatial axes, a stride, dilation or kernel extent is
/// 0, or a window is larger than the padded input.
pub fn resolve(input: &[usize], w: WindowAttrs<'_>) -> Result<Vec<WindowAxis>, OpError> {
    let n = input.len();
    let list = |v: &[usize], name: &str, default: usize, len: usize| match v.len() {
        0 => Ok(vec![default; len]),
        l if l == len => Ok(v.to_vec()),
        l => Err(OpError::Invalid(format!("{name}: expected {len} values for {n} spatial axes, found {l}"))),
    };
    if w.kernel.len() != n {
        return Err(OpError::Invalid(format!(
            "kernel has {} axes, the input {n} spatial axes",
            w.kernel.len()
        )));
    }
    let strides = list(w.strides, "strides", 1, n)?;
    let dilations = list(w.dilations, "dilations", 1, n)?;
    let pads = list(w.pads, "pads", 0, 2 * n)?;
    (0..n)
        .map(|i| {
            let explicit = (pads[i], pads[n + i]);
            axis(input[i], w.kernel[i], strides[i], dilations[i], explicit, w.auto_pad, w.rounding)
                .map_err(|m| OpError::Invalid(format!("spatial axis {i}: {m}")))
        })
        .collect()
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
    let limit = 1 << 40;
    if [input, kernel, stride, dilation, explicit.0, explicit.1].into_iter().any(|v| v > limit)
        || (kernel - 1).saturating_mul(dilation) > limit
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
        let w = WindowAttrs {
            kernel: &[kernel],
            strides: &[stride],
            dilations: &[],
            pads: &pads,
            auto_pad,
            rounding,
        };
        resolve(&[input], w).unwrap()[0]
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
    fn nonsense_is_refused() {
        let w = |kernel, strides| WindowAttrs {
            kernel,
            strides,
            dilations: &[],
            pads: &[],
            auto_pad: AutoPad::NotSet,
            rounding: Rounding::Floor,
        };
        assert!(resolve(&[4], w(&[5], &[1])).is_err());
        assert!(resolve(&[4], w(&[1], &[0])).is_err());
        assert!(resolve(&[4, 4], w(&[1, 1], &[1])).is_err());
        assert!(resolve(&[4], w(&[usize::MAX], &[1])).is_err());
    }
}
