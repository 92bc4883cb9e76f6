//! Inserts axes of extent 1: a view.
//!
//! Inputs: data of any type and shape, axes (integers, known before the run): positions in the result, negative ones
//! from its end.
//!
//! Errors: axes out of range or named twice. Mirrors ONNX Unsqueeze-13 and later; the attribute of older versions
//! arrives as input.

use crate::arg::{Arg, Args, known_args};
use crate::axes::{required_ints, resolve_axes};
use crate::compute::Compute;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::rearranged;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Inserts axes of extent 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsqueeze {}

crate::attributes!(Unsqueeze {});

/// The data, the axes of the result that are not inserted, the type of the result.
fn arguments(args: Args<'_>) -> Result<(Arg<'_>, Vec<usize>, TensorType), OpError> {
    let x = args.required(0, "data")?;
    let axes = required_ints(args, 1, "axes")?;
    let rank = x.shape.rank() + axes.len();
    let inserted = resolve_axes(&axes, rank)?;
    let kept: Vec<usize> = (0..rank).filter(|k| !inserted.contains(k)).collect();
    let mut shape = vec![1; rank];
    kept.iter().zip(x.shape.iter()).for_each(|(&k, &d)| shape[k] = d);
    Ok((x, kept, TensorType::new(x.dtype, shape)))
}

impl Operator for Unsqueeze {
    fn name(&self) -> &'static str {
        "Unsqueeze"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![arguments(args)?.2])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (x, kept, ty) = arguments(args)?;
        Ok(rearranged("unsqueeze", &x, ty, kept.into_iter().map(Expr::var).collect()))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        Ok(vec![input(inputs, 0, "data")?.reshaped(ty.shape)?])
    }

    fn is_view(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn shapes() {
        let x = t([2, 3], &[1i32, 2, 3, 4, 5, 6]);
        let cases: &[(&[i64], &[usize])] = &[
            (&[0], &[1, 2, 3]),
            (&[-1], &[2, 3, 1]),
            (&[3, 0], &[1, 2, 3, 1]),
            (&[1, -2], &[2, 1, 1, 3]),
            (&[], &[2, 3]),
        ];
        for &(axes, want) in cases {
            let y = run(&Unsqueeze {}, &[&x, &t([axes.len()], axes)]);
            assert_eq!(y, x.reshaped(want.to_vec()), "axes {axes:?}");
        }
        assert_eq!(run(&Unsqueeze {}, &[&t([], &[3i64]), &t([], &[0i64])]), Ok(t([1], &[3i64])));
    }

    #[test]
    fn errors() {
        let x = t([2], &[1i32, 2]);
        let of = |axes: &[i64]| error(&Unsqueeze {}, &[&x, &t([axes.len()], axes)]);
        assert!(of(&[2]).contains("2 axes") && of(&[2]).contains("found 2"));
        assert!(of(&[0, -3]).contains("twice"));
        assert_eq!(error(&Unsqueeze {}, &[&x]), "input 1 (axes) is missing");
        assert!(error(&Unsqueeze {}, &[&x, &t([1, 1], &[0i64])]).contains("expected a list of integers"));
    }
}
