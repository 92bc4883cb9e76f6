//! What each function is: as an expression, and in plain Rust.

use std::f64::consts::LN_2;

use super::UnaryKind;
use crate::dtype::DType;
use crate::expr::{CompareFn, Expr, UnaryFn, erf};

/// From here on `x^2 + 1` is `x^2`, also in f64.
const LARGE: f64 = 1e9;

fn f(function: UnaryFn, x: Expr) -> Expr {
    Expr::unary(function, x)
}

fn less(a: Expr, b: Expr) -> Expr {
    Expr::compare(CompareFn::Lt, a, b)
}

impl UnaryKind {
    /// The function of an element `x` of type `dtype`.
    pub fn formula(self, x: Expr, dtype: DType) -> Expr {
        let literal = |v| Expr::literal(dtype, v);
        match self {
            UnaryKind::Abs => f(UnaryFn::Abs, x),
            UnaryKind::Neg => f(UnaryFn::Neg, x),
            UnaryKind::Sqrt => f(UnaryFn::Sqrt, x),
            UnaryKind::Exp => f(UnaryFn::Exp, x),
            UnaryKind::Log => f(UnaryFn::Log, x),
            UnaryKind::Tanh => f(UnaryFn::Tanh, x),
            UnaryKind::Erf => f(UnaryFn::Erf, x),
            UnaryKind::Floor => f(UnaryFn::Floor, x),
            UnaryKind::Ceil => f(UnaryFn::Ceil, x),
            UnaryKind::Round => f(UnaryFn::Round, x),
            UnaryKind::Not | UnaryKind::BitwiseNot => f(UnaryFn::Not, x),
            UnaryKind::Sin => f(UnaryFn::Sin, x),
            UnaryKind::Cos => f(UnaryFn::Cos, x),
            UnaryKind::Atan => f(UnaryFn::Atan, x),
            UnaryKind::Relu => less(x.clone(), literal(0.0)).select(literal(0.0), x),
            UnaryKind::Sign => {
                let negative = less(x.clone(), literal(0.0));
                let rest = negative.select(literal(-1.0), x.clone());
                less(literal(0.0), x).select(literal(1.0), rest)
            }
            UnaryKind::Sigmoid => literal(1.0) / (literal(1.0) + f(UnaryFn::Exp, f(UnaryFn::Neg, x))),
            UnaryKind::Softplus => softplus(x, dtype),
            UnaryKind::Mish => x.clone() * f(UnaryFn::Tanh, softplus(x, dtype)),
            UnaryKind::Softsign => x.clone() / (literal(1.0) + f(UnaryFn::Abs, x)),
            UnaryKind::HardSwish => {
                let gate = x.clone() * literal(1.0 / 6.0) + literal(0.5);
                x * gate.max(literal(0.0)).min(literal(1.0))
            }
            UnaryKind::Reciprocal => literal(1.0) / x,
            UnaryKind::Cosh => {
                let half = f(UnaryFn::Exp, f(UnaryFn::Abs, x) * literal(0.5));
                literal(0.5) * half.clone() * half.clone() + literal(0.5) / half.clone() / half
            }
            UnaryKind::Tan | UnaryKind::Asin | UnaryKind::Acos => self.in_f64(x, dtype),
            UnaryKind::Sinh | UnaryKind::Asinh | UnaryKind::Acosh | UnaryKind::Atanh => self.in_f64(x, dtype),
        }
    }

    /// Functions that lose digits in f32 go through f64.
    fn in_f64(self, x: Expr, dtype: DType) -> Expr {
        match dtype {
            DType::F64 => self.wide(x),
            _ => self.wide(x.cast(DType::F64)).cast(dtype),
        }
    }

    fn wide(self, x: Expr) -> Expr {
        let literal = |v| Expr::literal(DType::F64, v);
        let one_minus = |e: Expr| literal(1.0) - e;
        let half_log = |a: &Expr| f(UnaryFn::Log, a.clone()) + literal(LN_2);
        let log_1_plus = |e: Expr| log_of_1_plus(e, DType::F64);
        let magnitude = f(UnaryFn::Abs, x.clone());
        let odd = |y: Expr| less(x.clone(), literal(0.0)).select(f(UnaryFn::Neg, y.clone()), y);
        let large = || less(literal(LARGE), magnitude.clone());
        match self {
            UnaryKind::Tan => f(UnaryFn::Sin, x.clone()) / f(UnaryFn::Cos, x),
            UnaryKind::Asin => {
                let leg = one_minus(x.clone()) * (literal(1.0) + x.clone());
                f(UnaryFn::Atan, x.clone() / f(UnaryFn::Sqrt, leg))
            }
            UnaryKind::Acos => {
                let quotient = one_minus(x.clone()) / (literal(1.0) + x.clone());
                literal(2.0) * f(UnaryFn::Atan, f(UnaryFn::Sqrt, quotient))
            }
            UnaryKind::Sinh => {
                let e = exp_minus_1(magnitude.clone().min(literal(1.0)));
                let small = literal(0.5) * (e.clone() + e.clone() / (e + literal(1.0)));
                let half = f(UnaryFn::Exp, magnitude.clone() * literal(0.5));
                let rest = literal(0.5) * half.clone() * half.clone() - literal(0.5) / half.clone() / half;
                odd(less(magnitude.clone(), literal(1.0)).select(small, rest))
            }
            UnaryKind::Asinh => {
                let square = magnitude.clone() * magnitude.clone();
                let root = f(UnaryFn::Sqrt, square.clone() + literal(1.0));
                let sum = magnitude.clone() + square / (literal(1.0) + root);
                odd(large().select(half_log(&magnitude), log_1_plus(sum)))
            }
            UnaryKind::Acosh => {
                let over = x.clone() - literal(1.0);
                let root = f(UnaryFn::Sqrt, over.clone() * (over.clone() + literal(2.0)));
                let y = large().select(half_log(&magnitude), log_1_plus(over + root));
                less(x.clone(), literal(1.0)).select(literal(f64::NAN), y)
            }
            _ => {
                let ratio = literal(2.0) * magnitude.clone() / one_minus(magnitude.clone());
                let pole = Expr::compare(CompareFn::Eq, magnitude.clone(), literal(1.0));
                odd(pole.select(literal(f64::INFINITY), literal(0.5) * log_1_plus(ratio)))
            }
        }
    }

    /// The function of a float.
    pub(super) fn of_float(self, x: f64) -> f64 {
        let softplus = |x: f64| if x > 40.0 { x } else { x.exp().ln_1p() };
        match self {
            UnaryKind::Abs => x.abs(),
            UnaryKind::Neg => -x,
            UnaryKind::Sqrt => x.sqrt(),
            UnaryKind::Exp => x.exp(),
            UnaryKind::Log => x.ln(),
            UnaryKind::Relu if x < 0.0 => 0.0,
            UnaryKind::Relu => x,
            UnaryKind::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            UnaryKind::Tanh => x.tanh(),
            UnaryKind::Erf => erf(x),
            UnaryKind::Softplus => softplus(x),
            UnaryKind::Mish => x * softplus(x).tanh(),
            UnaryKind::Softsign => x / (1.0 + x.abs()),
            UnaryKind::HardSwish => match x {
                x if x <= -3.0 => x * 0.0,
                x if x >= 3.0 => x,
                x => x * (x / 6.0 + 0.5),
            },
            UnaryKind::Floor => x.floor(),
            UnaryKind::Ceil => x.ceil(),
            UnaryKind::Round => x.round_ties_even(),
            UnaryKind::Reciprocal => 1.0 / x,
            UnaryKind::Sign if x == 0.0 => 0.0,
            UnaryKind::Sign => x.signum(),
            UnaryKind::Sin => x.sin(),
            UnaryKind::Cos => x.cos(),
            UnaryKind::Tan => x.tan(),
            UnaryKind::Asin => x.asin(),
            UnaryKind::Acos => x.acos(),
            UnaryKind::Atan => x.atan(),
            UnaryKind::Sinh => x.sinh(),
            UnaryKind::Cosh => x.cosh(),
            UnaryKind::Asinh => x.asinh(),
            UnaryKind::Acosh if x > LARGE => x.ln() + LN_2,
            UnaryKind::Acosh if x < 1.0 => f64::NAN,
            // The standard library's loses digits close to 1.
            UnaryKind::Acosh => ((x - 1.0) + ((x - 1.0) * (x + 1.0)).sqrt()).ln_1p(),
            UnaryKind::Atanh => x.atanh(),
            // These take no floats.
            UnaryKind::Not | UnaryKind::BitwiseNot => f64::NAN,
        }
    }

    /// The function of an integer, which may leave the integer's type.
    pub(super) fn of_int(self, x: i128) -> i128 {
        match self {
            UnaryKind::Abs => x.abs(),
            UnaryKind::Neg => -x,
            UnaryKind::Relu => x.max(0),
            UnaryKind::Sign => x.signum(),
            _ => !x,
        }
    }
}

fn softplus(x: Expr, dtype: DType) -> Expr {
    let decay = f(UnaryFn::Exp, f(UnaryFn::Neg, f(UnaryFn::Abs, x.clone())));
    x.max(Expr::literal(dtype, 0.0)) + log_of_1_plus(decay, dtype)
}

/// `log(1 + e)` for `e` not below 0, also where most digits of `e` are lost in the sum `u`: `log(u) * (e / (u - 1))` makes
/// up for what rounding did to `u`.
fn log_of_1_plus(e: Expr, dtype: DType) -> Expr {
    let one = || Expr::literal(dtype, 1.0);
    let u = one() + e.clone();
    let log = f(UnaryFn::Log, u.clone()) * (e.clone() / (u.clone() - one()));
    Expr::compare(CompareFn::Eq, u, one()).select(e, log)
}

/// `exp(e) - 1` of an f64 from 0 to 1, by the same means.
fn exp_minus_1(e: Expr) -> Expr {
    let one = || Expr::literal(DType::F64, 1.0);
    let u = f(UnaryFn::Exp, e.clone());
    let difference = (u.clone() - one()) * (e.clone() / f(UnaryFn::Log, u.clone()));
    Expr::compare(CompareFn::Eq, u, one()).select(e, difference)
}
