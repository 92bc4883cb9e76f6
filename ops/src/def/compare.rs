//! Comparisons of two tensors, element by element, with numpy broadcasting: `C = A ? B`, C of bool.
//!
//! Equal takes every element type, the others every type but bool; A and B have one type. Every comparison with NaN
//! is false.
//!
//! Errors: element types that differ or are not taken, shapes that do not broadcast.
//! Mirrors ONNX Equal-7 to -19, Less-7 to -13, LessOrEqual-12, Greater-7 to -13, GreaterOrEqual-12 and later.

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map2};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr};
use crate::index::broadcast_load;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::{Element, Tensor};

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareKind {
    /// ONNX `Equal`.
    Equal,
    /// ONNX `Less`.
    Less,
    /// ONNX `LessOrEqual`.
    LessOrEqual,
    /// ONNX `Greater`.
    Greater,
    /// ONNX `GreaterOrEqual`.
    GreaterOrEqual,
}

crate::attr_enum!(CompareKind {
    Equal = "equal",
    Less = "less",
    LessOrEqual = "less_or_equal",
    Greater = "greater",
    GreaterOrEqual = "greater_or_equal",
});

/// A comparison of two tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// The comparison.
    pub kind: CompareKind,
}

crate::attributes!(Compare { kind });

impl Compare {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<(Arg<'a>, Arg<'a>, TensorType), OpError> {
        let taken = match self.kind {
            CompareKind::Equal => &DType::ALL[..],
            _ => DType::NUMBERS,
        };
        let (a, b) = (args.typed(0, "A", taken)?, args.typed(1, "B", taken)?);
        if a.dtype != b.dtype {
            return invalid!("inputs: expected one element type, found {} and {}", a.ty(), b.ty());
        }
        Ok((a, b, TensorType { dtype: DType::Bool, shape: a.shape.broadcast(b.shape)? }))
    }

    fn of<T: Element + PartialOrd>(&self, a: &Tensor, b: &Tensor) -> Result<Tensor, OpError> {
        map2(a, b, |x: T, y: T| match self.kind {
            CompareKind::Equal => x == y,
            CompareKind::Less => x < y,
            CompareKind::LessOrEqual => x <= y,
            CompareKind::Greater => x > y,
            CompareKind::GreaterOrEqual => x >= y,
        })
    }
}

impl Operator for Compare {
    fn name(&self) -> &'static str {
        match self.kind {
            CompareKind::Equal => "Equal",
            CompareKind::Less => "Less",
            CompareKind::LessOrEqual => "LessOrEqual",
            CompareKind::Greater => "Greater",
            CompareKind::GreaterOrEqual => "GreaterOrEqual",
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.2])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (a, b, ty) = self.arguments(args)?;
        let function = match self.kind {
            CompareKind::Equal => CompareFn::Eq,
            CompareKind::Less => CompareFn::Lt,
            CompareKind::LessOrEqual => CompareFn::Le,
            CompareKind::Greater => CompareFn::Gt,
            CompareKind::GreaterOrEqual => CompareFn::Ge,
        };
        let mut c = Compute::new();
        let x = broadcast_load(&mut c, 0, &a, &ty.shape);
        let y = broadcast_load(&mut c, 1, &b, &ty.shape);
        let out = c.map(self.kind.name(), ty, Expr::compare(function, x, y));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let (a, b) = (input(inputs, 0, "A")?, input(inputs, 1, "B")?);
        Ok(vec![by_dtype!(a.dtype(), T => self.of::<T>(a, b)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn every_comparison() {
        let (a, b) = (t([3], &[1i64, 2, 3]), t([], &[2i64]));
        for (kind, want) in [
            (CompareKind::Equal, [false, true, false]),
            (CompareKind::Less, [true, false, false]),
            (CompareKind::LessOrEqual, [true, true, false]),
            (CompareKind::Greater, [false, false, true]),
            (CompareKind::GreaterOrEqual, [false, true, true]),
        ] {
            assert_eq!(run(&Compare { kind }, &[&a, &b]), Ok(t([3], &want)), "{kind}");
            let nan = t([1], &[f32::NAN]);
            assert_eq!(run(&Compare { kind }, &[&nan, &nan]), Ok(t([1], &[false])), "{kind}");
        }
        let bools =
            run(&Compare { kind: CompareKind::Equal }, &[&t([2, 1], &[true, false]), &t([1], &[true])]);
        assert_eq!(bools, Ok(t([2, 1], &[true, false])));
    }

    #[test]
    fn errors() {
        let less = Compare { kind: CompareKind::Less };
        let x = t([2], &[1i64, 2]);
        assert!(error(&less, &[&t([1], &[true]), &t([1], &[true])]).contains("found bool[1]"));
        assert!(error(&less, &[&x, &t([1], &[1i32])]).contains("found i64[2] and i32[1]"));
        assert!(error(&less, &[&x, &t([3], &[1i64; 3])]).contains("do not broadcast"));
    }
}
