//! Convolution: ONNX `Conv`, opsets 1 to 22.
//!
//! ```text
//! dst[n, oc, o..] = bias[oc] + sum over ic, k.. of
//!     src[n, g * (IC / group) + ic, o * stride + k * dilation - pad_begin ..] * wei[oc, ic, k..]
//! ```
//!
//! with `g = oc / (OC / group)`; positions outside `src` count as 0. Any number of spatial axes from 1 on.
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `X` src | `[N, IC, spatial..]` | f32 or f64 |
//! | 1 `W` wei | `[OC, IC / group, kernel..]` | as `X` |
//! | 2 `B` bias, optional | `[OC]` | as `X` |
//!
//! Output: `[N, OC, windows..]`, as `X`. Errors: channels or groups that do not divide or fit, an attribute `kernel` that
//! is not the weight's, a window larger than the padded input.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::elements::floats;
use crate::expr::{BufId, Expr, Scalar};
use crate::invalid;
use crate::tensor::filled;
use crate::window::{Rounding, Window, WindowAxis, input_extents, output_extents, pad_stage, taps};
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

/// ONNX operator Conv.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// The window; without extents it has those of the weight.
    pub window: Window,
    /// Number of groups.
    pub group: usize,
}

crate::attributes!(Conv { ..window, group });

/// A convolution whose arguments are known to fit.
pub(crate) struct Problem {
    /// Of the input.
    pub(crate) dtype: DType,
    pub(crate) mb: usize,
    pub(crate) ic: usize,
    pub(crate) oc: usize,
    /// Input channels of one group.
    pub(crate) group_ic: usize,
    /// Output channels of one group.
    pub(crate) group_oc: usize,
    pub(crate) window: Vec<WindowAxis>,
}

impl Problem {
    /// The output, of this element type.
    pub(crate) fn dst(&self, dtype: DType) -> TensorType {
        let mut dims = vec![self.mb, self.oc];
        dims.extend(self.window.iter().map(|w| w.output));
        TensorType::new(dtype, dims)
    }

    /// Multiply-accumulates.
    pub(crate) fn macs(&self) -> u64 {
        self.window
            .iter()
            .flat_map(|w| [w.output, w.kernel])
            .chain([self.mb, self.oc, self.group_ic])
            .fold(1u64, |a, b| a.saturating_mul(b as u64))
    }

    /// Stage `conv`: `finish(init + sum over ic, k.. of src * wei)` for inputs of one element type that are not empty;
    /// positions outside `src` are zeros.
    ///
    /// # Errors
    /// As [`pad_stage`].
    pub(crate) fn stage(
        &self,
        c: &mut Compute,
        (src, wei): (BufId, BufId),
        dst: TensorType,
        init: Expr,
        finish: Expr,
    ) -> Result<BufId, OpError> {
        let zero = Scalar::zero(c.ty(src).dtype);
        let padded = pad_stage(c, src, &self.window, zero)?;
        let rank = dst.shape.rank();
        let r = if self.group_ic == 1 && !c.whole_sums { Expr::int(0) } else { Expr::var(rank) };
        let mut src_index = vec![Expr::var(0), self.channel(Expr::var(1), r.clone())];
        let mut wei_index = vec![Expr::var(1), r];
        let mut extents = vec![self.group_ic];
        for (i, w) in self.window.iter().enumerate() {
            let k = Expr::var(rank + 1 + i);
            src_index.push(w.position(Expr::var(2 + i), k.clone()));
            wei_index.push(k);
            extents.push(w.kernel);
        }
        let reduce = Reduce { extents, combine: ReduceFn::Sum, init, finish };
        Ok(c.sum_products("conv", dst, reduce, Expr::load(padded, src_index) * Expr::load(wei, wei_index)))
    }

    /// The input channel that reduced channel `r` stands for in output channel `oc`.
    fn channel(&self, oc: Expr, r: Expr) -> Expr {
        if self.group_ic == self.ic {
            return r;
        }
        let group = if self.group_oc == 1 { oc } else { oc / Expr::int(self.group_oc) };
        match (self.group_ic, &r) {
            (1, Expr::Const(_)) => group,
            (1, _) => group + r,
            (n, _) => group * Expr::int(n) + r,
        }
    }
}

impl Conv {
    fn problem(&self, args: Args<'_>) -> Result<Problem, OpError> {
        let src = args.typed(0, "X", DType::FLOATS)?;
        let wei = args.typed(1, "W", &[src.dtype])?;
        let problem = self.fit(src.dtype, src.shape, wei.shape)?;
        if let Some(bias) = args.optional(2) {
            let expected = TensorType::new(src.dtype, [problem.oc]);
            if bias.ty() != expected {
                return invalid!("input 2 (B): expected {expected}, found {}", bias.ty());
            }
        }
        Ok(problem)
    }

    /// The convolution of an input, of this type, with a weight of these shapes.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when they do not fit each other or the attributes.
    pub(crate) fn fit(&self, dtype: DType, src: &Shape, wei: &Shape) -> Result<Problem, OpError> {
        if src.rank() < 3 || wei.rank() != src.rank() {
            return invalid!(
                "expected an input [batch, channels, spatial..] and a weight of its rank, found {src} and {wei}"
            );
        }
        let (oc, group_ic) = (wei[0], wei[1]);
        if self.group == 0 || oc % self.group != 0 {
            return invalid!("weight has {oc} output channels, which {} groups do not divide", self.group);
        }
        match group_ic.checked_mul(self.group) {
            Some(ic) if ic == src[1] => {}
            _ if self.group == 1 => {
                return invalid!("weight has {group_ic} input channels, input has {}", src[1]);
            }
            _ => {
                return invalid!(
                    "weight has {group_ic} input channels in each of {} groups, input has {}",
                    self.group,
                    src[1]
                );
            }
        }
        self.window.check_weight(wei)?;
        let window = self.window.axes_with(&wei[2..], &src[2..], Rounding::Floor)?;
        Ok(Problem { dtype, mb: src[0], ic: src[1], oc, group_ic, group_oc: oc / self.group, window })
    }

    /// The definition, in a computation that has nothing yet.
    ///
    /// # Errors
    /// As [`Operator::compute`].
    pub fn define(&self, args: Args<'_>, mut c: Compute) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        let dst = p.dst(p.dtype);
        let src = c.input(0, &args.required(0, "X")?);
        let wei = c.input(1, &args.required(1, "W")?);
        let bias = args.optional(2).map(|b| c.input(2, &b));
        let zero = Scalar::zero(p.dtype);
        if dst.shape.numel() == 0 {
            return Ok(Compute::filled(dst, zero));
        }
        let at = |b: BufId| Expr::load(b, [Expr::var(1)]);
        let out = if p.ic == 0 {
            c.map("conv", dst, bias.map_or(Expr::Const(zero), at))
        } else {
            let finish = bias.map_or(Expr::Acc, |b| Expr::Acc + at(b));
            p.stage(&mut c, (src, wei), dst, Expr::Const(zero), finish)?
        };
        c.output(out);
        Ok(c)
    }
}

impl Operator for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        self.problem(args).map(|p| vec![p.dst(p.dtype)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        self.define(args, Compute::new())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let p = self.problem(args)?;
        let (src, wei) = (args.known(0, "X")?.to_f64s(), args.known(1, "W")?.to_f64s());
        let bias = inputs.get(2).copied().flatten().map(Tensor::to_f64s);
        let shape = p.dst(p.dtype).shape;
        if shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(p.dst(p.dtype), Vec::new())?]);
        }
        let mut dst = filled(&shape, 0.0)?;
        let spatial = input_extents(&p.window).numel();
        let kernel = Shape::new(p.window.iter().map(|w| w.kernel).collect::<Vec<_>>()).numel();
        let windows = output_extents(&p.window);
        for (o, at) in windows.indices().enumerate() {
            let taps = if p.ic == 0 { Vec::new() } else { taps(&p.window, &at) };
            for (n, oc) in Shape::from([p.mb, p.oc]).indices().map(|i| (i[0], i[1])) {
                let mut sum = bias.as_ref().map_or(0.0, |b| b[oc]);
                for r in 0..p.group_ic {
                    let ic = oc / p.group_oc * p.group_ic + r;
                    let plane = &src[(n * p.ic + ic) * spatial..][..spatial];
                    let filter = &wei[(oc * p.group_ic + r) * kernel..][..kernel];
                    for t in &taps {
                        sum += plane[t.input] * filter[t.kernel];
                    }
                }
                dst[(n * p.oc + oc) * windows.numel() + o] = sum;
            }
        }
        Ok(vec![floats(p.dst(p.dtype), dst)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.problem(args).map_or(0, |p| p.macs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::AutoPad;

    fn with(window: Window) -> Conv {
        Conv { window, group: 1 }
    }

    fn conv() -> Conv {
        with(Window::default())
    }

    fn run(op: &Conv, src: (&[usize], &[f32]), wei: (&[usize], &[f32]), bias: Option<&[f32]>) -> Vec<f32> {
        let src = Tensor::new(src.0.to_vec(), src.1).unwrap();
        let wei = Tensor::new(wei.0.to_vec(), wei.1).unwrap();
        let bias = bias.map(|b| Tensor::new([b.len()], b).unwrap());
        op.reference(&[Some(&src), Some(&wei), bias.as_ref()]).unwrap()[0].to_vec().unwrap()
    }

    #[test]
    fn hand_computed() {
        let line: (&[usize], &[f32]) = (&[1, 1, 4], &[1.0, 2.0, 3.0, 4.0]);
        let diff: (&[usize], &[f32]) = (&[1, 1, 2], &[-1.0, 1.0]);
        assert_eq!(run(&conv(), line, diff, None), [1.0, 1.0, 1.0]);
        assert_eq!(
            run(&with(Window { dilations: vec![3], ..Window::default() }), line, diff, Some(&[0.5])),
            [3.5]
        );
        let padded = with(Window { pads: vec![1, 1], strides: vec![2], ..Window::default() });
        assert_eq!(run(&padded, line, diff, None), [1.0, 1.0, -4.0]);
        let lower = with(Window { auto_pad: AutoPad::SameLower, ..Window::default() });
        assert_eq!(run(&lower, line, diff, None), [1.0, 1.0, 1.0, 1.0]);
        let two: (&[usize], &[f32]) = (&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let by_group: (&[usize], &[f32]) = (&[2, 1, 1], &[10.0, 100.0]);
        assert_eq!(run(&Conv { group: 2, ..conv() }, two, by_group, None), [10.0, 20.0, 300.0, 400.0]);
    }

    #[test]
    fn definition_has_the_form_that_strategies_expect() {
        let src = Shape::from([1, 4, 6, 6]);
        let wei = Shape::from([4, 1, 3, 3]);
        let arg = |shape| Some(crate::Arg { dtype: DType::F32, shape, value: None });
        let op =
            Conv { group: 4, ..with(Window { pads: vec![1; 4], strides: vec![2, 2], ..Window::default() }) };
        let args = [arg(&src), arg(&wei)];
        let c = op.compute(Args(&args)).unwrap();
        let names: Vec<&str> = c.stages.iter().map(|s| s.name).collect();
        assert_eq!(names, ["pad", "conv"]);
        let body = "mul(b2[L0, L1, add(mul(L2, 2), L5), add(mul(L3, 2), L6)], b1[L1, 0, L5, L6])";
        assert_eq!(c.stages[1].body.to_string(), body);
        assert_eq!(op.macs(Args(&args)), 4 * 9 * 9);
    }

    #[test]
    fn errors_say_expected_and_found() {
        let fail = |op: &Conv, src: &[usize], wei: &[usize]| {
            let (src, wei) = (Shape::new(src), Shape::new(wei));
            let arg = |shape| Some(crate::Arg { dtype: DType::F32, shape, value: None });
            op.infer(Args(&[arg(&src), arg(&wei)])).unwrap_err().to_string()
        };
        let message = fail(&conv(), &[1, 48, 7, 7], &[8, 64, 3, 3]);
        assert_eq!(message, "weight has 64 input channels, input has 48");
        assert!(fail(&Conv { group: 3, ..conv() }, &[1, 6, 7], &[8, 2, 3]).contains("3 groups"));
        assert!(fail(&Conv { group: 0, ..conv() }, &[1, 6, 7], &[8, 2, 3]).contains("0 groups"));
        assert!(fail(&Conv { group: 2, ..conv() }, &[1, 6, 7], &[8, 2, 3]).contains("each of 2 groups"));
        assert!(
            fail(&with(Window { kernel: vec![5], ..Window::default() }), &[1, 6, 7], &[8, 6, 3])
                .contains("[8,6,3]")
        );
        assert!(fail(&conv(), &[1, 6], &[8, 6]).contains("spatial"));
        assert!(fail(&conv(), &[1, 6, 2], &[8, 6, 3]).contains("does not fit"));
        let huge = usize::MAX / 2;
        assert!(fail(&Conv { group: 3, ..conv() }, &[1, 6, 7], &[3, huge, 3]).contains("3 groups"));
    }
}
