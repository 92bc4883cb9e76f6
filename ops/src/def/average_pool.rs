//! Average over windows: ONNX `AveragePool`, opsets 1 to 22.
//!
//! ```text
//! dst[n, c, o..] = (sum over k.. of src[n, c, o * stride + k * dilation - pad_begin ..]) / count(o..)
//! ```
//!
//! Positions outside `src` add 0. `count` is the number of the window's positions inside `src`, or with
//! `count_include_pad` inside `src` and its padding; where a last window hangs over the padded input (`ceil_mode`),
//! positions beyond it never count. A window without any counted position gives 0.
//!
//! Input 0 (`X`): `[N, C, spatial..]`, f32 or f64, at least one spatial axis; output `[N, C, windows..]` of its type.
//! Errors: lists that do not fit the spatial axes, a window larger than the padded input.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn, TABLE_ELEMENTS};
use crate::elements::floats;
use crate::expr::{Expr, Scalar};
use crate::tensor::filled;
use crate::window::{Rounding, Window, WindowAxis, input_extents, output_extents, pad_stage, pooled, taps};
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

/// ONNX operator AveragePool.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePool {
    /// The window.
    pub window: Window,
    /// Whether the output extent is rounded up.
    pub ceil_mode: bool,
    /// Whether padding counts in the divisor.
    pub count_include_pad: bool,
}

crate::attributes!(AveragePool { ..window, ceil_mode, count_include_pad });

impl AveragePool {
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, Vec<WindowAxis>), OpError> {
        let src = args.typed(0, "X", DType::FLOATS)?;
        let window = self.window.pool_axes(src.shape, Rounding::of(self.ceil_mode))?;
        Ok((TensorType::new(src.dtype, pooled(src.shape, &window)), window))
    }

    /// The divisor at the output position in variables `L2 ..`: a constant, times a table for each axis along which
    /// the count varies.
    fn divisor(&self, c: &mut Compute, dtype: DType, window: &[WindowAxis]) -> Result<Expr, OpError> {
        let mut constant = 1.0;
        let mut varying: Option<Expr> = None;
        for (i, w) in window.iter().enumerate() {
            if w.output > TABLE_ELEMENTS {
                return Err(OpError::TooLarge(format!("spatial axis {i} has {} windows", w.output)));
            }
            let extent = Shape::from([w.output]);
            let mut counts = filled(&extent, 0.0)?;
            for (o, count) in counts.iter_mut().enumerate() {
                let n = if self.count_include_pad { w.count_padded(o) } else { w.inside(o).len() };
                // The sum over a window without elements is 0, whatever it is divided by.
                *count = n.max(1) as f64;
            }
            if counts.windows(2).all(|pair| pair[0] == pair[1]) {
                constant *= counts.first().copied().unwrap_or(1.0);
            } else {
                let table = c.table(floats(TensorType { dtype, shape: extent }, counts)?);
                let count = Expr::load(table, [Expr::var(2 + i)]);
                varying = Some(varying.map_or(count.clone(), |v| v * count));
            }
        }
        Ok(match varying {
            None => Expr::literal(dtype, constant),
            Some(v) if constant == 1.0 => v,
            Some(v) => v * Expr::literal(dtype, constant),
        })
    }
}

impl Operator for AveragePool {
    fn name(&self) -> &'static str {
        "AveragePool"
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
        let divisor = self.divisor(&mut c, dst.dtype, &window)?;
        let padded = pad_stage(&mut c, src, &window, zero)?;
        let rank = dst.shape.rank();
        let mut index = vec![Expr::var(0), Expr::var(1)];
        for (i, w) in window.iter().enumerate() {
            index.push(w.position(Expr::var(2 + i), Expr::var(rank + i)));
        }
        let reduce = Reduce {
            extents: window.iter().map(|w| w.kernel).collect(),
            combine: ReduceFn::Sum,
            init: Expr::Const(zero),
            finish: Expr::Acc / divisor,
        };
        let out = c.reduce_blocked("average", dst, reduce, Expr::load(padded, index));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (dst, window) = self.problem(Args(&args))?;
        if dst.shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(dst, Vec::new())?]);
        }
        let src = Args(&args).known(0, "X")?.to_f64s();
        let plane = input_extents(&window).numel();
        let windows = output_extents(&window);
        let mut elements = filled(&dst.shape, 0.0)?;
        for (o, at) in windows.indices().enumerate() {
            let taps = taps(&window, &at);
            let count = if self.count_include_pad {
                window.iter().zip(&at).map(|(w, &o)| w.count_padded(o) as f64).product()
            } else {
                taps.len() as f64
            };
            for (p, average) in elements.iter_mut().skip(o).step_by(windows.numel()).enumerate() {
                let sum: f64 = taps.iter().map(|t| src[p * plane + t.input]).sum();
                *average = if taps.is_empty() { 0.0 } else { sum / count };
            }
        }
        Ok(vec![floats(dst, elements)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kernel: &[usize]) -> Window {
        Window { kernel: kernel.to_vec(), ..Window::default() }
    }

    fn with(window: Window) -> AveragePool {
        AveragePool { window, ceil_mode: false, count_include_pad: false }
    }

    fn pool(kernel: &[usize]) -> AveragePool {
        with(of(kernel))
    }

    fn run(op: &AveragePool, src: &[f32]) -> Vec<f32> {
        let src = Tensor::new([1, 1, src.len()], src).unwrap();
        op.reference(&[Some(&src)]).unwrap()[0].to_vec().unwrap()
    }

    #[test]
    fn hand_computed() {
        let ones = [1.0; 5];
        assert_eq!(run(&pool(&[2]), &[1.0, 2.0, 4.0]), [1.5, 3.0]);
        let padded = AveragePool {
            ceil_mode: true,
            ..with(Window { pads: vec![1, 0], strides: vec![3], ..of(&[4]) })
        };
        // Windows -1..3 and 2..6; position 5 lies beyond the padded input.
        assert_eq!(run(&padded, &ones), [1.0, 1.0]);
        let counted = AveragePool { count_include_pad: true, ..padded };
        assert_eq!(run(&counted, &ones), [0.75, 1.0]);
        let dilated = AveragePool {
            count_include_pad: true,
            ..with(Window { dilations: vec![3], pads: vec![0, 2], ..of(&[2]) })
        };
        assert_eq!(run(&dilated, &ones), [1.0, 1.0, 0.5, 0.5]);
        let beside = with(Window { dilations: vec![6], pads: vec![1, 1], ..of(&[2]) });
        assert_eq!(run(&beside, &ones), [0.0]);
    }

    #[test]
    fn divisors_are_constants_or_tables() {
        let shape = Shape::from([1, 2, 6, 6]);
        let arg = Some(crate::Arg { dtype: DType::F32, shape: &shape, value: None });
        let finish = |op: AveragePool| {
            let c = op.compute(Args(&[arg])).unwrap();
            c.stages.last().unwrap().reduce.as_ref().unwrap().finish.to_string()
        };
        assert_eq!(finish(pool(&[2, 3])), "div(acc, 6.0f32)");
        let one_axis = with(Window { pads: vec![1, 0, 1, 0], ..of(&[3, 2]) });
        assert_eq!(finish(one_axis), "div(acc, mul(b1[L2], 2.0f32))");
    }

    #[test]
    fn errors_say_expected_and_found() {
        let fail = |op: &AveragePool, t: Tensor| op.reference(&[Some(&t)]).unwrap_err().to_string();
        assert!(fail(&pool(&[2]), Tensor::new([2], &[0.0f32; 2]).unwrap()).contains("spatial"));
        assert!(fail(&pool(&[2]), Tensor::new([1, 1, 1], &[0.0f32]).unwrap()).contains("does not fit"));
        assert!(fail(&pool(&[1]), Tensor::new([1, 1, 1], &[1u8]).unwrap()).contains("expected f32"));
    }
}
