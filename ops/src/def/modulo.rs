//! Remainders, element by element, with numpy broadcasting. Mirrors ONNX Mod-10 and -13.
//!
//! `C = A - B * q`: without `fmod` q is the quotient rounded down, so that C has the sign of B, with `fmod` it is the
//! quotient truncated towards zero, so that C has the sign of A. `x mod 0` of integers is 0.
//!
//! Inputs: A and B of one type, integers, or with `fmod` any numbers. Errors: other or different element types, shapes
//! that do not broadcast.

use crate::arg::{Arg, Args, known_args};
use crate::compute::{Compute, scalars, tensor};
use crate::dtype::DType;
use crate::elements::{broadcast_positions, input, wrapped};
use crate::error::OpError;
use crate::expr::{BinaryFn, CompareFn, Expr, Scalar};
use crate::index::broadcast_load;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// The remainder of a division.
#[derive(Clone, Debug, PartialEq)]
pub struct Mod {
    /// Whether the remainder has the sign of the dividend.
    pub fmod: bool,
}

crate::attributes!(Mod { fmod });

impl Mod {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<([Arg<'a>; 2], TensorType), OpError> {
        let taken = if self.fmod { DType::NUMBERS } else { DType::INTEGERS };
        let (a, b) = (args.typed(0, "A", taken)?, args.typed(1, "B", taken)?);
        if a.dtype != b.dtype {
            return invalid!("inputs: expected one element type, found {} and {}", a.ty(), b.ty());
        }
        Ok(([a, b], TensorType { dtype: a.dtype, shape: a.shape.broadcast(b.shape)? }))
    }

    fn of(&self, a: Scalar, b: Scalar) -> Scalar {
        match (a.int(), b.int()) {
            (Some(_), Some(0)) => Scalar::zero(a.dtype()),
            (Some(x), Some(y)) if self.fmod => wrapped(a.dtype(), x % y),
            (Some(x), Some(y)) => wrapped(a.dtype(), (x % y + y) % y),
            _ => Scalar::F64(a.to_f64() % b.to_f64()).cast(a.dtype()),
        }
    }
}

impl Operator for Mod {
    fn name(&self) -> &'static str {
        "Mod"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.1])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ([a, b], ty) = self.arguments(args)?;
        let mut c = Compute::new();
        let x = broadcast_load(&mut c, 0, &a, &ty.shape);
        let y = broadcast_load(&mut c, 1, &b, &ty.shape);
        let rest = x % y.clone();
        let zero = || Expr::Const(Scalar::zero(ty.dtype));
        let negative = |e: &Expr| Expr::compare(CompareFn::Lt, e.clone(), zero());
        let body = if self.fmod || ty.dtype.is_unsigned() {
            rest
        } else {
            let apart = Expr::binary(BinaryFn::Xor, negative(&rest), negative(&y));
            let adjust = apart.and(Expr::compare(CompareFn::Ne, rest.clone(), zero()));
            adjust.select(rest.clone() + y, rest)
        };
        let out = c.map("mod", ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let (a, b) = (input(inputs, 0, "A")?, input(inputs, 1, "B")?);
        let at = |t: &Tensor| broadcast_positions(t.shape(), &ty.shape);
        let (x, y) = (scalars(a)?, scalars(b)?);
        let all: Vec<Scalar> = at(a)?.into_iter().zip(at(b)?).map(|(i, j)| self.of(x[i], y[j])).collect();
        Ok(vec![tensor(&ty, &all)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn signs() {
        let (a, b) = (t([6], &[-4i64, 7, 5, 4, -7, 8]), t([6], &[2i64, -3, 8, -2, 3, 5]));
        assert_eq!(run(&Mod { fmod: false }, &[&a, &b]), Ok(t([6], &[0i64, -2, 5, 0, 2, 3])));
        assert_eq!(run(&Mod { fmod: true }, &[&a, &b]), Ok(t([6], &[0i64, 1, 5, 0, -1, 3])));
        let (a, b) = (t([3], &[-7i8, -128, 5]), t([3], &[-3i8, -1, 0]));
        assert_eq!(run(&Mod { fmod: false }, &[&a, &b]), Ok(t([3], &[-1i8, 0, 0])));
        assert_eq!(
            run(&Mod { fmod: false }, &[&t([2, 1], &[7u64, u64::MAX]), &t([], &[4u64])]),
            Ok(t([2, 1], &[3u64, 3]))
        );
    }

    #[test]
    fn floats() {
        let (a, b) = (t([4], &[-4.3f32, 7.2, 5.0, 1.0]), t([4], &[2.1f32, -3.4, 8.0, 0.0]));
        let y = run(&Mod { fmod: true }, &[&a, &b]).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(y[..3], [-4.3f32 % 2.1, 7.2f32 % -3.4, 5.0]);
        assert!(y[3].is_nan());
        assert!(error(&Mod { fmod: false }, &[&a, &b]).contains("found f32[4]"));
        assert!(error(&Mod { fmod: true }, &[&a, &t([1], &[1i64])]).contains("found f32[4] and i64[1]"));
    }
}
