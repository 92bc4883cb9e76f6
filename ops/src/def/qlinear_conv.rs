//! Convolution of quantised numbers: ONNX `QLinearConv-10`.
//!
//! ```text
//! sum[n, oc, o..] = B[oc] + sum over ic, k.. of (x[..] - x_zero_point) * (w[oc, ..] - w_zero_point[oc])
//! y = saturate(round(sum * (x_scale * w_scale[oc] / y_scale)) + y_zero_point)
//! ```
//!
//! The sum is that of [`super::conv_integer`], in i32; the factor and what it multiplies are f32, halves are rounded to
//! even. The bias is quantised with the scale `x_scale * w_scale[oc]`.
//!
//! | input | type | shape |
//! |---|---|---|
//! | 0 `x` | u8, i8 | `[N, IC, spatial..]` |
//! | 1 `x_scale`, 2 `x_zero_point` | f32, that of x | one element |
//! | 3 `w` | u8, i8 | `[OC, IC / group, kernel..]` |
//! | 4 `w_scale`, 5 `w_zero_point` | f32, that of w | one element, or `[OC]` |
//! | 6 `y_scale`, 7 `y_zero_point` | f32; u8, i8 | one element |
//! | 8 `B`, optional | i32 | `[OC]` |
//!
//! Output: `[N, OC, windows..]` of the type of `y_zero_point`. Errors: those of Conv; parameters of another type or
//! shape.

use super::conv::{Conv, Problem};
use crate::arg::{Arg, Args, known_args};
use crate::compute::{Compute, tensor};
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::invalid;
use crate::operator::Operator;
use crate::quant::{
    BYTES, centered, channel_index, channels_of_weight, factor, integer_conv, less_zero_points, load_channel,
    one, per_channel, quantize, quantized, single, whole,
};
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;
use crate::window::Window;

/// ONNX operator QLinearConv; attributes as those of [`Conv`].
#[derive(Clone, Debug, PartialEq)]
pub struct QLinearConv {
    /// The window; without extents it has those of the weight.
    pub window: Window,
    /// Number of groups.
    pub group: usize,
}

crate::attributes!(QLinearConv { ..window, group });

struct Arguments<'a> {
    x: Arg<'a>,
    x_scale: Arg<'a>,
    x_zero: Arg<'a>,
    w: Arg<'a>,
    w_scale: Arg<'a>,
    w_zero: Arg<'a>,
    y_scale: Arg<'a>,
    y_zero: Arg<'a>,
    bias: Option<Arg<'a>>,
    problem: Problem,
}

impl QLinearConv {
    /// The convolution of numbers with these attributes.
    pub fn conv(&self) -> Conv {
        Conv { window: self.window.clone(), group: self.group }
    }

    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let x = args.typed(0, "x", BYTES)?;
        let w = args.typed(3, "w", BYTES)?;
        let problem = self.conv().fit(x.dtype, x.shape, w.shape)?;
        let bias = args.optional(8);
        if let Some(bias) = bias {
            let expected = TensorType::new(DType::I32, [problem.oc]);
            if bias.ty() != expected {
                return invalid!("input 8 (B): expected {expected}, found {}", bias.ty());
            }
        }
        Ok(Arguments {
            x,
            x_scale: one(args, 1, "x_scale", &[DType::F32])?,
            x_zero: one(args, 2, "x_zero_point", &[x.dtype])?,
            w,
            w_scale: per_channel(args, 4, "w_scale", DType::F32, problem.oc)?,
            w_zero: per_channel(args, 5, "w_zero_point", w.dtype, problem.oc)?,
            y_scale: one(args, 6, "y_scale", &[DType::F32])?,
            y_zero: one(args, 7, "y_zero_point", BYTES)?,
            bias,
            problem,
        })
    }
}

impl Operator for QLinearConv {
    fn name(&self) -> &'static str {
        "QLinearConv"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let a = self.arguments(args)?;
        Ok(vec![a.problem.dst(a.y_zero.dtype)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let a = self.arguments(args)?;
        let to = a.y_zero.dtype;
        let dst = a.problem.dst(to);
        if dst.shape.numel() == 0 {
            return Ok(Compute::filled(dst, Scalar::zero(to)));
        }
        let mut c = Compute::new();
        let x_scale = single(&mut c, 1, &a.x_scale);
        let w_scale = load_channel(&mut c, 4, &a.w_scale, 1);
        let y_scale = single(&mut c, 6, &a.y_scale);
        let y_zero = single(&mut c, 7, &a.y_zero);
        let init = a.bias.map_or(Expr::Const(Scalar::I32(0)), |b| load_channel(&mut c, 8, &b, 1));
        let factor = factor(x_scale, w_scale, y_scale);
        let finish = |sum: Expr| quantized(sum.cast(DType::F32) * factor, Some(y_zero), to);
        let out = if a.x.shape.numel() == 0 || a.w.shape.numel() == 0 {
            c.map("conv", dst, finish(init))
        } else {
            let zero = vec![Expr::int(0); a.x_zero.shape.rank()];
            let src = centered(&mut c, "src", (0, &a.x), Some((2, a.x_zero, zero)));
            let channel = channel_index(&a.w_zero, 0);
            let wei = centered(&mut c, "wei", (3, &a.w), Some((5, a.w_zero, channel)));
            a.problem.stage(&mut c, (src, wei), dst, init, finish(Expr::Acc))?
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let known = known_args(inputs);
        let a = self.arguments(Args(&known))?;
        let dst = a.problem.dst(a.y_zero.dtype);
        let (w, w_zero) = (input(inputs, 3, "w")?, input(inputs, 5, "w_zero_point")?);
        let x_zero = input(inputs, 2, "x_zero_point")?;
        let src = less_zero_points(input(inputs, 0, "x")?, Some((x_zero, Shape::scalar())))?;
        let wei = less_zero_points(w, Some((w_zero, channels_of_weight(w_zero, w))))?;
        let scales = |i: usize, name: &str| input(inputs, i, name)?.to_vec::<f32>();
        let (x_scale, w_scale, y_scale) =
            (scales(1, "x_scale")?, scales(4, "w_scale")?, scales(6, "y_scale")?);
        let y_zero = whole(input(inputs, 7, "y_zero_point")?)?;
        let bias = inputs.get(8).copied().flatten().map(whole).transpose()?;
        let plane: usize = a.problem.window.iter().map(|w| w.output).product();
        let each = |(i, sum): (usize, i64)| {
            let oc = i / plane % a.problem.oc;
            let sum = (sum + bias.as_ref().map_or(0, |b| b[oc])) as i32;
            let w_scale = if w_scale.len() == 1 { w_scale[0] } else { w_scale[oc] };
            quantize(sum as f32 * (x_scale[0] * w_scale / y_scale[0]), y_zero[0], dst.dtype)
        };
        let sums = integer_conv(&a.problem, &src, &wei)?;
        let out: Vec<Scalar> = sums.into_iter().enumerate().map(each).collect();
        Ok(vec![tensor(&dst, &out)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.arguments(args).map_or(0, |a| a.problem.macs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn with(window: Window) -> QLinearConv {
        QLinearConv { window, group: 1 }
    }

    fn op() -> QLinearConv {
        with(Window::default())
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 1, 3], &[0u8, 100, 255]);
        let w = t([2, 1, 1], &[2i8, -3]);
        let (one, half) = (t([], &[1.0f32]), t([2], &[0.5f32, 0.25]));
        let (x_zero, w_zero) = (t([], &[100u8]), t([2], &[1i8, -1]));
        // (x - 100) * [1, -2] times [0.5, 0.25].
        let y = run(&op(), &[&x, &one, &x_zero, &w, &half, &w_zero, &one, &t([], &[-3i8])]);
        assert_eq!(y, Ok(t([1, 2, 3], &[-53i8, -3, 75, 47, -3, -81])));
        // 77.5 rounds to 78 and the sum saturates.
        let y = run(&op(), &[&x, &one, &x_zero, &w, &half, &w_zero, &one, &t([], &[200u8])]);
        assert_eq!(y, Ok(t([1, 2, 3], &[150u8, 200, 255, 250, 200, 122])));
        let bias = t([2], &[100i32, -1]);
        let y = run(&op(), &[&x, &one, &x_zero, &w, &half, &w_zero, &one, &t([], &[0u8]), &bias]);
        assert_eq!(y, Ok(t([1, 2, 3], &[0u8, 50, 128, 50, 0, 0])));
        let padded = with(Window { pads: vec![1, 0], ..Window::default() });
        let y = run(&padded, &[&x, &one, &x_zero, &w, &half, &w_zero, &one, &t([], &[9u8])]);
        assert_eq!(y.unwrap().to_vec::<u8>().unwrap()[..2], [9, 0]);
    }

    #[test]
    fn nothing_is_the_bias() {
        let (one, zero) = (t([], &[1.0f32]), t([], &[1u8]));
        let (x, w) = (t::<u8>([1, 0, 2], &[]), t::<u8>([2, 0, 1], &[]));
        let y = run(&op(), &[&x, &one, &zero, &w, &one, &zero, &one, &zero, &t([2], &[5i32, -9])]);
        assert_eq!(y, Ok(t([1, 2, 2], &[6u8, 6, 0, 0])));
    }

    #[test]
    fn errors() {
        let (x, w) = (t([1, 1, 3], &[1u8; 3]), t([2, 1, 1], &[1i8; 2]));
        let (one, u8s, i8s) = (t([], &[1.0f32]), t([], &[1u8]), t([], &[1i8]));
        let fail = |i: usize, other: &Tensor| {
            let bias = t([2], &[0i32; 2]);
            let mut all = [&x, &one, &u8s, &w, &one, &i8s, &one, &u8s, &bias];
            all[i] = other;
            error(&op(), &all)
        };
        assert!(fail(1, &t([2], &[1.0f32; 2])).contains("input 1 (x_scale): expected one element"));
        assert!(fail(2, &i8s).contains("expected u8"));
        assert!(fail(4, &t([3], &[1.0f32; 3])).contains("each of 2 channels"));
        assert!(fail(5, &u8s).contains("expected i8"));
        assert!(fail(7, &t([], &[1i32])).contains("expected u8 or i8"));
        assert!(fail(8, &t([2], &[1.0f32; 2])).contains("expected i32[2], found f32[2]"));
        assert!(fail(3, &t([2, 2, 1], &[1i8; 4])).contains("input has 1"));
    }
}
