//! A matrix of the input's shape with ones on a diagonal: `Y[i, j] = (j - i == k)`.
//!
//! Input 0 (`input`): a matrix of any type, whose elements do not matter. Y has the type of the attribute, or else the
//! input's. Errors: an input that is no matrix. Mirrors ONNX EyeLike-9 and -22.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::error::OpError;
use crate::expr::{CompareFn, Expr, Scalar};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::{Tensor, filled};

/// A matrix with ones on a diagonal.
#[derive(Clone, Debug, PartialEq)]
pub struct EyeLike {
    /// Element type of the result; none: the input's.
    pub dtype: Option<DType>,
    /// The diagonal: 0 is the main one, positive ones lie above it.
    pub k: i64,
}

crate::attributes!(EyeLike { dtype, k });

impl Operator for EyeLike {
    fn name(&self) -> &'static str {
        "EyeLike"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.required(0, "input")?;
        if x.shape.rank() != 2 {
            return invalid!("input 0 (input): expected a matrix, found {}", x.ty());
        }
        Ok(vec![TensorType { dtype: self.dtype.unwrap_or(x.dtype), shape: x.shape.clone() }])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let literal = |v| Expr::Const(Scalar::I64(v).cast(ty.dtype));
        let one = Expr::compare(CompareFn::Eq, Expr::var(1) - Expr::var(0), Expr::int(self.k));
        let body = one.select(literal(1), literal(0));
        let mut c = Compute::new();
        let out = c.map("eye", ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let mut ones = filled(&ty.shape, 0u8)?;
        for i in 0..ty.shape[0] {
            let j = usize::try_from(i as i128 + i128::from(self.k)).ok().filter(|j| *j < ty.shape[1]);
            if let Some(j) = j {
                ones[i * ty.shape[1] + j] = 1;
            }
        }
        let mut bytes = Vec::with_capacity(ty.bytes());
        ones.into_iter().for_each(|v| Scalar::U8(v).cast(ty.dtype).write(&mut bytes));
        Ok(vec![Tensor::from_bytes(ty, bytes)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn diagonals() {
        let x = t([2, 3], &[7u8; 6]);
        let of = |dtype, k| run(&EyeLike { dtype, k }, &[&x]).unwrap();
        assert_eq!(of(None, 0), t([2, 3], &[1u8, 0, 0, 0, 1, 0]));
        assert_eq!(of(Some(DType::F64), 1), t([2, 3], &[0.0f64, 1.0, 0.0, 0.0, 0.0, 1.0]));
        assert_eq!(of(Some(DType::Bool), -1), t([2, 3], &[false, false, false, true, false, false]));
        assert_eq!(of(None, i64::MIN), t([2, 3], &[0u8; 6]));
        assert!(error(&EyeLike { dtype: None, k: 0 }, &[&t([1], &[1i64])]).contains("expected a matrix"));
    }
}
