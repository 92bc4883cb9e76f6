//! Functions of two tensors, element by element, with numpy broadcasting.
//!
//! `C = f(A, B)`, shape of C: the shapes of A and B broadcast.
//!
//! | function | element types | notes | ONNX operator, first opset |
//! |---|---|---|---|
//! | add, sub, mul | all numbers | integers wrap | Add-7, Sub-7, Mul-7 |
//! | div | all numbers | integers truncate towards zero; an integer divided by 0 is 0, which ONNX leaves open | Div-7 |
//! | max, min | all numbers | NaN if either is NaN | Max-8, Min-8, for two inputs |
//! | pow | A, C: f32 f64 i64 i32; B: all numbers | see [`crate::def::binary::Binary`] | Pow-7, -12 |
//! | and, or, xor | bool | | And-7, Or-7, Xor-7 |
//! | bitwise_and, bitwise_or, bitwise_xor | integers | | BitwiseAnd-18, BitwiseOr-18, BitwiseXor-18 |
//!
//! Errors: element types that differ (but for pow) or are not in the table, shapes that do not broadcast.

mod power;

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map2};
use crate::error::OpError;
use crate::expr::{BinaryFn, Expr};
use crate::index::broadcast_load;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryKind {
    /// ONNX `Add`.
    Add,
    /// ONNX `Sub`.
    Sub,
    /// ONNX `Mul`.
    Mul,
    /// ONNX `Div`.
    Div,
    /// ONNX `Pow`.
    Pow,
    /// ONNX `Max`.
    Max,
    /// ONNX `Min`.
    Min,
    /// ONNX `And`.
    And,
    /// ONNX `Or`.
    Or,
    /// ONNX `Xor`.
    Xor,
    /// ONNX `BitwiseAnd`.
    BitwiseAnd,
    /// ONNX `BitwiseOr`.
    BitwiseOr,
    /// ONNX `BitwiseXor`.
    BitwiseXor,
}

crate::attr_enum!(BinaryKind {
    Add = "add",
    Sub = "sub",
    Mul = "mul",
    Div = "div",
    Pow = "pow",
    Max = "max",
    Min = "min",
    And = "and",
    Or = "or",
    Xor = "xor",
    BitwiseAnd = "bitwise_and",
    BitwiseOr = "bitwise_or",
    BitwiseXor = "bitwise_xor",
});

/// A function of two tensors.
///
/// Powers have the base's type. A base of floats: the exponent is converted to the base's type, or the base to f64 where
/// the exponent is f64. An integer base with an exponent without fraction: the product, wrapping; with a negative
/// exponent the quotient truncated towards zero, 0 for the base 0. An integer base with a fraction in the exponent:
/// computed in the exponent's type, then truncated.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The function.
    pub kind: BinaryKind,
}

crate::attributes!(Binary { kind });

impl Binary {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<(Arg<'a>, Arg<'a>, TensorType), OpError> {
        let (of_a, of_b): (&[DType], &[DType]) = match self.kind {
            BinaryKind::Pow => (&[DType::F32, DType::F64, DType::I64, DType::I32], DType::NUMBERS),
            BinaryKind::And | BinaryKind::Or | BinaryKind::Xor => (&[DType::Bool], &[DType::Bool]),
            BinaryKind::BitwiseAnd | BinaryKind::BitwiseOr | BinaryKind::BitwiseXor => {
                (DType::INTEGERS, DType::INTEGERS)
            }
            _ => (DType::NUMBERS, DType::NUMBERS),
        };
        let (a, b) = (args.typed(0, "A", of_a)?, args.typed(1, "B", of_b)?);
        if a.dtype != b.dtype && self.kind != BinaryKind::Pow {
            return invalid!("inputs: expected one element type, found {} and {}", a.ty(), b.ty());
        }
        let ty = TensorType { dtype: a.dtype, shape: a.shape.broadcast(b.shape)? };
        Ok((a, b, ty))
    }

    fn function(&self) -> BinaryFn {
        match self.kind {
            BinaryKind::Add => BinaryFn::Add,
            BinaryKind::Sub => BinaryFn::Sub,
            BinaryKind::Mul => BinaryFn::Mul,
            BinaryKind::Div => BinaryFn::Div,
            BinaryKind::Pow => BinaryFn::Pow,
            BinaryKind::Max => BinaryFn::Max,
            BinaryKind::Min => BinaryFn::Min,
            BinaryKind::And | BinaryKind::BitwiseAnd => BinaryFn::And,
            BinaryKind::Or | BinaryKind::BitwiseOr => BinaryFn::Or,
            BinaryKind::Xor | BinaryKind::BitwiseXor => BinaryFn::Xor,
        }
    }
}

macro_rules! integers {
    ($t:ty, $kind:expr, $a:expr, $b:expr) => {
        match $kind {
            BinaryKind::Add => map2($a, $b, <$t>::wrapping_add),
            BinaryKind::Sub => map2($a, $b, <$t>::wrapping_sub),
            BinaryKind::Mul => map2($a, $b, <$t>::wrapping_mul),
            BinaryKind::Div => map2($a, $b, |x: $t, y: $t| if y == 0 { 0 } else { x.wrapping_div(y) }),
            BinaryKind::Max => map2($a, $b, |x: $t, y: $t| x.max(y)),
            BinaryKind::BitwiseAnd => map2($a, $b, |x: $t, y: $t| x & y),
            BinaryKind::BitwiseOr => map2($a, $b, |x: $t, y: $t| x | y),
            BinaryKind::BitwiseXor => map2($a, $b, |x: $t, y: $t| x ^ y),
            _ => map2($a, $b, |x: $t, y: $t| x.min(y)),
        }
    };
}

macro_rules! floats {
    ($t:ty, $kind:expr, $a:expr, $b:expr) => {{
        let pick = |x: $t, y: $t, first: bool| match () {
            _ if x.is_nan() || y.is_nan() => <$t>::NAN,
            _ if first => x,
            _ => y,
        };
        match $kind {
            BinaryKind::Add => map2($a, $b, |x: $t, y: $t| x + y),
            BinaryKind::Sub => map2($a, $b, |x: $t, y: $t| x - y),
            BinaryKind::Mul => map2($a, $b, |x: $t, y: $t| x * y),
            BinaryKind::Div => map2($a, $b, |x: $t, y: $t| x / y),
            BinaryKind::Max => map2($a, $b, |x, y| pick(x, y, x > y)),
            _ => map2($a, $b, |x, y| pick(x, y, x < y)),
        }
    }};
}

impl Operator for Binary {
    fn name(&self) -> &'static str {
        match self.kind {
            BinaryKind::Add => "Add",
            BinaryKind::Sub => "Sub",
            BinaryKind::Mul => "Mul",
            BinaryKind::Div => "Div",
            BinaryKind::Pow => "Pow",
            BinaryKind::Max => "Max",
            BinaryKind::Min => "Min",
            BinaryKind::And => "And",
            BinaryKind::Or => "Or",
            BinaryKind::Xor => "Xor",
            BinaryKind::BitwiseAnd => "BitwiseAnd",
            BinaryKind::BitwiseOr => "BitwiseOr",
            BinaryKind::BitwiseXor => "BitwiseXor",
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.2])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (a, b, ty) = self.arguments(args)?;
        let mut c = Compute::new();
        let body = if self.kind == BinaryKind::Pow {
            power::definition(&mut c, &a, &b, &ty)
        } else {
            let x = broadcast_load(&mut c, 0, &a, &ty.shape);
            let y = broadcast_load(&mut c, 1, &b, &ty.shape);
            Expr::binary(self.function(), x, y)
        };
        let out = c.map(self.kind.name(), ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let (a, b) = (input(inputs, 0, "A")?, input(inputs, 1, "B")?);
        let y = match (self.kind, a.dtype()) {
            (BinaryKind::Pow, _) => power::reference(a, b),
            (BinaryKind::And, _) => map2(a, b, |x: bool, y: bool| x & y),
            (BinaryKind::Or, _) => map2(a, b, |x: bool, y: bool| x | y),
            (BinaryKind::Xor, _) => map2(a, b, |x: bool, y: bool| x != y),
            (kind, DType::I64) => integers!(i64, kind, a, b),
            (kind, DType::I32) => integers!(i32, kind, a, b),
            (kind, DType::I16) => integers!(i16, kind, a, b),
            (kind, DType::I8) => integers!(i8, kind, a, b),
            (kind, DType::U64) => integers!(u64, kind, a, b),
            (kind, DType::U32) => integers!(u32, kind, a, b),
            (kind, DType::U16) => integers!(u16, kind, a, b),
            (kind, DType::U8) => integers!(u8, kind, a, b),
            (kind, DType::F64) => floats!(f64, kind, a, b),
            (kind, _) => floats!(f32, kind, a, b),
        };
        Ok(vec![y?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn broadcasting() {
        let (a, b) = (t([2, 1], &[1.0f32, 10.0]), t([3], &[1.0f32, 2.0, 4.0]));
        let of = |kind, a: &Tensor, b: &Tensor| run(&Binary { kind }, &[a, b]).unwrap();
        assert_eq!(of(BinaryKind::Add, &a, &b), t([2, 3], &[2.0f32, 3.0, 5.0, 11.0, 12.0, 14.0]));
        assert_eq!(of(BinaryKind::Sub, &b, &a), t([2, 3], &[0.0f32, 1.0, 3.0, -9.0, -8.0, -6.0]));
        assert_eq!(of(BinaryKind::Div, &a, &t([], &[4.0f32])), t([2, 1], &[0.25f32, 2.5]));
        assert_eq!(of(BinaryKind::Mul, &t::<f32>([0, 1], &[]), &b), t::<f32>([0, 3], &[]));
    }

    #[test]
    fn integers() {
        let (a, b) = (t([4], &[7i64, -7, i64::MAX, i64::MIN]), t([4], &[2i64, 2, 0, -1]));
        let of = |kind| run(&Binary { kind }, &[&a, &b]).unwrap().to_vec::<i64>().unwrap();
        assert_eq!(of(BinaryKind::Div), [3, -3, 0, i64::MIN]);
        assert_eq!(of(BinaryKind::Add), [9, -5, i64::MAX, i64::MAX]);
        assert_eq!(of(BinaryKind::Max), [7, 2, i64::MAX, -1]);
        assert_eq!(of(BinaryKind::Min), [2, -7, 0, i64::MIN]);
        let u8s = run(&Binary { kind: BinaryKind::Sub }, &[&t([2], &[3u8, 3]), &t([2], &[5u8, 2])]).unwrap();
        assert_eq!(u8s, t([2], &[254u8, 1]));
    }

    #[test]
    fn powers() {
        let pow = |a: &Tensor, b: &Tensor| run(&Binary { kind: BinaryKind::Pow }, &[a, b]).unwrap();
        let base = t([3], &[1.0f32, 2.0, -3.0]);
        assert_eq!(pow(&base, &t([], &[2i64])), t([3], &[1.0f32, 4.0, 9.0]));
        assert_eq!(pow(&base, &t([3], &[4.0f32, 0.5, 3.0])).to_vec::<f32>().unwrap()[2], -27.0);
        let ints = t([6], &[2i64, -3, 0, 1, -1, 3]);
        assert_eq!(pow(&ints, &t([6], &[62i64, 3, 0, -5, -5, -1])), t([6], &[1i64 << 62, -27, 1, 1, -1, 0]));
        assert_eq!(
            pow(&t([2], &[3i64, 10]), &t([2], &[41u8, 18])),
            t([2], &[-420491770248316829i64, 1_000_000_000_000_000_000])
        );
        assert_eq!(pow(&t([3], &[1i32, 2, 4]), &t([3], &[4.0f32, 5.0, 1.5])), t([3], &[1i32, 32, 8]));
        assert_eq!(pow(&t([1], &[10.0f64]), &t([1], &[99i8])), t([1], &[10f64.powf(99.0)]));
        assert_eq!(pow(&t([1], &[-1.0f32]), &t([1], &[16_777_217.0f64])), t([1], &[-1.0f32]));
        assert_eq!(
            pow(&t([2], &[3i64, -1]), &t([2], &[u64::MAX, u64::MAX])),
            t([2], &[-6148914691236517205i64, -1])
        );
    }

    #[test]
    fn doubles_are_doubles() {
        let x = t([1], &[1e199f64]);
        assert_eq!(run(&Binary { kind: BinaryKind::Add }, &[&x, &x]), Ok(t([1], &[2e199f64])));
        assert_eq!(
            run(&Binary { kind: BinaryKind::Max }, &[&x, &t([], &[f64::INFINITY])]),
            Ok(t([1], &[f64::INFINITY]))
        );
    }

    #[test]
    fn nan_and_bools() {
        let nan = t([2], &[f32::NAN, 1.0]);
        for kind in [BinaryKind::Max, BinaryKind::Min] {
            for (a, b) in [(&nan, &t([2], &[0.0f32, 0.0])), (&t([2], &[0.0f32, 0.0]), &nan)] {
                let y = run(&Binary { kind }, &[a, b]).unwrap().to_vec::<f32>().unwrap();
                assert!(y[0].is_nan() && !y[1].is_nan(), "{kind}");
            }
        }
        let (a, b) = (t([4], &[true, true, false, false]), t([4], &[true, false, true, false]));
        let of = |kind| run(&Binary { kind }, &[&a, &b]).unwrap().to_vec::<bool>().unwrap();
        assert_eq!(of(BinaryKind::And), [true, false, false, false]);
        assert_eq!(of(BinaryKind::Or), [true, true, true, false]);
        assert_eq!(of(BinaryKind::Xor), [false, true, true, false]);
        let (a, b) = (t([2], &[0b1100i16, -1]), t([2], &[0b1010i16, 256]));
        let of = |kind| run(&Binary { kind }, &[&a, &b]).unwrap().to_vec::<i16>().unwrap();
        assert_eq!(of(BinaryKind::BitwiseAnd), [0b1000, 256]);
        assert_eq!(of(BinaryKind::BitwiseOr), [0b1110, -1]);
        assert_eq!(of(BinaryKind::BitwiseXor), [0b0110, -257]);
    }

    #[test]
    fn errors() {
        let add = Binary { kind: BinaryKind::Add };
        let x = t([2], &[1.0f32, 2.0]);
        assert_eq!(error(&add, &[&x, &t([3], &[1.0f32; 3])]), "shapes [2] and [3] do not broadcast");
        assert_eq!(
            error(&add, &[&x, &t([2], &[1i64, 2])]),
            "inputs: expected one element type, found f32[2] and i64[2]"
        );
        assert_eq!(error(&add, &[&x]), "input 1 (B) is missing");
        assert!(error(&Binary { kind: BinaryKind::And }, &[&x, &x]).contains("expected bool"));
    }
}
