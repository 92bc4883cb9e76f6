//! The value of an expression: the meaning that compiled code is tested against.

use super::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn, VarId};
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
    }
}

fn unary(f: UnaryFn, a: Scalar) -> Option<Scalar> {
    use Scalar::*;
    Some(match (f, a) {
        (UnaryFn::Not, Bool(v)) => Bool(!v),
        (UnaryFn::Neg, I64(v)) => I64(v.wrapping_neg()),
        (UnaryFn::Neg, I32(v)) => I32(v.wrapping_neg()),
        (UnaryFn::Neg, U8(v)) => U8(v.wrapping_neg()),
        (UnaryFn::Abs, I64(v)) => I64(v.wrapping_abs()),
        (UnaryFn::Abs, I32(v)) => I32(v.wrapping_abs()),
        (UnaryFn::Abs, U8(v)) => U8(v),
        (_, F32(v)) => F32(match f {
            UnaryFn::Neg => -v,
            UnaryFn::Abs => v.abs(),
            UnaryFn::Sqrt => v.sqrt(),
            UnaryFn::Exp => v.exp(),
            UnaryFn::Log => v.ln(),
            UnaryFn::Tanh => v.tanh(),
            UnaryFn::Erf => erf(v.into()) as f32,
            UnaryFn::Floor => v.floor(),
            UnaryFn::Ceil => v.ceil(),
            UnaryFn::Round => v.round_ties_even(),
            UnaryFn::Not => return None,
        }),
        _ => return None,
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
                Div => {
                    if $b == 0 {
                        0
                    } else {
                        $a.wrapping_div($b)
                    }
                }
                Rem => {
                    if $b == 0 {
                        0
                    } else {
                        $a.wrapping_rem($b)
                    }
                }
                Min => $a.min($b),
                Max => $a.max($b),
                _ => return None,
            })
        };
    }
    Some(match (a, b) {
        (Scalar::F32(a), Scalar::F32(b)) => Scalar::F32(match f {
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div => a / b,
            Pow => a.powf(b),
            Min | Max if a.is_nan() || b.is_nan() => f32::NAN,
            Min => a.min(b),
            Max => a.max(b),
            _ => return None,
        }),
        (Scalar::I64(a), Scalar::I64(b)) => int!(I64, a, b),
        (Scalar::I32(a), Scalar::I32(b)) => int!(I32, a, b),
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

fn compare(f: CompareFn, a: Scalar, b: Scalar) -> Option<Scalar> {
    let order = match (a, b) {
        (Scalar::F32(a), Scalar::F32(b)) => a.partial_cmp(&b),
        (Scalar::I64(a), Scalar::I64(b)) => Some(a.cmp(&b)),
        (Scalar::I32(a), Scalar::I32(b)) => Some(a.cmp(&b)),
        (Scalar::U8(a), Scalar::U8(b)) => Some(a.cmp(&b)),
        (Scalar::Bool(a), Scalar::Bool(b)) => Some(a.cmp(&b)),
        _ => return None,
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
