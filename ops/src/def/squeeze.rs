//! Removes axes of extent 1: a view.
//!
//! Inputs: data of any type and shape; optionally axes (integers, known before the run), negative ones from the end.
//! Without them all axes of extent 1 are removed.
//!
//! Errors: axes out of range, named twice, or of another extent than 1. Mirrors ONNX Squeeze-13 and later; the
//! attribute of older versions arrives as input.

use crate::arg::{Arg, Args, known_args};
use crate::axes::{optional_ints, resolve_axes};
use crate::compute::Compute;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::rearranged;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Removes axes of extent 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Squeeze {}

crate::attributes!(Squeeze {});

/// The data, the axes of the data that stay.
fn arguments(args: Args<'_>) -> Result<(Arg<'_>, Vec<usize>), OpError> {
    let x = args.required(0, "data")?;
    let rank = x.shape.rank();
    let removed = match optional_ints(args, 1, "axes")? {
        None => (0..rank).filter(|&k| x.shape[k] == 1).collect(),
        Some(axes) => resolve_axes(&axes, rank)?,
    };
    if let Some(k) = removed.iter().find(|&&k| x.shape[k] != 1) {
        return invalid!("axis {k}: expected extent 1, found {}", x.ty());
    }
    Ok((x, (0..rank).filter(|k| !removed.contains(k)).collect()))
}

impl Operator for Squeeze {
    fn name(&self) -> &'static str {
        "Squeeze"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, kept) = arguments(args)?;
        let shape: Vec<usize> = kept.into_iter().map(|k| x.shape[k]).collect();
        Ok(vec![TensorType::new(x.dtype, shape)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (x, kept) = arguments(args)?;
        let ty = self.infer(args)?.remove(0);
        let mut index = vec![Expr::int(0); x.shape.rank()];
        kept.into_iter().enumerate().for_each(|(i, k)| index[k] = Expr::var(i));
        Ok(rearranged("squeeze", &x, ty, index))
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
        let x = t([1, 2, 1, 3], &[1i32, 2, 3, 4, 5, 6]);
        assert_eq!(run(&Squeeze {}, &[&x]), x.reshaped([2, 3]));
        let cases: &[(&[i64], &[usize])] =
            &[(&[0], &[2, 1, 3]), (&[-2], &[1, 2, 3]), (&[2, 0], &[2, 3]), (&[], &[1, 2, 1, 3])];
        for &(axes, want) in cases {
            let y = run(&Squeeze {}, &[&x, &t([axes.len()], axes)]);
            assert_eq!(y, x.reshaped(want.to_vec()), "axes {axes:?}");
        }
        assert_eq!(run(&Squeeze {}, &[&t([1, 1], &[true])]), Ok(t([], &[true])));
        assert_eq!(run(&Squeeze {}, &[&t::<f32>([1, 0], &[])]), Ok(t::<f32>([0], &[])));
    }

    #[test]
    fn errors() {
        let x = t([2, 1], &[1i32, 2]);
        assert_eq!(error(&Squeeze {}, &[&x, &t([1], &[0i64])]), "axis 0: expected extent 1, found i32[2,1]");
        assert!(error(&Squeeze {}, &[&x, &t([1], &[-3i64])]).contains("found -3"));
        assert!(error(&Squeeze {}, &[&x, &t([2], &[1i64, -1])]).contains("twice"));
    }
}
