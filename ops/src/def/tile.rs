//! Repeats a tensor: `Y[i..] = X[i mod d ..]`, the extent of axis k is `d(k) * repeats(k)`. Any element type.
//!
//! Inputs: input, repeats (integers, known before the run, one per axis).
//!
//! Errors: another number of repeats than axes, a negative one. Mirrors ONNX Tile-6 to -13 and later.

use crate::arg::{Args, known_args};
use crate::axes::{extent, required_ints};
use crate::compute::Compute;
use crate::elements::{Walk, input, walk};
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::rearranged;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Repeats a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {}

crate::attributes!(Tile {});

impl Operator for Tile {
    fn name(&self) -> &'static str {
        "Tile"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.required(0, "input")?;
        let repeats = required_ints(args, 1, "repeats")?;
        if repeats.len() != x.shape.rank() || repeats.iter().any(|&r| r < 0) {
            return invalid!("repeats: expected {} numbers of at least 0, found {repeats:?}", x.shape.rank());
        }
        let extents = x.shape.iter().zip(repeats).map(|(&d, r)| extent(d as i128 * i128::from(r), "repeats"));
        Ok(vec![TensorType::new(x.dtype, extents.collect::<Result<Vec<_>, _>>()?)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let x = args.required(0, "input")?;
        let index = x.shape.iter().enumerate().map(|(k, &d)| match d {
            1 => Expr::int(0),
            d if d == ty.shape[k] => Expr::var(k),
            d => Expr::var(k) % Expr::int(d),
        });
        let index = index.collect();
        Ok(rearranged("tile", &x, ty, index))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let x = input(inputs, 0, "input")?;
        let repeated = |k: usize, n: usize| (0..x.shape()[k]).cycle().take(n);
        let extents = ty.shape.clone();
        let y = walk(x, ty.shape, || {
            let strides = x.shape().strides();
            extents.iter().enumerate().map(|(k, &n)| Walk::over(strides[k], repeated(k, n))).collect()
        })?;
        Ok(vec![y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn repeats() {
        let x = t([2, 2], &[1i32, 2, 3, 4]);
        let of = |r: &[i64]| run(&Tile {}, &[&x, &t([r.len()], r)]).unwrap();
        assert_eq!(of(&[1, 2]), t([2, 4], &[1i32, 2, 1, 2, 3, 4, 3, 4]));
        assert_eq!(of(&[2, 1]), t([4, 2], &[1i32, 2, 3, 4, 1, 2, 3, 4]));
        assert_eq!(of(&[0, 3]), t::<i32>([0, 6], &[]));
        assert_eq!(run(&Tile {}, &[&t([], &[7u8]), &t::<i64>([0], &[])]), Ok(t([], &[7u8])));
    }

    #[test]
    fn errors() {
        let x = t([2], &[1i32, 2]);
        let of = |r: &[i64]| error(&Tile {}, &[&x, &t([r.len()], r)]);
        assert_eq!(of(&[1, 1]), "repeats: expected 1 numbers of at least 0, found [1, 1]");
        assert!(of(&[-1]).contains("found [-1]"));
        assert!(of(&[i64::MAX]).contains("out of range"));
    }
}
