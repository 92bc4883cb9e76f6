//! Normalisation of groups of channels: ONNX `GroupNormalization`, opsets 18 and 21.
//!
//! ```text
//! y[n, c, s..] = (x[n, c, s..] - mean[n, g]) / sqrt(var[n, g] + epsilon) * scale[p] + bias[p],   g = c / (C / groups)
//! ```
//!
//! Mean and variance are those of `x[n, .., s..]` over the channels of group `g`; `p` is `g` (opset 18) or `c` (21).
//! Inputs, all f32 or all f64: 0 (`X`) `[N, C, s..]`; 1 (`scale`) and 2 (`bias`), `[groups]` or `[C]`. Output: the type of
//! `X`. Statistics are computed in f64 when either of `X` and `stash` is. Errors: `groups` does not divide `C`, scale or
//! bias of another shape.

use crate::arg::known_args;
use crate::compute::Compute;
use crate::elements::{from_f64s, input};
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::statistics::{Groups, converted, inverse_deviation, moments, work_type};
use crate::{Arg, Args, DType, OpError, Operator, Tensor, TensorType};

/// What has a scale and a bias of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalePer {
    /// Each group: opset 18.
    Group,
    /// Each channel: opset 21.
    Channel,
}

crate::attr_enum!(ScalePer { Group = "group", Channel = "channel" });

/// ONNX operator GroupNormalization.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNormalization {
    /// Groups of the channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// What scale and bias belong to.
    pub per: ScalePer,
    /// The least exact type for the statistics: f32 or f64.
    pub stash: DType,
}

crate::attributes!(GroupNormalization { groups, epsilon, per, stash });

/// A normalisation of groups of channels whose arguments fit.
pub(super) struct Problem<'a> {
    x: Arg<'a>,
    scale: Arg<'a>,
    bias: Arg<'a>,
    groups: usize,
    epsilon: f32,
    per: ScalePer,
    work: DType,
}

impl<'a> Problem<'a> {
    /// Checks the arguments; `names` are those of the inputs, `groups` gives their number from that of the channels.
    pub(super) fn new(
        args: Args<'a>,
        names: [&str; 3],
        op: &GroupNormalization,
        groups: impl FnOnce(usize) -> usize,
    ) -> Result<Self, OpError> {
        let x = args.typed(0, names[0], DType::FLOATS)?;
        let [_, channels, ..] = *x.shape.dims() else {
            return invalid!("input 0 ({}): expected [batch, channels, ..], found {}", names[0], x.ty());
        };
        let groups = groups(channels);
        let even = channels.checked_rem(groups).map_or(channels == 0, |rest| rest == 0);
        if !even {
            return invalid!("num_groups: expected a divisor of the {channels} channels, found {groups}");
        }
        let (parameters, what) = match op.per {
            ScalePer::Group => (groups, "groups"),
            ScalePer::Channel => (channels, "channels"),
        };
        let parameter = |i: usize| {
            let arg = args.typed(i, names[i], &[x.dtype])?;
            if arg.shape.dims() == [parameters] {
                return Ok(arg);
            }
            invalid!("input {i} ({}): expected [{parameters}] for the {what}, found {}", names[i], arg.shape)
        };
        let (scale, bias) = (parameter(1)?, parameter(2)?);
        let work = work_type(x.dtype, op.stash)?;
        Ok(Problem { x, scale, bias, groups, epsilon: op.epsilon, per: op.per, work })
    }

    /// The type of the result.
    pub(super) fn ty(&self) -> TensorType {
        self.x.ty()
    }

    pub(super) fn compute(&self) -> Compute {
        let Problem { x, work, .. } = self;
        if x.shape.numel() == 0 {
            return Compute::filled(x.ty(), Scalar::zero(x.dtype));
        }
        let mut c = Compute::new();
        let src = c.input(0, x);
        let groups = Groups::of_channels(x.shape, self.groups);
        let (mean, inverse) =
            groups.moments(&mut c, src, *work, |v| inverse_deviation(v, self.epsilon, *work));
        let of_group = |b| Expr::load(b, groups.group.clone());
        let element = converted(Expr::load(src, vars(x.shape.rank())), x.dtype, *work);
        let normal = converted((element - of_group(mean)) * of_group(inverse), *work, x.dtype);
        let position = match self.per {
            ScalePer::Group => groups.group[1].clone(),
            ScalePer::Channel => Expr::var(1),
        };
        let [scale, bias] = [(1, &self.scale), (2, &self.bias)].map(|(i, arg)| c.input(i, arg));
        let y = normal * Expr::load(scale, [position.clone()]) + Expr::load(bias, [position]);
        let y = c.map("normalize", x.ty(), y);
        c.output(y);
        c
    }

    pub(super) fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Tensor, OpError> {
        let [x, scale, bias] = [0, 1, 2].map(|i| input(inputs, i, "").map(Tensor::to_f64s));
        let (x, scale, bias) = (x?, scale?, bias?);
        if x.is_empty() {
            return Tensor::from_bytes(self.ty(), Vec::new());
        }
        let [images, channels] = [self.x.shape[0], self.x.shape[1]];
        let pixels = x.len() / images / channels;
        let group_elements = x.len() / images / self.groups;
        let group: Vec<usize> = (0..x.len()).map(|i| i / group_elements).collect();
        let moments = moments(&x, &group, images * self.groups);
        let y: Vec<f64> = (x.iter().enumerate())
            .map(|(i, v)| {
                let (mean, variance) = moments[group[i]];
                let p = match self.per {
                    ScalePer::Group => group[i] % self.groups,
                    ScalePer::Channel => i / pixels % channels,
                };
                (v - mean) / (variance + f64::from(self.epsilon)).sqrt() * scale[p] + bias[p]
            })
            .collect();
        from_f64s(&self.ty(), &y)
    }
}

impl GroupNormalization {
    fn problem<'a>(&self, args: Args<'a>) -> Result<Problem<'a>, OpError> {
        Problem::new(args, ["X", "scale", "bias"], self, |_| self.groups)
    }
}

impl Operator for GroupNormalization {
    fn name(&self) -> &'static str {
        "GroupNormalization"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        Ok(self.problem(args)?.compute())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        Ok(vec![self.problem(Args(&args))?.reference(inputs)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op(groups: usize, per: ScalePer) -> GroupNormalization {
        GroupNormalization { groups, epsilon: 0.0, per, stash: DType::F32 }
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 4, 2], &[1.0f32, 1.0, 3.0, 3.0, 10.0, 30.0, 10.0, 30.0]);
        let each = run(
            &op(2, ScalePer::Channel),
            &[&x, &t([4], &[1.0f32, 2.0, 3.0, 4.0]), &t([4], &[0.0f32, 0.0, 100.0, 0.0])],
        );
        assert_eq!(each.unwrap(), t([1, 4, 2], &[-1.0f32, -1.0, 2.0, 2.0, 97.0, 103.0, -4.0, 4.0]));
        let two = run(&op(2, ScalePer::Group), &[&x, &t([2], &[1.0f32, 2.0]), &t([2], &[0.0f32, 5.0])]);
        assert_eq!(two.unwrap(), t([1, 4, 2], &[-1.0f32, -1.0, 1.0, 1.0, 3.0, 7.0, 3.0, 7.0]));
        let x = t([2, 2], &[1.0f64, 3.0, 5.0, 5.0]);
        let op = GroupNormalization { epsilon: 1.0, stash: DType::F64, ..op(1, ScalePer::Channel) };
        let y = run(&op, &[&x, &t([2], &[2.0f64; 2]), &t([2], &[0.0f64; 2])]).unwrap().to_f64s();
        assert!((y[1] - 2f64.sqrt()).abs() < 1e-7 && y[2..] == [0.0, 0.0], "{y:?}");
    }

    #[test]
    fn of_nothing() {
        for shape in [[0, 2, 3], [2, 2, 0]] {
            let x = t::<f32>(shape, &[]);
            let two = t([2], &[1.0f32; 2]);
            assert_eq!(run(&op(1, ScalePer::Channel), &[&x, &two, &two]).unwrap(), x);
        }
        let none = t::<f32>([0], &[]);
        let x = t::<f32>([2, 0, 3], &[]);
        assert_eq!(run(&op(4, ScalePer::Channel), &[&x, &none, &none]).unwrap(), x);
    }

    #[test]
    fn errors() {
        let x = t([1, 4, 1], &[1.0f32; 4]);
        let four = t([4], &[1.0f32; 4]);
        let divisor = "num_groups: expected a divisor of the 4 channels, found";
        assert_eq!(error(&op(3, ScalePer::Channel), &[&x, &four, &four]), format!("{divisor} 3"));
        assert_eq!(error(&op(0, ScalePer::Group), &[&x, &four, &four]), format!("{divisor} 0"));
        let found = error(&op(2, ScalePer::Group), &[&x, &four, &four]);
        assert_eq!(found, "input 1 (scale): expected [2] for the groups, found [4]");
        assert!(error(&op(1, ScalePer::Channel), &[&four, &four, &four]).contains("[batch, channels, ..]"));
        assert!(error(&op(1, ScalePer::Channel), &[&x, &four, &t([4], &[1i64; 4])]).contains("expected f32"));
    }
}
