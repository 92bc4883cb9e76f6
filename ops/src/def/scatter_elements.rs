//! Writes elements by index along an axis into a copy of data: in the order of `i..`,
//! `Y[i.., indices[i..], ..] = reduction(Y[i.., indices[i..], ..], updates[i..])`, where `indices[i..]` stands for `i` of
//! `axis`.
//!
//! Inputs: data of any type, rank at least 1; indices of i64 or i32, of data's rank, on the other axes with extents up to
//! data's; updates of data's type and the shape of indices. Y has data's type. Negative indices count from the end.
//!
//! Errors: an axis out of range, types, ranks or extents that do not fit, a reduction of bools, an index outside `-n..n`.
//! Indices that are not known before the run are checked when it happens. Mirrors ONNX ScatterElements-11 to -18, and
//! Scatter-9.

use crate::arg::{Arg, Args, known_args};
use crate::compute::{Compute, Update, flat_index, scalars, tensor};
use crate::def::gather_elements::arguments;
use crate::def::scatter::{ScatterReduction, copy};
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::indexing::{Indices, from_the_beginning};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Writes elements by index along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterElements {
    /// The axis that is indexed; negative counts from the end.
    pub axis: i64,
    /// How a value meets the one that is there.
    pub reduction: ScatterReduction,
}

crate::attributes!(ScatterElements { axis, reduction });

struct Arguments<'a> {
    data: Arg<'a>,
    updates: Arg<'a>,
    indices: Indices<'a>,
    axis: usize,
}

impl ScatterElements {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let (data, indices, axis) = arguments(args, self.axis)?;
        let updates = args.required(2, "updates")?;
        let expected = TensorType { dtype: data.dtype, shape: indices.shape.clone() };
        if updates.ty() != expected {
            return invalid!("input 2 (updates): expected {expected}, found {}", updates.ty());
        }
        self.reduction.takes(data.dtype)?;
        let indices = Indices::new(indices, vec![(axis, data.shape[axis])])?;
        Ok(Arguments { data, updates, indices, axis })
    }
}

impl Operator for ScatterElements {
    fn name(&self) -> &'static str {
        "ScatterElements"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.data.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { data, updates, indices, axis } = self.arguments(args)?;
        if data.shape.numel() == 0 {
            return Ok(Compute::filled(data.ty(), Scalar::zero(data.dtype)));
        }
        let mut c = Compute::new();
        let dst = copy(&mut c, &data);
        if updates.shape.numel() > 0 {
            let (picked, new) = (indices.buffer(&mut c, 1)?, c.input(2, &updates));
            let all = vars(updates.shape.rank());
            let mut index = all.clone();
            index[axis] = indices.at(picked, all.clone(), 0);
            let value = self.reduction.expr(Expr::load(dst, index.clone()), Expr::load(new, all));
            c.update("scatter", dst, Update { extents: updates.shape.to_vec(), index }, value);
        }
        c.output(dst);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Arguments { axis, .. } = self.arguments(Args(&args))?;
        let (data, indices) = (input(inputs, 0, "data")?, input(inputs, 1, "indices")?);
        let picked = from_the_beginning(indices, &[(axis, data.shape()[axis])])?;
        let mut result = scalars(data)?;
        let updates = scalars(input(inputs, 2, "updates")?)?;
        for ((at, i), new) in indices.shape().indices().zip(picked).zip(updates) {
            let mut at: Vec<i64> = at.into_iter().map(|a| a as i64).collect();
            at[axis] = i;
            let old = &mut result[flat_index(data.shape(), &at)?];
            *old = self.reduction.of(*old, new);
        }
        Ok(vec![tensor(data.ty(), &result)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op(axis: i64, reduction: ScatterReduction) -> ScatterElements {
        ScatterElements { axis, reduction }
    }

    #[test]
    fn writes_in_order() {
        let (x, i) = (t([1, 5], &[1.0f32, 2.0, 3.0, 4.0, 5.0]), t([1, 3], &[1i64, -2, 1]));
        let new = t([1, 3], &[10.0f32, 20.0, 0.5]);
        let of = |reduction| run(&op(1, reduction), &[&x, &i, &new]).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(of(ScatterReduction::Replace), [1.0, 0.5, 3.0, 20.0, 5.0]);
        assert_eq!(of(ScatterReduction::Add), [1.0, 12.5, 3.0, 24.0, 5.0]);
        assert_eq!(of(ScatterReduction::Mul), [1.0, 10.0, 3.0, 80.0, 5.0]);
        assert_eq!(of(ScatterReduction::Max), [1.0, 10.0, 3.0, 20.0, 5.0]);
        assert_eq!(of(ScatterReduction::Min), [1.0, 0.5, 3.0, 4.0, 5.0]);
        let rows = run(
            &op(0, ScatterReduction::Replace),
            &[&t([3, 2], &[0u8; 6]), &t([2, 1], &[2i32, 0]), &t([2, 1], &[7u8, 9])],
        );
        assert_eq!(rows, Ok(t([3, 2], &[9u8, 0, 0, 0, 7, 0])));
        let none = run(
            &op(0, ScatterReduction::Add),
            &[&t([2], &[1i64, 2]), &t::<i64>([0], &[]), &t::<i64>([0], &[])],
        );
        assert_eq!(none, Ok(t([2], &[1i64, 2])));
        let bools = run(
            &op(0, ScatterReduction::Replace),
            &[&t([2], &[true, true]), &t([1], &[1i64]), &t([1], &[false])],
        );
        assert_eq!(bools, Ok(t([2], &[true, false])));
    }

    #[test]
    fn indices_of_the_run_are_checked() {
        let (x, i, new) = (t([3], &[7i64, 8, 9]), t([2], &[-1i64, -1]), t([2], &[1i64, 2]));
        let args = [Some(Arg::from(&x)), Some(Arg { value: None, ..Arg::from(&i) }), Some(Arg::from(&new))];
        let c = op(0, ScatterReduction::Add).compute(Args(&args)).unwrap();
        assert_eq!(c.evaluate(&[Some(&x), Some(&i), Some(&new)]), Ok(vec![t([3], &[7i64, 8, 12])]));
        assert!(c.evaluate(&[Some(&x), Some(&t([2], &[0i64, 3])), Some(&new)]).is_err());
    }

    #[test]
    fn errors() {
        let (x, i) = (t([2], &[true, false]), t([1], &[0i64]));
        let of = |inputs: &[&Tensor]| error(&op(0, ScatterReduction::Add), inputs);
        assert_eq!(of(&[&x, &i, &t([1], &[true])]), "reduction add: expected numbers, found bool");
        assert_eq!(of(&[&x, &i, &t([1], &[1i64])]), "input 2 (updates): expected bool[1], found i64[1]");
        assert!(of(&[&t([1], &[1i64]), &t([1], &[1i64]), &t([1], &[1i64])]).contains("expected -1 to 0"));
    }
}
