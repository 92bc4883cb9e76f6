//! Convolution whose taps are moved: ONNX `DeformConv`, opsets 19 and 22.
//!
//! ```text
//! dst[n, oc, o..] = B[oc] + sum over ic, k.. of W[oc, ic, k..] * mask[n, og, k.., o..] * X[n, g * IC + ic, p..]
//! p[a] = o[a] * stride + k[a] * dilation - pad_begin + offset[n, og, k.., a, o..]
//! ```
//!
//! At positions between elements X is interpolated linearly, outside of it is 0. `g` is the group of `oc`, `og` the
//! offset group of the input channel.
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `X` | `[N, C, D1 .. Dr]`, r >= 1 | f32 or f64, as all |
//! | 1 `W` | `[OC, C / group, k1 .. kr]` | |
//! | 2 `offset` | `[N, offset_group * k1 .. kr * r, o1 .. or]` | the axis of the offset moves fastest |
//! | 3 `B` | `[OC]` | optional |
//! | 4 `mask` | `[N, offset_group * k1 .. kr, o1 .. or]` | optional, 1 where omitted |
//!
//! Output: `[N, OC, o1 .. or]`. Errors: shapes that do not fit, a window larger than the padded input.

mod reference;

use crate::arg::known_args;
use crate::axes::product;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::expr::{BufId, CompareFn, Expr, UnaryFn};
use crate::window::{AutoPad, Rounding, Window, WindowAxis, output_extents};
use crate::{Arg, Args, DType, OpError, Operator, Shape, Tensor, TensorType, attributes, invalid};

/// ONNX operator DeformConv.
#[derive(Clone, Debug, PartialEq)]
pub struct DeformConv {
    /// Extents of the window; empty: those of `W`.
    pub kernel: Vec<usize>,
    /// Steps between windows, one per spatial axis; empty: all 1.
    pub strides: Vec<usize>,
    /// Steps between the elements of a window; empty: all 1.
    pub dilations: Vec<usize>,
    /// Padding, all begins then all ends; empty: all 0.
    pub pads: Vec<usize>,
    /// Groups of channels.
    pub group: usize,
    /// Groups of input channels with offsets of their own.
    pub offset_group: usize,
}

attributes!(DeformConv { kernel, strides, dilations, pads, group, offset_group });

struct Problem<'a> {
    x: Arg<'a>,
    weights: Arg<'a>,
    offset: Arg<'a>,
    bias: Option<Arg<'a>>,
    mask: Option<Arg<'a>>,
    window: Vec<WindowAxis>,
    dst: TensorType,
}

impl Problem<'_> {
    fn channels(&self) -> usize {
        self.x.shape[1]
    }

    fn kernel(&self) -> Vec<usize> {
        self.window.iter().map(|w| w.kernel).collect()
    }
}

impl DeformConv {
    /// The window, whose padding is never derived.
    pub fn window(&self) -> Window {
        Window {
            kernel: self.kernel.clone(),
            strides: self.strides.clone(),
            dilations: self.dilations.clone(),
            pads: self.pads.clone(),
            auto_pad: AutoPad::NotSet,
        }
    }

    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let same = &[x.dtype];
        let (weights, offset) = (args.typed(1, "W", same)?, args.typed(2, "offset", same)?);
        let r = x.shape.rank().saturating_sub(2);
        if r == 0 || weights.shape.rank() != r + 2 {
            return invalid!("X {} and W {} do not have the same spatial axes", x.shape, weights.shape);
        }
        let kernel = &weights.shape[2..];
        if !self.kernel.is_empty() && self.kernel != kernel {
            return invalid!("kernel_shape: expected {kernel:?} as W has it, found {:?}", self.kernel);
        }
        let window = self.window().axes_with(kernel, &x.shape[2..], Rounding::Floor)?;
        let (n, channels, oc) = (x.shape[0], x.shape[1], weights.shape[0]);
        let divides = |groups: usize, of: usize| groups > 0 && of.is_multiple_of(groups);
        if !divides(self.group, channels) || !divides(self.group, oc) || !divides(self.offset_group, channels)
        {
            return invalid!(
                "{channels} input and {oc} output channels do not have {} groups and {} offset groups",
                self.group,
                self.offset_group
            );
        }
        if weights.shape[1] != channels / self.group {
            let expected = channels / self.group;
            return invalid!("input 1 (W): expected {expected} input channels, found {}", weights.shape);
        }
        let out = output_extents(&window);
        let taps = product(&[&[self.offset_group], kernel].concat())?;
        let maps = |count: usize| [&[n, count], out.dims()].concat();
        let bias = checked(args, 3, "B", x.dtype, &[oc])?;
        checked(args, 2, "offset", x.dtype, &maps(product(&[taps, r])?))?;
        let mask = checked(args, 4, "mask", x.dtype, &maps(taps))?;
        let dst = TensorType::new(x.dtype, maps(oc));
        dst.shape.checked_bytes(dst.dtype)?;
        Ok(Problem { x, weights, offset, bias, mask, window, dst })
    }
}

/// Input `i`, if it is given, which must have this type and shape.
fn checked<'a>(
    args: Args<'a>,
    i: usize,
    name: &str,
    dtype: DType,
    dims: &[usize],
) -> Result<Option<Arg<'a>>, OpError> {
    if args.optional(i).is_none() {
        return Ok(None);
    }
    let arg = args.typed(i, name, &[dtype])?;
    if arg.shape.dims() != dims {
        return invalid!("input {i} ({name}): expected {}, found {}", Shape::new(dims), arg.shape);
    }
    Ok(Some(arg))
}

/// The two elements around every tap along an axis, `[N, offset groups, k.., o.., 2]`; index -1 where there is zero.
struct Taps {
    index: BufId,
    weight: BufId,
}

impl DeformConv {
    /// The channel of `offset`, without its axis, or of `mask` at variables offset group `L1`, k..
    fn map_channel(&self, p: &Problem<'_>, group: Expr, first: usize) -> Expr {
        p.window.iter().enumerate().fold(group, |at, (i, w)| at * Expr::int(w.kernel) + Expr::var(first + i))
    }

    fn taps(&self, c: &mut Compute, p: &Problem<'_>, offset: BufId, axis: usize) -> Taps {
        let (r, dtype) = (p.window.len(), p.x.dtype);
        let w = &p.window[axis];
        let lit = |v: f64| Expr::literal(dtype, v);
        let out = output_extents(&p.window);
        let dims = [&[p.x.shape[0], self.offset_group], &p.kernel()[..], out.dims()].concat();
        let channel = self.map_channel(p, Expr::var(1), 2) * Expr::int(r) + Expr::int(axis);
        let place: Vec<Expr> =
            [Expr::var(0), channel].into_iter().chain((2 + r..2 + 2 * r).map(Expr::var)).collect();
        let base = w.position(Expr::var(2 + r + axis), Expr::var(2 + axis)) - Expr::int(w.pad_begin);
        let at = c.map(
            "position",
            TensorType::new(dtype, dims.clone()),
            base.cast(dtype) + Expr::load(offset, place),
        );
        let at = Expr::load(at, crate::index::vars(dims.len()));
        let low = Expr::unary(UnaryFn::Floor, at.clone());
        let rest = at - low.clone();
        let second = Expr::var(dims.len());
        let index = low.cast(DType::I64).clamp(-FAR, FAR) + second.clone();
        let index = index.clone().within(w.input).select(index, Expr::int(-1));
        let first = Expr::compare(CompareFn::Eq, second, Expr::int(0));
        let weight = first.select(lit(1.0) - rest.clone(), rest);
        let pairs = [&dims[..], &[2]].concat();
        Taps {
            index: c.map("index", TensorType::new(DType::I64, pairs.clone()), index),
            weight: c.map("weight", TensorType::new(dtype, pairs), weight),
        }
    }

    /// Stage `sample`: `[N, C, k.., o..]`, the moved and masked elements of all windows.
    fn samples(&self, c: &mut Compute, p: &Problem<'_>) -> Result<BufId, OpError> {
        let (r, dtype) = (p.window.len(), p.x.dtype);
        let (x, offset) = (c.input(0, &p.x), c.input(2, &p.offset));
        let mask = p.mask.map(|m| c.input(4, &m));
        let out = output_extents(&p.window);
        let dims = [&[p.x.shape[0], p.channels()], &p.kernel()[..], out.dims()].concat();
        let ty = TensorType::new(dtype, dims);
        ty.shape.checked_bytes(dtype)?;
        let rank = ty.shape.rank();
        let each = p.channels() / self.offset_group;
        let group = Expr::var(1) / Expr::int(each);
        let mut at = vec![Expr::var(0), Expr::var(1)];
        let (mut inside, mut weight): (Option<Expr>, Option<Expr>) = (None, None);
        for axis in 0..r {
            let taps = self.taps(c, p, offset, axis);
            let tail = (2..rank).chain([rank + axis]).map(Expr::var);
            let here: Vec<Expr> = [Expr::var(0), group.clone()].into_iter().chain(tail).collect();
            let index = Expr::load(taps.index, here.clone());
            let ok = Expr::compare(CompareFn::Ge, index.clone(), Expr::int(0));
            inside = Some(inside.map_or(ok.clone(), |i| i.and(ok)));
            at.push(index.clamp(0, p.window[axis].input as i64 - 1));
            let w = Expr::load(taps.weight, here);
            weight = Some(weight.map_or(w.clone(), |v| v * w));
        }
        let zero = Expr::literal(dtype, 0.0);
        let element = Expr::load(x, at);
        let element = inside.map_or(element.clone(), |i| i.select(element, zero.clone()));
        let body = weight.map_or(element.clone(), |w| element * w);
        let finish = match mask {
            None => Expr::Acc,
            Some(mask) => {
                let channel = self.map_channel(p, group, 2);
                let index: Vec<Expr> =
                    [Expr::var(0), channel].into_iter().chain((2 + r..2 + 2 * r).map(Expr::var)).collect();
                Expr::Acc * Expr::load(mask, index)
            }
        };
        let reduce = Reduce { extents: vec![2; r], combine: ReduceFn::Sum, init: zero, finish };
        Ok(c.reduce("sample", ty, reduce, body))
    }
}

/// Farther away than any element.
const FAR: i64 = 1 << 52;

impl Operator for DeformConv {
    fn name(&self) -> &'static str {
        "DeformConv"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        let (r, dtype) = (p.window.len(), p.dst.dtype);
        let zero = Expr::literal(dtype, 0.0);
        let mut c = Compute::new();
        let init = match p.bias {
            Some(bias) if p.dst.shape.numel() > 0 => Expr::load(c.input(3, &bias), [Expr::var(1)]),
            _ => zero,
        };
        if p.dst.shape.numel() == 0 || p.x.shape.numel() == 0 || p.weights.shape.numel() == 0 {
            let out = c.map("fill", p.dst, init);
            c.output(out);
            return Ok(c);
        }
        let samples = self.samples(&mut c, &p)?;
        let weights = c.input(1, &p.weights);
        // Variables: n, oc, o..; then the input channel of the group and k..
        let ic = p.weights.shape[1];
        let (channel, taps) = (Expr::var(2 + r), (3 + r..3 + 2 * r).map(Expr::var));
        let group = Expr::var(1) / Expr::int(p.dst.shape[1] / self.group);
        let of_group =
            if self.group == 1 { channel.clone() } else { group * Expr::int(ic) + channel.clone() };
        let at: Vec<Expr> = [Expr::var(0), of_group]
            .into_iter()
            .chain(taps.clone())
            .chain((2..2 + r).map(Expr::var))
            .collect();
        let weight: Vec<Expr> = [Expr::var(1), channel].into_iter().chain(taps).collect();
        let extents = [&[ic], &p.kernel()[..]].concat();
        let reduce = Reduce { extents, combine: ReduceFn::Sum, init, finish: Expr::Acc };
        let body = Expr::load(samples, at) * Expr::load(weights, weight);
        let out = c.reduce_blocked("conv", p.dst, reduce, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let p = self.problem(Args(&args))?;
        Ok(vec![reference::convolve(self, &p.window, inputs, &p.dst)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.problem(args).map_or(0, |p| {
            let taps = Shape::new(&p.weights.shape[1..]).numel() as u64;
            (p.dst.shape.numel() as u64).saturating_mul(taps)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run_all, t};

    fn op() -> DeformConv {
        DeformConv {
            kernel: vec![],
            strides: vec![],
            dilations: vec![],
            pads: vec![],
            group: 1,
            offset_group: 1,
        }
    }

    fn numbers(shape: &[usize], factor: f32) -> Tensor {
        let n = shape.iter().product::<usize>();
        t(
            shape.to_vec(),
            &(0..n).map(|i| ((i * 7919 % 101) as f32 / 50.0 - 1.0) * factor).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 1, 4], &[1.0f32, 2.0, 4.0, 8.0]);
        let w = t([1, 1, 2], &[1.0f32, 10.0]);
        // The first tap half a step on, the second one far away but for the last window.
        let offset = t([1, 2, 3], &[0.5f32, 0.5, 0.5, 90.0, -90.0, 0.25]);
        let (b, mask) = (t([1], &[100.0f32]), t([1, 2, 3], &[1.0f32, 2.0, 1.0, 1.0, 1.0, 0.5]));
        let y = run_all(&op(), &[Some(&x), Some(&w), Some(&offset), Some(&b), Some(&mask)]).unwrap();
        assert_eq!(y[0], t([1, 1, 3], &[101.5f32, 106.0, 100.0 + 6.0 + 5.0 * 6.0]));
    }

    #[test]
    fn definition_is_reference() {
        let x = numbers(&[2, 4, 5, 6], 1.0);
        let with = DeformConv {
            kernel: vec![2, 3],
            strides: vec![2, 1],
            dilations: vec![1, 2],
            pads: vec![1, 0, 1, 2],
            group: 2,
            offset_group: 2,
        };
        let (w, b) = (numbers(&[6, 2, 2, 3], 1.0), numbers(&[6], 1.0));
        let (offset, mask) = (numbers(&[2, 24, 3, 4], 4.0), numbers(&[2, 12, 3, 4], 1.0));
        run_all(&with, &[Some(&x), Some(&w), Some(&offset), Some(&b), Some(&mask)]).unwrap();
        run_all(&with, &[Some(&x), Some(&w), Some(&offset)]).unwrap();
        let wide = [&x, &w, &offset, &b, &mask].map(|x| t(x.shape().clone(), &x.to_f64s()));
        run_all(&with, &wide.iter().map(Some).collect::<Vec<_>>()).unwrap();
        let cube =
            [numbers(&[1, 1, 2, 3, 3], 1.0), numbers(&[1, 1, 1, 2, 2], 1.0), numbers(&[1, 12, 2, 2, 2], 2.0)];
        run_all(&op(), &cube.iter().map(Some).collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn errors_say_expected_and_found() {
        let (x, w) = (numbers(&[1, 2, 3, 3], 1.0), numbers(&[1, 2, 2, 2], 1.0));
        let offset = numbers(&[1, 8, 2, 2], 1.0);
        let fail = |op: DeformConv, inputs: &[&Tensor]| error(&op, inputs);
        assert!(fail(op(), &[&x, &w, &w]).contains("input 2 (offset): expected [1,8,2,2], found [1,2,2,2]"));
        assert!(fail(op(), &[&x, &w, &offset, &x]).contains("input 3 (B): expected [1]"));
        assert!(fail(DeformConv { group: 2, ..op() }, &[&x, &w, &offset]).contains("do not have 2 groups"));
        assert!(fail(DeformConv { offset_group: 0, ..op() }, &[&x, &w, &offset]).contains("0 offset groups"));
        assert!(fail(DeformConv { kernel: vec![3, 3], ..op() }, &[&x, &w, &offset]).contains("kernel_shape"));
        assert!(fail(op(), &[&t([1, 2], &[0.0f32; 2]), &w, &offset]).contains("spatial axes"));
    }
}
