//! The value of an expression: the meaning that compiled code is tested against.

use super::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn, VarId, round_bf16, round_f16};
use crate::error::OpError;

/// What an expression reads while it is evaluated.
pub trait Env {
    /// The value of a variable.
    fn var(&self, v: VarId) -> i64;
    /// One element of a buffer.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when an index is out of bounds.
    fn load(&self, buf: BufId, index: &[i64]) -> Result<Scalar, OpError>;
    /// The finished accumulator.
    fn acc(&self) -> Option<Scalar> {
        None
    }
}

/// The value of an expression: the meaning that compiled code is tested against.
///
/// # Errors
/// [`OpError::Invalid`] for an out-of-bounds load or operands whose types do not fit.
pub fn eval(e: &Expr, env: &dyn Env) -> Result<Scalar, OpError> {
    let ill_typed = || OpError::Invalid(format!("ill-typed expression `{e}`"));
    match e {
        Expr::Const(s) => Ok(*s),
        Expr::Var(v) => Ok(Scalar::I64(env.var(*v))),
        Expr::Acc => env.acc().ok_or_else(ill_typed),
        Expr::Load(b, index) => {
            let mut at = Vec::with_capacity(index.len());
            for i in index {
                match eval(i, env)? {
                    Scalar::I64(v) => at.push(v),
                    _ => return Err(ill_typed()),
                }
            }
            env.load(*b, &at)
        }
        Expr::Unary(f, a) => unary(*f, eval(a, env)?).ok_or_else(ill_typed),
        Expr::Binary(f, a, b) => binary(*f, eval(a, env)?, eval(b, env)?).ok_or_else(ill_typed),
        Expr::Compare(f, a, b) => compare(*f, eval(a, env)?, eval(b, env)?).ok_or_else(ill_typed),
        Expr::Select(c, a, b) => match (eval(c, env)?, eval(a, env)?, eval(b, env)?) {
            (Scalar::Bool(c), a, b) => Ok(if c { a } else { b }),
            _ => Err(ill_typed()),
        },
        Expr::Cast(d, a) => Ok(eval(a, env)?.cast(*d)),
        Expr::Bits(a) => bits(eval(a, env)?).ok_or_else(ill_typed),
    }
}

/// The bits of a float, `None` for other types.
pub fn bits(a: Scalar) -> Option<Scalar> {
    match a {
        Scalar::F32(v) => Some(Scalar::I32(v.to_bits().cast_signed())),
        Scalar::F64(v) => Some(Scalar::I64(v.to_bits().cast_signed())),
        _ => None,
    }
}

/// The result of [`UnaryFn`] `f`, or `None` when the type does not fit. Functions of f32 that are not exact are computed
/// by the standard library in f32.
pub fn unary(f: UnaryFn, a: Scalar) -> Option<Scalar> {
    macro_rules! signed {
        ($v:ident, $a:expr) => {
            Scalar::$v(match f {
                UnaryFn::Neg => $a.wrapping_neg(),
                UnaryFn::Abs => $a.wrapping_abs(),
                UnaryFn::Not => !$a,
                _ => return None,
            })
        };
    }
    macro_rules! unsigned {
        ($v:ident, $a:expr) => {
            Scalar::$v(match f {
                UnaryFn::Neg => $a.wrapping_neg(),
                UnaryFn::Abs => $a,
                UnaryFn::Not => !$a,
                _ => return None,
            })
        };
    }
    macro_rules! float {
        ($v:ident, $a:expr) => {
            Scalar::$v(match f {
                UnaryFn::Neg => -$a,
                UnaryFn::Abs => $a.abs(),
                UnaryFn::Sqrt => $a.sqrt(),
                UnaryFn::Exp => $a.exp(),
                UnaryFn::Log => $a.ln(),
                UnaryFn::Tanh => $a.tanh(),
                UnaryFn::Erf => erf($a.into()) as _,
                UnaryFn::Floor => $a.floor(),
                UnaryFn::Ceil => $a.ceil(),
                UnaryFn::Round => $a.round_ties_even(),
                UnaryFn::Sin => $a.sin(),
                UnaryFn::Cos => $a.cos(),
                UnaryFn::Atan => $a.atan(),
                UnaryFn::RoundF16 | UnaryFn::RoundBf16 | UnaryFn::Not => return None,
            })
        };
    }
    Some(match a {
        Scalar::F32(v) if f == UnaryFn::RoundF16 => Scalar::F32(round_f16(v)),
        Scalar::F32(v) if f == UnaryFn::RoundBf16 => Scalar::F32(round_bf16(v)),
        Scalar::F32(v) => float!(F32, v),
        Scalar::F64(v) => float!(F64, v),
        Scalar::I64(v) => signed!(I64, v),
        Scalar::I32(v) => signed!(I32, v),
        Scalar::I16(v) => signed!(I16, v),
        Scalar::I8(v) => signed!(I8, v),
        Scalar::U64(v) => unsigned!(U64, v),
        Scalar::U32(v) => unsigned!(U32, v),
        Scalar::U16(v) => unsigned!(U16, v),
        Scalar::U8(v) => unsigned!(U8, v),
        Scalar::Bool(v) if f == UnaryFn::Not => Scalar::Bool(!v),
        Scalar::Bool(_) => return None,
    })
}

/// The result of [`BinaryFn`] `f`, or `None` when the types do not fit.
pub fn binary(f: BinaryFn, a: Scalar, b: Scalar) -> Option<Scalar> {
    use BinaryFn::*;
    macro_rules! int {
        ($v:ident, $a:expr, $b:expr) => {
            Scalar::$v(match f {
                Add => $a.wrapping_add($b),
                Sub => $a.wrapping_sub($b),
                Mul => $a.wrapping_mul($b),
                Div | Rem if $b == 0 => 0,
                Div => $a.wrapping_div($b),
                Rem => $a.wrapping_rem($b),
                Min => $a.min($b),
                Max => $a.max($b),
                And => $a & $b,
                Or => $a | $b,
                Xor => $a ^ $b,
                Shl => u32::try_from($b).ok().and_then(|n| $a.checked_shl(n)).unwrap_or(0),
                // Half the bits twice is all of them: the sign, or 0.
                Shr => u32::try_from($b).ok().and_then(|n| $a.checked_shr(n)).unwrap_or_else(|| {
                    let half = 4 * size_of_val(&$a) as u32;
                    ($a >> half) >> half
                }),
                Pow => return None,
            })
        };
    }
    macro_rules! float {
        ($v:ident, $t:ty, $a:expr, $b:expr) => {
            Scalar::$v(match f {
                Add => $a + $b,
                Sub => $a - $b,
                Mul => $a * $b,
                Div => $a / $b,
                Rem => $a % $b,
                Pow => $a.powf($b),
                Min | Max if $a.is_nan() || $b.is_nan() => <$t>::NAN,
                Min => $a.min($b),
                Max => $a.max($b),
                And | Or | Xor | Shl | Shr => return None,
            })
        };
    }
    Some(match (a, b) {
        (Scalar::F32(a), Scalar::F32(b)) => float!(F32, f32, a, b),
        (Scalar::F64(a), Scalar::F64(b)) => float!(F64, f64, a, b),
        (Scalar::I64(a), Scalar::I64(b)) => int!(I64, a, b),
        (Scalar::I32(a), Scalar::I32(b)) => int!(I32, a, b),
        (Scalar::I16(a), Scalar::I16(b)) => int!(I16, a, b),
        (Scalar::I8(a), Scalar::I8(b)) => int!(I8, a, b),
        (Scalar::U64(a), Scalar::U64(b)) => int!(U64, a, b),
        (Scalar::U32(a), Scalar::U32(b)) => int!(U32, a, b),
        (Scalar::U16(a), Scalar::U16(b)) => int!(U16, a, b),
        (Scalar::U8(a), Scalar::U8(b)) => int!(U8, a, b),
        (Scalar::Bool(a), Scalar::Bool(b)) => Scalar::Bool(match f {
            And => a & b,
            Or => a | b,
            Xor => a ^ b,
            _ => return None,
        }),
        _ => return None,
    })
}

/// The result of a comparison, or `None` when the types differ.
pub fn compare(f: CompareFn, a: Scalar, b: Scalar) -> Option<Scalar> {
    let order = match (a, b) {
        _ if a.dtype() != b.dtype() => return None,
        (Scalar::F32(a), Scalar::F32(b)) => a.partial_cmp(&b),
        (Scalar::F64(a), Scalar::F64(b)) => a.partial_cmp(&b),
        (a, b) => Some(a.int().cmp(&b.int())),
    };
    Some(Scalar::Bool(match (f, order) {
        (CompareFn::Ne, None) => true,
        (_, None) => false,
        (CompareFn::Eq, Some(o)) => o.is_eq(),
        (CompareFn::Ne, Some(o)) => o.is_ne(),
        (CompareFn::Lt, Some(o)) => o.is_lt(),
        (CompareFn::Le, Some(o)) => o.is_le(),
        (CompareFn::Gt, Some(o)) => o.is_gt(),
        (CompareFn::Ge, Some(o)) => o.is_ge(),
    }))
}

/// The error function to about 1e-15: its Maclaurin series near zero, a continued fraction of erfc beyond.
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    if a < 2.5 {
        let (mut term, mut sum) = (a, a);
        for n in 1..80u32 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return (sum * 2.0 / std::f64::consts::PI.sqrt()).copysign(x);
    }
    let mut fraction = a;
    for n in (1..60u32).rev() {
        fraction = a + f64::from(n) / 2.0 / fraction;
    }
    (1.0 - (-a * a).exp() / (fraction * std::f64::consts::PI.sqrt())).copysign(x)
}
