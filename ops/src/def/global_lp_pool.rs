//! Lp norms over all spatial positions: ONNX `GlobalLpPool`, opsets 1 to 22.
//!
//! ```text
//! dst[n, c, 0..] = (sum over i.. of |src[n, c, i..]| ^ p) ^ (1 / p)
//! ```
//!
//! Input 0 (`X`): `[N, C, spatial..]`, f32 or f64; the output has its type with spatial extents 1. Errors: `p` not
//! positive, an input without spatial axes.

use super::lp_pool::{check_exponent, norm, power, root};
use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn, tensor};
use crate::expr::{Expr, Scalar};
use crate::{Args, DType, OpError, Operator, Tensor, TensorType, attributes, invalid};

/// ONNX operator GlobalLpPool.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalLpPool {
    /// The exponent.
    pub p: f32,
}

attributes!(GlobalLpPool { p });

impl GlobalLpPool {
    fn problem(&self, args: Args<'_>) -> Result<TensorType, OpError> {
        let src = args.typed(0, "X", DType::FLOATS)?;
        check_exponent(self.p)?;
        if src.shape.rank() < 3 {
            return invalid!("input 0 (X): expected [batch, channels, spatial..], found {}", src.shape);
        }
        Ok(TensorType::new(src.dtype, [&src.shape[..2], &vec![1; src.shape.rank() - 2]].concat()))
    }
}

impl Operator for GlobalLpPool {
    fn name(&self) -> &'static str {
        "GlobalLpPool"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let dst = self.problem(args)?;
        let src = args.required(0, "X")?;
        let (zero, rank, dtype) = (Scalar::zero(dst.dtype), dst.shape.rank(), dst.dtype);
        if src.shape.numel() == 0 {
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let buf = c.input(0, &src);
        let index: Vec<Expr> = [0, 1].into_iter().chain(rank..2 * rank - 2).map(Expr::var).collect();
        let reduce = Reduce {
            extents: src.shape[2..].to_vec(),
            combine: ReduceFn::Sum,
            init: Expr::Const(zero),
            finish: root(Expr::Acc, self.p, dtype),
        };
        let out = c.reduce_blocked("norm", dst, reduce, power(Expr::load(buf, index), self.p, dtype));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let dst = self.problem(Args(&args))?;
        let src = Args(&args).known(0, "X")?;
        let numbers = src.to_f64s();
        let plane: usize = src.shape()[2..].iter().product();
        let of = |p: usize| norm(numbers.iter().skip(p * plane).take(plane).copied(), self.p);
        let out: Vec<Scalar> = (0..dst.shape.numel()).map(|p| Scalar::F64(of(p)).cast(dst.dtype)).collect();
        Ok(vec![tensor(&dst, &out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn hand_computed() {
        let x = t([1, 2, 1, 2], &[3.0f32, -4.0, 0.0, 2.0]);
        assert_eq!(run(&GlobalLpPool { p: 2.0 }, &[&x]).unwrap(), t([1, 2, 1, 1], &[5.0f32, 2.0]));
        assert_eq!(run(&GlobalLpPool { p: 1.0 }, &[&x]).unwrap(), t([1, 2, 1, 1], &[7.0f32, 2.0]));
    }

    #[test]
    fn definition_is_reference() {
        let v: Vec<f32> = (0..1200).map(|i| (i * 7919 % 101) as f32 / 50.0 - 1.0).collect();
        for p in [1.0, 2.0, 3.0] {
            run(&GlobalLpPool { p }, &[&t([2, 3, 200], &v)]).unwrap();
            run(&GlobalLpPool { p }, &[&t([1, 2, 4, 50, 3], &v)]).unwrap();
            run(&GlobalLpPool { p }, &[&t::<f64>([1, 2, 0], &[])]).unwrap();
        }
    }

    #[test]
    fn errors_say_expected_and_found() {
        assert!(error(&GlobalLpPool { p: 2.0 }, &[&t([1, 2], &[0.0f32; 2])]).contains("spatial"));
        assert!(error(&GlobalLpPool { p: -1.0 }, &[&t([1, 2, 1], &[0.0f32; 2])]).contains("positive"));
    }
}
