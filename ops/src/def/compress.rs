//! Picks the slices for which a condition holds: `Y[i.., j, r..] = X[i.., k, r..]` for the j-th k of `axis` whose
//! condition is true, or of the flattened input without an axis.
//!
//! Inputs: input of any type, rank at least 1; condition, a list of bools, known before the run, because the extent
//! depends on it, at most as long as the axis. What is beyond its end counts as false.
//!
//! Errors: an axis out of range, a longer condition. Mirrors ONNX Compress-9 and -11.

use crate::arg::{Arg, Args, known_args};
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Picks the slices for which a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Compress {
    /// The axis; negative counts from the end. None: that of the flattened input.
    pub axis: Option<i64>,
}

crate::attributes!(Compress { axis });

struct Arguments<'a> {
    x: Arg<'a>,
    axis: Option<usize>,
    /// The indices that are picked.
    picked: Vec<i64>,
    ty: TensorType,
}

impl Compress {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let x = args.required(0, "input")?;
        let given = args.typed(1, "condition", &[DType::Bool])?;
        let axis = self.axis.map(|a| resolve_axis(a, x.shape.rank())).transpose()?;
        let n = axis.map_or(x.shape.numel(), |a| x.shape[a]);
        if given.shape.rank() != 1 || given.shape.numel() > n {
            return invalid!("input 1 (condition): expected a list of at most {n}, found {}", given.ty());
        }
        let condition = args.known(1, "condition")?.to_vec::<bool>()?;
        let picked: Vec<i64> = (0i64..).zip(condition).filter(|(_, c)| *c).map(|(i, _)| i).collect();
        let mut shape = x.shape.to_vec();
        match axis {
            Some(a) => shape[a] = picked.len(),
            None => shape = vec![picked.len()],
        }
        Ok(Arguments { x, axis, picked, ty: TensorType::new(x.dtype, shape) })
    }
}

impl Operator for Compress {
    fn name(&self) -> &'static str {
        "Compress"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.ty])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { x, axis, picked, ty } = self.arguments(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &x);
        let index = match axis {
            Some(axis) => {
                let table = c.table(Tensor::new([picked.len()], &picked)?);
                let mut index = vars(ty.shape.rank());
                index[axis] = Expr::load(table, [Expr::var(axis)]);
                index
            }
            // A table for each axis of the input.
            None => {
                let mut index = Vec::new();
                for (&d, &stride) in x.shape.iter().zip(&x.shape.strides()) {
                    let places: Vec<i64> = picked.iter().map(|p| p / stride as i64 % d as i64).collect();
                    let table = c.table(Tensor::new([places.len()], &places)?);
                    index.push(Expr::load(table, [Expr::var(0)]));
                }
                index
            }
        };
        let out = c.map("compress", ty, Expr::load(src, index));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Arguments { axis, picked, ty, .. } = self.arguments(Args(&args))?;
        let x = input(inputs, 0, "input")?;
        let (n, inner) = match axis {
            Some(a) => (x.shape()[a], x.shape()[a + 1..].iter().product()),
            None => (x.numel(), 1usize),
        };
        let run = inner * ty.dtype.size();
        let mut bytes = Vec::with_capacity(ty.bytes());
        for block in x.bytes().chunks_exact((n * run).max(1)) {
            picked.iter().for_each(|&p| bytes.extend_from_slice(&block[p as usize * run..][..run]));
        }
        Ok(vec![Tensor::from_bytes(ty, bytes)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, infer_unknown, run, t};

    #[test]
    fn picks() {
        let x = t([3, 2], &[1i64, 2, 3, 4, 5, 6]);
        let of = |axis, c: &[bool]| run(&Compress { axis }, &[&x, &t([c.len()], c)]).unwrap();
        assert_eq!(of(Some(0), &[false, true, true]), t([2, 2], &[3i64, 4, 5, 6]));
        assert_eq!(of(Some(-1), &[false, true]), t([3, 1], &[2i64, 4, 6]));
        assert_eq!(of(None, &[false, true, false, false, true]), t([2], &[2i64, 5]));
        assert_eq!(of(Some(0), &[true]), t([1, 2], &[1i64, 2]));
        assert_eq!(of(Some(1), &[false, false]), t::<i64>([3, 0], &[]));
        assert_eq!(run(&Compress { axis: None }, &[&t([], &[7u8]), &t([1], &[true])]), Ok(t([1], &[7u8])));
        let none = run(&Compress { axis: Some(0) }, &[&t::<u8>([1, 0], &[]), &t([1], &[true])]);
        assert_eq!(none, Ok(t::<u8>([1, 0], &[])));
    }

    #[test]
    fn errors() {
        let x = t([3, 2], &[1i64, 2, 3, 4, 5, 6]);
        assert!(error(&Compress { axis: Some(1) }, &[&x, &t([3], &[true; 3])]).contains("at most 2"));
        assert!(error(&Compress { axis: Some(2) }, &[&x, &t([1], &[true])]).contains("found 2"));
        assert!(error(&Compress { axis: None }, &[&x, &t([1], &[1u8])]).contains("expected bool"));
        let types = [x.ty().clone(), TensorType::new(DType::Bool, [3])];
        assert!(matches!(infer_unknown(&Compress { axis: None }, &types), Err(OpError::DataDependent(_))));
    }
}
