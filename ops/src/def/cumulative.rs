//! Running sums and products along an axis: ONNX `CumSum`, opsets 11 and 14, and `CumProd`, opset 26.
//!
//! ```text
//! y[i.., r, j..] = sum, or product, over q <= r of x[i.., q, j..]          q < r when exclusive
//! ```
//!
//! From the end, `q >= r`, when reversed. One element after the other is added: floats round at each step. Inputs: 0
//! (`x`), f32, f64, i64, i32, u64 or u32, rank at least 1; 1 (`axis`), one integer known before the run, negative counts
//! from the end. Output: the type of `x`. Integers wrap. Errors: an axis out of range, several axes.

use crate::arg::known_args;
use crate::axes::resolve_axis;
use crate::compute::{Compute, Update};
use crate::elements::input;
use crate::expr::{BinaryFn, Expr, Scalar};
use crate::index::vars;
use crate::{Args, DType, Element, OpError, Operator, Shape, Tensor, TensorType, invalid};

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CumulativeKind {
    /// ONNX `CumSum`.
    Sum,
    /// ONNX `CumProd`.
    Prod,
}

crate::attr_enum!(CumulativeKind { Sum = "sum", Prod = "prod" });

/// ONNX operators CumSum and CumProd.
#[derive(Clone, Debug, PartialEq)]
pub struct Cumulative {
    /// The function.
    pub kind: CumulativeKind,
    /// Whether an element itself is left out of its result.
    pub exclusive: bool,
    /// Whether the axis is gone through from the end.
    pub reverse: bool,
}

crate::attributes!(Cumulative { kind, exclusive, reverse });

impl Cumulative {
    /// The type and the axis.
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, usize), OpError> {
        use DType::*;
        let ty = args.typed(0, "x", &[F32, F64, I64, I32, U64, U32])?.ty();
        let axis = args.typed(1, "axis", &[I64, I32])?;
        if axis.shape.numel() != 1 {
            return invalid!("input 1 (axis): expected one integer, found {}", axis.ty());
        }
        match args.known_ints(1, "axis")?.as_deref() {
            Some([axis]) => resolve_axis(*axis, ty.shape.rank()).map(|axis| (ty, axis)),
            _ => invalid!("input 1 (axis): expected one integer, found {}", axis.ty()),
        }
    }
}

impl Operator for Cumulative {
    fn name(&self) -> &'static str {
        match self.kind {
            CumulativeKind::Sum => "CumSum",
            CumulativeKind::Prod => "CumProd",
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (ty, axis) = self.problem(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let (function, start) = match self.kind {
            CumulativeKind::Sum => (BinaryFn::Add, 0.0),
            CumulativeKind::Prod => (BinaryFn::Mul, 1.0),
        };
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "x")?);
        let (rank, n) = (ty.shape.rank(), ty.shape[axis]);
        let first = if self.exclusive { Expr::literal(ty.dtype, start) } else { Expr::load(src, vars(rank)) };
        let y = c.map(self.kind.name(), ty.clone(), first);
        if n > 1 {
            let mut extents = ty.shape.dims().to_vec();
            extents[axis] = n - 1;
            let at = |position: Expr| {
                let mut index = vars(rank);
                index[axis] = position;
                index
            };
            let step = Expr::var(axis);
            let (before, here) = if self.reverse {
                (Expr::int(n - 1) - step.clone(), Expr::int(n - 2) - step)
            } else {
                (step.clone(), step + Expr::int(1))
            };
            let element = if self.exclusive { before.clone() } else { here.clone() };
            let body = Expr::binary(function, Expr::load(y, at(before)), Expr::load(src, at(element)));
            c.update(self.kind.name(), y, Update { extents, index: at(here) }, body);
        }
        c.output(y);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (ty, axis) = self.problem(Args(&args))?;
        let x = input(inputs, 0, "x")?;
        macro_rules! integers {
            ($t:ty) => {
                match self.kind {
                    CumulativeKind::Sum => self.scan(x, axis, 0, <$t>::wrapping_add),
                    CumulativeKind::Prod => self.scan(x, axis, 1, <$t>::wrapping_mul),
                }
            };
        }
        macro_rules! floats {
            ($t:ty) => {
                match self.kind {
                    CumulativeKind::Sum => self.scan(x, axis, 0.0, |a: $t, b: $t| a + b),
                    CumulativeKind::Prod => self.scan(x, axis, 1.0, |a: $t, b: $t| a * b),
                }
            };
        }
        Ok(vec![match ty.dtype {
            DType::F32 => floats!(f32)?,
            DType::F64 => floats!(f64)?,
            DType::I64 => integers!(i64)?,
            DType::I32 => integers!(i32)?,
            DType::U64 => integers!(u64)?,
            _ => integers!(u32)?,
        }])
    }
}

impl Cumulative {
    fn scan<T: Element>(
        &self,
        x: &Tensor,
        axis: usize,
        start: T,
        f: fn(T, T) -> T,
    ) -> Result<Tensor, OpError> {
        let src = x.to_vec::<T>()?;
        let mut y = src.clone();
        let n = x.shape()[axis];
        let inner = Shape::new(&x.shape()[axis + 1..]).numel();
        for line in 0..src.len().checked_div(n).unwrap_or(0) {
            let mut acc: Option<T> = None;
            for step in 0..n {
                let r = if self.reverse { n - 1 - step } else { step };
                let at = (line / inner * n + r) * inner + line % inner;
                let after = acc.map_or(src[at], |acc| f(acc, src[at]));
                y[at] = if self.exclusive { acc.unwrap_or(start) } else { after };
                acc = Some(after);
            }
        }
        Tensor::new(x.shape().clone(), &y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, infer_unknown, run, t};

    fn op(kind: CumulativeKind, exclusive: bool, reverse: bool) -> Cumulative {
        Cumulative { kind, exclusive, reverse }
    }

    #[test]
    fn hand_computed() {
        use CumulativeKind::{Prod, Sum};
        let x = t([2, 3], &[1i32, 2, 3, 4, 5, 6]);
        let of = |kind, exclusive, reverse, axis: i64| {
            let axis = t([], &[axis]);
            run(&op(kind, exclusive, reverse), &[&x, &axis]).unwrap().to_vec::<i32>().unwrap()
        };
        assert_eq!(of(Sum, false, false, 1), [1, 3, 6, 4, 9, 15]);
        assert_eq!(of(Sum, true, false, -1), [0, 1, 3, 0, 4, 9]);
        assert_eq!(of(Sum, false, true, 1), [6, 5, 3, 15, 11, 6]);
        assert_eq!(of(Sum, true, true, 1), [5, 3, 0, 11, 6, 0]);
        assert_eq!(of(Sum, false, false, 0), [1, 2, 3, 5, 7, 9]);
        assert_eq!(of(Prod, false, false, 1), [1, 2, 6, 4, 20, 120]);
        assert_eq!(of(Prod, true, true, -2), [4, 5, 6, 1, 1, 1]);
        assert_eq!(of(Prod, true, false, 1), [1, 1, 2, 1, 4, 20]);
    }

    #[test]
    fn types() {
        let axis = t([1], &[0i32]);
        let sum = op(CumulativeKind::Sum, false, false);
        let of = |x: &Tensor| run(&sum, &[x, &axis]).unwrap();
        assert_eq!(of(&t([2], &[u64::MAX, 2])), t([2], &[u64::MAX, 1]));
        assert_eq!(of(&t([2], &[u32::MAX, 2])), t([2], &[u32::MAX, 1]));
        assert_eq!(of(&t([2], &[i64::MAX, 1])), t([2], &[i64::MAX, i64::MIN]));
        assert_eq!(of(&t([3], &[1.0f32, f32::NAN, 1.0])).to_f64s()[0], 1.0);
        assert_eq!(of(&t([2], &[0.1f64, 0.2])), t([2], &[0.1f64, 0.1 + 0.2]));
        assert_eq!(of(&t([1], &[-0.0f32])).bytes(), t([1], &[-0.0f32]).bytes());
        assert_eq!(of(&t::<f32>([0, 3], &[])), t::<f32>([0, 3], &[]));
    }

    #[test]
    fn errors() {
        let sum = op(CumulativeKind::Sum, false, false);
        let x = t([1], &[1.0f32]);
        assert!(error(&sum, &[&x, &t([], &[1i64])]).contains("the 1 axes"));
        assert!(error(&sum, &[&x, &t([2], &[0i64, 0])]).contains("expected one integer, found i64[2]"));
        assert!(error(&sum, &[&x, &t([], &[0.0f32])]).contains("expected i64 or i32"));
        assert!(error(&sum, &[&t([1], &[1u8]), &t([], &[0i64])]).contains("found u8[1]"));
        let unknown = infer_unknown(&sum, &[x.ty().clone(), TensorType::new(DType::I64, [])]);
        assert!(matches!(unknown, Err(OpError::DataDependent(_))));
    }
}
