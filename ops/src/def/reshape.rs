//! The same elements in the same order under another shape: a view.
//!
//! Inputs: data of any type and shape, shape (integers, known before the run). In the shape, one -1 stands for the
//! extent that makes the element counts equal; 0 stands for the extent of the input's axis at the same position, or
//! for extent 0 with `allow_zero`.
//!
//! Errors: another negative value or a second -1, a 0 beyond the input's rank, element counts that differ, a -1 whose
//! extent is not determined because another extent is 0.
//! Mirrors ONNX Reshape-5 to -14 and later; the attribute of Reshape-1 arrives as input.

use crate::arg::{Args, known_args};
use crate::axes::{extent, product, required_ints};
use crate::compute::Compute;
use crate::elements::input;
use crate::error::OpError;
use crate::index::{rearranged, view_index};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Another shape for the same elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// Whether 0 in the shape means extent 0 rather than the input's extent.
    pub allow_zero: bool,
}

crate::attributes!(Reshape { allow_zero });

impl Reshape {
    fn target(&self, from: &Shape, wanted: &[i64]) -> Result<Shape, OpError> {
        let mut open = None;
        let mut dims = Vec::with_capacity(wanted.len());
        for (i, &d) in wanted.iter().enumerate() {
            dims.push(match d {
                0 if !self.allow_zero => match from.get(i) {
                    Some(&d) => d,
                    None => return invalid!("shape {wanted:?}: a 0 at axis {i}, the input {from} has none"),
                },
                -1 if open.is_none() => {
                    open = Some(i);
                    1
                }
                -1 => return invalid!("shape {wanted:?}: expected at most one -1"),
                d => extent(d.into(), "shape")?,
            });
        }
        let (have, rest) = (product(from)?, product(&dims)?);
        if let Some(i) = open {
            if rest == 0 || have % rest != 0 {
                return invalid!("shape {wanted:?}: no extent for -1 gives the {have} elements of {from}");
            }
            dims[i] = have / rest;
        } else if have != rest {
            return invalid!("shape {wanted:?}: expected the {have} elements of {from}, found {rest}");
        }
        Ok(dims.into())
    }
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.required(0, "data")?;
        let shape = self.target(x.shape, &required_ints(args, 1, "shape")?)?;
        Ok(vec![TensorType { dtype: x.dtype, shape }])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let x = args.required(0, "data")?;
        let index = view_index(&ty.shape, x.shape);
        Ok(rearranged("reshape", &x, ty, index))
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
    use crate::dtype::DType;
    use crate::testing::{error, infer_unknown, run, t};

    #[test]
    fn shapes() {
        type Case<'a> = (&'a [usize], &'a [i64], bool, &'a [usize]);
        let cases: &[Case<'_>] = &[
            (&[2, 3, 4], &[4, 6], false, &[4, 6]),
            (&[2, 3, 4], &[2, -1], false, &[2, 12]),
            (&[2, 3, 4], &[0, 0, -1, 2], false, &[2, 3, 2, 2]),
            (&[2, 3, 4], &[-1], false, &[24]),
            (&[1, 1], &[], false, &[]),
            (&[], &[1, -1], false, &[1, 1]),
            (&[0, 3], &[3, 0], true, &[3, 0]),
            (&[0, 3], &[-1, 5], false, &[0, 5]),
            (&[0, 3], &[0, 7], false, &[0, 7]),
        ];
        for &(from, wanted, allow_zero, to) in cases {
            let elements: Vec<i64> = (0..Shape::new(from).numel() as i64).collect();
            let shape = t([wanted.len()], wanted);
            let y = run(&Reshape { allow_zero }, &[&t(from.to_vec(), &elements), &shape]).unwrap();
            assert_eq!(y, t(to.to_vec(), &elements), "{from:?} to {wanted:?}");
        }
    }

    #[test]
    fn errors() {
        let x = t([2, 3], &[0i32; 6]);
        let of =
            |wanted: &[i64], allow_zero| error(&Reshape { allow_zero }, &[&x, &t([wanted.len()], wanted)]);
        assert_eq!(of(&[4], false), "shape [4]: expected the 6 elements of [2,3], found 4");
        assert_eq!(of(&[-1, -1], false), "shape [-1, -1]: expected at most one -1");
        assert_eq!(of(&[2, 3, 0], false), "shape [2, 3, 0]: a 0 at axis 2, the input [2,3] has none");
        assert_eq!(of(&[-1, 4], false), "shape [-1, 4]: no extent for -1 gives the 6 elements of [2,3]");
        assert!(of(&[-1, 0], true).contains("no extent for -1"));
        assert!(of(&[-2, 3], false).contains("found -2"));
        assert!(of(&[i64::MAX, i64::MAX], false).contains("out of range"));
        let types = [TensorType::new(DType::F32, [6]), TensorType::new(DType::I64, [1])];
        let unknown = infer_unknown(&Reshape { allow_zero: false }, &types);
        assert!(matches!(unknown, Err(OpError::DataDependent(_))));
    }
}
