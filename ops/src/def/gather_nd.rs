//! Picks slices by several indices: `Y[b.., i.., r..] = X[b.., indices[b.., i.., 0], .., indices[b.., i.., k - 1], r..]`.
//!
//! Inputs: data of any type, rank at least 1; indices of i64 or i32, whose last extent is k, from 1 to the number of
//! data's axes after the first `batch_dims`, which both inputs share. Negative indices count from the end.
//!
//! Errors: ranks or extents that do not fit, an index outside `-n..n`. Indices that are not known before the run are
//! checked when it happens. Mirrors ONNX GatherND-11 to -13.

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, take};
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::indexing::{Indices, Target, from_the_beginning};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Picks slices by several indices.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherNd {
    /// The number of leading axes that data and indices share.
    pub batch_dims: usize,
}

crate::attributes!(GatherNd { batch_dims });

/// The axes of a tensor of this shape that the last axis of indices goes into, after `batch` others.
///
/// # Errors
/// [`OpError::Invalid`] when indices have no axis or there are no such axes.
pub(super) fn targets(data: &Shape, batch: usize, indices: &Arg<'_>) -> Result<Vec<Target>, OpError> {
    let most = data.rank().saturating_sub(batch);
    match indices.shape.last() {
        Some(&k) if (1..=most).contains(&k) => Ok((batch..batch + k).map(|a| (a, data[a])).collect()),
        _ => invalid!(
            "indices: expected a last extent of 1 to {most} for a tensor of shape {data}, found {}",
            indices.ty()
        ),
    }
}

struct Arguments<'a> {
    data: Arg<'a>,
    indices: Arg<'a>,
    targets: Vec<Target>,
    ty: TensorType,
}

impl GatherNd {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let data = args.required(0, "data")?;
        let indices = args.typed(1, "indices", &[DType::I64, DType::I32])?;
        let b = self.batch_dims;
        let shared =
            b < indices.shape.rank() && b < data.shape.rank() && data.shape[..b] == indices.shape[..b];
        if !shared {
            return invalid!(
                "indices: expected the first {b} extents of {} and more, found {}",
                data.ty(),
                indices.ty()
            );
        }
        let targets = targets(data.shape, b, &indices)?;
        let lead = &indices.shape[..indices.shape.rank() - 1];
        let ty = TensorType::new(data.dtype, [lead, &data.shape[b + targets.len()..]].concat());
        Ok(Arguments { data, indices, targets, ty })
    }
}

impl Operator for GatherNd {
    fn name(&self) -> &'static str {
        "GatherND"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let Arguments { indices, targets, ty, .. } = self.arguments(args)?;
        Indices::new(indices, targets)?;
        Ok(vec![ty])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { data, indices, targets, ty } = self.arguments(args)?;
        let (k, lead) = (targets.len(), indices.shape.rank() - 1);
        let indices = Indices::new(indices, targets)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let (src, picked) = (c.input(0, &data), indices.buffer(&mut c, 1)?);
        let all = vars(ty.shape.rank());
        let column = |j: usize| indices.at(picked, [&all[..lead], &[Expr::int(j)]].concat(), j);
        let columns: Vec<Expr> = (0..k).map(column).collect();
        let place = [&all[..self.batch_dims], &columns, &all[lead..]].concat();
        let out = c.map("gather_nd", ty, Expr::load(src, place));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Arguments { targets, ty, .. } = self.arguments(Args(&args))?;
        let (data, indices) = (input(inputs, 0, "data")?, input(inputs, 1, "indices")?);
        let picked = from_the_beginning(indices, &targets)?;
        let strides = data.shape().strides();
        let slice: usize = data.shape()[self.batch_dims + targets.len()..].iter().product();
        let batch: usize = data.shape()[..self.batch_dims].iter().product();
        let rows = picked.len() / targets.len();
        let mut places = Vec::with_capacity(rows.saturating_mul(slice));
        for (row, index) in picked.chunks_exact(targets.len()).enumerate() {
            let mut first = 0;
            if self.batch_dims > 0 {
                first = row / (rows / batch) * strides[self.batch_dims - 1];
            }
            first +=
                index.iter().zip(&targets).map(|(&i, (axis, _))| i as usize * strides[*axis]).sum::<usize>();
            places.extend((first..first + slice).map(Some));
        }
        Ok(vec![take(data, &places, ty.shape, &[])?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn picks() {
        let x = t([2, 2, 2], &[0i64, 1, 2, 3, 4, 5, 6, 7]);
        let of = |batch_dims, i: &Tensor| run(&GatherNd { batch_dims }, &[&x, i]).unwrap();
        assert_eq!(of(0, &t([2, 2], &[0i64, 1, 1, 0])), t([2, 2], &[2i64, 3, 4, 5]));
        assert_eq!(of(0, &t([1, 1, 3], &[-1i32, 0, -1])), t([1, 1], &[5i64]));
        assert_eq!(of(1, &t([2, 1], &[1i64, 0])), t([2, 2], &[2i64, 3, 4, 5]));
        assert_eq!(
            of(1, &t([2, 3, 2], &[0i64, 1, 1, 1, 0, 0, 1, 0, 0, 0, -1, -1])),
            t([2, 3], &[1i64, 3, 0, 6, 4, 7])
        );
        assert_eq!(of(2, &t([2, 2, 1], &[0i64, 1, -1, 0])), t([2, 2], &[0i64, 3, 5, 6]));
        assert_eq!(of(0, &t::<i64>([0, 1], &[])), t::<i64>([0, 2, 2], &[]));
        assert_eq!(of(0, &t([1], &[1i64])), t([2, 2], &[4i64, 5, 6, 7]));
    }

    #[test]
    fn indices_of_the_run_are_checked() {
        let (x, i) = (t([2, 3], &[0i64, 1, 2, 3, 4, 5]), t([1, 2], &[-2i64, 2]));
        let args = [Some(Arg::from(&x)), Some(Arg { value: None, ..Arg::from(&i) })];
        let c = GatherNd { batch_dims: 0 }.compute(Args(&args)).unwrap();
        assert_eq!(c.evaluate(&[Some(&x), Some(&i)]), Ok(vec![t([1], &[2i64])]));
        for bad in [[2i64, 0], [0, 3], [-3, 0]] {
            assert!(
                c.evaluate(&[Some(&x), Some(&t([1, 2], &bad))]).unwrap_err().message().contains("[2, 3]")
            );
        }
    }

    #[test]
    fn errors() {
        let x = t([2, 3], &[1i64, 2, 3, 4, 5, 6]);
        let of = |batch_dims, i: &Tensor| error(&GatherNd { batch_dims }, &[&x, i]);
        assert!(of(0, &t([1, 3], &[0i64; 3])).contains("last extent of 1 to 2"));
        assert!(of(0, &t([], &[0i64])).contains("found i64[]"));
        assert!(of(1, &t([3, 1], &[0i64; 3])).contains("first 1 extents"));
        assert!(of(2, &t([2, 3, 1], &[0i64; 6])).contains("first 2 extents"));
        assert!(of(0, &t([1, 2], &[0i64, 3])).contains("extent 3 of axis 1, found 3"));
    }
}
