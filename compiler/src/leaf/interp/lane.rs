//! One lane of what statements compute.

use crate::leaf::{BinaryOp, Predicate, Shift, UnaryOp};

/// An operation of two operands.
pub fn binary(op: BinaryOp, a: f32, b: f32) -> f32 {
    let bits = |f: fn(u32, u32) -> u32| f32::from_bits(f(a.to_bits(), b.to_bits()));
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Min if a < b => a,
        BinaryOp::Max if a > b => a,
        BinaryOp::Min | BinaryOp::Max => b,
        BinaryOp::And => bits(|a, b| a & b),
        BinaryOp::AndNot => bits(|a, b| !a & b),
        BinaryOp::Or => bits(|a, b| a | b),
        BinaryOp::Xor => bits(|a, b| a ^ b),
        BinaryOp::SubBits => bits(u32::wrapping_sub),
        BinaryOp::Scale => scale(a, b),
    }
}

/// `a * 2^floor(n)`.
fn scale(a: f32, n: f32) -> f32 {
    match (a.is_nan(), n) {
        (true, f32::INFINITY) => f32::INFINITY,
        (true, f32::NEG_INFINITY) => 0.0,
        (_, f32::INFINITY) => a * f32::INFINITY,
        (_, f32::NEG_INFINITY) => a * 0.0,
        (_, n) if n.is_nan() => n,
        // Beyond, every number but zero becomes infinite or zero. The product is exact, the conversion rounds.
        (_, n) => (f64::from(a) * power(n.floor().clamp(-400.0, 400.0) as i64)) as f32,
    }
}

/// `2^n` for `n` from -1022 to 1023.
fn power(n: i64) -> f64 {
    f64::from_bits(((1023 + n) << 52) as u64)
}

/// The exponent of a number that is not zero, infinite or NaN.
fn exponent(a: f32) -> i64 {
    (f64::from(a).abs().to_bits() >> 52) as i64 - 1023
}

/// A function of one operand.
pub fn unary(op: UnaryOp, a: f32) -> f32 {
    match op {
        UnaryOp::Sqrt => a.sqrt(),
        UnaryOp::Round => a.round_ties_even(),
        UnaryOp::Floor => a.floor(),
        UnaryOp::Ceil => a.ceil(),
        UnaryOp::FromInt => a.to_bits().cast_signed() as f32,
        UnaryOp::Exponent if a.is_nan() => a,
        UnaryOp::Exponent if a.is_infinite() => f32::INFINITY,
        UnaryOp::Exponent if a == 0.0 => f32::NEG_INFINITY,
        UnaryOp::Exponent => exponent(a) as f32,
        UnaryOp::Mantissa if a == 0.0 => 1f32.copysign(a),
        UnaryOp::Mantissa if a < 0.0 => f32::NAN,
        UnaryOp::Mantissa if a == f32::INFINITY => 1.0,
        UnaryOp::Mantissa if a.is_nan() => a,
        UnaryOp::Mantissa => {
            let m = (f64::from(a) * power(-exponent(a))) as f32;
            if m < 1.5 { m } else { 0.5 * m }
        }
    }
}

/// A move of bits, by fewer than 32.
pub fn shift(op: Shift, a: u32, by: u32) -> u32 {
    match op {
        Shift::Left => a.wrapping_shl(by),
        Shift::Right => a.cast_signed().wrapping_shr(by).cast_unsigned(),
    }
}

/// A comparison.
pub fn compare(op: Predicate, a: f32, b: f32) -> bool {
    match op {
        Predicate::Lt => a < b,
        Predicate::Le => a <= b,
        Predicate::Gt => a > b,
        Predicate::Ge => a >= b,
        Predicate::Eq => a == b,
        Predicate::Ne => a != b,
        Predicate::Unordered => a.is_nan() || b.is_nan(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_scaled_and_taken_apart() {
        let scaled = |a, n| binary(BinaryOp::Scale, a, n);
        assert_eq!(
            [scaled(3.0, 4.0), scaled(3.0, -1.5), scaled(-1.0, 200.0)],
            [48.0, 0.75, f32::NEG_INFINITY]
        );
        assert_eq!(
            [scaled(1.5, -149.0), scaled(0.0, 1e9), scaled(1.0, f32::NEG_INFINITY)],
            [2.8e-45, 0.0, 0.0]
        );
        assert!(scaled(0.0, f32::INFINITY).is_nan() && scaled(f32::INFINITY, f32::NEG_INFINITY).is_nan());
        let [exponent, mantissa] = [UnaryOp::Exponent, UnaryOp::Mantissa].map(|op| move |a| unary(op, a));
        for (a, e, m) in [
            (1.0, 0.0, 1.0),
            (1.5, 0.0, 0.75),
            (0.75, -1.0, 0.75),
            (1e-45, -149.0, 1.0),
            (0.0, f32::NEG_INFINITY, 1.0),
            (-0.0, f32::NEG_INFINITY, -1.0),
            (f32::INFINITY, f32::INFINITY, 1.0),
        ] {
            assert_eq!((exponent(a), mantissa(a)), (e, m), "{a}");
        }
        assert_eq!(exponent(-5.0), 2.0);
        assert!(
            mantissa(-5.0).is_nan() && mantissa(f32::NEG_INFINITY).is_nan() && exponent(f32::NAN).is_nan()
        );
    }

    #[test]
    fn bits_are_integers() {
        assert_eq!(
            [shift(Shift::Left, 0x81, 31), shift(Shift::Right, 0x8000_0001, 4)],
            [1 << 31, 0xf800_0000]
        );
        assert_eq!(unary(UnaryOp::FromInt, f32::from_bits(-3i32 as u32)), -3.0);
        assert_eq!(binary(BinaryOp::SubBits, 1.0, 2.0).to_bits(), 0xff80_0000);
        assert_eq!(binary(BinaryOp::AndNot, -0.0, -2.0), 2.0);
    }

    #[test]
    fn nothing_compares_with_nan() {
        let true_of = |a: f32, b: f32| Predicate::ALL.map(|op| compare(op, a, b));
        assert_eq!(true_of(1.0, 2.0), [true, true, false, false, false, true, false]);
        assert_eq!(true_of(0.0, -0.0), [false, true, false, true, true, false, false]);
        assert_eq!(true_of(1.0, f32::NAN), [false, false, false, false, false, true, true]);
    }
}
