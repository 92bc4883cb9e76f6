//! Integer expressions as sums of multiples: for strides, addresses and simplification.

use octrt_ops::Shape;
use octrt_ops::expr::{BinaryFn, Expr, Scalar, UnaryFn, VarId};

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
        match e {
            Expr::Const(Scalar::I64(v)) => Affine { constant: *v, terms: Vec::new() },
            Expr::Binary(BinaryFn::Add, a, b) => Affine::of(a).plus(&Affine::of(b), 1),
            Expr::Binary(BinaryFn::Sub, a, b) => Affine::of(a).plus(&Affine::of(b), -1),
            Expr::Unary(UnaryFn::Neg, a) => Affine::default().plus(&Affine::of(a), -1),
            Expr::Binary(BinaryFn::Mul, a, b) => match (Affine::of(a), Affine::of(b)) {
                (a, b) if b.terms.is_empty() => Affine::default().plus(&a, b.constant),
                (a, b) if a.terms.is_empty() => Affine::default().plus(&b, a.constant),
                _ => Affine::atom(simplify(e)),
            },
            _ => Affine::atom(simplify(e)),
        }
    }

    fn atom(e: Expr) -> Affine {
        match e {
            Expr::Const(Scalar::I64(v)) => Affine { constant: v, terms: Vec::new() },
            e => Affine { constant: 0, terms: vec![(1, e)] },
        }
    }

    /// `self + factor * other`.
    pub fn plus(&self, other: &Affine, factor: i64) -> Affine {
        let mut sum = self.clone();
        sum.constant = sum.constant.wrapping_add(other.constant.wrapping_mul(factor));
        for (c, atom) in &other.terms {
            let c = c.wrapping_mul(factor);
            match sum.terms.iter_mut().find(|(_, a)| a == atom) {
                Some((have, _)) => *have = have.wrapping_add(c),
                None => sum.terms.push((c, atom.clone())),
            }
        }
        sum.terms.retain(|(c, _)| *c != 0);
        sum
    }

    /// Row-major position of `index` in a tensor of this shape, in elements.
    pub fn flat(shape: &Shape, index: &[Expr]) -> Affine {
        let strides = shape.strides();
        let sum = index
            .iter()
            .zip(strides)
            .fold(Affine::default(), |sum, (e, s)| sum.plus(&Affine::of(e), s as i64));
        sum.joined()
    }

    /// An equal sum in which quotients and remainders of the same division are their dividend again, as the position of an
    /// element of a reshaped tensor is: `s * (e / s) + e % s` is `e`, and `s * (e / s % m) + e % s` is `e % (s * m)`.
    fn joined(self) -> Affine {
        let rest_of = |e: &Expr| match e {
            Expr::Binary(BinaryFn::Rem, a, s) => match **s {
                Expr::Const(Scalar::I64(s)) if s > 0 => Some(((**a).clone(), s)),
                _ => None,
            },
            _ => None,
        };
        for (i, (c, atom)) in self.terms.iter().enumerate() {
            let Some((e, s)) = rest_of(atom) else { continue };
            let quotient = e.clone() / Expr::int(s);
            for (j, (factor, other)) in self.terms.iter().enumerate().filter(|(j, _)| *j != i) {
                let whole = match rest_of(other) {
                    _ if c.checked_mul(s) != Some(*factor) => continue,
                    _ if *other == quotient => Affine::of(&e),
                    Some((dividend, m)) if dividend == quotient => match s.checked_mul(m) {
                        Some(s) => Affine::atom(e.clone() % Expr::int(s)),
                        None => continue,
                    },
                    _ => continue,
                };
                let terms = self.terms.iter().enumerate().filter(|(k, _)| *k != i && *k != j);
                let terms = terms.map(|(_, t)| t.clone()).collect();
                return Affine { constant: self.constant, terms }.plus(&whole, *c).joined();
            }
        }
        self
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

/// Whether `v` occurs in `e`.
pub fn uses(e: &Expr, v: VarId) -> bool {
    let mut found = false;
    e.visit(&mut |e| found |= matches!(e, Expr::Var(w) if *w == v));
    found
}

/// An equal expression without operations on integer literals that can be done now.
pub fn simplify(e: &Expr) -> Expr {
    let int = |e: &Expr| match e {
        Expr::Const(Scalar::I64(v)) => Some(*v),
        _ => None,
    };
    let yes = |e: &Expr| matches!(e, Expr::Const(Scalar::Bool(true)));
    match e {
        Expr::Const(_) | Expr::Var(_) | Expr::Acc => e.clone(),
        Expr::Load(b, index) => Expr::Load(*b, index.iter().map(simplify).collect()),
        Expr::Unary(f, a) => Expr::unary(*f, simplify(a)),
        Expr::Bits(a) => simplify(a).bits(),
        Expr::Cast(d, a) => match simplify(a) {
            Expr::Const(s) => Expr::Const(s.cast(*d)),
            a => a.cast(*d),
        },
        Expr::Select(c, a, b) => match simplify(c) {
            Expr::Const(Scalar::Bool(true)) => simplify(a),
            Expr::Const(Scalar::Bool(false)) => simplify(b),
            c => c.select(simplify(a), simplify(b)),
        },
        Expr::Compare(f, a, b) => {
            let (a, b) = (simplify(a), simplify(b));
            match (int(&a), int(&b)) {
                (Some(x), Some(y)) => {
                    use octrt_ops::expr::CompareFn::*;
                    Expr::Const(Scalar::Bool(match f {
                        Eq => x == y,
                        Ne => x != y,
                        Lt => x < y,
                        Le => x <= y,
                        Gt => x > y,
                        Ge => x >= y,
                    }))
                }
                _ => Expr::compare(*f, a, b),
            }
        }
        Expr::Binary(f, a, b) => {
            let (a, b) = (simplify(a), simplify(b));
            match (f, int(&a), int(&b)) {
                (_, Some(x), Some(y)) => match octrt_ops::expr::binary(*f, Scalar::I64(x), Scalar::I64(y)) {
                    Some(s) => Expr::Const(s),
                    None => Expr::binary(*f, a, b),
                },
                (BinaryFn::Add, Some(0), _) | (BinaryFn::Mul, Some(1), _) => b,
                (BinaryFn::Add | BinaryFn::Sub, _, Some(0)) | (BinaryFn::Mul | BinaryFn::Div, _, Some(1)) => {
                    a
                }
                (BinaryFn::Mul, Some(0), _) | (BinaryFn::Mul, _, Some(0)) | (BinaryFn::Rem, _, Some(1)) => {
                    Expr::int(0)
                }
                (BinaryFn::And, ..) if yes(&a) => b,
                (BinaryFn::And, ..) if yes(&b) => a,
                _ => Expr::binary(*f, a, b),
            }
        }
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
        assert_eq!(simplify(&Expr::int(2).within(3).select(x.clone(), Expr::int(9))), x);
    }
}
