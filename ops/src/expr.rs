//! Scalar expressions: what one element of a tensor is, given the loop variables and the tensors it is made from.
//!
//! One language serves an operator's [`compute`](crate::compute) definition and the compiler's loop IR. All
//! expressions are total: nothing traps. Integer arithmetic wraps; integer division by zero gives 0; a float cast to
//! an integer truncates and saturates (NaN gives 0). Both arms of a `select` are evaluated, so every load in an
//! expression must be in bounds: clamp the index and select afterwards.

use std::fmt;

use crate::dtype::DType;
use crate::error::OpError;

mod eval;
mod scalar;
mod text;

pub use eval::{Env, binary, bits, compare, erf, eval, unary};
pub use scalar::{Scalar, round_bf16, round_f16};

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

impl BufId {
    /// The position.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for BufId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
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
    /// sine of radians; floats only
    Sin,
    /// cosine of radians; floats only
    Cos,
    /// arc tangent in radians; floats only
    Atan,
    /// the nearest value of binary16; f32 only
    RoundF16,
    /// the nearest value of bfloat16; f32 only
    RoundBf16,
    /// logical not of a `bool`, bitwise not of an integer
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
    /// remainder of the truncating division, with the sign of `a`; integers: `x % 0 = 0`; floats: as C's `fmod`
    Rem,
    /// the smaller; NaN if either is NaN
    Min,
    /// the larger; NaN if either is NaN
    Max,
    /// `a^b`; floats only
    Pow,
    /// and: logical of `bool`s, bitwise of integers
    And,
    /// or: logical of `bool`s, bitwise of integers
    Or,
    /// exclusive or: logical of `bool`s, bitwise of integers
    Xor,
    /// `a` shifted left by `b` bits; integers only; 0 where `b` is negative or not below the width
    Shl,
    /// `a` shifted right by `b` bits, signed integers with their sign; integers only; as if by all bits where `b` is
    /// negative or not below the width
    Shr,
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
    /// The bits of an f32 as i32, of an f64 as i64.
    Bits(Box<Expr>),
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
        Expr::Const(Scalar::F64(v).cast(dtype))
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
    /// The bits of a float.
    pub fn bits(self) -> Expr {
        Expr::Bits(Box::new(self))
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
            Expr::Bits(a) => a.map(f).bits(),
        }
    }

    /// As [`map`](Self::map), in place: only what is replaced is made anew.
    pub fn rewrite(&mut self, f: &mut dyn FnMut(&Expr) -> Option<Expr>) {
        if let Some(new) = f(self) {
            *self = new;
            return;
        }
        match self {
            Expr::Const(_) | Expr::Var(_) | Expr::Acc => {}
            Expr::Load(_, index) => index.iter_mut().for_each(|e| e.rewrite(f)),
            Expr::Unary(_, a) | Expr::Cast(_, a) | Expr::Bits(a) => a.rewrite(f),
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => {
                a.rewrite(f);
                b.rewrite(f);
            }
            Expr::Select(c, a, b) => {
                c.rewrite(f);
                a.rewrite(f);
                b.rewrite(f);
            }
        }
    }

    /// Visits the expression and all its subexpressions, outermost first.
    pub fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        f(self);
        match self {
            Expr::Const(_) | Expr::Var(_) | Expr::Acc => {}
            Expr::Load(_, index) => index.iter().for_each(|e| e.visit(f)),
            Expr::Unary(_, a) | Expr::Cast(_, a) | Expr::Bits(a) => a.visit(f),
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
                    let d = ty(i)?;
                    need(d == DType::I64, d)?;
                }
                buf(*b).ok_or_else(|| OpError::Invalid(format!("unknown buffer {b}")))
            }
            Expr::Unary(f, a) => match (f, ty(a)?) {
                (UnaryFn::Not, d) => need(!d.is_float(), d),
                (UnaryFn::Neg | UnaryFn::Abs, d) => need(d != DType::Bool, d),
                (UnaryFn::RoundF16 | UnaryFn::RoundBf16, d) => need(d == DType::F32, d),
                (_, d) => need(d.is_float(), d),
            },
            Expr::Binary(f, a, b) => match (f, same(a, b)?) {
                (BinaryFn::And | BinaryFn::Or | BinaryFn::Xor, d) => need(!d.is_float(), d),
                (BinaryFn::Pow, d) => need(d.is_float(), d),
                (BinaryFn::Shl | BinaryFn::Shr, d) => need(d.is_int(), d),
                (_, d) => need(d != DType::Bool, d),
            },
            Expr::Compare(_, a, b) => same(a, b).map(|_| DType::Bool),
            Expr::Select(c, a, b) => {
                let d = ty(c)?;
                need(d == DType::Bool, d)?;
                same(a, b)
            }
            Expr::Cast(d, a) => ty(a).map(|_| *d),
            Expr::Bits(a) => match ty(a)? {
                DType::F32 => Ok(DType::I32),
                DType::F64 => Ok(DType::I64),
                d => need(false, d),
            },
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
        assert_eq!(e(BinaryFn::Shl, 3, 64), Scalar::I64(0));
        assert_eq!(e(BinaryFn::Shr, -8, 1), Scalar::I64(-4));
        assert_eq!(e(BinaryFn::Shr, -8, -1), Scalar::I64(-1));
        assert_eq!(e(BinaryFn::Xor, 6, 3), Scalar::I64(5));
        let bits = eval(&Expr::f32(-0.0).bits(), &Empty);
        assert_eq!(bits, Ok(Scalar::I32(i32::MIN)));
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
    fn rewriting_in_place_is_mapping() {
        let load = Expr::load(BufId(1), [Expr::var(0) + Expr::int(2), Expr::var(1)]);
        let e = Expr::compare(CompareFn::Lt, Expr::var(1), Expr::int(4)).select(load, Expr::Acc);
        let moved = |e: &Expr| (*e == Expr::var(1)).then(|| Expr::var(1) * Expr::int(8));
        let mut rewritten = e.clone();
        rewritten.rewrite(&mut |e| moved(e));
        assert_eq!(rewritten, e.map(&mut |e| moved(e)));
        assert_eq!(rewritten.to_string(), "select(lt(mul(L1, 8), 4), b1[add(L0, 2), mul(L1, 8)], acc)");
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
