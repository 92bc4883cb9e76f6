//! Writes slices by several indices into a copy of data: in the order of `i..`,
//! `Y[indices[i.., 0], .., indices[i.., k - 1], r..] = reduction(Y[..], updates[i.., r..])`.
//!
//! Inputs: data of any type, rank at least 1; indices of i64 or i32, whose last extent is k, from 1 to data's rank;
//! updates of data's type and the shape of indices without its last axis, then that of data without its first k. Y has
//! data's type. Negative indices count from the end.
//!
//! Errors: types, ranks or extents that do not fit, a reduction of bools, an index outside `-n..n`. Indices that are not
//! known before the run are checked when it happens. Mirrors ONNX ScatterND-11 to -18.

use crate::arg::{Arg, Args, known_args};
use crate::compute::{Compute, Update, flat_index, scalars, tensor};
use crate::def::gather_nd::targets;
use crate::def::scatter::{ScatterReduction, copy};
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::indexing::{Indices, Target, from_the_beginning};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Writes slices by several indices.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterNd {
    /// How a value meets the one that is there.
    pub reduction: ScatterReduction,
}

crate::attributes!(ScatterNd { reduction });

struct Arguments<'a> {
    data: Arg<'a>,
    updates: Arg<'a>,
    indices: Indices<'a>,
    targets: Vec<Target>,
}

impl ScatterNd {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let data = args.required(0, "data")?;
        let indices = args.typed(1, "indices", &[DType::I64, DType::I32])?;
        let updates = args.required(2, "updates")?;
        let targets = targets(data.shape, 0, &indices)?;
        let lead = &indices.shape[..indices.shape.rank() - 1];
        let expected = TensorType::new(data.dtype, [lead, &data.shape[targets.len()..]].concat());
        if updates.ty() != expected {
            return invalid!("input 2 (updates): expected {expected}, found {}", updates.ty());
        }
        self.reduction.takes(data.dtype)?;
        Ok(Arguments { data, updates, indices: Indices::new(indices, targets.clone())?, targets })
    }
}

impl Operator for ScatterNd {
    fn name(&self) -> &'static str {
        "ScatterND"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.data.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { data, updates, indices, targets } = self.arguments(args)?;
        if data.shape.numel() == 0 {
            return Ok(Compute::filled(data.ty(), Scalar::zero(data.dtype)));
        }
        let mut c = Compute::new();
        let dst = copy(&mut c, &data);
        if updates.shape.numel() > 0 {
            let (picked, new) = (indices.buffer(&mut c, 1)?, c.input(2, &updates));
            let all = vars(updates.shape.rank());
            let lead = all.len() + targets.len() - data.shape.rank();
            let column = |j: usize| indices.at(picked, [&all[..lead], &[Expr::int(j)]].concat(), j);
            let columns: Vec<Expr> = (0..targets.len()).map(column).collect();
            let index = [&columns[..], &all[lead..]].concat();
            let value = self.reduction.expr(Expr::load(dst, index.clone()), Expr::load(new, all));
            c.update("scatter", dst, Update { extents: updates.shape.to_vec(), index }, value);
        }
        c.output(dst);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Arguments { targets, .. } = self.arguments(Args(&args))?;
        let data = input(inputs, 0, "data")?;
        let picked = from_the_beginning(input(inputs, 1, "indices")?, &targets)?;
        let mut result = scalars(data)?;
        let updates = scalars(input(inputs, 2, "updates")?)?;
        let slice: usize = data.shape()[targets.len()..].iter().product();
        for (row, index) in picked.chunks_exact(targets.len()).enumerate() {
            let first = [index, &vec![0; data.shape().rank() - targets.len()]].concat();
            let first = if slice == 0 { 0 } else { flat_index(data.shape(), &first)? };
            for k in 0..slice {
                result[first + k] = self.reduction.of(result[first + k], updates[row * slice + k]);
            }
        }
        Ok(vec![tensor(data.ty(), &result)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn writes_in_order() {
        let x = t([2, 3], &[1i64, 2, 3, 4, 5, 6]);
        let of = |reduction, i: &Tensor, new: &Tensor| {
            run(&ScatterNd { reduction }, &[&x, i, new]).unwrap().to_vec::<i64>().unwrap()
        };
        let (points, new) = (t([3, 2], &[0i64, 0, 1, -1, 0, 0]), t([3], &[10i64, 20, -30]));
        assert_eq!(of(ScatterReduction::Replace, &points, &new), [-30, 2, 3, 4, 5, 20]);
        assert_eq!(of(ScatterReduction::Add, &points, &new), [-19, 2, 3, 4, 5, 26]);
        assert_eq!(of(ScatterReduction::Mul, &points, &new), [-300, 2, 3, 4, 5, 120]);
        assert_eq!(of(ScatterReduction::Max, &points, &new), [10, 2, 3, 4, 5, 20]);
        assert_eq!(of(ScatterReduction::Min, &points, &new), [-30, 2, 3, 4, 5, 6]);
        let rows = of(ScatterReduction::Replace, &t([1, 1], &[-1i32]), &t([1, 3], &[7i64, 8, 9]));
        assert_eq!(rows, [1, 2, 3, 7, 8, 9]);
        let one = of(ScatterReduction::Replace, &t([1], &[0i64]), &t([3], &[7i64, 8, 9]));
        assert_eq!(one, [7, 8, 9, 4, 5, 6]);
        assert_eq!(
            of(ScatterReduction::Add, &t::<i64>([0, 2], &[]), &t::<i64>([0], &[])),
            [1, 2, 3, 4, 5, 6]
        );
    }

    #[test]
    fn indices_of_the_run_are_checked() {
        let (x, i, new) = (t([2, 2], &[1u8, 2, 3, 4]), t([1, 2], &[-1i64, 0]), t([1], &[9u8]));
        let args = [Some(Arg::from(&x)), Some(Arg { value: None, ..Arg::from(&i) }), Some(Arg::from(&new))];
        let c = ScatterNd { reduction: ScatterReduction::Replace }.compute(Args(&args)).unwrap();
        assert_eq!(c.evaluate(&[Some(&x), Some(&i), Some(&new)]), Ok(vec![t([2, 2], &[1u8, 2, 9, 4])]));
        assert!(c.evaluate(&[Some(&x), Some(&t([1, 2], &[0i64, 2])), Some(&new)]).is_err());
    }

    #[test]
    fn errors() {
        let of = |inputs: &[&Tensor]| error(&ScatterNd { reduction: ScatterReduction::Max }, inputs);
        let x = t([2, 2], &[1.0f32, 2.0, 3.0, 4.0]);
        assert!(of(&[&x, &t([1, 3], &[0i64; 3]), &x]).contains("last extent of 1 to 2"));
        assert!(of(&[&x, &t([1, 1], &[0i64]), &x]).contains("expected f32[1,2], found f32[2,2]"));
        assert!(of(&[&x, &t([1, 1], &[2i64]), &t([1, 2], &[0.0f32; 2])]).contains("axis 0, found 2"));
    }
}
