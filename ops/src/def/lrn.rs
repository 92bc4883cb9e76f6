//! Local response normalisation across channels: ONNX `LRN`, opsets 1 and 13.
//!
//! ```text
//! y[n, c, s..] = x[n, c, s..] / (bias + alpha / size * sum over i of x[n, i, s..]^2) ^ beta
//! c - floor((size - 1) / 2) <= i <= c + ceil((size - 1) / 2), within the channels
//! ```
//!
//! Input 0 (`X`): f32 or f64, `[N, C, s..]`; the output has its type. Errors: a size of 0.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::elements::{from_f64s, input};
use crate::expr::{BinaryFn, Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::{Args, DType, OpError, Operator, Tensor, TensorType};

/// ONNX operator LRN.
#[derive(Clone, Debug, PartialEq)]
pub struct Lrn {
    /// Factor of the mean square.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// Added to the sum.
    pub bias: f32,
    /// Channels that are summed.
    pub size: usize,
}

crate::attributes!(Lrn { alpha, beta, bias, size });

impl Lrn {
    fn ty(&self, args: Args<'_>) -> Result<TensorType, OpError> {
        let ty = args.typed(0, "X", DType::FLOATS)?.ty();
        if ty.shape.rank() < 2 {
            return invalid!("input 0 (X): expected [batch, channels, ..], found {ty}");
        }
        if self.size == 0 {
            return invalid!("size: expected at least 1, found 0");
        }
        Ok(ty)
    }

    /// How many channels before and after its own count, of `channels`.
    fn reach(&self, channels: usize) -> (usize, usize) {
        let others = self.size - 1;
        let most = channels.saturating_sub(1);
        ((others / 2).min(most), others.div_ceil(2).min(most))
    }
}

impl Operator for Lrn {
    fn name(&self) -> &'static str {
        "LRN"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.ty(args)?])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.ty(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let literal = |v: f64| Expr::literal(ty.dtype, v);
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "X")?);
        let (rank, channels) = (ty.shape.rank(), ty.shape[1]);
        let (before, after) = self.reach(channels);
        let channel = Expr::var(1) + Expr::var(rank) - Expr::int(before);
        let mut index = vars(rank);
        index[1] = channel.clone().clamp(0, channels as i64 - 1);
        let near = Expr::load(src, index);
        let square = channel.within(channels).select(near.clone() * near, literal(0.0));
        let scale = f64::from(self.alpha) / self.size as f64;
        let reduce = Reduce {
            extents: vec![before + 1 + after],
            combine: ReduceFn::Sum,
            init: literal(0.0),
            finish: literal(self.bias.into()) + literal(scale) * Expr::Acc,
        };
        let base = c.reduce_blocked("squares", ty.clone(), reduce, square);
        let power = Expr::binary(BinaryFn::Pow, Expr::load(base, vars(rank)), literal(self.beta.into()));
        let y = c.map("normalize", ty.clone(), Expr::load(src, vars(rank)) / power);
        c.output(y);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let ty = self.ty(Args(&args))?;
        let x = input(inputs, 0, "X")?.to_f64s();
        if x.is_empty() {
            return Ok(vec![Tensor::from_bytes(ty, Vec::new())?]);
        }
        let channels = ty.shape[1];
        let pixels = x.len() / ty.shape[0] / channels;
        let (first, last) = ((self.size - 1) / 2, self.size.div_ceil(2) - usize::from(self.size % 2 == 1));
        let y: Vec<f64> = (0..x.len())
            .map(|i| {
                let c = i / pixels % channels;
                let sum: f64 = (c.saturating_sub(first)..=c.saturating_add(last).min(channels - 1))
                    .map(|other| x[i - c * pixels + other * pixels].powi(2))
                    .sum();
                let scale = f64::from(self.alpha) / self.size as f64;
                x[i] / (f64::from(self.bias) + scale * sum).powf(self.beta.into())
            })
            .collect();
        Ok(vec![from_f64s(&ty, &y)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op(size: usize) -> Lrn {
        Lrn { alpha: size as f32, beta: 1.0, bias: 1.0, size }
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 3, 1, 2], &[1.0f32, 0.0, 2.0, 3.0, 3.0, 0.0]);
        let y = |size| run(&op(size), &[&x]).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(y(1), [0.5, 0.0, 0.4, 0.3, 0.3, 0.0]);
        assert_eq!(y(2), [1.0 / 6.0, 0.0, 2.0 / 14.0, 0.3, 0.3, 0.0]);
        assert_eq!(y(3), [1.0 / 6.0, 0.0, 2.0 / 15.0, 0.3, 3.0 / 14.0, 0.0]);
        assert_eq!(y(1000), [1.0 / 15.0, 0.0, 2.0 / 15.0, 0.3, 3.0 / 15.0, 0.0]);
        let y = run(&Lrn { alpha: 2.0, beta: 0.5, bias: 2.0, size: 1 }, &[&t([1, 1], &[1.0f64])]).unwrap();
        assert_eq!(y, t([1, 1], &[0.5f64]));
        let none = t::<f32>([1, 0, 2], &[]);
        assert_eq!(run(&op(3), &[&none]).unwrap(), none);
    }

    #[test]
    fn errors() {
        assert!(error(&op(0), &[&t([1, 1], &[1.0f32])]).contains("size: expected at least 1"));
        assert!(error(&op(1), &[&t([1], &[1.0f32])]).contains("[batch, channels, ..]"));
        assert!(error(&op(1), &[&t([1, 1], &[1i64])]).contains("expected f32 or f64"));
    }
}
