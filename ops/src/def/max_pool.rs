//! Maximum over windows: ONNX `MaxPool`, opsets 1 to 22, without the output `Indices`.
//!
//! ```text
//! dst[n, c, o..] = max over k.. of src[n, c, o * stride + k * dilation - pad_begin ..]
//! ```
//!
//! over the positions inside `src`; where there are none, the lowest value of the type (`-inf`, the least integer). NaN wins. Input 0
//! (`X`): `[N, C, spatial..]`, f32, f64, i8 or u8, at least one spatial axis; the output has its type and `[N, C, windows..]`.
//! Errors: lists that do not fit the spatial axes, a window larger than the padded input.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::expr::{Expr, Scalar};
use crate::tensor::{Element, filled};
use crate::window::{Rounding, Window, WindowAxis, input_extents, output_extents, pad_stage, pooled, taps};
use crate::{Args, DType, OpError, Operator, Tensor, TensorType};

/// ONNX operator MaxPool.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool {
    /// The window.
    pub window: Window,
    /// Whether the output extent is rounded up.
    pub ceil_mode: bool,
}

crate::attributes!(MaxPool { ..window, ceil_mode });

impl MaxPool {
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, Vec<WindowAxis>), OpError> {
        let src = args.typed(0, "X", &[DType::F32, DType::F64, DType::I8, DType::U8])?;
        let window = self.window.pool_axes(src.shape, Rounding::of(self.ceil_mode))?;
        Ok((TensorType::new(src.dtype, pooled(src.shape, &window)), window))
    }
}

impl Operator for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (dst, window) = self.problem(args)?;
        let lowest = Scalar::lowest(dst.dtype);
        if dst.shape.numel() == 0 {
            return Ok(Compute::filled(dst, lowest));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "X")?);
        let padded = pad_stage(&mut c, src, &window, lowest)?;
        let rank = dst.shape.rank();
        let mut index = vec![Expr::var(0), Expr::var(1)];
        for (i, w) in window.iter().enumerate() {
            index.push(w.position(Expr::var(2 + i), Expr::var(rank + i)));
        }
        let reduce = Reduce {
            extents: window.iter().map(|w| w.kernel).collect(),
            combine: ReduceFn::Max,
            init: Expr::Const(lowest),
            finish: Expr::Acc,
        };
        let out = c.reduce("max", dst, reduce, Expr::load(padded, index));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (dst, window) = self.problem(Args(&args))?;
        if dst.shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(dst, Vec::new())?]);
        }
        let src = Args(&args).known(0, "X")?;
        Ok(vec![match dst.dtype {
            DType::U8 => maxima(src, &dst, &window, u8::MIN)?,
            DType::I8 => maxima(src, &dst, &window, i8::MIN)?,
            DType::F64 => maxima(src, &dst, &window, f64::NEG_INFINITY)?,
            _ => maxima(src, &dst, &window, f32::NEG_INFINITY)?,
        }])
    }
}

fn maxima<T: Element + PartialOrd>(
    src: &Tensor,
    dst: &TensorType,
    window: &[WindowAxis],
    lowest: T,
) -> Result<Tensor, OpError> {
    let src_elements: Vec<T> = src.to_vec()?;
    let plane = input_extents(window).numel();
    let windows = output_extents(window);
    let mut elements = filled(&dst.shape, lowest)?;
    for (o, at) in windows.indices().enumerate() {
        let taps = taps(window, &at);
        for (p, best) in elements.iter_mut().skip(o).step_by(windows.numel()).enumerate() {
            for t in &taps {
                let v = src_elements[p * plane + t.input];
                // NaN is no order.
                if v > *best || v.partial_cmp(&v).is_none() {
                    *best = v;
                }
            }
        }
    }
    Tensor::new(dst.shape.clone(), &elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::AutoPad;

    fn of(kernel: &[usize]) -> Window {
        Window { kernel: kernel.to_vec(), ..Window::default() }
    }

    fn with(window: Window) -> MaxPool {
        MaxPool { window, ceil_mode: false }
    }

    fn pool(kernel: &[usize]) -> MaxPool {
        with(of(kernel))
    }

    fn run<T: Element>(op: &MaxPool, src: &[T]) -> Vec<T> {
        let src = Tensor::new([1, 1, src.len()], src).unwrap();
        op.reference(&[Some(&src)]).unwrap()[0].to_vec().unwrap()
    }

    #[test]
    fn hand_computed() {
        let src = [3.0f32, 1.0, 2.0, -4.0, -5.0];
        assert_eq!(run(&pool(&[2]), &src), [3.0, 2.0, 2.0, -4.0]);
        let strided = with(Window { strides: vec![2], ..of(&[2]) });
        assert_eq!(run(&strided, &src), [3.0, 2.0]);
        assert_eq!(run(&MaxPool { ceil_mode: true, ..strided.clone() }, &src), [3.0, 2.0, -5.0]);
        assert_eq!(run(&with(Window { dilations: vec![3], ..of(&[2]) }), &src), [3.0, 1.0]);
        let same = with(Window { auto_pad: AutoPad::SameUpper, strides: vec![3], ..of(&[3]) });
        assert_eq!(run(&same, &src), [3.0, -4.0]);
        assert_eq!(run(&with(Window { pads: vec![1, 1], ..of(&[3]) }), &[7u8, 0, 9]), [7, 9, 9]);
        assert_eq!(
            run(&with(Window { pads: vec![1, 0], ..of(&[1]) }), &[-1.0f32]),
            [f32::NEG_INFINITY, -1.0]
        );
        assert!(run(&pool(&[2]), &[f32::NAN, 1.0]).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn errors_say_expected_and_found() {
        let fail = |op: &MaxPool, t: Tensor| op.reference(&[Some(&t)]).unwrap_err().to_string();
        let t = |shape: &[usize]| Tensor::new(shape.to_vec(), &vec![0.0f32; shape.iter().product()]).unwrap();
        assert!(fail(&pool(&[2]), t(&[1, 2])).contains("spatial"));
        assert!(fail(&pool(&[2, 2]), t(&[1, 2, 3])).contains("2 axes"));
        assert!(fail(&pool(&[4]), t(&[1, 2, 3])).contains("does not fit"));
        assert!(fail(&pool(&[1]), Tensor::new([1, 1, 1], &[1i64]).unwrap()).contains("f64 or i8 or u8"));
        let huge = with(Window { pads: vec![1 << 40, 1 << 40], strides: vec![1 << 39], ..of(&[1 << 40]) });
        assert_eq!(huge.reference(&[Some(&t(&[1, 1, 3]))]).unwrap()[0].shape().dims(), [1, 1, 3]);
    }
}
