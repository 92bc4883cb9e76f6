//! Functions of two tensors, element by element, with numpy broadcasting.
//!
//! `C = f(A, B)`, shape of C: the shapes of A and B broadcast.
//!
//! | function | element types | notes | ONNX operator, first opset |
//! |---|---|---|---|
//! | add, sub, mul | f32 i64 i32 u8 | integers wrap | Add-7, Sub-7, Mul-7 |
//! | div | f32 i64 i32 u8 | integers truncate towards zero; an integer divided by 0 is 0, which ONNX leaves open | Div-7 |
//! | max, min | f32 i64 i32 u8 | NaN if either is NaN | Max-8, Min-8, for two inputs |
//! | pow | A, C: f32 i64 i32; B: f32 i64 i32 u8 | see [`crate::def::binary::Binary`] | Pow-7, -12 |
//! | and, or, xor | bool | | And-7, Or-7, Xor-7 |
//!
//! Errors: element types that differ (but for pow) or are not in the table, shapes that do not broadcast.

use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map2};
use crate::error::OpError;
use crate::expr::{BinaryFn, CompareFn, Expr, UnaryFn};
use crate::index::{broadcast_load, known_scalar, vars};
use crate::invalid;
use crate::op::{Arg, Args, Operator, known_args};
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
});

/// A function of two tensors.
///
/// Powers have the base's type. A base of f32: the exponent is converted to f32. An integer base with an exponent
/// without fraction: the product, wrapping; with a negative exponent the quotient truncated towards zero, 0 for the
/// base 0. An integer base with a fraction in the exponent: computed in f32, then truncated.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The function.
    pub kind: BinaryKind,
}

crate::attributes!(Binary { kind });

const NUMBERS: &[DType] = &[DType::F32, DType::I64, DType::I32, DType::U8];

impl Binary {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<(Arg<'a>, Arg<'a>, TensorType), OpError> {
        let (of_a, of_b): (&[DType], &[DType]) = match self.kind {
            BinaryKind::Pow => (&[DType::F32, DType::I64, DType::I32], NUMBERS),
            BinaryKind::And | BinaryKind::Or | BinaryKind::Xor => (&[DType::Bool], &[DType::Bool]),
            _ => (NUMBERS, NUMBERS),
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
            BinaryKind::And => BinaryFn::And,
            BinaryKind::Or => BinaryFn::Or,
            BinaryKind::Xor => BinaryFn::Xor,
        }
    }
}

fn compare(f: CompareFn, a: Expr, b: i64) -> Expr {
    Expr::compare(f, a, Expr::int(b))
}

/// Adds the stages of `base ^ exponent`, both i64 of shape `ty`, by repeated squaring, and returns the power.
/// `bits` is the number of bits that the exponent's absolute value has at most.
fn integer_power(c: &mut Compute, base: Expr, exponent: Expr, bits: u32, ty: &TensorType) -> Expr {
    let at = |b| Expr::load(b, vars(ty.shape.rank()));
    let steps = at(c.map("exponent", ty.clone(), Expr::unary(UnaryFn::Abs, exponent.clone())));
    let mut square = at(c.map("base", ty.clone(), base.clone()));
    let mut power = Expr::int(1);
    for bit in 0..bits {
        let odd = compare(CompareFn::Ne, (steps.clone() / Expr::int(1i64 << bit)) % Expr::int(2), 0);
        power = at(c.map("power", ty.clone(), odd.select(power.clone() * square.clone(), power)));
        if bit + 1 < bits {
            square = at(c.map("square", ty.clone(), square.clone() * square));
        }
    }
    // 1 / b^n is an integer only for the bases 1 and -1, which are their own inverses.
    let unit = compare(CompareFn::Eq, Expr::unary(UnaryFn::Abs, base), 1);
    let inverse = unit.select(power.clone(), Expr::int(0));
    compare(CompareFn::Lt, exponent, 0).select(inverse, power)
}

/// Bits of the largest absolute value that an exponent can have.
fn exponent_bits(arg: &Arg<'_>) -> u32 {
    let largest = match (arg.value, arg.dtype) {
        (Some(t), _) => t.to_f64s().into_iter().fold(0.0, |a: f64, v| a.max(v.abs())),
        (None, DType::U8) => 255.0,
        (None, DType::I32) => return 32,
        (None, _) => return 63,
    };
    // One bit more than the logarithm says, for values that f64 rounds up.
    if largest < 1.0 { 1 } else { (largest.log2() as u32).saturating_add(2).min(63) }
}

fn power(c: &mut Compute, a: &Arg<'_>, b: &Arg<'_>, ty: &TensorType) -> Expr {
    if ty.shape.numel() == 0 {
        return Expr::literal(ty.dtype, 0.0);
    }
    let base = broadcast_load(c, 0, a, &ty.shape);
    let exponent = broadcast_load(c, 1, b, &ty.shape);
    if a.dtype == DType::F32 {
        return match known_scalar(b).map(|s| s.cast(DType::F32)) {
            Some(crate::expr::Scalar::F32(2.0)) => base.clone() * base,
            _ => Expr::binary(BinaryFn::Pow, base, exponent.cast(DType::F32)),
        };
    }
    let wide = TensorType { dtype: DType::I64, shape: ty.shape.clone() };
    let whole = integer_power(
        c,
        base.clone().cast(DType::I64),
        exponent.clone().cast(DType::I64),
        exponent_bits(b),
        &wide,
    )
    .cast(a.dtype);
    if b.dtype != DType::F32 {
        return whole;
    }
    let exact = Expr::compare(CompareFn::Eq, Expr::unary(UnaryFn::Floor, exponent.clone()), exponent.clone());
    let rounded = Expr::binary(BinaryFn::Pow, base.cast(DType::F32), exponent).cast(a.dtype);
    exact.select(whole, rounded)
}

/// `base ^ exponent` of integers, see [`Binary`].
fn wrapping_power(base: i64, exponent: i64) -> i64 {
    let odd = exponent % 2 != 0;
    match (base, exponent) {
        (_, 0) | (1, _) => 1,
        (-1, _) => {
            if odd {
                -1
            } else {
                1
            }
        }
        (_, n) if n < 0 => 0,
        (b, n) => {
            // b^n = (b^2)^(n/2) * b^(n%2)
            let half = wrapping_power(b.wrapping_mul(b), n / 2);
            if odd { half.wrapping_mul(b) } else { half }
        }
    }
}

fn integer_base(base: i64, exponent: f32, narrow: DType) -> i64 {
    if exponent.floor() == exponent {
        return wrapping_power(base, exponent as i64);
    }
    let p = (base as f32).powf(exponent);
    if narrow == DType::I32 { i64::from(p as i32) } else { p as i64 }
}

fn reference_power(a: &Tensor, b: &Tensor) -> Result<Tensor, OpError> {
    let float = |x: f32, y: f64| f64::from(x).powf(y) as f32;
    match (a.dtype(), b.dtype()) {
        (DType::F32, DType::F32) => map2(a, b, |x: f32, y: f32| float(x, y.into())),
        (DType::F32, DType::I64) => map2(a, b, |x: f32, y: i64| float(x, (y as f32).into())),
        (DType::F32, DType::I32) => map2(a, b, |x: f32, y: i32| float(x, (y as f32).into())),
        (DType::F32, _) => map2(a, b, |x: f32, y: u8| float(x, y.into())),
        (DType::I32, DType::F32) => map2(a, b, |x: i32, y: f32| integer_base(x.into(), y, DType::I32) as i32),
        (DType::I32, DType::I64) => map2(a, b, |x: i32, y: i64| wrapping_power(x.into(), y) as i32),
        (DType::I32, DType::I32) => map2(a, b, |x: i32, y: i32| wrapping_power(x.into(), y.into()) as i32),
        (DType::I32, _) => map2(a, b, |x: i32, y: u8| wrapping_power(x.into(), y.into()) as i32),
        (_, DType::F32) => map2(a, b, |x: i64, y: f32| integer_base(x, y, DType::I64)),
        (_, DType::I64) => map2(a, b, wrapping_power),
        (_, DType::I32) => map2(a, b, |x: i64, y: i32| wrapping_power(x, y.into())),
        (_, _) => map2(a, b, |x: i64, y: u8| wrapping_power(x, y.into())),
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
            _ => map2($a, $b, |x: $t, y: $t| x.min(y)),
        }
    };
}

fn floats(kind: BinaryKind, a: &Tensor, b: &Tensor) -> Result<Tensor, OpError> {
    let pick = |x: f32, y: f32, first: bool| match () {
        _ if x.is_nan() || y.is_nan() => f32::NAN,
        _ if first => x,
        _ => y,
    };
    match kind {
        BinaryKind::Add => map2(a, b, |x: f32, y: f32| x + y),
        BinaryKind::Sub => map2(a, b, |x: f32, y: f32| x - y),
        BinaryKind::Mul => map2(a, b, |x: f32, y: f32| x * y),
        BinaryKind::Div => map2(a, b, |x: f32, y: f32| x / y),
        BinaryKind::Max => map2(a, b, |x, y| pick(x, y, x > y)),
        _ => map2(a, b, |x, y| pick(x, y, x < y)),
    }
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
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.2])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (a, b, ty) = self.arguments(args)?;
        let mut c = Compute::new();
        let body = if self.kind == BinaryKind::Pow {
            power(&mut c, &a, &b, &ty)
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
            (BinaryKind::Pow, _) => reference_power(a, b),
            (BinaryKind::And, _) => map2(a, b, |x: bool, y: bool| x & y),
            (BinaryKind::Or, _) => map2(a, b, |x: bool, y: bool| x | y),
            (BinaryKind::Xor, _) => map2(a, b, |x: bool, y: bool| x != y),
            (kind, DType::I64) => integers!(i64, kind, a, b),
            (kind, DType::I32) => integers!(i32, kind, a, b),
            (kind, DType::U8) => integers!(u8, kind, a, b),
            (kind, _) => floats(kind, a, b),
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
