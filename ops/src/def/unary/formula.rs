//! What each function is: as an expression, and in plain Rust.

use std::f64::consts::LN_2;

use super::UnaryKind;
use crate::dtype::DType;
use crate::expr::{CompareFn, Expr, UnaryFn, erf};

/// From here on `x^2 + 1` is `x^2`, also in f64.
const LARGE: f64 = 1e9;

/// `(asin(r) / r - 1) / r^2` by powers of `r^2` up to 1/4, the highest first; Chebyshev nodes, good to f64.
const ARC_SINE: &[f64] = &[
    0.032_579_347_966_928_42,
    -0.020_930_658_315_182_45,
    0.021_668_058_869_056_36,
    0.003_718_057_748_325_053_7,
    0.010_778_675_120_995_992,
    0.011_398_850_408_440_755,
    0.013_980_882_992_171_01,
    0.017_351_600_625_343_435,
    0.022_372_216_106_072_148,
    0.030_381_942_642_327_187,
    0.044_642_857_176_863_22,
    0.074_999_999_999_666_11,
    0.166_666_666_666_667_96,
];

/// As [`ARC_SINE`], good to f32.
const ARC_SINE_OF_F32: &[f64] =
    &[0.033_690_847, 0.017_149_238, 0.031_100_662, 0.044_599_403, 0.075_000_94, 0.166_666_66];

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
            UnaryKind::Asin | UnaryKind::Acos => self.arc(x, dtype),
            UnaryKind::Tan => self.in_f64(x, dtype),
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

    /// Arc sine and arc cosine: of a magnitude `a` up to 1/2 by a polynomial, beyond it by
    /// `asin a = pi / 2 - 2 asin(sqrt((1 - a) / 2))`. All of them are a multiple of `pi / 2` and a term that is rounded once,
    /// and so is their sum; what rounding took comes with the rest, which is small.
    fn arc(self, x: Expr, dtype: DType) -> Expr {
        use std::f64::consts::{FRAC_PI_2, PI};
        let literal = |v| Expr::literal(dtype, v);
        let coefficients = if dtype == DType::F64 { ARC_SINE } else { ARC_SINE_OF_F32 };
        let a = f(UnaryFn::Abs, x.clone());
        let far = || less(literal(0.5), a.clone());
        let negative = || less(x.clone(), literal(0.0));
        let minus = |e: Expr| f(UnaryFn::Neg, e);
        let square = far().select((literal(1.0) - a.clone()) * literal(0.5), a.clone() * a.clone());
        let powers = coefficients.iter().map(|c| literal(*c));
        let series = powers.reduce(|sum, c| sum * square.clone() + c).unwrap_or_else(|| literal(0.0));
        let series = square.clone() * series;
        let root = f(UnaryFn::Sqrt, square.clone());
        let twice = root.clone() + root.clone();
        // What the root misses: the square less that of the root, which is taken of halves of its digits.
        let split = root.clone() * literal(if dtype == DType::F64 { 134_217_729.0 } else { 4097.0 });
        let high = split.clone() - (split - root.clone());
        let low = root.clone() - high.clone();
        let missing = square - high.clone() * high.clone();
        let missing = missing - (high.clone() + high) * low.clone() - low.clone() * low;
        let missing = missing / (twice.clone() + literal(1e-30));
        let small = root * series.clone() + missing;
        let small = small.clone() + small;
        let halves = |hi: f64, lo: f64| move || (literal(hi), literal(lo));
        // The part of pi / 2 that is a float, and the rest.
        let (half_hi, half_lo) = match dtype {
            DType::F64 => (FRAC_PI_2, 6.123_233_995_736_766e-17),
            _ => (f64::from(FRAC_PI_2 as f32), FRAC_PI_2 - f64::from(FRAC_PI_2 as f32)),
        };
        let half = halves(half_hi, half_lo);
        let whole = halves(if dtype == DType::F64 { PI } else { 2.0 * half_hi }, 2.0 * half_lo);
        let none = halves(0.0, 0.0);
        let choose =
            |c: Expr, a: (Expr, Expr), b: (Expr, Expr)| (c.clone().select(a.0, b.0), c.select(a.1, b.1));
        let (base, (term, rest)) = match self {
            UnaryKind::Asin => (
                choose(far(), half(), none()),
                choose(far(), (minus(twice), minus(small)), (a.clone(), a.clone() * series)),
            ),
            _ => {
                let beyond = (twice.clone(), small.clone());
                let beyond = choose(negative(), (minus(twice), minus(small)), beyond);
                let near = (minus(x.clone()), minus(x.clone() * series));
                (choose(far(), choose(negative(), whole(), none()), half()), choose(far(), beyond, near))
            }
        };
        let sum = base.0.clone() + term.clone();
        let rounded = (base.0 - sum.clone()) + term;
        let y = sum + (rounded + (base.1 + rest));
        if self == UnaryKind::Asin { negative().select(minus(y.clone()), y) } else { y }
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
