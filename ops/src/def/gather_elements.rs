//! Picks elements by index along an axis: `Y[i..] = X[i.., indices[i..], ..]`, where `indices[i..]` stands for `i` of
//! `axis`.
//!
//! Inputs: data of any type, rank at least 1; indices of i64 or i32, of data's rank, on the other axes with extents up to
//! data's. Y has the shape of indices. Negative indices count from the end.
//!
//! Errors: an axis out of range, ranks or extents that do not fit, an index outside `-n..n`. Indices that are not known
//! before the run are checked when it happens. Mirrors ONNX GatherElements-11 and -13.

use crate::arg::{Arg, Args, known_args};
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, take};
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::indexing::{Indices, from_the_beginning};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Picks elements by index along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherElements {
    /// The axis that is indexed; negative counts from the end.
    pub axis: i64,
}

crate::attributes!(GatherElements { axis });

/// Data, indices into `axis` of it, and that axis. The indices have data's rank, elsewhere extents up to its.
///
/// # Errors
/// As the operator's.
pub(super) fn arguments(args: Args<'_>, axis: i64) -> Result<(Arg<'_>, Arg<'_>, usize), OpError> {
    let data = args.required(0, "data")?;
    let indices = args.typed(1, "indices", &[DType::I64, DType::I32])?;
    let axis = resolve_axis(axis, data.shape.rank())?;
    let fits = indices.shape.rank() == data.shape.rank()
        && (0..data.shape.rank()).all(|k| k == axis || indices.shape[k] <= data.shape[k]);
    if !fits {
        return invalid!(
            "indices: expected the rank of {} and, but for axis {axis}, at most its extents, found {}",
            data.ty(),
            indices.ty()
        );
    }
    Ok((data, indices, axis))
}

impl Operator for GatherElements {
    fn name(&self) -> &'static str {
        "GatherElements"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let (data, indices, axis) = arguments(args, self.axis)?;
        Indices::new(indices, vec![(axis, data.shape[axis])])?;
        Ok(vec![TensorType { dtype: data.dtype, shape: indices.shape.clone() }])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let (data, indices, axis) = arguments(args, self.axis)?;
        let indices = Indices::new(indices, vec![(axis, data.shape[axis])])?;
        let mut c = Compute::new();
        let (src, picked) = (c.input(0, &data), indices.buffer(&mut c, 1)?);
        let all = vars(ty.shape.rank());
        let mut place = all.clone();
        place[axis] = indices.at(picked, all, 0);
        let out = c.map("gather_elements", ty, Expr::load(src, place));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let (data, indices) = (input(inputs, 0, "data")?, input(inputs, 1, "indices")?);
        let axis = resolve_axis(self.axis, data.shape().rank())?;
        let picked = from_the_beginning(indices, &[(axis, data.shape()[axis])])?;
        let strides = data.shape().strides();
        let place = |(at, i): (Vec<usize>, i64)| {
            let steps = at.iter().zip(&strides).enumerate();
            Some(steps.map(|(k, (&a, s))| s * if k == axis { i as usize } else { a }).sum())
        };
        let places: Vec<Option<usize>> = ty.shape.indices().zip(picked).map(place).collect();
        Ok(vec![take(data, &places, ty.shape, &[])?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn picks() {
        let x = t([3, 3], &[1i16, 2, 3, 4, 5, 6, 7, 8, 9]);
        let of = |axis, i: &Tensor| run(&GatherElements { axis }, &[&x, i]).unwrap();
        assert_eq!(of(0, &t([2, 3], &[1i64, 2, 0, 2, 0, 0])), t([2, 3], &[4i16, 8, 3, 7, 2, 3]));
        assert_eq!(of(-1, &t([1, 2], &[-1i32, 0])), t([1, 2], &[3i16, 1]));
        assert_eq!(of(1, &t([1, 4], &[0i64, 1, 2, 2])), t([1, 4], &[1i16, 2, 3, 3]));
        assert_eq!(of(1, &t::<i64>([0, 5], &[])), t::<i16>([0, 5], &[]));
    }

    #[test]
    fn indices_of_the_run_are_checked() {
        let (x, i) = (t([3], &[7i64, 8, 9]), t([4], &[0i64, -3, 2, -1]));
        let args = [Some(Arg::from(&x)), Some(Arg { value: None, ..Arg::from(&i) })];
        let c = GatherElements { axis: 0 }.compute(Args(&args)).unwrap();
        assert_eq!(c.evaluate(&[Some(&x), Some(&i)]), Ok(vec![t([4], &[7i64, 7, 9, 9])]));
        for bad in [3, -4, i64::MAX, i64::MIN] {
            let e = c.evaluate(&[Some(&x), Some(&t([4], &[0i64, 0, bad, 0]))]).unwrap_err();
            assert_eq!(e.message(), "indices: expected -3 to 2 for the extent 3 of axis 0, found another");
        }
    }

    #[test]
    fn errors() {
        let x = t([2, 3], &[1i64, 2, 3, 4, 5, 6]);
        let of = |i: &Tensor| error(&GatherElements { axis: 1 }, &[&x, i]);
        assert!(of(&t([3, 1], &[0i64; 3])).contains("but for axis 1, at most its extents, found i64[3,1]"));
        assert!(of(&t([1], &[0i64])).contains("found i64[1]"));
        assert_eq!(of(&t([1, 1], &[3i64])), "indices: expected -3 to 2 for the extent 3 of axis 1, found 3");
        let none = error(&GatherElements { axis: 0 }, &[&t::<u8>([0], &[]), &t([1], &[0i64])]);
        assert!(none.contains("has no elements"));
    }
}
