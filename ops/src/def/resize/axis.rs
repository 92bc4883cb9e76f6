//! What becomes of each axis: its output extent and scale from the inputs `scales` or `sizes`, its region of interest,
//! and the position in the input of an output index.

use super::{AspectPolicy, CoordinateTransform, Resize};
use crate::axes::{optional_ints, resolve_axes};
use crate::window::LIMIT;
use crate::{Args, DType, OpError, Shape, invalid};

/// The factor between input and output positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// As the input `scales` has it. Quotients are rounded to f32, so that 3 / 0.6 is 5.
    Factor(f32),
    /// The ratio of two extents, of which quotients are exact where they can be.
    Ratio {
        /// Numerator.
        output: usize,
        /// Denominator.
        input: usize,
    },
}

impl Scale {
    fn divide(self, x: f64) -> f64 {
        match self {
            Scale::Factor(f) => f64::from(x as f32 / f),
            Scale::Ratio { output, input } => x * input as f64 / output as f64,
        }
    }

    fn multiply(self, x: f64) -> f64 {
        match self {
            Scale::Factor(f) => x * f64::from(f),
            Scale::Ratio { output, input } => x * output as f64 / input as f64,
        }
    }

    /// The factor as a number.
    pub(super) fn value(self) -> f64 {
        self.multiply(1.0)
    }
}

/// An axis that is resampled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// Its number.
    pub(super) axis: usize,
    /// Extent of the input.
    pub(super) input: usize,
    /// Extent of the output.
    pub(super) output: usize,
    /// The factor between them.
    pub(super) scale: Scale,
    /// Begin and end of the region of interest; the input is 0 to 1.
    pub(super) roi: (f64, f64),
    transform: CoordinateTransform,
}

impl Axis {
    /// Position in the input of output index `o`, and whether the region of interest puts it outside the input.
    pub(super) fn position(&self, o: usize) -> (f64, bool) {
        let (x, last) = (o as f64, self.input as f64 - 1.0);
        // With a factor the output extent need not be a whole number.
        let width = self.scale.multiply(self.input as f64);
        let half_pixel = self.scale.divide(x + 0.5) - 0.5;
        let position = match self.transform {
            CoordinateTransform::HalfPixel => half_pixel,
            CoordinateTransform::HalfPixelSymmetric => {
                self.input as f64 / 2.0 * (1.0 - self.output as f64 / width) + half_pixel
            }
            CoordinateTransform::PytorchHalfPixel if self.output == 1 => 0.0,
            CoordinateTransform::PytorchHalfPixel => half_pixel,
            CoordinateTransform::AlignCorners if self.output == 1 => 0.0,
            // The last index shows the last element, whatever the factor.
            CoordinateTransform::AlignCorners => x * last / (self.output as f64 - 1.0),
            CoordinateTransform::Asymmetric => self.scale.divide(x),
            CoordinateTransform::TfHalfPixelForNn => self.scale.divide(x + 0.5),
            CoordinateTransform::TfCropAndResize => {
                let (begin, end) = self.roi;
                if self.output == 1 {
                    (begin + end) / 2.0 * last
                } else {
                    begin * last + x * (end - begin) * last / (self.output as f64 - 1.0)
                }
            }
        };
        let crop = self.transform == CoordinateTransform::TfCropAndResize;
        let outside = crop && !(0.0..=last).contains(&position);
        let limit = 2.0 * LIMIT as f64;
        (position.clamp(-limit, limit), outside)
    }
}

impl Resize {
    /// The output's shape, and the axes that differ from the input's.
    pub(super) fn resampled(&self, args: Args<'_>) -> Result<(Shape, Vec<Axis>), OpError> {
        let src = args.required(0, "X")?.shape;
        let axes = match &self.axes[..] {
            [] => (0..src.rank()).collect(),
            axes => resolve_axes(axes, src.rank())?,
        };
        let roi = self.roi(args, axes.len())?;
        let given = |i: usize| args.optional(i).is_some_and(|a| a.shape.numel() > 0);
        let resized = match (given(2), given(3)) {
            (true, false) => factors(args, src, &axes)?,
            (false, true) => self.ratios(args, src, &axes)?,
            (true, true) => return invalid!("scales and sizes are both given"),
            (false, false) => return invalid!("neither scales nor sizes are given"),
        };
        let mut dims = src.dims().to_vec();
        let mut changed = Vec::new();
        for ((&axis, (output, scale)), &roi) in axes.iter().zip(resized).zip(&roi) {
            let input = src[axis];
            if output > LIMIT || input > LIMIT {
                let message = format!("axis {axis} is resized from {input} to {output}");
                return Err(OpError::TooLarge(message));
            }
            if input == 0 && output > 0 {
                return invalid!("axis {axis} of an input {src} is empty and cannot be resized to {output}");
            }
            dims[axis] = output;
            let crop = self.coordinates == CoordinateTransform::TfCropAndResize && roi != (0.0, 1.0);
            if output != input || scale.value() != 1.0 || crop {
                changed.push(Axis { axis, input, output, scale, roi, transform: self.coordinates });
            }
        }
        Ok((Shape::new(dims), changed))
    }

    fn roi(&self, args: Args<'_>, n: usize) -> Result<Vec<(f64, f64)>, OpError> {
        if self.coordinates != CoordinateTransform::TfCropAndResize {
            return Ok(vec![(0.0, 1.0); n]);
        }
        args.typed(1, "roi", &[DType::F32])?;
        let roi = args.known(1, "roi")?.to_f64s();
        if roi.len() != 2 * n || roi.iter().any(|v| !v.is_finite()) {
            return invalid!("input 1 (roi): expected {} finite numbers, found {roi:?}", 2 * n);
        }
        Ok((0..n).map(|i| (roi[i], roi[n + i])).collect())
    }

    /// Output extents and scales of `axes` from the input `sizes`.
    fn ratios(&self, args: Args<'_>, src: &Shape, axes: &[usize]) -> Result<Vec<(usize, Scale)>, OpError> {
        let sizes = Shape::from_i64(&optional_ints(args, 3, "sizes")?.unwrap_or_default())?;
        if sizes.rank() != axes.len() {
            return invalid!("input 3 (sizes): expected {} extents, found {sizes}", axes.len());
        }
        let each = || axes.iter().map(|&a| src[a]).zip(sizes.iter().copied());
        if self.aspect == AspectPolicy::Stretch {
            return Ok(each().map(|(input, output)| (output, Scale::Ratio { output, input })).collect());
        }
        if each().any(|(input, output)| input == 0 || input.max(output) > LIMIT) {
            return invalid!("the aspect ratio of an input {src} cannot be kept in {sizes}");
        }
        // The smaller of the ratios `output / input`, or the larger.
        let smaller =
            |a: (usize, usize), b: (usize, usize)| a.1 as u128 * (b.0 as u128) < b.1 as u128 * (a.0 as u128);
        let keep = self.aspect == AspectPolicy::NotLarger;
        let common = each().reduce(|best, r| if smaller(r, best) == keep { r } else { best });
        let Some((input, output)) = common else { return Ok(Vec::new()) };
        let scale = Scale::Ratio { output, input };
        let nearest = |extent: usize| {
            let twice = 2 * (extent as u128 * output as u128) + input as u128;
            usize::try_from(twice / (2 * input as u128)).unwrap_or(usize::MAX)
        };
        Ok(each().map(|(extent, _)| (nearest(extent), scale)).collect())
    }
}

/// Output extents and scales of `axes` from the input `scales`.
fn factors(args: Args<'_>, src: &Shape, axes: &[usize]) -> Result<Vec<(usize, Scale)>, OpError> {
    args.typed(2, "scales", &[DType::F32])?;
    let scales: Vec<f32> = args.known(2, "scales")?.to_vec()?;
    if scales.len() != axes.len() || scales.iter().any(|s| !s.is_finite() || *s <= 0.0) {
        return invalid!("input 2 (scales): expected {} positive numbers, found {scales:?}", axes.len());
    }
    let output = |&a: &usize, &s: &f32| (src[a] as f32 * s).floor() as usize;
    Ok(axes.iter().zip(&scales).map(|(a, s)| (output(a, s), Scale::Factor(*s))).collect())
}
