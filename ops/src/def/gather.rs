//! Picks slices by index: `Y[o.., i.., r..] = X[o.., indices[i..], r..]`, where `indices[i..]` stands at `axis`.
//!
//! Inputs: data of any type, rank at least 1; indices of i64 or i32, any shape. The shape of Y is data's with the
//! extent n of `axis` replaced by the shape of indices. Negative indices count from the end.
//!
//! Errors: an axis out of range, an index outside `-n..n`. Indices that are not known before the run are checked when
//! it happens. Mirrors ONNX Gather-1 to -13 and later.

use crate::arg::{Arg, Args, known_args};
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{Walk, input, walk};
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::indexing::{Indices, from_the_beginning};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Picks slices by index.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The axis that is indexed; negative counts from the end.
    pub axis: i64,
}

crate::attributes!(Gather { axis });

struct Arguments<'a> {
    data: Arg<'a>,
    indices: Arg<'a>,
    /// The indices counted from the beginning, when they are known or there are none.
    known: Option<Vec<i64>>,
    axis: usize,
    ty: TensorType,
}

impl Gather {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let data = args.required(0, "data")?;
        let indices = args.typed(1, "indices", &[DType::I64, DType::I32])?;
        let axis = resolve_axis(self.axis, data.shape.rank())?;
        let n = data.shape[axis];
        if n == 0 && indices.shape.numel() > 0 {
            return invalid!(
                "indices: expected none, axis {axis} of {} has no elements; found {}",
                data.ty(),
                indices.ty()
            );
        }
        let none = indices.shape.numel() == 0;
        let known =
            indices.value.map(|t| from_the_beginning(t, &[(axis, n)])).transpose()?.or(none.then(Vec::new));
        let parts = [&data.shape[..axis], indices.shape.dims(), &data.shape[axis + 1..]];
        let ty = TensorType::new(data.dtype, parts.concat());
        Ok(Arguments { data, indices, known, axis, ty })
    }
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.ty])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { data, indices, known, axis, ty } = self.arguments(args)?;
        let (n, inner) = (data.shape[axis], indices.shape.rank());
        let all = vars(ty.shape.rank());
        let place = all[axis..axis + inner].to_vec();
        let mut c = Compute::new();
        let at = match known {
            Some(i) if i.len() == 1 => Expr::int(i[0]),
            Some(i) if i.is_empty() => Expr::int(0),
            Some(i) => Expr::load(c.table(Tensor::new(indices.shape.clone(), &i)?), place),
            None => {
                let picked = Indices::new(indices, vec![(axis, n)])?;
                let b = picked.buffer(&mut c, 1)?;
                picked.at(b, place, 0)
            }
        };
        let body = if ty.shape.numel() == 0 {
            Expr::Const(Scalar::zero(ty.dtype))
        } else {
            let b = c.input(0, &data);
            Expr::load(b, [&all[..axis], &[at], &all[axis + inner..]].concat())
        };
        let out = c.map("gather", ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Arguments { axis, ty, .. } = self.arguments(Args(&args))?;
        let (x, indices) = (input(inputs, 0, "data")?, input(inputs, 1, "indices")?);
        let picked = from_the_beginning(indices, &[(axis, x.shape()[axis])])?;
        let y = walk(x, ty.shape, || {
            let strides = x.shape().strides();
            let whole = |k: usize| Walk::over(strides[k], 0..x.shape()[k]);
            let mut axes: Vec<Walk> = (0..x.shape().rank()).map(whole).collect();
            axes[axis] = Walk::over(strides[axis], picked.into_iter().map(|i| i as usize));
            axes
        })?;
        Ok(vec![y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn picks() {
        let x = t([3, 2], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let of = |axis, i: &Tensor| run(&Gather { axis }, &[&x, i]).unwrap();
        assert_eq!(of(0, &t([], &[1i64])), t([2], &[3.0f32, 4.0]));
        assert_eq!(of(0, &t([2], &[-1i32, 0])), t([2, 2], &[5.0f32, 6.0, 1.0, 2.0]));
        assert_eq!(of(1, &t([1, 2], &[1i64, 1])), t([3, 1, 2], &[2.0f32, 2.0, 4.0, 4.0, 6.0, 6.0]));
        assert_eq!(of(-1, &t([], &[-2i64])), t([3], &[1.0f32, 3.0, 5.0]));
        assert_eq!(of(0, &t::<i64>([0], &[])), t::<f32>([0, 2], &[]));
    }

    /// The definition for indices that are not known, evaluated with `indices`.
    fn at_run_time(x: &Tensor, indices: &Tensor) -> Result<Tensor, OpError> {
        let args = [Some(Arg::from(x)), Some(Arg { value: None, ..Arg::from(indices) })];
        let c = Gather { axis: 0 }.compute(Args(&args))?;
        assert_eq!(c.checks.len(), 1);
        Ok(c.evaluate(&[Some(x), Some(indices)])?.remove(0))
    }

    #[test]
    fn indices_of_the_run_are_checked() {
        let x = t([3], &[7i64, 8, 9]);
        assert_eq!(at_run_time(&x, &t([2], &[-3i64, 2])), Ok(t([2], &[7i64, 9])));
        for bad in [3, -4, i64::MAX, i64::MIN] {
            let e = at_run_time(&x, &t([2], &[0i64, bad])).unwrap_err();
            assert_eq!(e.message(), "indices: expected -3 to 2 for the extent 3 of axis 0, found another");
        }
        assert!(at_run_time(&t::<i64>([3, 0], &[]), &t([1], &[5i32])).is_err());
    }

    #[test]
    fn errors() {
        let x = t([3], &[7i64, 8, 9]);
        let gather = Gather { axis: 0 };
        let range = "indices: expected -3 to 2 for the extent 3 of axis 0, found";
        assert_eq!(error(&gather, &[&x, &t([1], &[3i64])]), format!("{range} 3"));
        assert_eq!(error(&gather, &[&x, &t([1], &[-4i32])]), format!("{range} -4"));
        assert!(error(&gather, &[&x, &t([1], &[0.0f32])]).contains("expected i64 or i32"));
        assert!(error(&gather, &[&t::<u8>([0], &[]), &t([1], &[0i64])]).contains("has no elements"));
        assert!(error(&gather, &[&t([], &[1u8]), &t([1], &[0i64])]).contains("found 0"));
    }
}
