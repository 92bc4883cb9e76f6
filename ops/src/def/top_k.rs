//! The largest or smallest elements along an axis: ONNX `TopK`, opsets 1 to 24.
//!
//! ```text
//! Indices[i.., j, l..] = the r at which x[i.., r, l..] comes j-th      Values[i.., j, l..] = x[i.., Indices[i.., j, l..], l..]
//! ```
//!
//! Elements come in descending order (ascending when `largest` is not set), equal ones in the order of their positions;
//! NaN is larger than every number, -0 equals 0. The order is this one also when `sorted` is not set and ONNX leaves it open.
//! Inputs: 0 (`X`), numbers of any type, rank at least 1; 1 (`K`), one integer known before the run. Outputs: 0 (`Values`)
//! of the type of `X` and 1 (`Indices`), i64, both with extent K along the axis. Errors: an axis out of range, K negative
//! or larger than the extent.
//!
//! The definition compares integers that are ordered as the elements are (`steps::keys`). Few of them are found one after
//! the other, in a long row by the best of each block of it; of many the last is found digit by digit, then all that are not
//! below it are collected and sorted. The time is near linear in the extent.

mod steps;

use crate::arg::known_args;
use crate::axes::resolve_axis;
use crate::compute::{Compute, scalars, tensor};
use crate::elements::input;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType, invalid};

/// ONNX operator TopK.
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    /// The axis; negative counts from the end.
    pub axis: i64,
    /// Whether the largest elements are wanted, not the smallest.
    pub largest: bool,
    /// Whether they must be in order; they are in any case.
    pub sorted: bool,
}

crate::attributes!(TopK { axis, largest, sorted });

/// Elements along an axis: more would not fit counters.
const MOST: usize = i32::MAX as usize;

impl TopK {
    /// The type of the input, the axis, and the types of the outputs.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, usize, [TensorType; 2]), OpError> {
        let x = args.typed(0, "X", DType::NUMBERS)?.ty();
        let axis = resolve_axis(self.axis, x.shape.rank())?;
        let given = args.typed(1, "K", DType::INTEGERS)?;
        let k = match (given.shape.numel(), args.known_ints(1, "K")?.as_deref()) {
            (1, Some([k])) => *k,
            _ => return invalid!("input 1 (K): expected one integer, found {}", given.ty()),
        };
        let n = x.shape[axis];
        if n > MOST {
            return Err(OpError::TooLarge(format!("axis {axis} of {x} has more than {MOST} elements")));
        }
        let Some(k) = usize::try_from(k).ok().filter(|k| *k <= n) else {
            return invalid!("input 1 (K): expected 0 to {n} for axis {axis} of {x}, found {k}");
        };
        let mut shape = x.shape.dims().to_vec();
        shape[axis] = k;
        let types = [x.dtype, DType::I64].map(|d| TensorType::new(d, shape.clone()));
        Ok((x, axis, types))
    }
}

impl Operator for TopK {
    fn name(&self) -> &'static str {
        "TopK"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(self.problem(args)?.2.to_vec())
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (x, axis, [values, indices]) = self.problem(args)?;
        let mut c = Compute::new();
        if values.shape.numel() == 0 {
            for ty in [values, indices] {
                let zero = Expr::Const(Scalar::zero(ty.dtype));
                let out = c.map("nothing", ty, zero);
                c.output(out);
            }
            return Ok(c);
        }
        let src = c.input(0, &args.required(0, "X")?);
        let (n, k) = (x.shape[axis], values.shape[axis]);
        let rows = steps::keys(&mut c, src, axis, self.largest);
        let order = rows.order(&mut c, k);
        let mut at = vars(x.shape.rank());
        let place = at.remove(axis);
        let found = c.map("indices", indices, order.at(&at, place));
        let mut index = vars(x.shape.rank());
        index[axis] = Expr::load(found, index.clone()).clamp(0, n as i64 - 1);
        let picked = c.map("values", values, Expr::load(src, index));
        c.output(picked);
        c.output(found);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (x, axis, [values, indices]) = self.problem(Args(&args))?;
        let src = input(inputs, 0, "X")?;
        let elements = scalars(src)?;
        let (n, k) = (x.shape[axis], values.shape[axis]);
        let inner = Shape::new(&x.shape[axis + 1..]).numel();
        let mut found = vec![0i64; indices.shape.numel()];
        for row in 0..found.len().checked_div(k).unwrap_or(0) {
            let (outer, l) = (row / inner, row % inner);
            let at = |r: usize| elements[(outer * n + r) * inner + l];
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&a, &b| match self.largest {
                true => ascending(at(b), at(a)),
                false => ascending(at(a), at(b)),
            });
            for (j, r) in order.into_iter().take(k).enumerate() {
                found[(outer * k + j) * inner + l] = r as i64;
            }
        }
        let picked: Vec<Scalar> = (found.iter().enumerate())
            .map(|(i, &r)| elements[(i / inner / k * n + r as usize) * inner + i % inner])
            .collect();
        Ok(vec![tensor(&values, &picked)?, Tensor::new(indices.shape, &found)?])
    }
}

/// The order of numbers of one type; NaN is larger than all others.
fn ascending(a: Scalar, b: Scalar) -> std::cmp::Ordering {
    match a.int().zip(b.int()) {
        Some((a, b)) => a.cmp(&b),
        None => {
            let (a, b) = (a.to_f64(), b.to_f64());
            a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
    }
}

#[cfg(test)]
mod tests;
