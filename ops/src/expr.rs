//! Scalar expressions: what one element of a tensor is, given the loop variables and the tensors it is made from.
//!
//! One language serves an operator's [`compute`](crate::compute) definition and the compiler's loop IR. All
//! expressions are total: nothing traps. Integer arithmetic wraps; integer division by zero gives 0; a float cast to
//! an integer truncates and saturates (NaN gives 0). Both arms of a `select` are evaluated, so every load in an
//! expression must be in bounds: clamp the index and select afterwards.

use std::fmt;

use crate::dtype::DType;
use crate::error::OpError;

/// A variable: an axis of a compute stage or a loop of a nest. Prints as `L3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VarId(pub u32);

impl fmt::Display for VarId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

/// A tensor that an expression reads or a stage writes. Prints as `b3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufId(pub u32);

impl fmt::Display for BufId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

/// A value of an element type.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    /// `f32`
    F32(f32),
    /// `i64`
    I64(i64),
    /// `i32`
    I32(i32),
    /// `u8`
    U8(u8),
    /// `bool`
    Bool(bool),
}

impl PartialEq for Scalar {
    /// Bitwise: NaN equals the same NaN, so that expressions that print alike are equal.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Scalar::F32(a), Scalar::F32(b)) => a.to_bits() == b.to_bits(),
            (Scalar::I64(a), Scalar::I64(b)) => a == b,
            (Scalar::I32(a), Scalar::I32(b)) => a == b,
            (Scalar::U8(a), Scalar::U8(b)) => a == b,
            (Scalar::Bool(a), Scalar::Bool(b)) => a == b,
            _ => false,
        }
    }
}

impl Scalar {
    /// The element type.
    pub fn dtype(self) -> DType {
        match self {
            Scalar::F32(_) => DType::F32,
            Scalar::I64(_) => DType::I64,
            Scalar::I32(_) => DType::I32,
            Scalar::U8(_) => DType::U8,
            Scalar::Bool(_) => DType::Bool,
        }
    }

    /// Zero (or false) of an element type.
    pub fn zero(dtype: DType) -> Scalar {
        Scalar::I64(0).cast(dtype)
    }

    /// The value that loses against every other in a maximum: `-inf`, the least integer, false.
    pub fn lowest(dtype: DType) -> Scalar {
        match dtype {
            DType::F32 => Scalar::F32(f32::NEG_INFINITY),
            DType::I64 => Scalar::I64(i64::MIN),
            DType::I32 => Scalar::I32(i32::MIN),
            DType::U8 => Scalar::U8(0),
            DType::Bool => Scalar::Bool(false),
        }
    }

    /// The value that loses against every other in a minimum: `inf`, the greatest integer, true.
    pub fn highest(dtype: DType) -> Scalar {
        match dtype {
            DType::F32 => Scalar::F32(f32::INFINITY),
            DType::I64 => Scalar::I64(i64::MAX),
            DType::I32 => Scalar::I32(i32::MAX),
            DType::U8 => Scalar::U8(u8::MAX),
            DType::Bool => Scalar::Bool(true),
        }
    }

    /// Conversion between element types: floats truncate and saturate, integers wrap, `bool` is `!= 0`.
    pub fn cast(self, to: DType) -> Scalar {
        match (self, to) {
            (Scalar::F32(v), DType::F32) => Scalar::F32(v),
            (Scalar::F32(v), DType::I64) => Scalar::I64(v as i64),
            (Scalar::F32(v), DType::I32) => Scalar::I32(v as i32),
            (Scalar::F32(v), DType::U8) => Scalar::U8(v as u8),
            (Scalar::F32(v), DType::Bool) => Scalar::Bool(v != 0.0),
            (v, to) => {
                let i = match v {
                    Scalar::I64(i) => i,
                    Scalar::I32(i) => i.into(),
                    Scalar::U8(i) => i.into(),
                    Scalar::Bool(i) => i.into(),
                    Scalar::F32(_) => unreachable!("floats are handled above"),
                };
                match to {
                    DType::F32 => Scalar::F32(i as f32),
                    DType::I64 => Scalar::I64(i),
                    DType::I32 => Scalar::I32(i as i32),
                    DType::U8 => Scalar::U8(i as u8),
                    DType::Bool => Scalar::Bool(i != 0),
                }
            }
        }
    }
}

/// Functions of one argument; argument and result have one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnaryFn {
    /// `-x` (wrapping)
    Neg,
    /// `|x|` (wrapping)
    Abs,
    /// square root; floats only
    Sqrt,
    /// `e^x`; floats only
    Exp,
    /// natural logarithm; floats only
    Log,
    /// hyperbolic tangent; floats only
    Tanh,
    /// the error function; floats only
    Erf,
    /// largest integer not above; floats only
    Floor,
    /// smallest integer not below; floats only
    Ceil,
    /// nearest integer, halves to even; floats only
    Round,
    /// logical not; `bool` only
    Not,
}

/// Functions of two arguments of one type, with a result of that type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BinaryFn {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`; integers truncate towards zero, `x / 0 = 0`
    Div,
    /// remainder of the truncating division; integers only; `x % 0 = 0`
    Rem,
    /// the smaller; NaN if either is NaN
    Min,
    /// the larger; NaN if either is NaN
    Max,
    /// `a^b`; floats only
    Pow,
    /// logical and; `bool` only
    And,
    /// logical or; `bool` only
    Or,
    /// logical exclusive or; `bool` only
    Xor,
}

/// Comparisons of two arguments of one type; the result is `bool`. All but `Ne` are false when an argument is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CompareFn {
    /// `a == b`
    Eq,
    /// `a != b`
    Ne,
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
}

/// A scalar expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A literal.
    Const(Scalar),
    /// A loop variable or axis, as i64.
    Var(VarId),
    /// One element of a tensor: one i64 index per dimension, each in bounds.
    Load(BufId, Vec<Expr>),
    /// The finished accumulator of the enclosing reduction; only in its `finish` expression.
    Acc,
    /// A function of one argument.
    Unary(UnaryFn, Box<Expr>),
    /// A function of two arguments.
    Binary(BinaryFn, Box<Expr>, Box<Expr>),
    /// A comparison.
    Compare(CompareFn, Box<Expr>, Box<Expr>),
    /// `if c then a else b`; both arms are evaluated.
    Select(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Conversion, see [`Scalar::cast`].
    Cast(DType, Box<Expr>),
}

/// Shorthands, so that definitions read like their formulas.
impl Expr {
    /// An i64 literal.
    pub fn int(v: impl TryInto<i64>) -> Expr {
        Expr::Const(Scalar::I64(v.try_into().unwrap_or(i64::MAX)))
    }
    /// An f32 literal.
    pub fn f32(v: f32) -> Expr {
        Expr::Const(Scalar::F32(v))
    }
    /// A variable.
    pub fn var(i: usize) -> Expr {
        Expr::Var(VarId(i as u32))
    }
    /// A literal of element type `dtype` nearest to `v`.
    pub fn literal(dtype: DType, v: f64) -> Expr {
        Expr::Const(if dtype == DType::F32 {
            Scalar::F32(v as f32)
        } else {
            Scalar::I64(v as i64).cast(dtype)
        })
    }
    /// One element of `buf`.
    pub fn load(buf: BufId, index: impl Into<Vec<Expr>>) -> Expr {
        Expr::Load(buf, index.into())
    }
    /// A function of one argument.
    pub fn unary(f: UnaryFn, a: Expr) -> Expr {
        Expr::Unary(f, Box::new(a))
    }
    /// A function of two arguments.
    pub fn binary(f: BinaryFn, a: Expr, b: Expr) -> Expr {
        Expr::Binary(f, Box::new(a), Box::new(b))
    }
    /// A comparison.
    pub fn compare(f: CompareFn, a: Expr, b: Expr) -> Expr {
        Expr::Compare(f, Box::new(a), Box::new(b))
    }
    /// `if self then a else b`.
    pub fn select(self, a: Expr, b: Expr) -> Expr {
        Expr::Select(Box::new(self), Box::new(a), Box::new(b))
    }
    /// Conversion.
    pub fn cast(self, to: DType) -> Expr {
        Expr::Cast(to, Box::new(self))
    }
    /// The smaller of two.
    pub fn min(self, b: Expr) -> Expr {
        Expr::binary(BinaryFn::Min, self, b)
    }
    /// The larger of two.
    pub fn max(self, b: Expr) -> Expr {
        Expr::binary(BinaryFn::Max, self, b)
    }
    /// Logical and.
    pub fn and(self, b: Expr) -> Expr {
        Expr::binary(BinaryFn::And, self, b)
    }
    /// `min(max(self, lo), hi)`.
    pub fn clamp(self, lo: i64, hi: i64) -> Expr {
        self.max(Expr::int(lo)).min(Expr::int(hi))
    }
    /// `0 <= self < extent`.
    pub fn within(self, extent: usize) -> Expr {
        let upper = Expr::compare(CompareFn::Lt, self.clone(), Expr::int(extent));
        Expr::compare(CompareFn::Ge, self, Expr::int(0)).and(upper)
    }

    /// The expression with every variable replaced.
    pub fn substitute(&self, with: &dyn Fn(VarId) -> Expr) -> Expr {
        self.map(&mut |e| match e {
            Expr::Var(v) => Some(with(*v)),
            _ => None,
        })
    }

    /// Rebuilds the expression; where `f` gives a replacement, the subtree is replaced as a whole.
    pub fn map(&self, f: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Expr {
        if let Some(new) = f(self) {
            return new;
        }
        match self {
            Expr::Const(_) | Expr::Var(_) | Expr::Acc => self.clone(),
            Expr::Load(b, index) => Expr::Load(*b, index.iter().map(|e| e.map(f)).collect()),
            Expr::Unary(u, a) => Expr::unary(*u, a.map(f)),
            Expr::Binary(o, a, b) => Expr::binary(*o, a.map(f), b.map(f)),
            Expr::Compare(o, a, b) => Expr::compare(*o, a.map(f), b.map(f)),
            Expr::Select(c, a, b) => c.map(f).select(a.map(f), b.map(f)),
            Expr::Cast(d, a) => a.map(f).cast(*d),
        }
    }

    /// Visits the expression and all its subexpressions, outermost first.
    pub fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        f(self);
        match self {
            Expr::Const(_) | Expr::Var(_) | Expr::Acc => {}
            Expr::Load(_, index) => index.iter().for_each(|e| e.visit(f)),
            Expr::Unary(_, a) | Expr::Cast(_, a) => a.visit(f),
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => {
                a.visit(f);
                b.visit(f);
            }
            Expr::Select(c, a, b) => {
                c.visit(f);
                a.visit(f);
                b.visit(f);
            }
        }
    }

    /// The element type of the expression.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when operands disagree or a function does not take their type.
    pub fn dtype(&self, buf: &dyn Fn(BufId) -> Option<DType>, acc: Option<DType>) -> Result<DType, OpError> {
        let ty = |e: &Expr| e.dtype(buf, acc);
        let same = |a: &Expr, b: &Expr| match (ty(a)?, ty(b)?) {
            (x, y) if x == y => Ok(x),
            (x, y) => Err(OpError::Invalid(format!("operands of type {x} and {y} in `{self}`"))),
        };
        let need = |ok: bool, d: DType| match ok {
            true => Ok(d),
            false => Err(OpError::Invalid(format!("`{self}` does not take {d}"))),
        };
        match self {
            Expr::Const(s) => Ok(s.dtype()),
            Expr::Var(_) => Ok(DType::I64),
            Expr::Acc => acc.ok_or_else(|| OpError::Invalid("`acc` outside a reduction".into())),
            Expr::Load(b, index) => {
                for i in index {
                    need(ty(i)? == DType::I64, ty(i)?)?;
                }
                buf(*b).ok_or_else(|| OpError::Invalid(format!("unknown buffer {b}")))
            }
            Expr::Unary(f, a) => match (f, ty(a)?) {
                (UnaryFn::Not, d) => need(d == DType::Bool, d),
                (UnaryFn::Neg | UnaryFn::Abs, d) => need(d != DType::Bool, d),
                (_, d) => need(d == DType::F32, d),
            },
            Expr::Binary(f, a, b) => match (f, same(a, b)?) {
                (BinaryFn::And | BinaryFn::Or | BinaryFn::Xor, d) => need(d == DType::Bool, d),
                (BinaryFn::Pow, d) => need(d == DType::F32, d),
                (BinaryFn::Rem, d) => need(d.is_int(), d),
                (_, d) => need(d != DType::Bool, d),
            },
            Expr::Compare(_, a, b) => same(a, b).map(|_| DType::Bool),
            Expr::Select(c, a, b) => {
                need(ty(c)? == DType::Bool, ty(c)?)?;
                same(a, b)
            }
            Expr::Cast(d, a) => ty(a).map(|_| *d),
        }
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $fn:ident) => {
        impl std::ops::$trait for Expr {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                Expr::binary(BinaryFn::$fn, self, other)
            }
        }
    };
}
operator!(Add, add, Add);
operator!(Sub, sub, Sub);
operator!(Mul, mul, Mul);
operator!(Div, div, Div);
operator!(Rem, rem, Rem);

/// Names used in the text form, in the order of the variants.
macro_rules! names {
    ($t:ident { $($v:ident = $s:literal),* $(,)? }) => {
        impl $t {
            /// Every function of the kind.
            pub const ALL: &'static [$t] = &[$($t::$v),*];
            /// The name in the text form.
            pub fn name(self) -> &'static str {
                match self { $($t::$v => $s),* }
            }
        }
    };
}
names!(UnaryFn {
    Neg = "neg", Abs = "abs", Sqrt = "sqrt", Exp = "exp", Log = "log", Tanh = "tanh", Erf = "erf", Floor = "floor",
    Ceil = "ceil", Round = "round", Not = "not",
});
names!(BinaryFn {
    Add = "add", Sub = "sub", Mul = "mul", Div = "div", Rem = "rem", Min = "min", Max = "max", Pow = "pow",
    And = "and", Or = "or", Xor = "xor",
});
names!(CompareFn { Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge" });

/// Prints as `add(mul(L0, 2), b1[L2, L3])`; literals carry their type except i64: `1.5f32`, `3`, `3i32`, `1u8`, `true`.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Const(s) => write!(f, "{s}"),
            Expr::Var(v) => write!(f, "{v}"),
            Expr::Acc => f.write_str("acc"),
            Expr::Load(b, index) => {
                write!(f, "{b}[")?;
                for (i, e) in index.iter().enumerate() {
                    write!(f, "{}{e}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Expr::Unary(u, a) => write!(f, "{}({a})", u.name()),
            Expr::Binary(o, a, b) => write!(f, "{}({a}, {b})", o.name()),
            Expr::Compare(o, a, b) => write!(f, "{}({a}, {b})", o.name()),
            Expr::Select(c, a, b) => write!(f, "select({c}, {a}, {b})"),
            Expr::Cast(d, a) => write!(f, "{d}({a})"),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // `{:?}` is the shortest text that reads back as the same float; NaN keeps only its sign.
            Scalar::F32(v) => write!(f, "{v:?}f32"),
            Scalar::I64(v) => write!(f, "{v}"),
            Scalar::I32(v) => write!(f, "{v}i32"),
            Scalar::U8(v) => write!(f, "{v}u8"),
            Scalar::Bool(v) => write!(f, "{v}"),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    struct Empty;
    impl Env for Empty {
        fn var(&self, v: VarId) -> i64 {
            v.0.into()
        }
        fn load(&self, buf: BufId, _: &[i64]) -> Result<Scalar, OpError> {
            Err(OpError::Invalid(format!("no buffer {buf}")))
        }
    }

    #[test]
    fn arithmetic_is_total() {
        let e = |f, a: i64, b: i64| eval(&Expr::binary(f, Expr::int(a), Expr::int(b)), &Empty).unwrap();
        assert_eq!(e(BinaryFn::Div, 7, 0), Scalar::I64(0));
        assert_eq!(e(BinaryFn::Div, i64::MIN, -1), Scalar::I64(i64::MIN));
        assert_eq!(e(BinaryFn::Rem, i64::MIN, -1), Scalar::I64(0));
        assert_eq!(e(BinaryFn::Div, -7, 2), Scalar::I64(-3));
        assert_eq!(Scalar::F32(f32::NAN).cast(DType::I32), Scalar::I32(0));
        assert_eq!(Scalar::F32(1e30).cast(DType::I64), Scalar::I64(i64::MAX));
        assert_eq!(Scalar::I64(300).cast(DType::U8), Scalar::U8(44));
    }

    #[test]
    fn text_names_types() {
        let e = (Expr::var(3) * Expr::int(2)).cast(DType::F32) + Expr::f32(0.5);
        assert_eq!(e.to_string(), "add(f32(mul(L3, 2)), 0.5f32)");
        assert_eq!(e.dtype(&|_| None, None), Ok(DType::F32));
        assert!((Expr::f32(1.0) + Expr::int(1)).dtype(&|_| None, None).is_err());
        assert_eq!(eval(&e, &Empty).unwrap(), Scalar::F32(6.5));
    }

    #[test]
    fn erf_matches_tables() {
        // Abramowitz and Stegun, table 7.1.
        for (x, y) in
            [(0.0, 0.0), (0.5, 0.5204998778), (1.0, 0.8427007929), (2.0, 0.9953222650), (3.0, 0.9999779095)]
        {
            assert!((erf(x) - y).abs() < 1e-10, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }
}
