//! Convolution of bytes in 32-bit integers: ONNX `ConvInteger-10`.
//!
//! ```text
//! dst[n, oc, o..] = sum over ic, k.. of (src[n, .., o * stride + k * dilation - pad_begin ..] - src_zero)
//!                                     * (wei[oc, ic, k..] - wei_zero[oc])
//! ```
//!
//! as [`super::conv`] sums, wrapping; positions outside `src` count as its zero point.
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `x` src | `[N, IC, spatial..]` | u8, i8 |
//! | 1 `w` wei | `[OC, IC / group, kernel..]` | u8, i8 |
//! | 2 `x_zero_point`, optional | one element | the type of x |
//! | 3 `w_zero_point`, optional | one element, or `[OC]` | the type of w |
//!
//! Output: `[N, OC, windows..]`, i32. Errors: those of Conv; zero points of another type or shape.

use super::conv::{Conv, Problem};
use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::operator::Operator;
use crate::quant::{
    BYTES, centered, channel_index, channels_of_weight, integer_conv, less_zero_points, one, per_channel,
};
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;
use crate::window::Window;

/// ONNX operator ConvInteger; attributes as those of [`Conv`].
#[derive(Clone, Debug, PartialEq)]
pub struct ConvInteger {
    /// The window; without extents it has those of the weight.
    pub window: Window,
    /// Number of groups.
    pub group: usize,
}

crate::attributes!(ConvInteger { ..window, group });

struct Arguments<'a> {
    x: Arg<'a>,
    w: Arg<'a>,
    x_zero: Option<Arg<'a>>,
    w_zero: Option<Arg<'a>>,
    problem: Problem,
}

impl ConvInteger {
    /// The convolution of numbers with these attributes.
    pub fn conv(&self) -> Conv {
        Conv { window: self.window.clone(), group: self.group }
    }

    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let x = args.typed(0, "x", BYTES)?;
        let w = args.typed(1, "w", BYTES)?;
        let problem = self.conv().fit(x.dtype, x.shape, w.shape)?;
        let x_zero = args.optional(2).map(|_| one(args, 2, "x_zero_point", &[x.dtype])).transpose()?;
        let channels = |_| per_channel(args, 3, "w_zero_point", w.dtype, problem.oc);
        let w_zero = args.optional(3).map(channels).transpose()?;
        Ok(Arguments { x, w, x_zero, w_zero, problem })
    }
}

impl Operator for ConvInteger {
    fn name(&self) -> &'static str {
        "ConvInteger"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.problem.dst(DType::I32)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { x, w, x_zero, w_zero, problem } = self.arguments(args)?;
        let dst = problem.dst(DType::I32);
        let zero = Scalar::I32(0);
        if [&dst.shape, x.shape, w.shape].iter().any(|s| s.numel() == 0) {
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let x_zero = x_zero.map(|z| (2, z, vec![Expr::int(0); z.shape.rank()]));
        let w_zero = w_zero.map(|z| (3, z, channel_index(&z, 0)));
        let src = centered(&mut c, "src", (0, &x), x_zero);
        let wei = centered(&mut c, "wei", (1, &w), w_zero);
        let out = problem.stage(&mut c, (src, wei), dst, Expr::Const(zero), Expr::Acc)?;
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let known = known_args(inputs);
        let problem = self.arguments(Args(&known))?.problem;
        let zero = |i: usize| inputs.get(i).copied().flatten();
        let w = input(inputs, 1, "w")?;
        let src = less_zero_points(input(inputs, 0, "x")?, zero(2).map(|z| (z, Shape::scalar())))?;
        let wei = less_zero_points(w, zero(3).map(|z| (z, channels_of_weight(z, w))))?;
        let sums: Vec<i32> = integer_conv(&problem, &src, &wei)?.into_iter().map(|v| v as i32).collect();
        Ok(vec![Tensor::new(problem.dst(DType::I32).shape, &sums)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.arguments(args).map_or(0, |a| a.problem.macs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, run_all, t};
    use crate::window::AutoPad;

    fn with(window: Window) -> ConvInteger {
        ConvInteger { window, group: 1 }
    }

    fn op() -> ConvInteger {
        with(Window::default())
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 1, 3], &[2u8, 3, 4]);
        let w = t([2, 1, 2], &[1i8, -1, 3, -128]);
        assert_eq!(run(&op(), &[&x, &w]), Ok(t([1, 2, 2], &[-1i32, -1, -378, -503])));
        let padded = with(Window { pads: vec![1, 0], ..Window::default() });
        let y = run(&padded, &[&x, &w, &t([], &[1u8]), &t([2], &[1i8, 0])]);
        assert_eq!(y, Ok(t([1, 2, 3], &[-2i32, -4, -6, -128, -253, -378])));
        let y = run_all(&op(), &[Some(&x), Some(&w), None, Some(&t([1], &[-1i8]))]).unwrap();
        assert_eq!(y[0], t([1, 2, 2], &[4i32, 6, -373, -496]));
    }

    #[test]
    fn windows_groups_and_nothing() {
        let x = t([1, 4, 3, 3], &(0..36).map(|v| v * 7).collect::<Vec<u8>>());
        let w = t([4, 2, 2, 2], &(0..32i32).map(|v| (v * 8 - 128) as i8).collect::<Vec<i8>>());
        let of = |op: ConvInteger| run(&op, &[&x, &w, &t([1], &[9u8])]).unwrap().shape().dims().to_vec();
        let grouped = ConvInteger { group: 2, ..op() };
        assert_eq!(of(grouped.clone()), [1, 4, 2, 2]);
        assert_eq!(
            of(ConvInteger {
                window: Window { auto_pad: AutoPad::SameLower, ..grouped.window.clone() },
                ..grouped.clone()
            }),
            [1, 4, 3, 3]
        );
        let dilated = ConvInteger {
            window: Window { dilations: vec![2, 1], strides: vec![1, 2], pads: vec![1; 4], ..grouped.window },
            ..grouped
        };
        assert_eq!(of(dilated), [1, 4, 3, 2]);
        let padded = with(Window { pads: vec![1, 1], ..Window::default() });
        assert_eq!(
            run(&padded, &[&t::<u8>([1, 1, 0], &[]), &t([1, 1, 1], &[3u8])]),
            Ok(t([1, 1, 2], &[0i32; 2]))
        );
        assert_eq!(
            run(&op(), &[&t::<u8>([1, 0, 1], &[]), &t::<u8>([1, 0, 1], &[])]),
            Ok(t([1, 1, 1], &[0i32]))
        );
    }

    #[test]
    fn errors() {
        let (x, w) = (t([1, 1, 3], &[1u8; 3]), t([2, 1, 1], &[1i8; 2]));
        assert!(error(&op(), &[&x, &w, &t([], &[1i8])]).contains("expected u8"));
        assert!(error(&op(), &[&x, &w, &t([2], &[1u8; 2])]).contains("expected one element"));
        assert!(error(&op(), &[&x, &w, &t([], &[1u8]), &t([3], &[1i8; 3])]).contains("each of 2 channels"));
        assert!(error(&op(), &[&t([1, 2, 3], &[1u8; 6]), &w]).contains("input has 2"));
        assert!(error(&op(), &[&t([1, 1, 1], &[1.0f32]), &w]).contains("expected u8 or i8"));
    }
}
