//! Normalisation over trailing axes: ONNX `LayerNormalization`, opset 17.
//!
//! ```text
//! mean[i..] = mean over r.. of x[i.., r..]        inv[i..] = 1 / sqrt(mean over r.. of (x[i.., r..] - mean[i..])^2 + epsilon)
//! y[i.., r..] = (x[i.., r..] - mean[i..]) * inv[i..] * scale[i.., r..] + b[i.., r..]
//! ```
//!
//! `r..` are the axes from `axis` on. Inputs, all f32 or all f64: 0 (`X`), 1 (`Scale`) and 2 (`B`, optional), both of a
//! shape that broadcasts to that of `X`. Outputs: 0 (`Y`) of the type of `X`; 1 (`Mean`) and 2 (`InvStdDev`) of type
//! `stash`, the axes `r..` with extent 1. Statistics are computed in f64 when either of `X` and `stash` is. Of no
//! elements mean and deviation are NaN. Errors: an axis out of range, shapes that do not broadcast.

use crate::arg::known_args;
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::elements::{broadcast_positions, from_f64s, input, reduced_positions};
use crate::expr::Expr;
use crate::index::{broadcast_load, vars};
use crate::statistics::{Groups, check_broadcast, converted, inverse_deviation, moments, work_type};
use crate::{Arg, Args, DType, OpError, Operator, Tensor, TensorType};

/// ONNX operator LayerNormalization.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNormalization {
    /// The first axis that is normalised; negative counts from the end.
    pub axis: i64,
    /// Added to the variance.
    pub epsilon: f32,
    /// The type of the statistics: f32 or f64.
    pub stash: DType,
}

crate::attributes!(LayerNormalization { axis, epsilon, stash });

struct Problem<'a> {
    x: Arg<'a>,
    scale: Arg<'a>,
    bias: Option<Arg<'a>>,
    /// For each axis whether it is normalised.
    reduced: Vec<bool>,
    /// The type of the arithmetic of the first step.
    work: DType,
    types: Vec<TensorType>,
}

impl LayerNormalization {
    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let scale = args.typed(1, "Scale", &[x.dtype])?;
        let bias = args.optional(2).map(|_| args.typed(2, "B", &[x.dtype])).transpose()?;
        let axis = resolve_axis(self.axis, x.shape.rank())?;
        check_broadcast(&scale, 1, "Scale", x.shape)?;
        bias.map_or(Ok(()), |b| check_broadcast(&b, 2, "B", x.shape))?;
        let work = work_type(x.dtype, self.stash)?;
        let reduced: Vec<bool> = (0..x.shape.rank()).map(|i| i >= axis).collect();
        let dims: Vec<usize> =
            x.shape.iter().enumerate().map(|(i, &d)| if i >= axis { 1 } else { d }).collect();
        let statistic = TensorType::new(self.stash, dims);
        Ok(Problem { x, scale, bias, reduced, work, types: vec![x.ty(), statistic.clone(), statistic] })
    }
}

impl Operator for LayerNormalization {
    fn name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(self.problem(args)?.types)
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Problem { x, scale, bias, reduced, work, types } = self.problem(args)?;
        let mut c = Compute::new();
        if x.shape.numel() == 0 {
            for ty in types {
                let nothing = Expr::literal(ty.dtype, f64::NAN);
                let out = c.map("nothing", ty, nothing);
                c.output(out);
            }
            return Ok(c);
        }
        let src = c.input(0, &x);
        let groups = Groups::over(x.shape, &reduced);
        let (mean, inverse) = groups.moments(&mut c, src, work, |v| inverse_deviation(v, self.epsilon, work));
        let rank = x.shape.rank();
        let of_group = |b| Expr::load(b, groups.group.clone());
        let element = converted(Expr::load(src, vars(rank)), x.dtype, work);
        let normal = converted((element - of_group(mean)) * of_group(inverse), work, x.dtype);
        let mut y = normal * broadcast_load(&mut c, 1, &scale, x.shape);
        if let Some(bias) = bias {
            y = y + broadcast_load(&mut c, 2, &bias, x.shape);
        }
        let statistic = types[1].clone();
        let y = c.map("normalize", x.ty(), y);
        c.output(y);
        for b in [mean, inverse] {
            let out = if work == self.stash {
                b
            } else {
                c.map("stash", statistic.clone(), Expr::load(b, vars(rank)).cast(self.stash))
            };
            c.output(out);
        }
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Problem { x, scale, bias, reduced, types, .. } = self.problem(Args(&args))?;
        let src = input(inputs, 0, "X")?.to_f64s();
        let group = reduced_positions(x.shape, &reduced);
        let moments = moments(&src, &group, types[1].shape.numel());
        let inverse = |variance: f64| 1.0 / (variance + f64::from(self.epsilon)).sqrt();
        let spread = |arg: Arg<'_>, i: usize| -> Result<Vec<f64>, OpError> {
            let elements = input(inputs, i, "")?.to_f64s();
            Ok(broadcast_positions(arg.shape, x.shape)?.into_iter().map(|p| elements[p]).collect())
        };
        let scale = spread(scale, 1)?;
        let bias = bias.map(|b| spread(b, 2)).transpose()?;
        let y: Vec<f64> = (src.iter().enumerate())
            .map(|(i, v)| {
                let (mean, variance) = moments[group[i]];
                (v - mean) * inverse(variance) * scale[i] + bias.as_ref().map_or(0.0, |b| b[i])
            })
            .collect();
        let means: Vec<f64> = moments.iter().map(|m| m.0).collect();
        let inverses: Vec<f64> = moments.iter().map(|m| inverse(m.1)).collect();
        [y, means, inverses].iter().zip(&types).map(|(v, ty)| from_f64s(ty, v)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, run_all, t};

    fn op(axis: i64, stash: DType) -> LayerNormalization {
        LayerNormalization { axis, epsilon: 0.0, stash }
    }

    #[test]
    fn hand_computed() {
        let x = t([2, 4], &[1.0f32, 3.0, 1.0, 3.0, 10.0, 10.0, 30.0, 30.0]);
        let (scale, b) = (t([4], &[1.0f32, 2.0, 3.0, 4.0]), t([4], &[0.0f32, 0.0, 0.0, 10.0]));
        let outputs = run_all(&op(-1, DType::F32), &[Some(&x), Some(&scale), Some(&b)]).unwrap();
        assert_eq!(outputs[0], t([2, 4], &[-1.0f32, 2.0, -3.0, 14.0, -1.0, -2.0, 3.0, 14.0]));
        assert_eq!(outputs[1], t([2, 1], &[2.0f32, 20.0]));
        assert_eq!(outputs[2], t([2, 1], &[1.0f32, 0.1]));
        let two = t([2, 1], &[-5.0f32, 3.0]);
        let y = run(&op(0, DType::F64), &[&two, &t([1], &[1.0f32])]).unwrap();
        assert_eq!(y, t([2, 1], &[-1.0f32, 1.0]));
        let rows = run(&op(1, DType::F32), &[&x, &t([2, 1], &[1.0f32, 2.0])]).unwrap();
        assert_eq!(rows, t([2, 4], &[-1.0f32, 1.0, -1.0, 1.0, -2.0, -2.0, 2.0, 2.0]));
    }

    #[test]
    fn doubles() {
        let x = t([1, 2], &[1e9 + 1.0, 1e9 - 1.0]);
        let one = t([1], &[1.0f64]);
        for stash in [DType::F32, DType::F64] {
            let outputs = run_all(&op(1, stash), &[Some(&x), Some(&one)]).unwrap();
            assert_eq!(outputs[0], t([1, 2], &[1.0f64, -1.0]));
            assert_eq!(outputs[1].dtype(), stash);
        }
    }

    #[test]
    fn of_nothing() {
        let x = t::<f32>([2, 0], &[]);
        let outputs = run_all(&op(1, DType::F32), &[Some(&x), Some(&t([1], &[1.0f32]))]).unwrap();
        assert!(outputs[1].to_f64s().iter().all(|v| v.is_nan()));
        assert_eq!(outputs[2].shape().dims(), [2, 1]);
    }

    #[test]
    fn errors() {
        let x = t([2, 2], &[1.0f32, 2.0, 3.0, 4.0]);
        assert!(error(&op(2, DType::F32), &[&x, &x]).contains("the 2 axes"));
        assert!(error(&op(0, DType::I64), &[&x, &x]).contains("stash: expected f32 or f64, found i64"));
        let three = t([3], &[1.0f32; 3]);
        let found = error(&op(0, DType::F32), &[&x, &three]);
        assert_eq!(found, "input 1 (Scale): expected a shape that broadcasts to [2,2], found [3]");
        assert!(error(&op(0, DType::F32), &[&x, &t([1, 2, 2], &[1.0f32; 4])]).contains("Scale"));
        assert!(error(&op(0, DType::F32), &[&x, &x, &three]).contains("input 2 (B)"));
        assert!(error(&op(0, DType::F32), &[&x, &t([], &[1.0f64])]).contains("expected f32"));
        assert!(error(&op(0, DType::F32), &[&t([], &[1.0f32]), &t([], &[1.0f32])]).contains("the 0 axes"));
    }
}
