//! Pooling over all spatial positions: ONNX `GlobalAveragePool` and `GlobalMaxPool`, opsets 1 to 22.
//!
//! ```text
//! dst[n, c, 0..] = average or maximum over s.. of src[n, c, s..]
//! ```
//!
//! Input 0 (`X`): `[N, C, spatial..]`, f32 or f64, at least one spatial axis; output `[N, C, 1..]` of its type. Without
//! any position the average is NaN and the maximum `-inf`; NaN wins a maximum. Errors: an input without spatial axes.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn};
use crate::elements::floats;
use crate::expr::{Expr, Scalar};
use crate::invalid;
use crate::tensor::filled;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalPoolKind {
    /// ONNX `GlobalAveragePool`.
    Average,
    /// ONNX `GlobalMaxPool`.
    Max,
}

crate::attr_enum!(GlobalPoolKind { Average = "average", Max = "max" });

/// ONNX operators GlobalAveragePool and GlobalMaxPool.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalPool {
    /// What is taken over all positions.
    pub kind: GlobalPoolKind,
}

crate::attributes!(GlobalPool { kind });

impl GlobalPool {
    fn dst(&self, args: Args<'_>) -> Result<TensorType, OpError> {
        let src = args.typed(0, "X", DType::FLOATS)?;
        if src.shape.rank() < 3 {
            return invalid!("input 0 (X): expected [batch, channels, spatial..], found {}", src.shape);
        }
        let mut dims = vec![1; src.shape.rank()];
        dims[..2].copy_from_slice(&src.shape[..2]);
        Ok(TensorType::new(src.dtype, dims))
    }
}

impl Operator for GlobalPool {
    fn name(&self) -> &'static str {
        match self.kind {
            GlobalPoolKind::Average => "GlobalAveragePool",
            GlobalPoolKind::Max => "GlobalMaxPool",
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.dst(args)?])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let dst = self.dst(args)?;
        let arg = args.required(0, "X")?;
        let dtype = dst.dtype;
        let spatial = Shape::new(&arg.shape[2..]);
        let (name, combine, init, finish) = match self.kind {
            GlobalPoolKind::Average => {
                ("average", ReduceFn::Sum, 0.0, Expr::Acc / Expr::literal(dtype, spatial.numel() as f64))
            }
            GlobalPoolKind::Max => ("max", ReduceFn::Max, f64::NEG_INFINITY, Expr::Acc),
        };
        if arg.shape.numel() == 0 {
            let nothing = if combine == ReduceFn::Sum { f64::NAN } else { init };
            return Ok(Compute::filled(dst, Scalar::F64(nothing).cast(dtype)));
        }
        let mut c = Compute::new();
        let src = c.input(0, &arg);
        let rank = dst.shape.rank();
        let mut index = vec![Expr::var(0), Expr::var(1)];
        index.extend((0..spatial.rank()).map(|i| Expr::var(rank + i)));
        let init = Expr::literal(dtype, init);
        let reduce = Reduce { extents: spatial.dims().to_vec(), combine, init, finish };
        let out = c.reduce_blocked(name, dst, reduce, Expr::load(src, index));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let dst = self.dst(Args(&args))?;
        let src = Args(&args).known(0, "X")?;
        let elements = src.to_f64s();
        let plane = Shape::new(&src.shape()[2..]).numel();
        let mut results = filled(&dst.shape, 0.0)?;
        for (i, result) in results.iter_mut().enumerate() {
            let plane = &elements[i * plane..][..plane];
            *result = match self.kind {
                GlobalPoolKind::Average => plane.iter().sum::<f64>() / plane.len() as f64,
                GlobalPoolKind::Max => plane
                    .iter()
                    .fold(f64::NEG_INFINITY, |best, &v| if v > best || v.is_nan() { v } else { best }),
            };
        }
        Ok(vec![floats(dst, results)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kind: GlobalPoolKind, shape: &[usize], src: &[f32]) -> Result<Vec<f32>, OpError> {
        let src = Tensor::new(shape.to_vec(), src)?;
        GlobalPool { kind }.reference(&[Some(&src)])?[0].to_vec()
    }

    #[test]
    fn hand_computed() {
        let (average, max) = (GlobalPoolKind::Average, GlobalPoolKind::Max);
        assert_eq!(run(average, &[1, 2, 1, 2], &[1.0, 2.0, -3.0, -5.0]).unwrap(), [1.5, -4.0]);
        assert_eq!(run(max, &[1, 2, 1, 2], &[1.0, 2.0, -3.0, -5.0]).unwrap(), [2.0, -3.0]);
        assert!(run(max, &[1, 1, 3], &[1.0, f32::NAN, 2.0]).unwrap()[0].is_nan());
        assert!(run(average, &[1, 1, 0], &[]).unwrap()[0].is_nan());
        assert_eq!(run(max, &[1, 1, 0], &[]).unwrap(), [f32::NEG_INFINITY]);
        assert!(run(max, &[1, 1], &[1.0]).unwrap_err().message().contains("[1,1]"));
    }
}
