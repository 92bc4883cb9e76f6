//! Adds borders, or removes them: `Y[i..] = X[i - begin ..]`, and outside of X what the mode says.
//!
//! Inputs: data of any type; pads (integers, known before the run): all begins, then all ends; optionally
//! constant_value (one element of data's type, 0 by default); optionally axes (integers, known before the run), the
//! axes that pads names, all in order by default. Negative pads remove; what they remove is not seen by the modes.
//! With c the extent that is left along an axis and p a position relative to it:
//!
//! | mode | source of position p |
//! |---|---|
//! | constant | constant_value outside `0..c` |
//! | edge | `clamp(p, 0, c - 1)` |
//! | reflect | `m` or `2(c - 1) - m`, whichever is smaller, with `m = p mod 2(c - 1)`; 0 for c = 1 |
//! | wrap | `p mod c` |
//!
//! Errors: a number of pads other than twice that of the axes, axes out of range or named twice, more removed than
//! there is (in mode constant: than there is and is added), a border in another mode than constant where nothing is
//! left, a constant of another type.
//! Mirrors ONNX Pad-11 to -19 and later; the attributes of Pad-2 arrive as inputs.

use crate::arg::{Arg, Args, known_args};
use crate::axes::{extent, optional_ints, required_ints, resolve_axes};
use crate::compute::Compute;
use crate::elements::{Walk, input, positions, room, take, zero_bytes};
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::scalar_load;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Variants of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadMode {
    /// A value (input `constant_value`, 0 by default).
    Constant,
    /// The input mirrored at its border elements.
    Reflect,
    /// The border element.
    Edge,
    /// The other side of the input.
    Wrap,
}

crate::attr_enum!(PadMode { Constant = "constant", Reflect = "reflect", Edge = "edge", Wrap = "wrap" });

/// Adds borders, or removes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// What the border holds.
    pub mode: PadMode,
}

crate::attributes!(Pad { mode });

/// The padding of one axis: `begin` new places, `kept` elements from `first` on, new places up to `output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PadAxis {
    /// New places before.
    pub begin: usize,
    /// First element that is kept.
    pub first: usize,
    /// Number of elements that are kept.
    pub kept: usize,
    /// Extent of the result.
    pub output: usize,
}

impl PadAxis {
    fn new(d: usize, begin: i64, end: i64, mode: PadMode) -> Result<PadAxis, OpError> {
        let (d, begin, end) = (d as i128, i128::from(begin), i128::from(end));
        let kept = d + begin.min(0) + end.min(0);
        if kept < 0 && mode != PadMode::Constant {
            return invalid!("pads: expected to remove at most {d} elements, found {begin} and {end}");
        }
        Ok(PadAxis {
            begin: begin.max(0) as usize,
            first: (-begin).max(0) as usize,
            kept: kept.max(0) as usize,
            output: extent(d + begin + end, "pads")?,
        })
    }

    /// Whether there are new places.
    fn grows(&self) -> bool {
        self.output > self.kept
    }
}

/// The padding of every axis of a tensor of shape `shape`.
///
/// # Errors
/// As the operator's.
pub fn pad_axes(shape: &Shape, args: Args<'_>, mode: PadMode) -> Result<Vec<PadAxis>, OpError> {
    let pads = required_ints(args, 1, "pads")?;
    let axes = match optional_ints(args, 3, "axes")? {
        Some(axes) => resolve_axes(&axes, shape.rank())?,
        None => (0..shape.rank()).collect(),
    };
    let n = axes.len();
    if pads.len() != 2 * n {
        return invalid!("pads: expected {} for {n} axes, found {}", 2 * n, pads.len());
    }
    let mut all =
        shape.iter().map(|&d| PadAxis { begin: 0, first: 0, kept: d, output: d }).collect::<Vec<_>>();
    for (i, &axis) in axes.iter().enumerate() {
        all[axis] = PadAxis::new(shape[axis], pads[i], pads[n + i], mode)?;
        if all[axis].kept == 0 && all[axis].grows() && mode != PadMode::Constant {
            return invalid!("pads: mode {mode} needs an element along axis {axis} of {shape}, found none");
        }
    }
    Ok(all)
}

impl Pad {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<(Arg<'a>, Vec<PadAxis>, TensorType), OpError> {
        let x = args.required(0, "data")?;
        if let Some(v) = args.optional(2).filter(|v| v.dtype != x.dtype || v.shape.numel() != 1) {
            return invalid!(
                "input 2 (constant_value): expected one element of type {}, found {}",
                x.dtype,
                v.ty()
            );
        }
        let axes = pad_axes(x.shape, args, self.mode)?;
        let shape: Vec<usize> = axes.iter().map(|a| a.output).collect();
        Ok((x, axes, TensorType::new(x.dtype, shape)))
    }

    /// The index along an axis of X, always in bounds, and whether it stands for a place inside of what is kept.
    pub(super) fn index(&self, k: usize, a: &PadAxis) -> (Expr, Option<Expr>) {
        let shifted = |offset: i128| match offset {
            0 => Expr::var(k),
            o if o > 0 => Expr::var(k) + Expr::int(o),
            o => Expr::var(k) - Expr::int(-o),
        };
        let (begin, first, kept) = (a.begin as i128, a.first as i128, a.kept as i128);
        if !a.grows() {
            return (shifted(first), None);
        }
        let last = first + kept - 1;
        // How far to the right the first place is when the kept part repeats every `period` places.
        let phase = |period: i128| (-begin).rem_euclid(period);
        let at_first = |e: Expr| if first == 0 { e } else { e + Expr::int(first) };
        match self.mode {
            PadMode::Constant => {
                let inside = shifted(-begin).within(a.kept);
                (shifted(first - begin).clamp(first as i64, last as i64), Some(inside))
            }
            PadMode::Edge => (shifted(first - begin).clamp(first as i64, last as i64), None),
            PadMode::Wrap => (at_first(shifted(phase(kept)) % Expr::int(kept)), None),
            PadMode::Reflect if kept == 1 => (Expr::int(first), None),
            PadMode::Reflect => {
                let period = 2 * (kept - 1);
                let m = shifted(phase(period)) % Expr::int(period);
                let mirrored = m.clone().min(Expr::int(period) - m);
                // The smaller of the two is at most kept - 1; saying so keeps the bounds provable.
                (at_first(mirrored.min(Expr::int(kept - 1))), None)
            }
        }
    }

    /// Places of X along an axis for every place of Y, by walking back and forth.
    fn walk(&self, a: &PadAxis, stride: usize) -> Walk {
        let (n, begin) = (a.kept as i128, a.begin as i128);
        let source = |i: usize| {
            let mut p = i as i128 - begin;
            match self.mode {
                PadMode::Constant if !(0..n).contains(&p) => return None,
                PadMode::Constant => {}
                PadMode::Edge => p = p.max(0).min(n - 1),
                PadMode::Wrap => p = p.rem_euclid(n),
                PadMode::Reflect if n == 1 => p = 0,
                PadMode::Reflect => {
                    p = p.rem_euclid(2 * n - 2);
                    if p >= n {
                        p = 2 * n - 2 - p;
                    }
                }
            }
            Some(a.first + p as usize)
        };
        Walk { stride, indices: (0..a.output).map(source).collect() }
    }
}

impl Operator for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.2])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (x, axes, ty) = self.arguments(args)?;
        let mut c = Compute::new();
        let value = match args.optional(2) {
            Some(v) if self.mode == PadMode::Constant && axes.iter().any(PadAxis::grows) => {
                scalar_load(&mut c, 2, &v)?
            }
            _ => Expr::Const(Scalar::zero(x.dtype)),
        };
        let body = if ty.shape.numel() == 0 || axes.iter().any(|a| a.kept == 0) {
            value
        } else {
            let b = c.input(0, &x);
            let (index, inside): (Vec<_>, Vec<_>) =
                axes.iter().enumerate().map(|(k, a)| self.index(k, a)).unzip();
            let element = Expr::load(b, index);
            match inside.into_iter().flatten().reduce(Expr::and) {
                Some(inside) => inside.select(element, value),
                None => element,
            }
        };
        let out = c.map("pad", ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (_, axes, ty) = self.arguments(Args(&args))?;
        let x = input(inputs, 0, "data")?;
        let fill = match inputs.get(2).copied().flatten() {
            Some(v) => v.bytes().to_vec(),
            None => zero_bytes(x.dtype()),
        };
        if ty.shape.numel() == 0 {
            return Ok(vec![take(x, &[], ty.shape, &fill)?]);
        }
        drop(room::<Option<usize>>(ty.shape.numel())?);
        let strides = x.shape().strides();
        let walks: Vec<Walk> = axes.iter().zip(strides).map(|(a, s)| self.walk(a, s)).collect();
        Ok(vec![take(x, &positions(&walks)?, ty.shape, &fill)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, run_all, t};

    #[test]
    fn one_axis_in_every_mode() {
        use PadMode::*;
        let x = t([3], &[1i64, 2, 3]);
        let cases: &[(PadMode, [i64; 2], &[i64])] = &[
            (Constant, [1, 2], &[0, 1, 2, 3, 0, 0]),
            (Constant, [-1, 1], &[2, 3, 0]),
            (Constant, [-1, -2], &[]),
            (Constant, [-3, 2], &[0, 0]),
            (Constant, [-4, 3], &[0, 0]),
            (Edge, [2, 1], &[1, 1, 1, 2, 3, 3]),
            (Edge, [-1, 2], &[2, 3, 3, 3]),
            (Edge, [2, -2], &[1, 1, 1]),
            (Reflect, [2, 2], &[3, 2, 1, 2, 3, 2, 1]),
            (Reflect, [5, 0], &[2, 1, 2, 3, 2, 1, 2, 3]),
            (Reflect, [-1, 2], &[2, 3, 2, 3]),
            (Reflect, [2, -2], &[1, 1, 1]),
            (Wrap, [2, 4], &[2, 3, 1, 2, 3, 1, 2, 3, 1]),
            (Wrap, [-1, 1], &[2, 3, 2]),
        ];
        for &(mode, pads, want) in cases {
            let y = run(&Pad { mode }, &[&x, &t([2], &pads)]);
            assert_eq!(y, Ok(t([want.len()], want)), "{mode} {pads:?}");
        }
    }

    #[test]
    fn constants_and_axes() {
        let x = t([1, 2], &[1.0f32, 2.0]);
        let (pads, nine) = (t([4], &[1i64, 0, 0, 1]), t([], &[9.0f32]));
        let pad = Pad { mode: PadMode::Constant };
        assert_eq!(run(&pad, &[&x, &pads, &nine]), Ok(t([2, 3], &[9.0f32, 9.0, 9.0, 1.0, 2.0, 9.0])));
        let last = run_all(&pad, &[Some(&x), Some(&t([2], &[1i32, 0])), None, Some(&t([1], &[-1i32]))]);
        assert_eq!(last, Ok(vec![t([1, 3], &[0.0f32, 1.0, 2.0])]));
        assert_eq!(run(&pad, &[&t::<bool>([0], &[]), &t([2], &[1i64, 1])]), Ok(t([2], &[false; 2])));
        let empty = run(&Pad { mode: PadMode::Edge }, &[&t::<u8>([0, 1], &[]), &t([4], &[0i64, 1, 0, 0])]);
        assert_eq!(empty, Ok(t::<u8>([0, 2], &[])));
    }

    #[test]
    fn errors() {
        let x = t([3], &[1i64, 2, 3]);
        let of = |mode, pads: &[i64]| error(&Pad { mode }, &[&x, &t([pads.len()], pads)]);
        assert_eq!(of(PadMode::Edge, &[1]), "pads: expected 2 for 1 axes, found 1");
        assert_eq!(
            of(PadMode::Edge, &[-2, -2]),
            "pads: expected to remove at most 3 elements, found -2 and -2"
        );
        assert_eq!(
            of(PadMode::Edge, &[-4, 3]),
            "pads: expected to remove at most 3 elements, found -4 and 3"
        );
        assert!(of(PadMode::Wrap, &[-3, 1]).contains("mode wrap needs an element"));
        assert!(of(PadMode::Constant, &[i64::MAX, i64::MAX]).contains("out of range"));
        let pad = Pad { mode: PadMode::Constant };
        let value = error(&pad, &[&x, &t([2], &[0i64, 0]), &t([], &[1.0f32])]);
        assert_eq!(value, "input 2 (constant_value): expected one element of type i64, found f32[]");
    }
}
