//! Normalisation with stored statistics: ONNX `BatchNormalization` in inference mode, opsets 7 to 15.
//!
//! ```text
//! dst[n, c, s..] = (src[n, c, s..] - mean[c]) * scale[c] / sqrt(var[c] + epsilon) + shift[c]
//! ```
//!
//! Inputs, all f32 or f64: 0 (`X`) `[N, C, s..]` of rank 2 or more, or `[N]` with one channel; 1 (`scale`), 2 (`B`, the
//! shift), 3 (`input_mean`), 4 (`input_var`), each `[C]`, which are converted to the type of `X`. Output: type of input 0.
//! Errors: a parameter that is not `[C]`.

use crate::arg::known_args;
use crate::compute::Compute;
use crate::elements::floats;
use crate::expr::{Expr, Scalar, UnaryFn};
use crate::index::vars;
use crate::invalid;
use crate::{Args, DType, OpError, Operator, Tensor, TensorType};

/// Names of the inputs 1 to 4.
const PARAMETERS: [&str; 4] = ["scale", "B", "input_mean", "input_var"];

/// ONNX operator BatchNormalization.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormalization {
    /// Added to the variance.
    pub epsilon: f32,
}

crate::attributes!(BatchNormalization { epsilon });

impl BatchNormalization {
    /// `scale / sqrt(var + epsilon)` and `shift - mean * scale / sqrt(var + epsilon)` of each channel: with them the
    /// normalisation is `src * first + second`. Statistics are inputs 1 to 4, in their order.
    pub fn affine(&self, statistics: [&[f64]; 4]) -> [Vec<f64>; 2] {
        let [scale, shift, mean, var] = statistics;
        let epsilon = f64::from(self.epsilon);
        let factor: Vec<f64> = scale.iter().zip(var).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
        let summand = shift.iter().zip(mean).zip(&factor).map(|((b, m), s)| b - m * s).collect();
        [factor, summand]
    }

    /// The type of input and output, and the number of channels.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, usize), OpError> {
        let src = args.typed(0, "X", DType::FLOATS)?.ty();
        let channels = match src.shape.dims() {
            [] => return invalid!("input 0 (X): expected [batch, channels, ..], found a scalar"),
            [_] => 1,
            [_, c, ..] => *c,
        };
        for (i, name) in PARAMETERS.iter().enumerate() {
            let parameter = args.typed(i + 1, name, DType::FLOATS)?;
            if parameter.shape.dims() != [channels] {
                return invalid!(
                    "input {} ({name}): expected [{channels}] for the channels of {src}, found {}",
                    i + 1,
                    parameter.shape
                );
            }
        }
        Ok((src, channels))
    }
}

impl Operator for BatchNormalization {
    fn name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (ty, channels) = self.problem(args)?;
        let dtype = ty.dtype;
        if ty.shape.numel() == 0 {
            return Ok(Compute::filled(ty, Scalar::zero(dtype)));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "X")?);
        let mut parameters = Vec::new();
        for (i, name) in PARAMETERS.iter().enumerate() {
            let arg = args.required(i + 1, name)?;
            let element = Expr::load(c.input(i + 1, &arg), [Expr::var(0)]);
            parameters.push(if arg.dtype == dtype { element } else { element.cast(dtype) });
        }
        let at = |i: usize| parameters[i].clone();
        let per_channel = TensorType::new(dtype, [channels]);
        let epsilon = Expr::literal(dtype, self.epsilon.into());
        let deviation = Expr::unary(UnaryFn::Sqrt, at(3) + epsilon);
        let factor = c.map("factor", per_channel.clone(), at(0) / deviation);
        let shift = at(1) - at(2) * Expr::load(factor, [Expr::var(0)]);
        let shift = c.map("shift", per_channel, shift);
        let channel = if ty.shape.rank() == 1 { Expr::int(0) } else { Expr::var(1) };
        let scaled = Expr::load(src, vars(ty.shape.rank())) * Expr::load(factor, [channel.clone()]);
        let out = c.map("normalize", ty, scaled + Expr::load(shift, [channel]));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let (ty, channels) = self.problem(args)?;
        let src = args.known(0, "X")?.to_f64s();
        let mut parameters = Vec::new();
        for (i, name) in PARAMETERS.iter().enumerate() {
            parameters.push(args.known(i + 1, name)?.to_f64s());
        }
        let inner = ty.shape.iter().skip(2).fold(1usize, |a, &d| a.saturating_mul(d)).max(1);
        let dst = src.chunks(inner).enumerate().flat_map(|(i, run)| {
            let [scale, shift, mean, var] = [0, 1, 2, 3].map(|p| parameters[p][i % channels]);
            let deviation = (var + f64::from(self.epsilon)).sqrt();
            run.iter().map(move |v| (v - mean) / deviation * scale + shift)
        });
        Ok(vec![floats(ty, dst)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(shape: &[usize], src: &[f32], parameters: [&[f32]; 4]) -> Result<Vec<f32>, OpError> {
        let src = Tensor::new(shape.to_vec(), src)?;
        let [a, b, c, d] = parameters.map(|p| Tensor::new([p.len()], p).unwrap());
        let op = BatchNormalization { epsilon: 0.25 };
        op.reference(&[Some(&src), Some(&a), Some(&b), Some(&c), Some(&d)])?[0].to_vec()
    }

    #[test]
    fn hand_computed() {
        let parameters: [&[f32]; 4] = [&[2.0, 3.0], &[10.0, 20.0], &[1.0, -1.0], &[0.75, 3.75]];
        let y = run(&[1, 2, 2], &[1.0, 2.0, -1.0, 1.0], parameters).unwrap();
        assert_eq!(y, [10.0, 12.0, 20.0, 23.0]);
        let one: [&[f32]; 4] = [&[2.0], &[10.0], &[1.0], &[0.75]];
        assert_eq!(run(&[2], &[1.0, 2.0], one).unwrap(), [10.0, 12.0]);
    }

    #[test]
    fn errors_say_expected_and_found() {
        let short: [&[f32]; 4] = [&[2.0, 3.0], &[10.0, 20.0], &[1.0], &[0.75, 3.75]];
        let message = run(&[1, 2, 1], &[0.0, 0.0], short).unwrap_err().to_string();
        assert_eq!(message, "input 3 (input_mean): expected [2] for the channels of f32[1,2,1], found [1]");
        assert!(run(&[], &[0.0], short).unwrap_err().message().contains("scalar"));
    }
}
