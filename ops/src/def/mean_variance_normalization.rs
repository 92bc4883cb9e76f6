//! Normalisation over any axes: ONNX `MeanVarianceNormalization`, opsets 9 and 13.
//!
//! ```text
//! y[i] = (x[i] - mean) / (sqrt(variance) + 1e-9)
//! ```
//!
//! Mean and variance are those of the elements of `x` that differ from `x[i]` only along `axes`, of all without any. Input
//! 0 (`X`): f32 or f64, any shape; the output has its type. Errors: an axis out of range or given twice.

use crate::arg::known_args;
use crate::axes::resolve_axes;
use crate::compute::Compute;
use crate::elements::{from_f64s, input, reduced_positions};
use crate::expr::{Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::statistics::{Groups, moments};
use crate::{Args, DType, OpError, Operator, Tensor, TensorType};

/// Added to the deviation.
const EPSILON: f64 = 1e-9;

/// ONNX operator MeanVarianceNormalization.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanVarianceNormalization {
    /// The axes; negative ones count from the end.
    pub axes: Vec<i64>,
}

crate::attributes!(MeanVarianceNormalization { axes });

impl MeanVarianceNormalization {
    /// The type, and for each axis whether it is normalised.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, Vec<bool>), OpError> {
        let ty = args.typed(0, "X", DType::FLOATS)?.ty();
        let mut reduced = vec![self.axes.is_empty(); ty.shape.rank()];
        for axis in resolve_axes(&self.axes, ty.shape.rank())? {
            reduced[axis] = true;
        }
        Ok((ty, reduced))
    }
}

impl Operator for MeanVarianceNormalization {
    fn name(&self) -> &'static str {
        "MeanVarianceNormalization"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (ty, reduced) = self.problem(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "X")?);
        let groups = Groups::over(&ty.shape, &reduced);
        let deviation = |v| Expr::unary(UnaryFn::Sqrt, v) + Expr::literal(ty.dtype, EPSILON);
        let (mean, deviation) = groups.moments(&mut c, src, ty.dtype, deviation);
        let of_group = |b| Expr::load(b, groups.group.clone());
        let y = (Expr::load(src, vars(ty.shape.rank())) - of_group(mean)) / of_group(deviation);
        let y = c.map("normalize", ty, y);
        c.output(y);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (ty, reduced) = self.problem(Args(&args))?;
        let x = input(inputs, 0, "X")?.to_f64s();
        let group = reduced_positions(&ty.shape, &reduced);
        let moments = moments(&x, &group, group.iter().max().map_or(0, |last| last + 1));
        let normal = |(v, &g): (&f64, &usize)| (v - moments[g].0) / (moments[g].1.sqrt() + EPSILON);
        let y: Vec<f64> = x.iter().zip(&group).map(normal).collect();
        Ok(vec![from_f64s(&ty, &y)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn hand_computed() {
        let x = t([2, 2], &[1.0f32, 3.0, 5.0, 7.0]);
        let y = |axes: &[i64]| {
            let op = MeanVarianceNormalization { axes: axes.to_vec() };
            run(&op, &[&x]).unwrap().to_vec::<f32>().unwrap()
        };
        assert_eq!(y(&[1]), [-1.0, 1.0, -1.0, 1.0]);
        assert_eq!(y(&[-2]), [-1.0, -1.0, 1.0, 1.0]);
        assert_eq!(y(&[0, 1]), y(&[]));
        assert_eq!(y(&[])[0], (-3.0 / (5f64.sqrt() + 1e-9)) as f32);
        let op = MeanVarianceNormalization { axes: vec![0] };
        assert_eq!(run(&op, &[&t([1], &[4.0f64])]).unwrap(), t([1], &[0.0f64]));
        let none = t::<f32>([0, 3], &[]);
        assert_eq!(run(&op, &[&none]).unwrap(), none);
    }

    #[test]
    fn errors() {
        let op = |axes: &[i64]| MeanVarianceNormalization { axes: axes.to_vec() };
        let x = t([1, 1], &[1.0f32]);
        assert!(error(&op(&[2]), &[&x]).contains("the 2 axes"));
        assert!(error(&op(&[0, -2]), &[&x]).contains("twice"));
        assert!(error(&op(&[0]), &[&t([1], &[1u8])]).contains("expected f32 or f64"));
    }
}
