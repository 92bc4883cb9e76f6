//! Puts maxima back where they came from: ONNX `MaxUnpool`, opsets 9 to 22.
//!
//! ```text
//! dst = 0; in the order of i: dst.flat[I.flat[i]] = X.flat[i]
//! ```
//!
//! Inputs: 0 (`X`) `[N, C, spatial..]`, f32 or f64, at least one spatial axis; 1 (`I`) i64, the shape of `X`, flat
//! positions in the pooled tensor `[N, C, in..]` with `in = (out - 1) * stride + kernel - pad_begin - pad_end`; 2
//! (`output_shape`), optional, integers known before the run: the extents of the output, whose new places at the ends are
//! 0. Output: the type of `X`. Errors: lists that do not fit the spatial axes, padding that leaves nothing, an output that
//! is smaller than the pooled tensor, a position outside of it. Positions that are not known before the run are checked
//! when it happens.

use crate::arg::{Arg, Args, known_args};
use crate::axes::{extent, optional_ints};
use crate::compute::{Compute, Update, scalars, tensor};
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::indexing::Indices;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;
use crate::window::{LIMIT, Window, per_axis};

/// ONNX operator MaxUnpool.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxUnpool {
    /// Extents of the window.
    pub kernel: Vec<usize>,
    /// Padding, all begins then all ends; empty: all 0.
    pub pads: Vec<usize>,
    /// Steps between windows; empty: all 1.
    pub strides: Vec<usize>,
}

crate::attributes!(MaxUnpool { kernel, pads, strides });

struct Problem<'a> {
    x: Arg<'a>,
    positions: Indices<'a>,
    /// The pooled tensor.
    pooled: Shape,
    dst: TensorType,
}

impl MaxUnpool {
    /// The window of the pooling that is undone.
    pub fn window(&self) -> Window {
        Window {
            kernel: self.kernel.clone(),
            strides: self.strides.clone(),
            pads: self.pads.clone(),
            ..Window::default()
        }
    }

    fn pooled(&self, shape: &Shape) -> Result<Shape, OpError> {
        if shape.rank() < 3 {
            return invalid!("input 0 (X): expected [batch, channels, spatial..], found {shape}");
        }
        let n = shape.rank() - 2;
        let kernel = per_axis(&self.kernel, "kernel", 1, n)?;
        let strides = per_axis(&self.strides, "strides", 1, n)?;
        let pads = per_axis(&self.pads, "pads", 0, 2 * n)?;
        let mut dims = shape[..2].to_vec();
        for i in 0..n {
            let values = [shape[2 + i], kernel[i], strides[i], pads[i], pads[n + i]];
            if values.iter().any(|v| *v > LIMIT) || shape[2 + i] == 0 {
                return invalid!("spatial axis {i}: expected extents from 1 to {LIMIT}, found {values:?}");
            }
            let full = (shape[2 + i] as i128 - 1) * strides[i] as i128 + kernel[i] as i128;
            dims.push(extent(full - (pads[i] + pads[n + i]) as i128, "pads")?);
        }
        let shape = Shape::new(dims);
        shape.checked_bytes(DType::I64)?;
        Ok(shape)
    }

    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let positions = args.typed(1, "I", &[DType::I64])?;
        if positions.shape != x.shape {
            return invalid!("input 1 (I): expected the shape of {}, found {}", x.ty(), positions.ty());
        }
        let pooled = self.pooled(x.shape)?;
        let mut dims = pooled.to_vec();
        if let Some(given) = optional_ints(args, 2, "output_shape")? {
            dims = given.iter().map(|&d| extent(d.into(), "output_shape")).collect::<Result<_, _>>()?;
            if dims.len() != pooled.rank() || dims.iter().zip(pooled.iter()).any(|(d, p)| d < p) {
                return invalid!("output_shape: expected extents from {pooled} on, found {given:?}");
            }
        }
        let positions = Indices::new(positions, vec![(0, pooled.numel())])?;
        Ok(Problem { x, positions, pooled, dst: TensorType::new(x.dtype, dims) })
    }
}

impl Operator for MaxUnpool {
    fn name(&self) -> &'static str {
        "MaxUnpool"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Problem { x, positions, pooled, dst } = self.problem(args)?;
        let zero = Scalar::zero(x.dtype);
        if x.shape.numel() == 0 || dst.shape.numel() == 0 {
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let (src, at) = (c.input(0, &x), positions.buffer(&mut c, 1)?);
        let flat = c.map("zeros", TensorType::new(x.dtype, [pooled.numel()]), Expr::Const(zero));
        let all = vars(x.shape.rank());
        let index = vec![positions.at(at, all.clone(), 0)];
        c.update("unpool", flat, Update { extents: x.shape.to_vec(), index }, Expr::load(src, all));
        let mut place = Expr::int(0);
        let mut inside: Option<Expr> = None;
        for (i, (&d, &p)) in dst.shape.iter().zip(pooled.iter()).enumerate() {
            let mut at = Expr::var(i);
            if d > p {
                let within = at.clone().within(p);
                inside = Some(inside.map_or(within.clone(), |i| i.and(within)));
                at = at.min(Expr::int(p - 1));
            }
            place = place * Expr::int(p) + at;
        }
        let element = Expr::load(flat, [place]);
        let body = match inside {
            Some(inside) => inside.select(element, Expr::Const(zero)),
            None => element,
        };
        let out = c.map("max_unpool", dst, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Problem { pooled, dst, .. } = self.problem(Args(&args))?;
        let positions = input(inputs, 1, "I")?.to_i64s()?;
        let mut flat = vec![Scalar::zero(dst.dtype); pooled.numel()];
        for (at, v) in positions.into_iter().zip(scalars(input(inputs, 0, "X")?)?) {
            let at = if at < 0 { at + flat.len() as i64 } else { at };
            flat[at as usize] = v;
        }
        let strides = pooled.strides();
        let mut result = Vec::with_capacity(dst.shape.numel());
        for at in dst.shape.indices() {
            let inside = at.iter().zip(pooled.iter()).all(|(a, p)| a < p);
            let place: usize = at.iter().zip(&strides).map(|(a, s)| a * s).sum();
            result.push(if inside { flat[place] } else { Scalar::zero(dst.dtype) });
        }
        Ok(vec![tensor(&dst, &result)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op() -> MaxUnpool {
        MaxUnpool { kernel: vec![2], pads: vec![], strides: vec![2] }
    }

    #[test]
    fn puts_back() {
        let (x, i) = (t([1, 2, 2], &[1.0f32, 2.0, 3.0, 4.0]), t([1, 2, 2], &[1i64, 2, 4, 7]));
        let y = run(&op(), &[&x, &i]);
        assert_eq!(y, Ok(t([1, 2, 4], &[0.0f32, 1.0, 2.0, 0.0, 3.0, 0.0, 0.0, 4.0])));
        let wider = run(&op(), &[&x, &i, &t([3], &[1i64, 2, 5])]);
        assert_eq!(wider, Ok(t([1, 2, 5], &[0.0f32, 1.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0, 4.0, 0.0])));
        let overlap = run(
            &MaxUnpool { strides: vec![1], ..op() },
            &[&t([1, 1, 2], &[5.0f64, 6.0]), &t([1, 1, 2], &[1i64, 1])],
        );
        assert_eq!(overlap, Ok(t([1, 1, 3], &[0.0f64, 6.0, 0.0])));
    }

    #[test]
    fn errors() {
        let (x, i) = (t([1, 1, 2], &[1.0f32, 2.0]), t([1, 1, 2], &[1i64, 2]));
        assert!(error(&op(), &[&x, &t([1, 1, 2], &[1i64, 4])]).contains("expected -4 to 3"));
        assert!(error(&op(), &[&x, &t([2], &[1i64, 2])]).contains("expected the shape of f32[1,1,2]"));
        assert!(error(&op(), &[&x, &i, &t([3], &[1i64, 1, 3])]).contains("from [1,1,4] on"));
        assert!(error(&MaxUnpool { pads: vec![3, 3], ..op() }, &[&x, &i]).contains("pads"));
        assert!(error(&MaxUnpool { kernel: vec![1, 1], ..op() }, &[&x, &i]).contains("kernel"));
    }
}
