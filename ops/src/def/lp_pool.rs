//! Lp norms over windows: ONNX `LpPool`, opsets 1 to 22.
//!
//! ```text
//! dst[n, c, o..] = (sum over k.. of |src[n, c, o * stride + k * dilation - pad_begin ..]| ^ p) ^ (1 / p)
//! ```
//!
//! Positions outside `src` add 0. Input 0 (`X`): `[N, C, spatial..]`, f32 or f64, at least one spatial axis; output
//! `[N, C, windows..]` of its type. Errors: `p` not positive, lists that do not fit the spatial axes, a window larger than
//! the padded input.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn, tensor};
use crate::expr::{BinaryFn, Expr, Scalar, UnaryFn};
use crate::window::{Rounding, Window, WindowAxis, input_extents, output_extents, pad_stage, pooled, taps};
use crate::{Args, DType, OpError, Operator, Tensor, TensorType, attributes, invalid};

/// ONNX operator LpPool.
#[derive(Clone, Debug, PartialEq)]
pub struct LpPool {
    /// The window.
    pub window: Window,
    /// Whether the output extent is rounded up.
    pub ceil_mode: bool,
    /// The exponent.
    pub p: f32,
}

attributes!(LpPool { ..window, ceil_mode, p });

impl LpPool {
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, Vec<WindowAxis>), OpError> {
        let src = args.typed(0, "X", DType::FLOATS)?;
        check_exponent(self.p)?;
        let window = self.window.pool_axes(src.shape, Rounding::of(self.ceil_mode))?;
        Ok((TensorType::new(src.dtype, pooled(src.shape, &window)), window))
    }
}

/// Whether `p` is an exponent of a norm.
///
/// # Errors
/// [`OpError::Invalid`] when it is not positive or not finite.
pub(crate) fn check_exponent(p: f32) -> Result<(), OpError> {
    if p.is_finite() && p > 0.0 { Ok(()) } else { invalid!("p: expected a positive number, found {p}") }
}

/// `|x| ^ p`.
pub(crate) fn power(x: Expr, p: f32, dtype: DType) -> Expr {
    let magnitude = Expr::unary(UnaryFn::Abs, x.clone());
    match p {
        1.0 => magnitude,
        2.0 => x.clone() * x,
        _ => Expr::binary(BinaryFn::Pow, magnitude, Expr::literal(dtype, p.into())),
    }
}

/// `sum ^ (1 / p)`.
pub(crate) fn root(sum: Expr, p: f32, dtype: DType) -> Expr {
    match p {
        1.0 => sum,
        2.0 => Expr::unary(UnaryFn::Sqrt, sum),
        _ => Expr::binary(BinaryFn::Pow, sum, Expr::literal(dtype, 1.0 / f64::from(p))),
    }
}

/// The norm of numbers.
pub(crate) fn norm(numbers: impl Iterator<Item = f64>, p: f32) -> f64 {
    let p = f64::from(p);
    numbers.map(|v| v.abs().powf(p)).sum::<f64>().powf(1.0 / p)
}

impl Operator for LpPool {
    fn name(&self) -> &'static str {
        "LpPool"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (dst, window) = self.problem(args)?;
        let zero = Scalar::zero(dst.dtype);
        if dst.shape.numel() == 0 {
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "X")?);
        let padded = pad_stage(&mut c, src, &window, zero)?;
        let rank = dst.shape.rank();
        let mut index = vec![Expr::var(0), Expr::var(1)];
        for (i, w) in window.iter().enumerate() {
            index.push(w.position(Expr::var(2 + i), Expr::var(rank + i)));
        }
        let dtype = dst.dtype;
        let reduce = Reduce {
            extents: window.iter().map(|w| w.kernel).collect(),
            combine: ReduceFn::Sum,
            init: Expr::Const(zero),
            finish: root(Expr::Acc, self.p, dtype),
        };
        let out = c.reduce_blocked("norm", dst, reduce, power(Expr::load(padded, index), self.p, dtype));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (dst, window) = self.problem(Args(&args))?;
        let src = Args(&args).known(0, "X")?.to_f64s();
        let (plane, windows) = (input_extents(&window).numel(), output_extents(&window));
        let mut out = vec![Scalar::zero(dst.dtype); dst.shape.numel()];
        for (o, at) in windows.indices().enumerate() {
            let taps = taps(&window, &at);
            for (n, result) in out.iter_mut().skip(o).step_by(windows.numel()).enumerate() {
                let numbers = taps.iter().map(|tap| src[n * plane + tap.input]);
                *result = Scalar::F64(norm(numbers, self.p)).cast(dst.dtype);
            }
        }
        Ok(vec![tensor(&dst, &out)?])
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

    fn with(window: Window, p: f32) -> LpPool {
        LpPool { window, ceil_mode: false, p }
    }

    fn pool(kernel: &[usize], p: f32) -> LpPool {
        with(of(kernel), p)
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 1, 3], &[3.0f32, -4.0, 0.0]);
        assert_eq!(run(&pool(&[2], 2.0), &[&x]).unwrap(), t([1, 1, 2], &[5.0f32, 4.0]));
        assert_eq!(run(&pool(&[2], 1.0), &[&x]).unwrap(), t([1, 1, 2], &[7.0f32, 4.0]));
        let padded = with(Window { pads: vec![1, 1], ..of(&[2]) }, 2.0);
        assert_eq!(run(&padded, &[&x]).unwrap(), t([1, 1, 4], &[3.0f32, 5.0, 4.0, 0.0]));
    }

    #[test]
    fn definition_is_reference() {
        let v: Vec<f64> = (0..120).map(|i| f64::from(i * 7919 % 101) / 50.0 - 1.0).collect();
        let x = t([1, 2, 3, 4, 5], &v);
        for p in [1.0, 2.0, 3.0, 0.5] {
            for auto_pad in [AutoPad::NotSet, AutoPad::SameUpper, AutoPad::SameLower] {
                let op = LpPool {
                    ceil_mode: p == 2.0,
                    ..with(
                        Window {
                            strides: vec![1, 2, 2],
                            dilations: vec![1, 1, 2],
                            pads: vec![0, 1, 1, 1, 0, 1],
                            auto_pad,
                            ..of(&[2, 2, 2])
                        },
                        p,
                    )
                };
                run(&op, &[&x]).unwrap();
            }
        }
    }

    #[test]
    fn errors_say_expected_and_found() {
        let x = t([1, 1, 3], &[0.0f32; 3]);
        assert!(error(&pool(&[4], 2.0), &[&x]).contains("does not fit"));
        assert!(error(&pool(&[1], 0.0), &[&x]).contains("p: expected a positive number, found 0"));
        assert!(error(&pool(&[1], f32::INFINITY), &[&x]).contains("positive"));
    }
}
