//! Integer expressions as sums of multiples: for strides, addresses and simplification.

use octrt_ops::Shape;
use octrt_ops::expr::{BinaryFn, CompareFn, Expr, Scalar, UnaryFn, VarId};

/// `constant + sum of coefficient * atom`; an atom is a variable or an expression that is not a sum. Arithmetic wraps
/// like that of the expression itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affine {
    /// The constant part.
    pub constant: i64,
    /// Coefficients and atoms, each atom once, no coefficient 0.
    pub terms: Vec<(i64, Expr)>,
}

impl Affine {
    /// The sum that an i64 expression is.
    pub fn of(e: &Expr) -> Affine {
        let mut sum = Affine::default();
        sum.add(e, 1);
        sum
    }

    /// Adds `factor * e`.
    fn add(&mut self, e: &Expr, factor: i64) {
        match e {
            Expr::Const(Scalar::I64(v)) => self.add_constant(*v, factor),
            Expr::Var(_) => self.add_atom(e, factor),
            Expr::Binary(BinaryFn::Add, a, b) => {
                self.add(a, factor);
                self.add(b, factor);
            }
            Expr::Binary(BinaryFn::Sub, a, b) => {
                self.add(a, factor);
                self.add(b, factor.wrapping_neg());
            }
            Expr::Unary(UnaryFn::Neg, a) => self.add(a, factor.wrapping_neg()),
            Expr::Binary(BinaryFn::Mul, a, b) => match (Affine::of(b), &**a) {
                (b, a) if b.terms.is_empty() => self.add(a, factor.wrapping_mul(b.constant)),
                (b, a) => match Affine::of(a) {
                    a if a.terms.is_empty() => self.add_sum(&b, factor.wrapping_mul(a.constant)),
                    _ => self.add_other(e, factor),
                },
            },
            _ => self.add_other(e, factor),
        }
    }

    /// Adds `factor * e` of what is no sum.
    fn add_other(&mut self, e: &Expr, factor: i64) {
        match is_simple(e) {
            true => self.add_simple(e, factor),
            false => self.add_simple(&simplify(e), factor),
        }
    }

    /// As [`add_other`](Self::add_other), of what is simplified.
    fn add_simple(&mut self, e: &Expr, factor: i64) {
        match e {
            Expr::Const(Scalar::I64(v)) => self.add_constant(*v, factor),
            e => self.add_atom(e, factor),
        }
    }

    fn add_constant(&mut self, v: i64, factor: i64) {
        self.constant = self.constant.wrapping_add(v.wrapping_mul(factor));
    }

    fn add_atom(&mut self, atom: &Expr, factor: i64) {
        match self.terms.iter().position(|(_, a)| a == atom) {
            Some(at) => {
                let c = self.terms[at].0.wrapping_add(factor);
                match c {
                    0 => {
                        self.terms.remove(at);
                    }
                    c => self.terms[at].0 = c,
                }
            }
            None if factor != 0 => self.terms.push((factor, atom.clone())),
            None => {}
        }
    }

    /// Adds `factor * other`.
    pub fn add_sum(&mut self, other: &Affine, factor: i64) {
        self.add_constant(other.constant, factor);
        for (c, atom) in &other.terms {
            self.add_atom(atom, c.wrapping_mul(factor));
        }
    }

    /// `self + factor * other`.
    pub fn plus(&self, other: &Affine, factor: i64) -> Affine {
        let mut sum = self.clone();
        sum.add_sum(other, factor);
        sum
    }

    /// Row-major position of `index` in a tensor of this shape, in elements.
    pub fn flat(shape: &Shape, index: &[Expr]) -> Affine {
        Affine::at(shape, index, 1)
    }

    /// Row-major position of `index` in a tensor of this shape, in elements, `factor` times.
    pub fn at(shape: &Shape, index: &[Expr], factor: i64) -> Affine {
        let mut sum = Affine::default();
        for (e, stride) in index.iter().zip(shape.strides()) {
            sum.add(e, factor.wrapping_mul(stride as i64));
        }
        sum.joined()
    }

    /// An equal sum in which quotients and remainders of the same division are their dividend again, as the position of an
    /// element of a reshaped tensor is: `s * (e / s) + e % s` is `e`, and `s * (e / s % m) + e % s` is `e % (s * m)`.
    fn joined(mut self) -> Affine {
        while let Some((i, j, whole)) = self.divided() {
            let c = self.terms[i].0;
            let mut at = 0;
            self.terms.retain(|_| {
                at += 1;
                at - 1 != i && at - 1 != j
            });
            self.add_sum(&whole, c);
        }
        self
    }

    /// A remainder and its quotient among the terms, and what they are together, once.
    fn divided(&self) -> Option<(usize, usize, Affine)> {
        for (i, (c, atom)) in self.terms.iter().enumerate() {
            let Some((e, s)) = by_literal(BinaryFn::Rem, atom) else { continue };
            let is_quotient = |q: &Expr| by_literal(BinaryFn::Div, q) == Some((e, s));
            for (j, (factor, other)) in self.terms.iter().enumerate().filter(|(j, _)| *j != i) {
                if c.checked_mul(s) != Some(*factor) {
                    continue;
                }
                if is_quotient(other) {
                    return Some((i, j, Affine::of(e)));
                }
                if let Some((dividend, m)) = by_literal(BinaryFn::Rem, other)
                    && is_quotient(dividend)
                    && let Some(s) = s.checked_mul(m)
                {
                    let mut whole = Affine::default();
                    whole.add_atom(&(e.clone() % Expr::int(s)), 1);
                    return Some((i, j, whole));
                }
            }
        }
        None
    }

    /// How much the sum grows when `v` grows by one; `None` when it depends on `v` in another way.
    pub fn stride(&self, v: VarId) -> Option<i64> {
        let mut stride = 0;
        for (c, atom) in &self.terms {
            match atom {
                Expr::Var(w) if *w == v => stride = *c,
                atom if uses(atom, v) => return None,
                _ => {}
            }
        }
        Some(stride)
    }
}

/// The first operand of a quotient or remainder by a positive literal, and the literal.
fn by_literal(f: BinaryFn, e: &Expr) -> Option<(&Expr, i64)> {
    match e {
        Expr::Binary(of, a, s) if *of == f => match **s {
            Expr::Const(Scalar::I64(s)) if s > 0 => Some((a, s)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether `v` occurs in `e`.
pub fn uses(e: &Expr, v: VarId) -> bool {
    let mut found = false;
    e.visit(&mut |e| found |= matches!(e, Expr::Var(w) if *w == v));
    found
}

/// An equal expression without operations on integer literals that can be done now.
pub fn simplify(e: &Expr) -> Expr {
    let e = match e {
        Expr::Const(_) | Expr::Var(_) | Expr::Acc => return e.clone(),
        Expr::Load(b, index) => return Expr::Load(*b, index.iter().map(simplify).collect()),
        Expr::Unary(f, a) => Expr::unary(*f, simplify(a)),
        Expr::Bits(a) => simplify(a).bits(),
        Expr::Cast(d, a) => simplify(a).cast(*d),
        Expr::Select(c, a, b) => simplify(c).select(simplify(a), simplify(b)),
        Expr::Compare(f, a, b) => Expr::compare(*f, simplify(a), simplify(b)),
        Expr::Binary(f, a, b) => Expr::binary(*f, simplify(a), simplify(b)),
    };
    simpler(&e).unwrap_or(e)
}

/// Whether [`simplify`] leaves an expression as it is.
fn is_simple(e: &Expr) -> bool {
    let mut simple = true;
    e.visit(&mut |e| simple = simple && simpler(e).is_none());
    simple
}

/// What an operation on simple operands is, where it can be done now.
fn simpler(e: &Expr) -> Option<Expr> {
    let int = |e: &Expr| match e {
        Expr::Const(Scalar::I64(v)) => Some(*v),
        _ => None,
    };
    let yes = |e: &Expr| matches!(e, Expr::Const(Scalar::Bool(true)));
    match e {
        Expr::Cast(d, a) => match **a {
            Expr::Const(s) => Some(Expr::Const(s.cast(*d))),
            _ => None,
        },
        Expr::Select(c, a, b) => match **c {
            Expr::Const(Scalar::Bool(true)) => Some((**a).clone()),
            Expr::Const(Scalar::Bool(false)) => Some((**b).clone()),
            _ => None,
        },
        Expr::Compare(f, a, b) => {
            let (x, y) = (int(a)?, int(b)?);
            Some(Expr::Const(Scalar::Bool(match f {
                CompareFn::Eq => x == y,
                CompareFn::Ne => x != y,
                CompareFn::Lt => x < y,
                CompareFn::Le => x <= y,
                CompareFn::Gt => x > y,
                CompareFn::Ge => x >= y,
            })))
        }
        Expr::Binary(f, a, b) => match (f, int(a), int(b)) {
            (_, Some(x), Some(y)) => {
                octrt_ops::expr::binary(*f, Scalar::I64(x), Scalar::I64(y)).map(Expr::Const)
            }
            (BinaryFn::Add, Some(0), _) | (BinaryFn::Mul, Some(1), _) => Some((**b).clone()),
            (BinaryFn::Add | BinaryFn::Sub, _, Some(0)) | (BinaryFn::Mul | BinaryFn::Div, _, Some(1)) => {
                Some((**a).clone())
            }
            (BinaryFn::Mul, Some(0), _) | (BinaryFn::Mul, _, Some(0)) | (BinaryFn::Rem, _, Some(1)) => {
                Some(Expr::int(0))
            }
            (BinaryFn::And, ..) if yes(a) => Some((**b).clone()),
            (BinaryFn::And, ..) if yes(b) => Some((**a).clone()),
            _ => None,
        },
        Expr::Const(_) | Expr::Var(_) | Expr::Acc | Expr::Load(..) | Expr::Unary(..) | Expr::Bits(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use octrt_ops::index::view_index;

    use super::*;

    #[test]
    fn sums_are_collected() {
        let (x, y) = (Expr::var(0), Expr::var(1));
        let e = (x.clone() * Expr::int(2) + y.clone()) * Expr::int(3) - x.clone() + Expr::int(5);
        let a = Affine::of(&e);
        assert_eq!(a.constant, 5);
        assert_eq!(a.stride(VarId(0)), Some(5));
        assert_eq!(a.stride(VarId(1)), Some(3));
        assert_eq!(a.stride(VarId(2)), Some(0));
        let clamped = Affine::of(&(x.clamp(0, 3) + y));
        assert_eq!(clamped.stride(VarId(0)), None);
        assert_eq!(clamped.stride(VarId(1)), Some(1));
    }

    #[test]
    fn divisions_are_joined() {
        let flat = |shape: &[usize], from: &[usize]| {
            Affine::flat(&shape.to_vec().into(), &view_index(&from.to_vec().into(), &shape.to_vec().into()))
        };
        let a = flat(&[1, 6, 5, 4], &[12, 10]);
        assert_eq!((a.constant, a.stride(VarId(0)), a.stride(VarId(1))), (0, Some(10), Some(1)));
        // Another divisor, and a remainder without its quotient, stay.
        let e = Expr::var(0) / Expr::int(4);
        let shape = Shape::from(vec![9, 3]);
        assert_eq!(Affine::flat(&shape, &[e, Expr::var(0) % Expr::int(3)]).stride(VarId(0)), None);
        let rest = Affine::flat(&shape, &[Expr::int(0), Expr::var(0) % Expr::int(3)]);
        assert_eq!(rest.stride(VarId(0)), None);
    }

    #[test]
    fn simplification_keeps_the_value() {
        let x = Expr::var(0);
        assert_eq!(simplify(&((x.clone() / Expr::int(1)) * Expr::int(1) + Expr::int(0))), x);
        assert_eq!(simplify(&(x.clone() * Expr::int(0))), Expr::int(0));
        let chosen = Expr::int(2).within(3).select(x.clone(), Expr::int(9));
        assert_eq!(simplify(&chosen), x);
        assert!(!is_simple(&chosen) && !is_simple(&(x.clone() / (Expr::int(1) + Expr::int(1)))));
        assert!(is_simple(&((x / Expr::int(4)) % Expr::int(7))));
    }
}
