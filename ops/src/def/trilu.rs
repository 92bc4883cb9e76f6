//! The upper or lower triangle of matrices: `Y[.., i, j] = X[.., i, j]` where `j - i >= k` (upper) or `j - i <= k`
//! (lower), and 0 elsewhere.
//!
//! Inputs: X of any type, rank 2 or more; optionally k, one integer, 0 by default. Y has X's type.
//!
//! Errors: a smaller rank, a k of another type or with more elements than one or none. Mirrors ONNX Trilu-14.

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, zero_bytes};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr, Scalar};
use crate::index::{scalar_load, vars};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// A triangle of matrices.
#[derive(Clone, Debug, PartialEq)]
pub struct Trilu {
    /// Whether the upper triangle is kept.
    pub upper: bool,
}

crate::attributes!(Trilu { upper });

fn arguments(args: Args<'_>) -> Result<(Arg<'_>, Option<Arg<'_>>), OpError> {
    let x = args.required(0, "input")?;
    if x.shape.rank() < 2 {
        return invalid!("input 0 (input): expected matrices, found {}", x.ty());
    }
    let k = match args.optional(1) {
        Some(_) => Some(args.typed(1, "k", &[DType::I64, DType::I32])?),
        None => None,
    };
    match k {
        Some(k) if k.shape.numel() != 1 => invalid!("input 1 (k): expected one element, found {}", k.ty()),
        k => Ok((x, k)),
    }
}

impl Operator for Trilu {
    fn name(&self) -> &'static str {
        "Trilu"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![arguments(args)?.0.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (x, k) = arguments(args)?;
        let zero = Scalar::zero(x.dtype);
        if x.shape.numel() == 0 {
            return Ok(Compute::filled(x.ty(), zero));
        }
        let mut c = Compute::new();
        let rank = x.shape.rank();
        let src = c.input(0, &x);
        let k = k.map_or(Ok(Expr::int(0)), |k| scalar_load(&mut c, 1, &k).map(|e| e.cast(DType::I64)))?;
        let order = if self.upper { CompareFn::Ge } else { CompareFn::Le };
        let kept = Expr::compare(order, Expr::var(rank - 1) - Expr::var(rank - 2), k);
        let out = c.map("trilu", x.ty(), kept.select(Expr::load(src, vars(rank)), Expr::Const(zero)));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        arguments(Args(&known_args(inputs)))?;
        let x = input(inputs, 0, "input")?;
        let k = match inputs.get(1).copied().flatten() {
            Some(k) => i128::from(k.to_i64s()?[0]),
            None => 0,
        };
        let (zero, mut bytes) = (zero_bytes(x.dtype()), Vec::with_capacity(x.bytes().len()));
        for (at, element) in x.shape().indices().zip(x.bytes().chunks_exact(x.dtype().size())) {
            let [.., row, column] = at[..] else { continue };
            let diagonal = column as i128 - row as i128;
            let kept = if self.upper { diagonal >= k } else { diagonal <= k };
            bytes.extend_from_slice(if kept { element } else { &zero });
        }
        Ok(vec![Tensor::from_bytes(x.ty().clone(), bytes)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn triangles() {
        let x = t([2, 3], &[1i64, 2, 3, 4, 5, 6]);
        let of = |upper, k: i64| run(&Trilu { upper }, &[&x, &t([], &[k])]).unwrap().to_vec::<i64>().unwrap();
        assert_eq!(of(true, 0), [1, 2, 3, 0, 5, 6]);
        assert_eq!(of(true, 2), [0, 0, 3, 0, 0, 0]);
        assert_eq!(of(false, 0), [1, 0, 0, 4, 5, 0]);
        assert_eq!(of(false, -1), [0, 0, 0, 4, 0, 0]);
        assert_eq!(of(true, i64::MIN), [1, 2, 3, 4, 5, 6]);
        assert_eq!(of(false, i64::MIN), [0; 6]);
        assert_eq!(run(&Trilu { upper: true }, &[&t::<bool>([2, 0, 3], &[])]), Ok(t::<bool>([2, 0, 3], &[])));
        let default = run(&Trilu { upper: false }, &[&t([1, 2, 2], &[true; 4])]);
        assert_eq!(default, Ok(t([1, 2, 2], &[true, false, true, true])));
    }

    #[test]
    fn errors() {
        let x = t([2, 1], &[1i64, 2]);
        assert!(error(&Trilu { upper: true }, &[&t([2], &[1i64, 2])]).contains("expected matrices"));
        assert!(error(&Trilu { upper: true }, &[&x, &t([2], &[1i64, 2])]).contains("expected one element"));
        assert!(error(&Trilu { upper: true }, &[&x, &t([], &[1.0f32])]).contains("expected i64 or i32"));
    }
}
