//! Tables for the definition: which elements of the input an output index takes, and with which weights.

use super::axis::Axis;
use super::{NearestMode, Resize, ResizeMode};
use crate::compute::TABLE_ELEMENTS;
use crate::{Args, OpError, Tensor};

/// Elements and weights for every output index of an axis.
pub(super) struct Taps {
    /// Number of elements for each output index.
    pub(super) count: usize,
    /// `[output, count]`: elements of the input, in bounds.
    pub(super) index: Tensor,
    /// `[output, count]`: their weights.
    pub(super) weights: Vec<f64>,
}

impl Resize {
    /// For each axis of the output, the index in the input that each of its indices shows: `dst[o..] = src[sources[o]..]`.
    /// None where elements of the output are not elements of the input: modes `Linear` and `Cubic` of an axis that is
    /// resampled, and positions outside the region of interest.
    ///
    /// # Errors
    /// Those of `infer`, and [`OpError::TooLarge`] for an axis with too many indices for a table.
    pub fn sources(&self, args: Args<'_>) -> Result<Option<Vec<Vec<usize>>>, OpError> {
        let (dst, axes) = self.problem(args)?;
        if self.mode != ResizeMode::Nearest && !axes.is_empty() {
            return Ok(None);
        }
        let mut sources: Vec<Vec<usize>> = dst.shape.iter().map(|&n| (0..n).collect()).collect();
        for a in &axes {
            if self.inside_table(a)?.is_some() {
                return Ok(None);
            }
            let table = self.nearest_table(a)?.to_i64s()?;
            sources[a.axis] = table.into_iter().map(|i| usize::try_from(i).unwrap_or(0)).collect();
        }
        Ok(Some(sources))
    }

    /// The axes that are resampled. Along all others the output shows the input as it is, whatever their extents.
    ///
    /// # Errors
    /// Those of `infer`.
    pub fn resampled_axes(&self, args: Args<'_>) -> Result<Vec<usize>, OpError> {
        Ok(self.problem(args)?.1.iter().map(|a| a.axis).collect())
    }

    /// `[output]`: the element that each output index takes in mode `Nearest`.
    pub(super) fn nearest_table(&self, a: &Axis) -> Result<Tensor, OpError> {
        fits(a, 1)?;
        let elements: Vec<i64> = (0..a.output)
            .map(|o| {
                let (left, ratio) = split(a.position(o).0);
                let right = match self.nearest_mode {
                    _ if ratio == 1.0 => true,
                    NearestMode::RoundPreferFloor => ratio > 0.5,
                    NearestMode::RoundPreferCeil => ratio >= 0.5,
                    NearestMode::Floor => false,
                    NearestMode::Ceil => true,
                };
                (left + i64::from(right)).clamp(0, a.input as i64 - 1)
            })
            .collect();
        Tensor::new([a.output], &elements)
    }

    /// `[output]`: whether each position lies in the input; none when all do.
    pub(super) fn inside_table(&self, a: &Axis) -> Result<Option<Tensor>, OpError> {
        fits(a, 1)?;
        let inside: Vec<bool> = (0..a.output).map(|o| !a.position(o).1).collect();
        if inside.iter().all(|&i| i) {
            return Ok(None);
        }
        Tensor::new([a.output], &inside).map(Some)
    }

    /// Elements and weights in the modes `Linear` and `Cubic`.
    pub(super) fn taps(&self, a: &Axis) -> Result<Taps, OpError> {
        let shrink = if self.antialias { a.scale.value().min(1.0) } else { 1.0 };
        let support = if self.mode == ResizeMode::Cubic { 2.0 } else { 1.0 };
        let first = (-support / shrink).floor() as i64 + 1;
        let count = first.checked_mul(-2).and_then(|n| usize::try_from(n.checked_add(2)?).ok());
        let count = count.unwrap_or(usize::MAX);
        fits(a, count)?;
        let mut index = Vec::with_capacity(a.output * count);
        let mut weights = Vec::with_capacity(a.output * count);
        for o in 0..a.output {
            let (left, ratio) = split(a.position(o).0);
            let offsets = first..first + count as i64;
            let mut row: Vec<f64> =
                offsets.clone().map(|i| self.weight((i as f64 - ratio) * shrink)).collect();
            if self.exclude_outside {
                for (w, i) in row.iter_mut().zip(offsets.clone()) {
                    *w = if (0..a.input as i64).contains(&(left + i)) { *w } else { 0.0 };
                }
            }
            let sum: f64 = row.iter().sum();
            let scale = if sum == 0.0 { 1.0 } else { 1.0 / sum };
            index.extend(offsets.map(|i| (left + i).clamp(0, a.input as i64 - 1)));
            weights.extend(row.iter().map(|w| w * scale));
        }
        Ok(Taps { count, index: Tensor::new([a.output, count], &index)?, weights })
    }

    /// Weight of an element at distance `x`.
    fn weight(&self, x: f64) -> f64 {
        let (x, a) = (x.abs(), f64::from(self.cubic_coeff_a));
        match self.mode {
            ResizeMode::Cubic if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            ResizeMode::Cubic if x < 2.0 => ((x - 5.0) * x + 8.0) * x * a - 4.0 * a,
            ResizeMode::Cubic => 0.0,
            _ => (1.0 - x).max(0.0),
        }
    }
}

/// A position as the element to its left and the distance from it, over 0 and up to 1.
fn split(x: f64) -> (i64, f64) {
    let left = x.ceil() - 1.0;
    (left as i64, x - left)
}

fn fits(a: &Axis, count: usize) -> Result<(), OpError> {
    if a.output.saturating_mul(count) <= TABLE_ELEMENTS {
        return Ok(());
    }
    Err(OpError::TooLarge(format!(
        "resizing axis {} from {} to {} takes {count} elements for each",
        a.axis, a.input, a.output
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::arg::Arg;
    use crate::def::resize::CoordinateTransform;

    /// What is asked of a Resize of `[2, 4]` by these factors.
    fn ask<T>(op: &Resize, scales: [f32; 2], f: impl Fn(&Resize, Args<'_>) -> T) -> T {
        let (shape, scales) = (crate::Shape::from([2, 4]), Tensor::new([2], &scales).unwrap());
        let roi = Tensor::new([4], &[0.0f32, 0.0, 1.0, 1.5]).unwrap();
        let x = Arg { dtype: DType::F32, shape: &shape, value: None };
        f(op, Args(&[Some(x), Some((&roi).into()), Some((&scales).into()), None]))
    }

    #[test]
    fn sources_say_what_extents_do_not() {
        let sources = |op: &Resize, by| ask(op, [1.0, by], |op, args| op.sources(args).unwrap());
        let floor = Resize::nearest();
        let axis = |columns: &[usize]| Some(vec![vec![0, 1], columns.to_vec()]);
        assert_eq!(sources(&floor, 2.0), axis(&[0, 0, 1, 1, 2, 2, 3, 3]));
        assert_eq!(sources(&floor, 2.00001), axis(&[0, 0, 0, 1, 1, 2, 2, 3]));
        assert_eq!(sources(&floor, 1.1), axis(&[0, 0, 1, 2]));
        let linear = Resize { mode: ResizeMode::Linear, ..Resize::nearest() };
        assert_eq!(sources(&linear, 2.0), None);
        assert_eq!(sources(&linear, 1.0), axis(&[0, 1, 2, 3]));
        let crop = Resize { coordinates: CoordinateTransform::TfCropAndResize, ..Resize::nearest() };
        assert_eq!(sources(&crop, 1.0), None);
    }

    #[test]
    fn axes_of_the_same_extent_may_be_resampled() {
        let axes = |by| ask(&Resize::nearest(), by, |op, args| op.resampled_axes(args).unwrap());
        assert_eq!(axes([1.0, 1.0]), []);
        assert_eq!(axes([1.2, 1.0]), [0]);
        assert_eq!(axes([1.2, 2.0]), [0, 1]);
    }
}
