//! Division by the norm along an axis: ONNX `LpNormalization`, opsets 1 and 22.
//!
//! ```text
//! norm[i.., j..] = sum over r of abs(x[i.., r, j..])        p = 1
//! norm[i.., j..] = sqrt(sum over r of x[i.., r, j..]^2)     p = 2
//! y[i.., r, j..] = x[i.., r, j..] / norm[i.., j..], 0 where the norm is 0
//! ```
//!
//! Input 0 (`input`): f32 or f64, any shape; the output has its type. Errors: an axis out of range.

use crate::arg::known_args;
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::elements::{from_f64s, input, reduced_positions};
use crate::expr::{CompareFn, Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::statistics::Groups;
use crate::{Args, DType, OpError, Operator, Tensor, TensorType};

/// Which norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// The sum of magnitudes: p = 1.
    L1,
    /// The root of the sum of squares: p = 2.
    L2,
}

crate::attr_enum!(Norm { L1 = "l1", L2 = "l2" });

/// ONNX operator LpNormalization.
#[derive(Clone, Debug, PartialEq)]
pub struct LpNormalization {
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// The norm.
    pub norm: Norm,
}

crate::attributes!(LpNormalization { axis, norm });

impl LpNormalization {
    /// The type, and for each axis whether the norm is over it.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, Vec<bool>), OpError> {
        let ty = args.typed(0, "input", DType::FLOATS)?.ty();
        let axis = resolve_axis(self.axis, ty.shape.rank())?;
        let reduced = (0..ty.shape.rank()).map(|i| i == axis).collect();
        Ok((ty, reduced))
    }
}

impl Operator for LpNormalization {
    fn name(&self) -> &'static str {
        "LpNormalization"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (ty, reduced) = self.problem(args)?;
        let zero = Scalar::zero(ty.dtype);
        if ty.shape.numel() == 0 {
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "input")?);
        let groups = Groups::over(&ty.shape, &reduced);
        let load = groups.load(&c, src, ty.dtype);
        let (term, finish) = match self.norm {
            Norm::L1 => (Expr::unary(UnaryFn::Abs, load), Expr::Acc),
            Norm::L2 => (load.clone() * load, Expr::unary(UnaryFn::Sqrt, Expr::Acc)),
        };
        let norm = groups.sum(&mut c, "norm", ty.dtype, term, finish);
        let norm = Expr::load(norm, groups.group.clone());
        let quotient = Expr::load(src, vars(ty.shape.rank())) / norm.clone();
        let is_zero = Expr::compare(CompareFn::Eq, norm, Expr::Const(zero));
        let y = c.map("normalize", ty, is_zero.select(Expr::Const(zero), quotient));
        c.output(y);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (ty, reduced) = self.problem(Args(&args))?;
        let x = input(inputs, 0, "input")?.to_f64s();
        let group = reduced_positions(&ty.shape, &reduced);
        let mut sums = vec![0.0f64; group.iter().max().map_or(0, |last| last + 1)];
        for (v, &g) in x.iter().zip(&group) {
            sums[g] += if self.norm == Norm::L1 { v.abs() } else { v * v };
        }
        let y: Vec<f64> = (x.iter().zip(&group))
            .map(|(v, &g)| match (sums[g], self.norm) {
                (0.0, _) => 0.0,
                (sum, Norm::L1) => v / sum,
                (sum, Norm::L2) => v / sum.sqrt(),
            })
            .collect();
        Ok(vec![from_f64s(&ty, &y)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn hand_computed() {
        let x = t([2, 2], &[3.0f32, 0.0, -4.0, 0.0]);
        let y = |axis, norm| run(&LpNormalization { axis, norm }, &[&x]).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(y(0, Norm::L2), [0.6, 0.0, -0.8, 0.0]);
        assert_eq!(y(-2, Norm::L1), [3.0 / 7.0, 0.0, -4.0 / 7.0, 0.0]);
        assert_eq!(y(-1, Norm::L1), [1.0, 0.0, -1.0, 0.0]);
        let y = run(&LpNormalization { axis: 0, norm: Norm::L1 }, &[&t([1], &[-2.0f64])]).unwrap();
        assert_eq!(y, t([1], &[-1.0f64]));
        let none = t::<f32>([0, 3], &[]);
        assert_eq!(run(&LpNormalization { axis: 0, norm: Norm::L2 }, &[&none]).unwrap(), none);
        let nan = t([2], &[f32::NAN, 1.0]);
        let y = run(&LpNormalization { axis: 0, norm: Norm::L2 }, &[&nan]).unwrap().to_f64s();
        assert!(y.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn errors() {
        let op = LpNormalization { axis: 1, norm: Norm::L1 };
        assert!(error(&op, &[&t([1], &[1.0f32])]).contains("the 1 axes"));
        assert!(error(&op, &[&t([1, 1], &[1i64])]).contains("expected f32 or f64"));
    }
}
