//! Classes as vectors: `Y[i.., d, j..] = values[1]` where `indices[i.., j..]` is d, and `values[0]` elsewhere.
//!
//! Inputs: indices, numbers of any type, of which fractions are cut off; depth, one number, known before the run; values,
//! two elements of any type, off and on. The shape of Y is that of indices with depth inserted at `axis`. Negative
//! indices count from depth; those outside `-depth..depth` give a vector of off values.
//!
//! Errors: an axis out of range, a depth or values with another number of elements, a negative depth. Mirrors ONNX
//! OneHot-9 and -11.

use crate::arg::{Arg, Args, known_args};
use crate::axes::{extent, resolve_axis};
use crate::compute::{Compute, scalars};
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{BinaryFn, CompareFn, Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Classes as vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct OneHot {
    /// Where the axis of classes is inserted; negative counts from the end of the result.
    pub axis: i64,
}

crate::attributes!(OneHot { axis });

struct Arguments<'a> {
    indices: Arg<'a>,
    values: Arg<'a>,
    depth: usize,
    axis: usize,
    ty: TensorType,
}

/// A number without its fraction.
fn whole(s: Scalar) -> i128 {
    s.int().or_else(|| s.cast(DType::I64).int()).unwrap_or(0)
}

impl OneHot {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let indices = args.typed(0, "indices", DType::NUMBERS)?;
        let given = args.typed(1, "depth", DType::NUMBERS)?;
        let values = args.required(2, "values")?;
        if given.shape.numel() != 1 {
            return invalid!("input 1 (depth): expected one element, found {}", given.ty());
        }
        if values.shape.dims() != [2] {
            return invalid!("input 2 (values): expected two elements, found {}", values.ty());
        }
        let axis = resolve_axis(self.axis, indices.shape.rank() + 1)?;
        let wide = whole(scalars(args.known(1, "depth")?)?[0]);
        let depth = extent(wide, "depth")?;
        let mut shape = indices.shape.to_vec();
        shape.insert(axis, depth);
        Ok(Arguments { indices, values, depth, axis, ty: TensorType::new(values.dtype, shape) })
    }
}

impl Operator for OneHot {
    fn name(&self) -> &'static str {
        "OneHot"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.ty])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { indices, values, depth, axis, ty } = self.arguments(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let (src, pair) = (c.input(0, &indices), c.input(2, &values));
        let mut place = vars(ty.shape.rank());
        let class = place.remove(axis);
        let mut index = Expr::load(src, place);
        if indices.dtype == DType::U64 {
            index = index.min(Expr::Const(Scalar::U64(i64::MAX as u64)));
        }
        let index = index.cast(DType::I64);
        let equal = |d: Expr| Expr::compare(CompareFn::Eq, index.clone(), d);
        let on = Expr::binary(BinaryFn::Or, equal(class.clone()), equal(class - Expr::int(depth)));
        let value = |i: i64| Expr::load(pair, [Expr::int(i)]);
        let out = c.map("one_hot", ty, on.select(value(1), value(0)));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Arguments { depth, axis, ty, .. } = self.arguments(Args(&args))?;
        ty.shape.checked_bytes(ty.dtype)?;
        let (indices, values) = (scalars(input(inputs, 0, "indices")?)?, input(inputs, 2, "values")?);
        let size = ty.dtype.size();
        let mut bytes = values.bytes()[..size].repeat(ty.shape.numel());
        let inner: usize = ty.shape.iter().skip(axis + 1).product();
        for (i, index) in indices.into_iter().enumerate().take(if depth == 0 { 0 } else { usize::MAX }) {
            let index = whole(index);
            let class = if index < 0 { index + depth as i128 } else { index };
            if (0..depth as i128).contains(&class) {
                let at = (i / inner * depth + class as usize) * inner + i % inner;
                bytes[at * size..(at + 1) * size].copy_from_slice(&values.bytes()[size..]);
            }
        }
        Ok(vec![Tensor::from_bytes(ty, bytes)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, infer_unknown, run, t};

    #[test]
    fn vectors() {
        let (depth, values) = (t([], &[3i64]), t([2], &[-1i16, 5]));
        let of = |axis, i: &Tensor| run(&OneHot { axis }, &[i, &depth, &values]).unwrap();
        let rows = of(-1, &t([2], &[0i64, -1]));
        assert_eq!(rows, t([2, 3], &[5i16, -1, -1, -1, -1, 5]));
        assert_eq!(of(0, &t([2], &[1u8, 3])), t([3, 2], &[-1i16, -1, 5, -1, -1, -1]));
        assert_eq!(of(-1, &t([], &[2.7f32])), t([3], &[-1i16, -1, 5]));
        assert_eq!(of(-1, &t([2], &[-4i64, i64::MAX])), t([2, 3], &[-1i16; 6]));
        assert_eq!(of(-1, &t([1], &[u64::MAX])), t([1, 3], &[-1i16; 3]));
        let none =
            run(&OneHot { axis: 0 }, &[&t([2], &[0i64, 1]), &t([1], &[0.0f32]), &t([2], &[false, true])]);
        assert_eq!(none, Ok(t::<bool>([0, 2], &[])));
    }

    #[test]
    fn errors() {
        let (i, depth, values) = (t([2], &[0i64, 1]), t([], &[3i64]), t([2], &[0u8, 1]));
        assert!(error(&OneHot { axis: 2 }, &[&i, &depth, &values]).contains("found 2"));
        assert!(error(&OneHot { axis: 0 }, &[&i, &i, &values]).contains("depth): expected one element"));
        assert!(error(&OneHot { axis: 0 }, &[&i, &depth, &depth]).contains("expected two elements"));
        assert!(error(&OneHot { axis: 0 }, &[&i, &t([], &[-1i32]), &values]).contains("found -1"));
        let types = [i.ty().clone(), depth.ty().clone(), values.ty().clone()];
        assert!(matches!(infer_unknown(&OneHot { axis: 0 }, &types), Err(OpError::DataDependent(_))));
    }
}
