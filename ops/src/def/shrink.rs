//! Shrinks towards zero: `Y = X < -lambd ? X + bias : (X > lambd ? X - bias : 0)`. Mirrors ONNX Shrink-9.
//!
//! Input 0 (`input`): numbers of any type, any shape; the output has its type. Integers are compared as f64; a bias with
//! a fraction is added to them as f64 and the result truncated, another one wraps as they do.

use crate::arg::{Args, known_args};
use crate::compute::{Compute, scalars, tensor};
use crate::dtype::DType;
use crate::elements::{input, map_floats, wrapped};
use crate::error::OpError;
use crate::expr::{BinaryFn, CompareFn, Expr, Scalar};
use crate::index::elementwise;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Shrinks towards zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrink {
    /// What is taken from the magnitude.
    pub bias: f32,
    /// Magnitudes up to this one become 0.
    pub lambd: f32,
}

crate::attributes!(Shrink { bias, lambd });

impl Shrink {
    /// `v + bias` or `v - bias`, of type `dtype`.
    fn moved(&self, function: BinaryFn, v: Expr, dtype: DType) -> Expr {
        let bias = f64::from(self.bias);
        match dtype.is_float() || bias.fract() == 0.0 {
            true => Expr::binary(function, v, Expr::literal(dtype, bias)),
            false => Expr::binary(function, v.cast(DType::F64), Expr::literal(DType::F64, bias)).cast(dtype),
        }
    }

    fn of_int(&self, v: Scalar) -> Scalar {
        let (bias, lambd) = (f64::from(self.bias), f64::from(self.lambd));
        let sign = match v.to_f64() {
            x if x < -lambd => 1.0,
            x if x > lambd => -1.0,
            _ => return Scalar::zero(v.dtype()),
        };
        match (bias.fract() == 0.0, v.int(), Scalar::F64(bias).cast(v.dtype()).int()) {
            (true, Some(x), Some(bias)) => wrapped(v.dtype(), if sign > 0.0 { x + bias } else { x - bias }),
            _ => Scalar::F64(v.to_f64() + sign * bias).cast(v.dtype()),
        }
    }
}

impl Operator for Shrink {
    fn name(&self) -> &'static str {
        "Shrink"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "input", DType::NUMBERS)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "input", DType::NUMBERS)?;
        let compared = if x.dtype.is_float() { x.dtype } else { DType::F64 };
        let limit = |v: f32| Expr::literal(compared, v.into());
        Ok(elementwise("shrink", &x, |v| {
            let number = || if compared == x.dtype { v.clone() } else { v.clone().cast(compared) };
            let below = Expr::compare(CompareFn::Lt, number(), limit(-self.lambd));
            let above = Expr::compare(CompareFn::Gt, number(), limit(self.lambd));
            let less = self.moved(BinaryFn::Sub, v.clone(), x.dtype);
            let more = self.moved(BinaryFn::Add, v.clone(), x.dtype);
            below.select(more, above.select(less, Expr::Const(Scalar::zero(x.dtype))))
        }))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let x = input(inputs, 0, "input")?;
        let (bias, lambd) = (f64::from(self.bias), f64::from(self.lambd));
        if x.dtype().is_float() {
            let of = |v: f64| match v {
                v if v < -lambd => v + bias,
                v if v > lambd => v - bias,
                _ => 0.0,
            };
            return Ok(vec![map_floats(x, of)?]);
        }
        let all: Vec<Scalar> = scalars(x)?.into_iter().map(|v| self.of_int(v)).collect();
        Ok(vec![tensor(x.ty(), &all)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let op = Shrink { bias: 1.5, lambd: 1.5 };
        let y = run(&op, &[&t([5], &[-2.0f32, -1.0, 0.0, 1.0, 2.0])]);
        assert_eq!(y, Ok(t([5], &[-0.5f32, 0.0, 0.0, 0.0, 0.5])));
        assert_eq!(run(&op, &[&t([4], &[-3i8, -2, 1, 3])]), Ok(t([4], &[-1i8, 0, 0, 1])));
        let whole = Shrink { bias: 2.0, lambd: 0.5 };
        let odd = (1i64 << 60) + 1;
        assert_eq!(run(&whole, &[&t([3], &[odd, 0, i64::MIN])]), Ok(t([3], &[odd - 2, 0, i64::MIN + 2])));
        assert!(error(&op, &[&t([1], &[true])]).contains("found bool[1]"));
    }
}
