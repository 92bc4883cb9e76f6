//! Transposed convolution: ONNX `ConvTranspose`, opsets 1 to 22.
//!
//! ```text
//! dst[n, oc, o..] = bias[oc] + sum over ic, k.., and i.. with i * stride + k * dilation - pad_begin = o, of
//!     src[n, g * (IC / group) + ic, i..] * wei[g * (IC / group) + ic, oc % (OC / group), k..]
//! ```
//!
//! with `g = oc / (OC / group)`. Any number of spatial axes from 1 on.
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `X` src | `[N, IC, spatial..]` | f32 or f64 |
//! | 1 `W` wei | `[IC, OC / group, kernel..]` | as `X` |
//! | 2 `B` bias, optional | `[OC]` | as `X` |
//!
//! Output: `[N, OC, o..]`, as `X`. With `full = (in - 1) * stride + (kernel - 1) * dilation + 1 + output_padding`, an
//! output extent is `full - pad_begin - pad_end`. Where `output_shape` is given, or `auto_pad` is `SameUpper` or
//! `SameLower` (`o = in * stride`), the padding is what is left, `full - o`, its odd rest at the end for `SameUpper` and
//! at the beginning otherwise; an output larger than `full` is extended at its end. Errors: channels or groups that do
//! not fit, an attribute `kernel` that is not the weight's, an empty spatial axis, padding that leaves nothing.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::elements::floats;
use crate::expr::{BufId, CompareFn, Expr, Scalar};
use crate::invalid;
use crate::tensor::filled;
use crate::window::{AutoPad, LIMIT, Window, per_axis};
use crate::{Arg, Args, DType, OpError, Operator, Shape, Tensor, TensorType};

pub mod phases;

/// ONNX operator ConvTranspose.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose {
    /// The window; without extents it has those of the weight.
    pub window: Window,
    /// Number of groups.
    pub group: usize,
    /// Added to one side of the output extents; empty: all 0.
    pub output_padding: Vec<usize>,
    /// Spatial output extents from which padding is derived; empty: derived from padding.
    pub output_shape: Vec<usize>,
}

crate::attributes!(ConvTranspose { ..window, group, output_padding, output_shape });

/// A spatial axis with everything known.
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad_begin: usize,
    output: usize,
}

impl Axis {
    /// Distance between the first and the last position of the kernel.
    fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation
    }

    /// Positions from the first to the last element of the input with `stride - 1` zeros between them.
    fn stuffed(&self) -> usize {
        (self.input - 1) * self.stride + 1
    }
}

/// A transposed convolution whose arguments are known to fit.
struct Problem {
    dtype: DType,
    mb: usize,
    ic: usize,
    oc: usize,
    /// Input channels of one group.
    group_ic: usize,
    /// Output channels of one group.
    group_oc: usize,
    axes: Vec<Axis>,
}

impl Problem {
    fn dst(&self) -> TensorType {
        let mut dims = vec![self.mb, self.oc];
        dims.extend(self.axes.iter().map(|a| a.output));
        TensorType::new(self.dtype, dims)
    }
}

impl ConvTranspose {
    fn problem(&self, args: Args<'_>) -> Result<Problem, OpError> {
        let Arg { dtype, shape: src, .. } = args.typed(0, "X", DType::FLOATS)?;
        let wei = args.typed(1, "W", &[dtype])?.shape;
        if src.rank() < 3 || wei.rank() != src.rank() {
            return invalid!(
                "expected an input [batch, channels, spatial..] and a weight of its rank, found {src} and {wei}"
            );
        }
        if wei[0] != src[1] {
            return invalid!("weight has {} input channels, input has {}", wei[0], src[1]);
        }
        if self.group == 0 || src[1] % self.group != 0 {
            return invalid!("input has {} channels, which {} groups do not divide", src[1], self.group);
        }
        let Some(oc) = wei[1].checked_mul(self.group) else {
            return invalid!("{} groups of {} output channels are too many", self.group, wei[1]);
        };
        self.window.check_weight(wei)?;
        if let Some(bias) = args.optional(2) {
            let expected = TensorType::new(dtype, [oc]);
            if bias.ty() != expected {
                return invalid!("input 2 (B): expected {expected}, found {}", bias.ty());
            }
        }
        let axes = self.axes(&src[2..], &wei[2..])?;
        let group_ic = src[1] / self.group;
        Ok(Problem { dtype, mb: src[0], ic: src[1], oc, group_ic, group_oc: wei[1], axes })
    }

    fn axes(&self, input: &[usize], kernel: &[usize]) -> Result<Vec<Axis>, OpError> {
        let n = input.len();
        let strides = per_axis(&self.window.strides, "strides", 1, n)?;
        let dilations = per_axis(&self.window.dilations, "dilations", 1, n)?;
        let pads = per_axis(&self.window.pads, "pads", 0, 2 * n)?;
        let extra = per_axis(&self.output_padding, "output_padding", 0, n)?;
        let outputs = per_axis(&self.output_shape, "output_shape", 0, n)?;
        (0..n)
            .map(|i| {
                let axis = Axis {
                    input: input[i],
                    kernel: kernel[i],
                    stride: strides[i],
                    dilation: dilations[i],
                    pad_begin: pads[i],
                    output: outputs[i],
                };
                self.axis(axis, pads[n + i], extra[i])
                    .map_err(|m| OpError::Invalid(format!("spatial axis {i}: {m}")))
            })
            .collect()
    }

    /// Completes an axis whose `pad_begin` and `output` are those of the attributes.
    fn axis(&self, axis: Axis, pad_end: usize, extra: usize) -> Result<Axis, String> {
        let Axis { input, kernel, stride, dilation, pad_begin, output } = axis;
        if input == 0 || kernel == 0 || stride == 0 || dilation == 0 {
            return Err(format!(
                "input {input}, kernel {kernel}, stride {stride} and dilation {dilation} must be positive"
            ));
        }
        let values = [input, kernel, stride, dilation, pad_begin, pad_end, extra, output];
        if values.into_iter().any(|v| v > LIMIT)
            || input.saturating_mul(stride) > LIMIT
            || kernel.saturating_mul(dilation) > LIMIT
        {
            return Err("extents are out of range".into());
        }
        let full = axis.stuffed() + axis.reach() + extra;
        let target = match self.window.auto_pad {
            _ if !self.output_shape.is_empty() => output,
            AutoPad::SameUpper | AutoPad::SameLower => input * stride,
            AutoPad::Valid => return Ok(Axis { pad_begin: 0, output: full, ..axis }),
            AutoPad::NotSet => {
                return match full.checked_sub(pad_begin + pad_end) {
                    Some(output) => Ok(Axis { output, ..axis }),
                    None => Err(format!("padding {pad_begin} and {pad_end} leaves nothing of {full}")),
                };
            }
        };
        let rest = full.saturating_sub(target);
        let pad_begin = if self.window.auto_pad == AutoPad::SameUpper { rest / 2 } else { rest.div_ceil(2) };
        Ok(Axis { pad_begin, output: target, ..axis })
    }
}

/// Stage `stuff`: `src` with `stride - 1` zeros between its elements, and with borders such that a plain convolution
/// with the flipped kernel gives the output. Gives `src` itself when it is that already.
fn stuff_stage(c: &mut Compute, src: BufId, axes: &[Axis]) -> Result<BufId, OpError> {
    let extents: Vec<usize> = axes.iter().map(|a| a.output + a.reach()).collect();
    let plain =
        |(a, &extent): (&Axis, &usize)| a.stride == 1 && a.pad_begin == a.reach() && extent == a.input;
    if axes.iter().zip(&extents).all(plain) {
        return Ok(src);
    }
    let TensorType { dtype, shape } = c.ty(src).clone();
    let ty = TensorType::new(dtype, [&shape[..2], &extents[..]].concat());
    ty.shape.checked_bytes(ty.dtype)?;
    let mut index = vec![Expr::var(0), Expr::var(1)];
    let mut hit: Option<Expr> = None;
    for (i, (a, extent)) in axes.iter().zip(&extents).enumerate() {
        let at = Expr::var(2 + i);
        if plain((a, extent)) {
            index.push(at);
            continue;
        }
        let at = match a.reach() as i64 - a.pad_begin as i64 {
            0 => at,
            lead if lead > 0 => at - Expr::int(lead),
            lead => at + Expr::int(-lead),
        };
        let clamped = at.clone().clamp(0, a.stuffed() as i64 - 1);
        let mut condition = at.within(a.stuffed());
        if a.stride == 1 {
            index.push(clamped);
        } else {
            let rest = clamped.clone() % Expr::int(a.stride);
            condition = condition.and(Expr::compare(CompareFn::Eq, rest, Expr::int(0)));
            index.push(clamped / Expr::int(a.stride));
        }
        hit = Some(hit.map_or(condition.clone(), |h| h.and(condition)));
    }
    let copy = Expr::load(src, index);
    Ok(c.map("stuff", ty, hit.map_or(copy.clone(), |h| h.select(copy, Expr::literal(dtype, 0.0)))))
}

impl Operator for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        let dst = p.dst();
        let zero = Scalar::zero(p.dtype);
        if dst.shape.numel() == 0 {
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "X")?);
        let wei = c.input(1, &args.required(1, "W")?);
        let bias = args.optional(2).map(|b| c.input(2, &b));
        let at = |b: BufId| Expr::load(b, [Expr::var(1)]);
        let out = if p.ic == 0 {
            c.map("conv_transpose", dst, bias.map_or(Expr::Const(zero), at))
        } else {
            let stuffed = stuff_stage(&mut c, src, &p.axes)?;
            let rank = dst.shape.rank();
            let (oc, r) = (Expr::var(1), Expr::var(rank));
            let (channel, filter) = if self.group == 1 {
                (r, oc)
            } else {
                let (group, filter) = match p.group_oc {
                    1 => (oc, Expr::int(0)),
                    n => (oc.clone() / Expr::int(n), oc % Expr::int(n)),
                };
                let channel = if p.group_ic == 1 { group } else { group * Expr::int(p.group_ic) + r };
                (channel, filter)
            };
            let mut src_index = vec![Expr::var(0), channel.clone()];
            let mut wei_index = vec![channel, filter];
            let mut extents = vec![p.group_ic];
            for (i, a) in p.axes.iter().enumerate() {
                let k = Expr::var(rank + 1 + i);
                let step = if a.dilation == 1 { k.clone() } else { k.clone() * Expr::int(a.dilation) };
                src_index.push(Expr::var(2 + i) + step);
                wei_index.push(Expr::int(a.kernel - 1) - k);
                extents.push(a.kernel);
            }
            let finish = bias.map_or(Expr::Acc, |b| Expr::Acc + at(b));
            let reduce = Reduce { extents, combine: ReduceFn::Sum, init: Expr::Const(zero), finish };
            let body = Expr::load(stuffed, src_index) * Expr::load(wei, wei_index);
            c.sum_products("conv_transpose", dst, reduce, body)
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let p = self.problem(args)?;
        if p.dst().shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(p.dst(), Vec::new())?]);
        }
        let (src, wei) = (args.known(0, "X")?.to_f64s(), args.known(1, "W")?.to_f64s());
        let bias = inputs.get(2).copied().flatten().map(Tensor::to_f64s);
        let mut dst = filled(&p.dst().shape, 0.0)?;
        let plane = Shape::new(&p.dst().shape[2..]).numel();
        let [spatial, kernel]: [usize; 2] = [|a: &Axis| a.input, |a: &Axis| a.kernel]
            .map(|of| Shape::new(p.axes.iter().map(of).collect::<Vec<_>>()).numel());
        let hits = if p.ic == 0 { Vec::new() } else { hits(&p.axes) };
        for (n, oc) in (0..p.mb).flat_map(|n| (0..p.oc).map(move |oc| (n, oc))) {
            let mut sums = vec![bias.as_ref().map_or(0.0, |b| b[oc]); plane];
            for r in 0..p.group_ic {
                let ic = oc / p.group_oc * p.group_ic + r;
                let image = &src[(n * p.ic + ic) * spatial..][..spatial];
                let filter = &wei[(ic * p.group_oc + oc % p.group_oc) * kernel..][..kernel];
                for h in &hits {
                    sums[h.output] += image[h.input] * filter[h.kernel];
                }
            }
            for (d, s) in dst[(n * p.oc + oc) * plane..].iter_mut().zip(sums) {
                *d = s;
            }
        }
        Ok(vec![floats(p.dst(), dst)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.problem(args).map_or(0, |p| {
            p.axes
                .iter()
                .flat_map(|a| [a.input, a.kernel])
                .chain([p.mb, p.ic, p.group_oc])
                .fold(1u64, |a, b| a.saturating_mul(b as u64))
        })
    }
}

/// An element of the input and one of the kernel, and the element of the output that their product adds to.
#[derive(Clone, Copy)]
struct Hit {
    input: usize,
    kernel: usize,
    output: usize,
}

fn hits(axes: &[Axis]) -> Vec<Hit> {
    let mut hits = vec![Hit { input: 0, kernel: 0, output: 0 }];
    for a in axes {
        let mut next = Vec::new();
        for (i, k) in (0..a.input).flat_map(|i| (0..a.kernel).map(move |k| (i, k))) {
            let Some(o) = (i * a.stride + k * a.dilation).checked_sub(a.pad_begin) else { continue };
            if o < a.output {
                next.extend(hits.iter().map(|h| Hit {
                    input: h.input * a.input + i,
                    kernel: h.kernel * a.kernel + k,
                    output: h.output * a.output + o,
                }));
            }
        }
        hits = next;
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(window: Window) -> ConvTranspose {
        ConvTranspose { window, group: 1, output_padding: vec![], output_shape: vec![] }
    }

    fn transpose() -> ConvTranspose {
        with(Window::default())
    }

    fn run(op: &ConvTranspose, src: (&[usize], &[f32]), wei: (&[usize], &[f32])) -> Vec<f32> {
        let src = Tensor::new(src.0.to_vec(), src.1).unwrap();
        let wei = Tensor::new(wei.0.to_vec(), wei.1).unwrap();
        op.reference(&[Some(&src), Some(&wei)]).unwrap()[0].to_vec().unwrap()
    }

    #[test]
    fn hand_computed() {
        let line: (&[usize], &[f32]) = (&[1, 1, 2], &[1.0, 2.0]);
        let wei: (&[usize], &[f32]) = (&[1, 1, 3], &[1.0, 10.0, 100.0]);
        assert_eq!(run(&transpose(), line, wei), [1.0, 12.0, 120.0, 200.0]);
        let strided = with(Window { strides: vec![2], ..Window::default() });
        assert_eq!(run(&strided, line, wei), [1.0, 10.0, 102.0, 20.0, 200.0]);
        let padded = ConvTranspose {
            window: Window { pads: vec![1, 2], ..strided.window.clone() },
            output_padding: vec![1],
            ..strided.clone()
        };
        assert_eq!(run(&padded, line, wei), [10.0, 102.0, 20.0]);
        let dilated = with(Window { dilations: vec![2], ..Window::default() });
        assert_eq!(run(&dilated, line, wei), [1.0, 2.0, 10.0, 20.0, 100.0, 200.0]);
        let same = |auto_pad| ConvTranspose {
            window: Window { auto_pad, ..strided.window.clone() },
            ..strided.clone()
        };
        assert_eq!(run(&same(AutoPad::SameUpper), line, wei), [1.0, 10.0, 102.0, 20.0]);
        assert_eq!(run(&same(AutoPad::SameLower), line, wei), [10.0, 102.0, 20.0, 200.0]);
        let sized = |n| ConvTranspose { output_shape: vec![n], ..strided.clone() };
        assert_eq!(run(&sized(4), line, wei), [10.0, 102.0, 20.0, 200.0]);
        assert_eq!(run(&sized(6), line, wei), [1.0, 10.0, 102.0, 20.0, 200.0, 0.0]);
        let groups = ConvTranspose { group: 2, ..transpose() };
        let y = run(&groups, (&[1, 2, 1], &[1.0, 2.0]), (&[2, 2, 1], &[1.0, 10.0, 100.0, 1000.0]));
        assert_eq!(y, [1.0, 10.0, 200.0, 2000.0]);
    }

    #[test]
    fn errors_say_expected_and_found() {
        let fail = |op: ConvTranspose, src: &[usize], wei: &[usize]| {
            let (src, wei) = (Shape::new(src), Shape::new(wei));
            let arg = |shape| Some(crate::Arg { dtype: DType::F32, shape, value: None });
            op.infer(Args(&[arg(&src), arg(&wei)])).unwrap_err().to_string()
        };
        let message = fail(transpose(), &[1, 48, 7], &[64, 8, 3]);
        assert_eq!(message, "weight has 64 input channels, input has 48");
        let groups = |group| ConvTranspose { group, ..transpose() };
        assert!(fail(groups(3), &[1, 4, 7], &[4, 8, 3]).contains("3 groups"));
        assert!(fail(groups(0), &[1, 4, 7], &[4, 8, 3]).contains("0 groups"));
        assert!(fail(groups(4), &[1, 4, 7], &[4, usize::MAX, 3]).contains("too many"));
        let pads = with(Window { pads: vec![3, 1], ..Window::default() });
        assert!(fail(pads, &[1, 1, 1], &[1, 1, 3]).contains("padding 3 and 1 leaves nothing of 3"));
        let strides = with(Window { strides: vec![1 << 40], ..Window::default() });
        assert!(fail(strides, &[1, 1, 1 << 40], &[1, 1, 3]).contains("out of range"));
        assert!(fail(transpose(), &[1, 1, 0], &[1, 1, 3]).contains("must be positive"));
        let short = ConvTranspose { output_shape: vec![3], ..transpose() };
        assert!(fail(short, &[1, 1, 2, 2], &[1, 1, 2, 2]).contains("expected 2 values"));
    }
}
