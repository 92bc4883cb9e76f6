//! Where the maxima over windows are: the output `Indices` of ONNX `MaxPool`, opsets 8 to 22.
//!
//! The output is i64, shaped as the maxima that [`MaxPool`] gives. An element is the place of the first maximum of the
//! window in row-major order, the first NaN if there is one, counted over the whole input: over the batch and channels
//! in row-major order, and over the spatial axes row-major or, with `column_major`, the first spatial axis fastest. A
//! window that lies in the padding as a whole gives -1. Input and errors are those of `MaxPool`.

use super::max_pool::MaxPool;
use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::expr::{CompareFn, Expr, Scalar};
use crate::index::vars;
use crate::window::{Rounding, Window, WindowAxis, input_extents, output_extents, pad_stage, taps};
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType, attributes};

/// The output `Indices` of ONNX operator MaxPool.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPoolIndices {
    /// The window.
    pub window: Window,
    /// Whether the output extent is rounded up.
    pub ceil_mode: bool,
    /// Whether the first spatial axis is counted fastest.
    pub column_major: bool,
}

attributes!(MaxPoolIndices { ..window, ceil_mode, column_major });

/// Above every place.
const NOWHERE: i64 = i64::MAX;

impl MaxPoolIndices {
    fn values(&self) -> MaxPool {
        MaxPool { window: self.window.clone(), ceil_mode: self.ceil_mode }
    }

    fn problem(&self, args: Args<'_>) -> Result<(TensorType, Vec<WindowAxis>), OpError> {
        let values = self.values().infer(args)?;
        let window = self.window.pool_axes(args.required(0, "X")?.shape, Rounding::of(self.ceil_mode))?;
        let shape = values.first().map_or_else(Shape::scalar, |ty| ty.shape.clone());
        shape.checked_bytes(DType::I64)?;
        Ok((TensorType { dtype: DType::I64, shape }, window))
    }

    /// The place, in the order that is asked for, of the element with this row-major place.
    fn place(&self, row_major: Expr, extents: &Shape) -> Expr {
        if !self.column_major {
            return row_major;
        }
        let plane = extents.numel();
        let at = row_major.clone() % Expr::int(plane);
        let mut place = row_major / Expr::int(plane) * Expr::int(plane);
        let mut step = 1usize;
        for (&d, stride) in extents.iter().zip(extents.strides()) {
            place = place + at.clone() / Expr::int(stride) % Expr::int(d) * Expr::int(step);
            step = step.saturating_mul(d);
        }
        place
    }
}

impl Operator for MaxPoolIndices {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (dst, window) = self.problem(args)?;
        let x = args.required(0, "X")?;
        let extents = input_extents(&window);
        if dst.shape.numel() == 0 || extents.numel() == 0 {
            return Ok(Compute::filled(dst, Scalar::I64(-1)));
        }
        let mut c = Compute::new();
        let src = c.input(0, &x);
        let lowest = Scalar::lowest(x.dtype);
        let padded = pad_stage(&mut c, src, &window, lowest)?;
        let rank = dst.shape.rank();
        let (mut index, mut inside): (Vec<Expr>, Option<Expr>) = (vec![Expr::var(0), Expr::var(1)], None);
        let mut place = Expr::var(0) * Expr::int(x.shape[1]) + Expr::var(1);
        for (i, w) in window.iter().enumerate() {
            let at = w.position(Expr::var(2 + i), Expr::var(rank + i));
            index.push(at.clone());
            let at = at - Expr::int(w.pad_begin);
            let within = at.clone().within(w.input);
            inside = Some(inside.map_or(within.clone(), |i| i.and(within)));
            place = place * Expr::int(w.input) + at;
        }
        let reduce = |combine, init, finish| Reduce {
            extents: window.iter().map(|w| w.kernel).collect(),
            combine,
            init,
            finish,
        };
        let element = Expr::load(padded, index);
        let max = reduce(ReduceFn::Max, Expr::Const(lowest), Expr::Acc);
        let max = c.reduce("max", TensorType::new(x.dtype, dst.shape.clone()), max, element.clone());
        let max = Expr::load(max, vars(rank));
        // A NaN is the maximum and differs from itself.
        let equal = Expr::compare(CompareFn::Eq, element.clone(), max);
        let nan = Expr::compare(CompareFn::Ne, element.clone(), element);
        let best = Expr::binary(crate::expr::BinaryFn::Or, equal, nan);
        let best = inside.map_or(best.clone(), |i| i.and(best));
        let nowhere = Expr::int(NOWHERE);
        let none = Expr::compare(CompareFn::Eq, Expr::Acc, nowhere.clone());
        let finish = none.select(Expr::int(-1), self.place(Expr::Acc, &extents));
        let first = reduce(ReduceFn::Min, nowhere.clone(), finish);
        let out = c.reduce("first", dst, first, best.select(place, nowhere));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (dst, window) = self.problem(Args(&args))?;
        let extents = input_extents(&window);
        let (plane, windows) = (extents.numel(), output_extents(&window));
        let mut out = crate::tensor::filled(&dst.shape, -1i64)?;
        if plane > 0 && !out.is_empty() {
            let x = Args(&args).known(0, "X")?;
            let elements = crate::compute::scalars(x)?;
            let number = |at: usize| match elements[at] {
                // Beyond 2^53 integers differ where their f64s do not.
                s if s.dtype().is_float() => (s.to_f64(), 0),
                s => (0.0, s.int().unwrap_or(0)),
            };
            for (o, at) in windows.indices().enumerate() {
                let taps = taps(&window, &at);
                for (p, place) in out.iter_mut().skip(o).step_by(windows.numel()).enumerate() {
                    let mut best: Option<((f64, i128), usize)> = None;
                    for tap in &taps {
                        let v = number(p * plane + tap.input);
                        let wins = match best {
                            None => true,
                            Some((b, _)) => !b.0.is_nan() && (v.0.is_nan() || v > b),
                        };
                        if wins {
                            best = Some((v, tap.input));
                        }
                    }
                    if let Some((_, at)) = best {
                        *place = (p * plane + self.ordered(at, &extents)) as i64;
                    }
                }
            }
        }
        Ok(vec![Tensor::new(dst.shape, &out)?])
    }
}

impl MaxPoolIndices {
    /// The place in a plane of the element with this row-major place.
    fn ordered(&self, at: usize, extents: &Shape) -> usize {
        if !self.column_major {
            return at;
        }
        let index = extents.strides().into_iter().zip(extents.iter()).map(|(s, d)| at / s % d);
        index.zip(extents.iter()).rev().fold(0, |place, (i, d)| place * d + i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};
    use crate::window::AutoPad;

    fn of(kernel: &[usize]) -> Window {
        Window { kernel: kernel.to_vec(), ..Window::default() }
    }

    fn with(window: Window) -> MaxPoolIndices {
        MaxPoolIndices { window, ceil_mode: false, column_major: false }
    }

    fn pool(kernel: &[usize]) -> MaxPoolIndices {
        with(of(kernel))
    }

    #[test]
    fn hand_computed() {
        let x = t([2, 1, 2, 3], &[1.0f32, 5.0, 5.0, 4.0, 0.0, 5.0, f32::NAN, 1.0, 2.0, 3.0, 3.0, f32::NAN]);
        let y = run(&pool(&[2, 2]), &[&x]).unwrap();
        assert_eq!(y, t([2, 1, 1, 2], &[1i64, 1, 6, 11]));
        let y = run(&MaxPoolIndices { column_major: true, ..pool(&[2, 2]) }, &[&x]).unwrap();
        assert_eq!(y, t([2, 1, 1, 2], &[2i64, 2, 6, 11]));
        let beside = with(Window { pads: vec![2, 0], ..of(&[1]) });
        assert_eq!(run(&beside, &[&t([1, 1, 1], &[7u8])]).unwrap(), t([1, 1, 3], &[-1i64, -1, 0]));
        // Not the padding, which is as low.
        let low = with(Window { pads: vec![1, 0], ..of(&[2]) });
        assert_eq!(run(&low, &[&t([1, 1, 1], &[f32::NEG_INFINITY])]).unwrap(), t([1, 1, 1], &[0i64]));
    }

    #[test]
    fn definition_is_reference() {
        let v: Vec<f32> = (0..240).map(|i| (i * 7919 % 7) as f32).collect();
        let x = t([2, 2, 3, 4, 5], &v);
        for column_major in [false, true] {
            for auto_pad in [AutoPad::NotSet, AutoPad::SameUpper, AutoPad::SameLower] {
                let op = MaxPoolIndices {
                    ceil_mode: column_major,
                    column_major,
                    ..with(Window {
                        strides: vec![1, 2, 2],
                        dilations: vec![1, 1, 2],
                        pads: vec![0, 1, 1, 1, 0, 1],
                        auto_pad,
                        ..of(&[2, 2, 2])
                    })
                };
                run(&op, &[&x]).unwrap();
            }
        }
    }

    #[test]
    fn errors_are_those_of_the_maxima() {
        assert!(error(&pool(&[4]), &[&t([1, 2, 3], &[0.0f32; 6])]).contains("does not fit"));
        assert!(error(&pool(&[1]), &[&t([1, 1, 1], &[true])]).contains("input 0 (X)"));
    }
}
