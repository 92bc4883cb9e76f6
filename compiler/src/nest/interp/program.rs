//! Expressions resolved against a definition's loops and buffers, so that evaluating one looks nothing up.
//!
//! Sums of multiples of loop variables become one linear form, and all indices of a load one flat index: i64
//! arithmetic wraps, so regrouping changes no value.

use octrt_ops::expr::{self, BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn, binary};
use octrt_ops::{DType, Shape};

use crate::leaf::memory::Region;
use crate::nest::Definition;

/// The contents of all buffers: little-endian elements.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The elements of each.
    pub regions: &'a [Region],
    /// Their types.
    pub dtypes: &'a [DType],
}

impl View<'_> {
    fn load(self, buffer: usize, at: usize) -> Option<Scalar> {
        let dtype = *self.dtypes.get(buffer)?;
        let at = at.checked_mul(dtype.size())?;
        let bytes = self.regions.get(buffer)?.bytes.get(at..at.checked_add(dtype.size())?)?;
        Some(Scalar::read(dtype, bytes))
    }
}

/// The row-major position of an element.
#[derive(Debug)]
pub struct At(Linear);

impl At {
    /// Of an index in a tensor of this shape; a single one is that of the tensor as a vector.
    pub fn new(index: &[Expr], shape: &Shape, k: &Definition<'_>) -> At {
        let strides = if index.len() == 1 { vec![1] } else { shape.strides() };
        let mut linear = Linear::default();
        for (e, stride) in index.iter().zip(strides) {
            linear.add(e, stride as i64, k);
        }
        At(linear)
    }

    /// The position in an iteration; `None` where it is negative, and as for [`Program::eval`].
    pub fn eval(&self, vars: &[i64], view: View<'_>, acc: Option<Scalar>) -> Option<usize> {
        usize::try_from(self.0.eval(vars, view, acc)?).ok()
    }
}

/// `base + sum of multiples of variables + sum of multiples of other i64 expressions`.
#[derive(Debug, Default)]
pub struct Linear {
    base: i64,
    vars: Vec<(usize, i64)>,
    rest: Vec<(Program, i64)>,
}

impl Linear {
    /// The value in an iteration; `None` as for [`Program::eval`].
    pub fn eval(&self, vars: &[i64], view: View<'_>, acc: Option<Scalar>) -> Option<i64> {
        let mut sum = self.base;
        for &(at, factor) in &self.vars {
            sum = sum.wrapping_add(vars.get(at)?.wrapping_mul(factor));
        }
        for (e, factor) in &self.rest {
            match e.eval(vars, view, acc)? {
                Scalar::I64(v) => sum = sum.wrapping_add(v.wrapping_mul(*factor)),
                _ => return None,
            }
        }
        Some(sum)
    }

    /// Adds `factor` times an i64 expression.
    fn add(&mut self, e: &Expr, factor: i64, k: &Definition<'_>) {
        match e {
            Expr::Const(Scalar::I64(c)) => self.base = self.base.wrapping_add(c.wrapping_mul(factor)),
            Expr::Var(id) => {
                // A loop that is not around the definition is beyond the variables of any iteration.
                let at = k.position(*id).unwrap_or(usize::MAX);
                match self.vars.iter_mut().find(|(v, _)| *v == at) {
                    Some((_, f)) => *f = f.wrapping_add(factor),
                    None => self.vars.push((at, factor)),
                }
            }
            Expr::Unary(UnaryFn::Neg, a) => self.add(a, factor.wrapping_neg(), k),
            Expr::Binary(BinaryFn::Add, a, b) => {
                self.add(a, factor, k);
                self.add(b, factor, k);
            }
            Expr::Binary(BinaryFn::Sub, a, b) => {
                self.add(a, factor, k);
                self.add(b, factor.wrapping_neg(), k);
            }
            Expr::Binary(BinaryFn::Mul, a, b) => match (&**a, &**b) {
                (Expr::Const(Scalar::I64(c)), e) | (e, Expr::Const(Scalar::I64(c))) => {
                    self.add(e, factor.wrapping_mul(*c), k);
                }
                _ => self.rest.push((Program::plain(e, k), factor)),
            },
            _ => self.rest.push((Program::plain(e, k), factor)),
        }
    }
}

/// A resolved expression.
#[derive(Debug)]
pub enum Program {
    /// A literal.
    Const(Scalar),
    /// The finished accumulator.
    Acc,
    /// An i64.
    Int(Linear),
    /// An element of a buffer.
    Load(usize, At),
    /// A function of one argument.
    Unary(UnaryFn, Box<Program>),
    /// A function of two arguments.
    Binary(BinaryFn, Box<Program>, Box<Program>),
    /// A comparison.
    Compare(CompareFn, Box<Program>, Box<Program>),
    /// `if c then a else b`.
    Select(Box<Program>, Box<Program>, Box<Program>),
    /// Conversion.
    Cast(DType, Box<Program>),
    /// The bits of a float.
    Bits(Box<Program>),
}

impl Program {
    /// An expression of a definition.
    pub fn new(e: &Expr, k: &Definition<'_>) -> Program {
        let dtype = |b: BufId| k.buffers.get(b.0 as usize).map(|b| b.ty.dtype);
        let arithmetic = matches!(
            e,
            Expr::Var(_)
                | Expr::Unary(UnaryFn::Neg, _)
                | Expr::Binary(BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul, ..)
        );
        if arithmetic && e.dtype(&dtype, None) == Ok(DType::I64) {
            let mut linear = Linear::default();
            linear.add(e, 1, k);
            return Program::Int(linear);
        }
        Program::plain(e, k)
    }

    /// The same without a linear form at the root.
    fn plain(e: &Expr, k: &Definition<'_>) -> Program {
        let new = |e: &Expr| Box::new(Program::new(e, k));
        match e {
            Expr::Const(s) => Program::Const(*s),
            Expr::Acc => Program::Acc,
            Expr::Var(_) => Program::new(e, k),
            Expr::Load(b, index) => {
                let shape = k.buffers.get(b.0 as usize).map(|b| b.ty.shape.clone()).unwrap_or_default();
                Program::Load(b.index(), At::new(index, &shape, k))
            }
            Expr::Unary(f, a) => Program::Unary(*f, new(a)),
            Expr::Binary(f, a, b) => Program::Binary(*f, new(a), new(b)),
            Expr::Compare(f, a, b) => Program::Compare(*f, new(a), new(b)),
            Expr::Select(c, a, b) => Program::Select(new(c), new(a), new(b)),
            Expr::Cast(d, a) => Program::Cast(*d, new(a)),
            Expr::Bits(a) => Program::Bits(new(a)),
        }
    }

    /// The value in an iteration; `None` where the expression is ill-typed or reads outside a buffer.
    pub fn eval(&self, vars: &[i64], view: View<'_>, acc: Option<Scalar>) -> Option<Scalar> {
        let value = |e: &Program| e.eval(vars, view, acc);
        match self {
            Program::Const(s) => Some(*s),
            Program::Acc => acc,
            Program::Int(linear) => linear.eval(vars, view, acc).map(Scalar::I64),
            Program::Load(b, at) => view.load(*b, at.eval(vars, view, acc)?),
            Program::Unary(f, a) => expr::unary(*f, value(a)?),
            Program::Binary(f, a, b) => combine(*f, value(a)?, value(b)?),
            Program::Compare(f, a, b) => compare(*f, value(a)?, value(b)?),
            Program::Select(c, a, b) => match (value(c)?, value(a)?, value(b)?) {
                (Scalar::Bool(c), a, b) => Some(if c { a } else { b }),
                _ => None,
            },
            Program::Cast(d, a) => Some(value(a)?.cast(*d)),
            Program::Bits(a) => expr::bits(value(a)?),
        }
    }
}

/// [`binary`], with a short way for sums of products.
#[inline]
pub fn combine(f: BinaryFn, a: Scalar, b: Scalar) -> Option<Scalar> {
    match (f, a, b) {
        (BinaryFn::Mul, Scalar::F32(a), Scalar::F32(b)) => Some(Scalar::F32(a * b)),
        (BinaryFn::Add, Scalar::F32(a), Scalar::F32(b)) => Some(Scalar::F32(a + b)),
        _ => binary(f, a, b),
    }
}

fn compare(f: CompareFn, a: Scalar, b: Scalar) -> Option<Scalar> {
    // Comparisons of indices guard every element of a padded tensor: they do not go through an expression.
    if let (Scalar::I64(a), Scalar::I64(b)) = (a, b) {
        return Some(Scalar::Bool(match f {
            CompareFn::Eq => a == b,
            CompareFn::Ne => a != b,
            CompareFn::Lt => a < b,
            CompareFn::Le => a <= b,
            CompareFn::Gt => a > b,
            CompareFn::Ge => a >= b,
        }));
    }
    expr::compare(f, a, b)
}
