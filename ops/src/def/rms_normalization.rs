//! Scaling by the root mean square over trailing axes: ONNX `RMSNormalization`, opset 23.
//!
//! ```text
//! y[i.., r..] = x[i.., r..] / sqrt(mean over r.. of x[i.., r..]^2 + epsilon) * scale[i.., r..]
//! ```
//!
//! `r..` are the axes from `axis` on. Inputs: 0 (`X`), f32 or f64; 1 (`scale`), f32 or f64, of a shape that broadcasts to
//! that of `X`. Output: the shape of `X`, the element type of `scale`. The mean is computed in f64 when either of `X` and
//! `stash` is. Errors: an axis out of range, shapes that do not broadcast.

use crate::arg::known_args;
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::elements::{broadcast_positions, from_f64s, input, reduced_positions};
use crate::expr::{Expr, Scalar};
use crate::index::{broadcast_load, vars};
use crate::statistics::{Groups, check_broadcast, converted, inverse_deviation, work_type};
use crate::{Arg, Args, DType, OpError, Operator, Tensor, TensorType};

/// ONNX operator RMSNormalization.
#[derive(Clone, Debug, PartialEq)]
pub struct RmsNormalization {
    /// The first axis that is normalised; negative counts from the end.
    pub axis: i64,
    /// Added to the mean square.
    pub epsilon: f32,
    /// The least exact type for the mean: f32 or f64.
    pub stash: DType,
}

crate::attributes!(RmsNormalization { axis, epsilon, stash });

struct Problem<'a> {
    x: Arg<'a>,
    scale: Arg<'a>,
    /// For each axis whether it is normalised.
    reduced: Vec<bool>,
    work: DType,
    ty: TensorType,
}

impl RmsNormalization {
    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let scale = args.typed(1, "scale", DType::FLOATS)?;
        let axis = resolve_axis(self.axis, x.shape.rank())?;
        check_broadcast(&scale, 1, "scale", x.shape)?;
        let work = work_type(x.dtype, self.stash)?;
        let reduced = (0..x.shape.rank()).map(|i| i >= axis).collect();
        Ok(Problem { x, scale, reduced, work, ty: TensorType::new(scale.dtype, x.shape.clone()) })
    }
}

impl Operator for RmsNormalization {
    fn name(&self) -> &'static str {
        "RMSNormalization"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.ty])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Problem { x, scale, reduced, work, ty } = self.problem(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &x);
        let groups = Groups::over(x.shape, &reduced);
        let load = groups.load(&c, src, work);
        let inverse = inverse_deviation(groups.acc_mean(work), self.epsilon, work);
        let inverse = groups.sum(&mut c, "deviation", work, load.clone() * load, inverse);
        let element = converted(Expr::load(src, vars(x.shape.rank())), x.dtype, work);
        let normal = element * Expr::load(inverse, groups.group.clone());
        let y = converted(normal, work, ty.dtype) * broadcast_load(&mut c, 1, &scale, x.shape);
        let y = c.map("normalize", ty, y);
        c.output(y);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Problem { x, scale, reduced, ty, .. } = self.problem(Args(&args))?;
        let (src, factors) = (input(inputs, 0, "X")?.to_f64s(), input(inputs, 1, "scale")?.to_f64s());
        let group = reduced_positions(x.shape, &reduced);
        let count = group.iter().max().map_or(0, |last| last + 1);
        let mut squares = vec![0.0; count];
        src.iter().zip(&group).for_each(|(v, &g)| squares[g] += v * v);
        let members = src.len() as f64 / count as f64;
        let at = broadcast_positions(scale.shape, x.shape)?;
        let y: Vec<f64> = (src.iter().enumerate())
            .map(|(i, v)| v / (squares[group[i]] / members + f64::from(self.epsilon)).sqrt() * factors[at[i]])
            .collect();
        Ok(vec![from_f64s(&ty, &y)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op(axis: i64, epsilon: f32) -> RmsNormalization {
        RmsNormalization { axis, epsilon, stash: DType::F32 }
    }

    #[test]
    fn hand_computed() {
        let x = t([2, 2], &[1.0f32, 7.0, -3.0, 0.0]);
        let y = run(&op(-1, 0.0), &[&x, &t([2], &[1.0f32, 10.0])]).unwrap();
        let root = 4.5f64.sqrt();
        assert_eq!(y, t([2, 2], &[0.2f32, 14.0, (-3.0 / root) as f32, 0.0]));
        let y = run(&op(0, 1.25), &[&x, &t([1], &[2.0f64])]).unwrap();
        assert_eq!(y, t([2, 2], &[0.5f64, 3.5, -1.5, 0.0]));
        let none = t::<f32>([2, 0], &[]);
        assert_eq!(run(&op(1, 0.0), &[&none, &t([1], &[1.0f32])]).unwrap(), none);
    }

    #[test]
    fn errors() {
        let x = t([2, 2], &[1.0f32, 7.0, -3.0, 0.0]);
        assert!(error(&op(2, 0.0), &[&x, &x]).contains("the 2 axes"));
        let found = error(&op(1, 0.0), &[&x, &t([3], &[1.0f32; 3])]);
        assert_eq!(found, "input 1 (scale): expected a shape that broadcasts to [2,2], found [3]");
        assert!(error(&op(1, 0.0), &[&t([2], &[1i64; 2]), &x]).contains("expected f32 or f64"));
        let op = RmsNormalization { stash: DType::I32, ..op(0, 0.0) };
        assert!(error(&op, &[&x, &x]).contains("stash"));
    }
}
