//! Powers.

use crate::arg::Arg;
use crate::compute::{Compute, scalars, tensor};
use crate::dtype::DType;
use crate::elements::{broadcast_positions, wrapped};
use crate::error::OpError;
use crate::expr::{BinaryFn, CompareFn, Expr, Scalar, UnaryFn};
use crate::index::{broadcast_load, known_scalar, vars};
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Adds the stages of `base ^ steps`, i64 and u64 of shape `ty`, by repeated squaring, and returns the power. `bits` is
/// the number of bits that `steps` has at most.
fn integer_power(c: &mut Compute, base: Expr, steps: Expr, bits: u32, ty: &TensorType) -> Expr {
    let at = |b| Expr::load(b, vars(ty.shape.rank()));
    let unsigned = |v| Expr::Const(Scalar::U64(v));
    let counts = TensorType { dtype: DType::U64, shape: ty.shape.clone() };
    let steps = at(c.map("exponent", counts, steps));
    let mut square = at(c.map("base", ty.clone(), base));
    let mut power = Expr::int(1);
    for bit in 0..bits {
        let shifted = Expr::binary(BinaryFn::Shr, steps.clone(), unsigned(bit.into()));
        let odd = Expr::compare(CompareFn::Ne, shifted.and(unsigned(1)), unsigned(0));
        power = at(c.map("power", ty.clone(), odd.select(power.clone() * square.clone(), power)));
        if bit + 1 < bits {
            square = at(c.map("square", ty.clone(), square.clone() * square));
        }
    }
    power
}

/// Bits of the largest absolute value that an exponent can have.
fn exponent_bits(arg: &Arg<'_>) -> u32 {
    let largest = match arg.value {
        Some(t) => t.to_f64s().into_iter().fold(0.0, |a: f64, v| a.max(v.abs())),
        None if arg.dtype.is_float() => return 64,
        None => return 8 * arg.dtype.size() as u32,
    };
    // One bit more than the logarithm says, for values that f64 rounds up.
    if largest < 1.0 { 1 } else { (largest.log2() as u32).saturating_add(2).min(64) }
}

/// The type in which the power of floats, or of fractions in the exponent, is computed.
fn float_of(base: DType, exponent: DType) -> DType {
    match (base.is_float(), exponent) {
        (_, DType::F64) => DType::F64,
        (true, _) => base,
        (false, _) => exponent,
    }
}

/// A power that needs no logarithm.
fn simple_power(base: &Expr, exponent: f64, dtype: DType) -> Option<Expr> {
    let literal = |v| Expr::literal(dtype, v);
    let square = || base.clone() * base.clone();
    Some(match exponent {
        1.0 => base.clone(),
        2.0 => square(),
        3.0 => square() * base.clone(),
        4.0 => square() * square(),
        -1.0 => literal(1.0) / base.clone(),
        0.5 => {
            // Powers of -0 and of minus infinity are not negative.
            let root = Expr::unary(UnaryFn::Sqrt, base.clone()) + literal(0.0);
            let lowest = Expr::compare(CompareFn::Eq, base.clone(), literal(f64::NEG_INFINITY));
            lowest.select(literal(f64::INFINITY), root)
        }
        _ => return None,
    })
}

/// The element of `a ^ b`.
pub(super) fn definition(c: &mut Compute, a: &Arg<'_>, b: &Arg<'_>, ty: &TensorType) -> Expr {
    if ty.shape.numel() == 0 {
        return Expr::literal(ty.dtype, 0.0);
    }
    let base = broadcast_load(c, 0, a, &ty.shape);
    let exponent = broadcast_load(c, 1, b, &ty.shape);
    let cast = |e: Expr, from, to| if from == to { e } else { e.cast(to) };
    let float = float_of(a.dtype, b.dtype);
    if a.dtype.is_float() {
        if let Some(power) = known_scalar(b).and_then(|s| simple_power(&base, s.to_f64(), a.dtype)) {
            return power;
        }
        let power = Expr::binary(BinaryFn::Pow, cast(base, a.dtype, float), cast(exponent, b.dtype, float));
        return cast(power, float, a.dtype);
    }
    let wide = TensorType { dtype: DType::I64, shape: ty.shape.clone() };
    let signed = exponent.clone().cast(DType::I64);
    let whole = base.clone().cast(DType::I64);
    let steps = match b.dtype.is_unsigned() {
        true => exponent.clone().cast(DType::U64),
        false => Expr::unary(UnaryFn::Abs, signed.clone()).cast(DType::U64),
    };
    let mut power = integer_power(c, whole.clone(), steps, exponent_bits(b), &wide);
    if !b.dtype.is_unsigned() {
        // 1 / b^n is an integer only for the bases 1 and -1, which are their own inverses.
        let unit = Expr::compare(CompareFn::Eq, Expr::unary(UnaryFn::Abs, whole), Expr::int(1));
        let inverse = unit.select(power.clone(), Expr::int(0));
        power = Expr::compare(CompareFn::Lt, signed, Expr::int(0)).select(inverse, power);
    }
    let power = power.cast(a.dtype);
    if !b.dtype.is_float() {
        return power;
    }
    let exact = Expr::compare(CompareFn::Eq, Expr::unary(UnaryFn::Floor, exponent.clone()), exponent.clone());
    let rounded = Expr::binary(BinaryFn::Pow, base.cast(float), exponent).cast(a.dtype);
    exact.select(power, rounded)
}

/// `base ^ exponent` of integers, see [`super::Binary`].
fn wrapping_power(base: i64, exponent: i128) -> i64 {
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

/// `base ^ exponent`, of the type of the base.
fn power(base: Scalar, exponent: Scalar) -> Scalar {
    let (x, y) = (base.to_f64(), exponent.cast(float_of(base.dtype(), exponent.dtype())).to_f64());
    let Some(whole) = base.int() else {
        return Scalar::F64(x.powf(y)).cast(base.dtype());
    };
    match exponent.int() {
        Some(n) => wrapped(base.dtype(), wrapping_power(whole as i64, n).into()),
        None if y.floor() == y => {
            wrapped(base.dtype(), wrapping_power(whole as i64, (y as i64).into()).into())
        }
        None if exponent.dtype() == DType::F32 => Scalar::F32((x as f32).powf(y as f32)).cast(base.dtype()),
        None => Scalar::F64(x.powf(y)).cast(base.dtype()),
    }
}

/// Plain evaluation.
pub(super) fn reference(a: &Tensor, b: &Tensor) -> Result<Tensor, OpError> {
    let shape = a.shape().broadcast(b.shape())?;
    let (at, bt) = (broadcast_positions(a.shape(), &shape)?, broadcast_positions(b.shape(), &shape)?);
    let (x, y) = (scalars(a)?, scalars(b)?);
    let powers: Vec<Scalar> = at.into_iter().zip(bt).map(|(i, j)| power(x[i], y[j])).collect();
    tensor(&TensorType { dtype: a.dtype(), shape }, &powers)
}
