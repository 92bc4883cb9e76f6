//! Permutes axes: `Y[i0, i1, ..] = X[j..]` with `j(perm[k]) = ik`, so axis k of Y is axis `perm[k]` of X.
//!
//! Any element type and shape; an empty `perm` reverses the axes.
//!
//! Errors: a `perm` that is not a permutation of the axes. Mirrors ONNX Transpose-1 to -13 and later.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::elements::{Walk, input, walk};
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::rearranged;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Permutes axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// Input axis of each output axis; empty: reversed.
    pub perm: Vec<usize>,
}

crate::attributes!(Transpose { perm });

impl Transpose {
    /// The input axis of each output axis.
    fn axes(&self, shape: &Shape) -> Result<Vec<usize>, OpError> {
        let rank = shape.rank();
        if self.perm.is_empty() {
            return Ok((0..rank).rev().collect());
        }
        if self.perm.len() != rank || (0..rank).any(|k| !self.perm.contains(&k)) {
            return invalid!(
                "perm: expected a permutation of the {rank} axes of {shape}, found {:?}",
                self.perm
            );
        }
        Ok(self.perm.clone())
    }
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.required(0, "data")?;
        let shape: Vec<usize> = self.axes(x.shape)?.into_iter().map(|k| x.shape[k]).collect();
        Ok(vec![TensorType::new(x.dtype, shape)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.required(0, "data")?;
        let ty = self.infer(args)?.remove(0);
        let mut index = vec![Expr::int(0); x.shape.rank()];
        self.axes(x.shape)?.into_iter().enumerate().for_each(|(i, k)| index[k] = Expr::var(i));
        Ok(rearranged("transpose", &x, ty, index))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let x = input(inputs, 0, "data")?;
        let axes = self.axes(x.shape())?;
        let strides = x.shape().strides();
        let whole = |&k: &usize| Walk::over(strides[k], 0..x.shape()[k]);
        Ok(vec![walk(x, ty.shape, || axes.iter().map(whole).collect())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn permutes() {
        let x = t([2, 3], &[1i64, 2, 3, 4, 5, 6]);
        assert_eq!(run(&Transpose { perm: vec![] }, &[&x]), Ok(t([3, 2], &[1i64, 4, 2, 5, 3, 6])));
        assert_eq!(run(&Transpose { perm: vec![0, 1] }, &[&x]), Ok(x));
        let x = t([1, 2, 3], &[1u8, 2, 3, 4, 5, 6]);
        let y = run(&Transpose { perm: vec![2, 0, 1] }, &[&x]);
        assert_eq!(y, Ok(t([3, 1, 2], &[1u8, 4, 2, 5, 3, 6])));
        assert_eq!(run(&Transpose { perm: vec![] }, &[&t([], &[2.0f32])]), Ok(t([], &[2.0f32])));
        assert_eq!(
            run(&Transpose { perm: vec![1, 0] }, &[&t::<f32>([0, 3], &[])]),
            Ok(t::<f32>([3, 0], &[]))
        );
    }

    #[test]
    fn errors() {
        let x = t([2, 1], &[1u8, 2]);
        for perm in [vec![0], vec![0, 0], vec![0, 2], vec![0, 1, 2], vec![usize::MAX, 0]] {
            let found = format!("perm: expected a permutation of the 2 axes of [2,1], found {perm:?}");
            assert_eq!(error(&Transpose { perm }, &[&x]), found);
        }
    }
}
