//! The shape of a tensor as a tensor: `Y = [d(start), .., d(end - 1)]` of i64. Only the input's type is used.
//!
//! `start` and `end` count from the end when negative and are clamped to `0..=rank`; Y is empty where `end <= start`.
//! Mirrors ONNX Shape-1 to -15 and later.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::error::OpError;
use crate::expr::Expr;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// The shape of a tensor, or a part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeOf {
    /// First axis; negative counts from the end.
    pub start: i64,
    /// Axis after the last; none: all.
    pub end: Option<i64>,
}

crate::attributes!(ShapeOf { start, end });

impl ShapeOf {
    fn extents(&self, args: Args<'_>) -> Result<Vec<i64>, OpError> {
        let shape = args.required(0, "data")?.shape;
        let rank = shape.rank() as i128;
        let at = |axis: i64| {
            let from_front = i128::from(axis) + if axis < 0 { rank } else { 0 };
            from_front.clamp(0, rank) as usize
        };
        let (start, end) = (at(self.start), self.end.map_or(shape.rank(), at));
        shape[start..end.max(start)]
            .iter()
            .map(|&d| {
                i64::try_from(d).map_err(|_| OpError::TooLarge(format!("extent {d} of {shape} exceeds i64")))
            })
            .collect()
    }
}

impl Operator for ShapeOf {
    fn name(&self) -> &'static str {
        "Shape"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![TensorType::new(DType::I64, [self.extents(args)?.len()])])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let extents = self.extents(args)?;
        let mut c = Compute::new();
        let table = Tensor::new([extents.len()], &extents)?;
        let ty = table.ty().clone();
        let body = if extents.is_empty() {
            Expr::int(0)
        } else {
            let b = c.table(table);
            Expr::load(b, [Expr::var(0)])
        };
        let out = c.map("shape", ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let extents = self.extents(Args(&known_args(inputs)))?;
        Ok(vec![Tensor::new([extents.len()], &extents)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{infer_unknown, run, t};

    #[test]
    fn parts_of_a_shape() {
        let x = t::<f32>([2, 0, 5], &[]);
        let cases: &[(i64, Option<i64>, &[i64])] = &[
            (0, None, &[2, 0, 5]),
            (1, None, &[0, 5]),
            (-1, None, &[5]),
            (0, Some(-1), &[2, 0]),
            (-9, Some(9), &[2, 0, 5]),
            (2, Some(1), &[]),
            (i64::MIN, Some(i64::MAX), &[2, 0, 5]),
        ];
        for &(start, end, want) in cases {
            let y = run(&ShapeOf { start, end }, &[&x]);
            assert_eq!(y, Ok(t([want.len()], want)), "{start}..{end:?}");
        }
        assert_eq!(run(&ShapeOf { start: 0, end: None }, &[&t([], &[1u8])]), Ok(t::<i64>([0], &[])));
    }

    #[test]
    fn elements_are_not_needed() {
        let types = infer_unknown(&ShapeOf { start: 0, end: None }, &[TensorType::new(DType::Bool, [4, 4])]);
        assert_eq!(types, Ok(vec![TensorType::new(DType::I64, [2])]));
    }
}
