//! Cuts a tensor along an axis: output k is `X[.., begin(k) + i, ..]`. Any element type.
//!
//! Inputs: input; optionally split (integers, known before the run): the extents of the outputs. Without it all have
//! the extent `ceil(d / num_outputs)` but the last, which has the rest.
//!
//! Errors: an axis out of range, extents that are negative or do not add up to the axis's, another number of them than
//! `num_outputs`, a negative rest. Mirrors ONNX Split-13 and -18 and later; the attribute of Split-2 arrives as input.

use crate::arg::{Arg, Args, known_args};
use crate::axes::{extent, optional_ints, resolve_axis};
use crate::compute::Compute;
use crate::elements::{Walk, input, walk};
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;
use crate::unsupported;

/// Cuts a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// Number of outputs.
    pub num_outputs: usize,
}

crate::attributes!(Split { axis, num_outputs });

/// More outputs than any network has: keeps a lying attribute from filling the memory.
const MAX_OUTPUTS: usize = 1 << 16;

impl Split {
    /// The input, the axis, the extents of the outputs along it.
    fn arguments<'a>(&self, args: Args<'a>) -> Result<(Arg<'a>, usize, Vec<usize>), OpError> {
        let x = args.required(0, "input")?;
        let axis = resolve_axis(self.axis, x.shape.rank())?;
        let (d, n) = (x.shape[axis], self.num_outputs);
        if n == 0 {
            return invalid!("num_outputs: expected at least 1, found 0");
        }
        if n > MAX_OUTPUTS {
            return unsupported!("{n} outputs, the limit is {MAX_OUTPUTS}");
        }
        let Some(sizes) = optional_ints(args, 1, "split")? else {
            let part = d.div_ceil(n);
            let rest = extent(d as i128 - part as i128 * (n as i128 - 1), "the last part")?;
            let mut sizes = vec![part; n - 1];
            sizes.push(rest);
            return Ok((x, axis, sizes));
        };
        let total: i128 = sizes.iter().map(|&s| i128::from(s)).sum();
        if sizes.len() != n || total != d as i128 || sizes.iter().any(|&s| s < 0) {
            return invalid!("split: expected {n} extents that add up to {d}, found {sizes:?}");
        }
        let sizes = sizes.into_iter().map(|s| extent(s.into(), "split")).collect::<Result<Vec<_>, _>>()?;
        Ok((x, axis, sizes))
    }
}

fn with_extent(shape: &Shape, axis: usize, extent: usize) -> Shape {
    let mut dims = shape.dims().to_vec();
    dims[axis] = extent;
    dims.into()
}

impl Operator for Split {
    fn name(&self) -> &'static str {
        "Split"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, axis, sizes) = self.arguments(args)?;
        let part = |n| TensorType { dtype: x.dtype, shape: with_extent(x.shape, axis, n) };
        Ok(sizes.into_iter().map(part).collect())
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (x, axis, sizes) = self.arguments(args)?;
        let mut c = Compute::new();
        let b = c.input(0, &x);
        let mut begin = 0;
        for n in sizes {
            let shape = with_extent(x.shape, axis, n);
            let body = if shape.numel() == 0 {
                Expr::Const(Scalar::zero(x.dtype))
            } else {
                let mut index = vars(x.shape.rank());
                if begin > 0 {
                    index[axis] = Expr::var(axis) + Expr::int(begin);
                }
                Expr::load(b, index)
            };
            let out = c.map("split", TensorType { dtype: x.dtype, shape }, body);
            c.output(out);
            begin += n;
        }
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (_, axis, sizes) = self.arguments(Args(&args))?;
        let x = input(inputs, 0, "input")?;
        let strides = x.shape().strides();
        let mut begin = 0;
        let mut all = Vec::with_capacity(sizes.len());
        for n in sizes {
            let places = |k: usize| match k == axis {
                true => Walk::over(strides[k], begin..begin + n),
                false => Walk::over(strides[k], 0..x.shape()[k]),
            };
            let rank = x.shape().rank();
            all.push(walk(x, with_extent(x.shape(), axis, n), || (0..rank).map(places).collect())?);
            begin += n;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run_all, t};

    #[test]
    fn equal_parts() {
        let x = t([2, 3], &[1i64, 2, 3, 4, 5, 6]);
        let of = |axis, num_outputs| run_all(&Split { axis, num_outputs }, &[Some(&x)]).unwrap();
        assert_eq!(of(0, 2), [t([1, 3], &[1i64, 2, 3]), t([1, 3], &[4i64, 5, 6])]);
        assert_eq!(of(-1, 2), [t([2, 2], &[1i64, 2, 4, 5]), t([2, 1], &[3i64, 6])]);
        assert_eq!(of(0, 1)[0], x);
        assert_eq!(of(0, 3)[2], t::<i64>([0, 3], &[]));
    }

    #[test]
    fn given_extents() {
        let x = t([4], &[1u8, 2, 3, 4]);
        let split = Split { axis: 0, num_outputs: 3 };
        let y = run_all(&split, &[Some(&x), Some(&t([3], &[1i64, 0, 3]))]);
        assert_eq!(y, Ok(vec![t([1], &[1u8]), t::<u8>([0], &[]), t([3], &[2u8, 3, 4])]));
    }

    #[test]
    fn errors() {
        let x = t([4], &[1u8, 2, 3, 4]);
        let split = Split { axis: 0, num_outputs: 2 };
        let of = |sizes: &[i64]| error(&split, &[&x, &t([sizes.len()], sizes)]);
        let expected = "split: expected 2 extents that add up to 4, found";
        assert_eq!(of(&[1, 2]), format!("{expected} [1, 2]"));
        assert_eq!(of(&[4]), format!("{expected} [4]"));
        assert_eq!(of(&[5, -1]), format!("{expected} [5, -1]"));
        assert!(error(&Split { axis: 1, num_outputs: 2 }, &[&x]).contains("found 1"));
        assert!(error(&Split { axis: 0, num_outputs: 0 }, &[&x]).contains("at least 1"));
        assert!(error(&Split { axis: 0, num_outputs: 6 }, &[&x]).contains("the last part"));
        assert!(error(&Split { axis: 0, num_outputs: usize::MAX }, &[&x]).contains("limit"));
    }
}
