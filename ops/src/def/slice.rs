//! Takes a strided part: along every named axis `Y[i] = X[start + i * step]`.
//!
//! Inputs: data of any type; lists of integers known before the run: starts, ends, optionally axes (all in order by
//! default) and steps (1 by default). With d the axis's extent, negative starts and ends have d added once. Then, for
//! a positive step, starts and ends are clamped to `0..=d`; for a negative one, starts to `0..=d-1` and ends to
//! `-1..=d-1`. The extent of Y is `max(0, ceil((end - start) / step))`.
//!
//! Errors: lists of different lengths, axes out of range or named twice, a step of 0.
//! Mirrors ONNX Slice-10 to -13 and later; the attributes of Slice-1 arrive as inputs.

use crate::arg::{Args, known_args};
use crate::axes::{optional_ints, required_ints, resolve_axes};
use crate::compute::Compute;
use crate::elements::{Walk, input, walk};
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::{rearranged, vars};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Takes a strided part.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {}

crate::attributes!(Slice {});

/// The part of one axis that is taken: `start + i * step` for `i` below `extent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First index.
    pub start: usize,
    /// Distance of the following ones.
    pub step: i64,
    /// Their number.
    pub extent: usize,
}

/// The part of an axis of extent `d` from `start` to before `end` in steps of `step`, which is not 0.
fn part(d: usize, start: i64, end: i64, step: i64) -> Part {
    let n = d as i128;
    let wrap = |v: i64| i128::from(v) + if v < 0 { n } else { 0 };
    let (lowest, highest) = if step < 0 { (-1, n - 1) } else { (0, n) };
    let (start, end) = (wrap(start).max(0).min(highest), wrap(end).max(lowest).min(highest));
    let distance = if step < 0 { start - end } else { end - start };
    if d == 0 || distance <= 0 {
        return Part { start: 0, step: 1, extent: 0 };
    }
    let size = i128::from(step).abs();
    // The quotient is at most d.
    let extent = ((distance + size - 1) / size) as usize;
    Part { start: start as usize, step: if extent == 1 { 1 } else { step }, extent }
}

/// The part of every axis of a tensor of shape `shape` that a Slice with these arguments takes.
///
/// # Errors
/// As the operator's.
pub fn parts(shape: &Shape, args: Args<'_>) -> Result<Vec<Part>, OpError> {
    let (starts, ends) = (required_ints(args, 1, "starts")?, required_ints(args, 2, "ends")?);
    let n = starts.len();
    let axes = match optional_ints(args, 3, "axes")? {
        Some(axes) => resolve_axes(&axes, shape.rank())?,
        None if n > shape.rank() => {
            return invalid!("starts: expected at most {} for {shape}, found {n}", shape.rank());
        }
        None => (0..n).collect(),
    };
    let steps = optional_ints(args, 4, "steps")?.unwrap_or_else(|| vec![1; n]);
    if ends.len() != n || axes.len() != n || steps.len() != n {
        return invalid!(
            "expected as many ends, axes and steps as the {n} starts, found {}, {} and {}",
            ends.len(),
            axes.len(),
            steps.len()
        );
    }
    let mut all: Vec<Part> = shape.iter().map(|&d| Part { start: 0, step: 1, extent: d }).collect();
    for (i, &axis) in axes.iter().enumerate() {
        if steps[i] == 0 {
            return invalid!("steps: expected other steps than 0, found {steps:?}");
        }
        all[axis] = part(shape[axis], starts[i], ends[i], steps[i]);
    }
    Ok(all)
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.required(0, "data")?;
        let shape: Vec<usize> = parts(x.shape, args)?.iter().map(|p| p.extent).collect();
        Ok(vec![TensorType::new(x.dtype, shape)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.required(0, "data")?;
        let ty = self.infer(args)?.remove(0);
        let index = parts(x.shape, args)?.into_iter().zip(vars(x.shape.rank())).map(|(p, i)| {
            let scaled = if p.step == 1 { i } else { i * Expr::int(p.step) };
            if p.start == 0 { scaled } else { scaled + Expr::int(p.start) }
        });
        Ok(rearranged("slice", &x, ty, index.collect()))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let x = input(inputs, 0, "data")?;
        let parts = parts(x.shape(), Args(&args))?;
        let shape: Vec<usize> = parts.iter().map(|p| p.extent).collect();
        let y = walk(x, shape.into(), || {
            let taken = |p: &Part| {
                let mut at = p.start;
                let mut indices = vec![at];
                while indices.len() < p.extent {
                    at = at.wrapping_add_signed(p.step as isize);
                    indices.push(at);
                }
                indices
            };
            parts.iter().zip(x.shape().strides()).map(|(p, s)| Walk::over(s, taken(p))).collect()
        })?;
        Ok(vec![y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn one_axis() {
        let x = t([5], &[0i64, 1, 2, 3, 4]);
        let cases: &[(i64, i64, i64, &[i64])] = &[
            (1, 3, 1, &[1, 2]),
            (0, i64::MAX, 1, &[0, 1, 2, 3, 4]),
            (-2, i64::MAX, 1, &[3, 4]),
            (0, -1, 2, &[0, 2]),
            (-9, 9, 3, &[0, 3]),
            (4, 0, -1, &[4, 3, 2, 1]),
            (-1, i64::MIN, -1, &[4, 3, 2, 1, 0]),
            (9, -9, -2, &[4, 2, 0]),
            (3, 3, 1, &[]),
            (3, 1, 1, &[]),
            (1, 3, -1, &[]),
            (2, 4, i64::MAX, &[2]),
            (2, 0, i64::MIN, &[2]),
            (5, 9, 1, &[]),
            // A start before the beginning is clamped to it for negative steps too.
            (-9, -9, -1, &[0]),
        ];
        for &(start, end, step, want) in cases {
            let list = |v| t([1], &[v]);
            let y = run(&Slice {}, &[&x, &list(start), &list(end), &list(0), &list(step)]);
            assert_eq!(y, Ok(t([want.len()], want)), "{start}..{end} by {step}");
        }
    }

    #[test]
    fn several_axes() {
        let x = t([2, 3, 2], &(0..12).collect::<Vec<i32>>());
        let y = run(
            &Slice {},
            &[&x, &t([2], &[1i32, -1]), &t([2], &[2i32, -9]), &t([2], &[-1i32, 1]), &t([2], &[1i32, -2])],
        );
        assert_eq!(y, Ok(t([2, 2, 1], &[5i32, 1, 11, 7])));
        assert_eq!(
            run(&Slice {}, &[&x, &t([1], &[1i64]), &t([1], &[2i64])]).unwrap().shape().dims(),
            [1, 3, 2]
        );
        assert_eq!(
            run(&Slice {}, &[&t::<u8>([0], &[]), &t([1], &[0i64]), &t([1], &[9i64])]),
            Ok(t::<u8>([0], &[]))
        );
        assert_eq!(
            run(&Slice {}, &[&t([], &[1u8]), &t::<i64>([0], &[]), &t::<i64>([0], &[])]),
            Ok(t([], &[1u8]))
        );
    }

    #[test]
    fn errors() {
        let x = t([2, 2], &[0u8; 4]);
        let (one, two, three) = (t([1], &[1i64]), t([2], &[1i64, 1]), t([3], &[1i64; 3]));
        let of = |inputs: &[&Tensor]| error(&Slice {}, inputs);
        assert_eq!(of(&[&x, &one]), "input 2 (ends) is missing");
        assert_eq!(of(&[&x, &three, &three]), "starts: expected at most 2 for [2,2], found 3");
        assert_eq!(
            of(&[&x, &one, &two]),
            "expected as many ends, axes and steps as the 1 starts, found 2, 1 and 1"
        );
        assert!(of(&[&x, &two, &two, &two]).contains("twice"));
        assert!(of(&[&x, &one, &one, &one, &t([1], &[0i64])]).contains("other steps than 0"));
        assert!(of(&[&x, &one, &one, &t([1], &[2i64])]).contains("found 2"));
    }
}
