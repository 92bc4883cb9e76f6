//! Integer expressions of nests: sums with known bounds, and what quotients and remainders of them are.

use octrt_ops::expr::{BinaryFn, CompareFn, Expr, Scalar, VarId};

use crate::nest::affine::Affine;

/// Number of iterations of each loop.
pub type Extents<'a> = &'a dyn Fn(VarId) -> Option<usize>;

/// Smallest and largest value of an expression of loops, quotients and remainders by constants; `None` where it is of
/// another form or could wrap.
pub fn bounds(e: &Expr, extents: Extents<'_>) -> Option<(i64, i64)> {
    match e {
        Expr::Const(Scalar::I64(v)) => Some((*v, *v)),
        Expr::Var(l) => Some((0, i64::try_from(extents(*l)?).ok()? - 1)),
        Expr::Binary(BinaryFn::Div, a, c) => {
            let ((lo, hi), c) = (bounds(a, extents)?, constant(c)?);
            (lo >= 0 && c > 0).then(|| (lo / c, hi / c))
        }
        Expr::Binary(BinaryFn::Rem, a, c) => {
            let ((lo, hi), c) = (bounds(a, extents)?, constant(c)?);
            (lo >= 0 && c > 0).then(|| if hi < c { (lo, hi) } else { (0, c - 1) })
        }
        _ => of_sum(&Affine::of(e), extents),
    }
}

/// Bounds of a sum whose atoms are no sums.
fn of_sum(sum: &Affine, extents: Extents<'_>) -> Option<(i64, i64)> {
    let mut all = (sum.constant, sum.constant);
    for (factor, atom) in &sum.terms {
        if !matches!(atom, Expr::Var(_) | Expr::Binary(BinaryFn::Div | BinaryFn::Rem, ..)) {
            return None;
        }
        let (lo, hi) = bounds(atom, extents)?;
        let (a, b) = (factor.checked_mul(lo)?, factor.checked_mul(hi)?);
        all = (all.0.checked_add(a.min(b))?, all.1.checked_add(a.max(b))?);
    }
    Some(all)
}

fn constant(e: &Expr) -> Option<i64> {
    match e {
        Expr::Const(Scalar::I64(v)) => Some(*v),
        _ => None,
    }
}

/// A sum as an expression.
pub fn expr(sum: &Affine) -> Expr {
    let term = |(factor, atom): &(i64, Expr)| match factor {
        1 => atom.clone(),
        f => atom.clone() * Expr::int(*f),
    };
    let terms = sum.terms.iter().map(term).reduce(|a, b| a + b);
    match (terms, sum.constant) {
        (None, c) => Expr::int(c),
        (Some(e), 0) => e,
        (Some(e), c) if c < 0 => e - Expr::int(-c),
        (Some(e), c) => e + Expr::int(c),
    }
}

/// An equal expression in which quotients and remainders by constants are taken where bounds tell them, and conditions that
/// bounds decide are gone.
pub fn resolve(e: &Expr, extents: Extents<'_>) -> Expr {
    let again = |e: &Expr| resolve(e, extents);
    match e {
        Expr::Binary(f @ (BinaryFn::Div | BinaryFn::Rem), a, c) if constant(c).is_some_and(|c| c > 0) => {
            let (a, c) = (again(a), constant(c).unwrap_or(1));
            divided(*f, &a, c, extents)
        }
        Expr::Compare(f, a, b) => {
            let (a, b) = (again(a), again(b));
            decided(*f, &a, &b, extents)
                .map_or_else(|| Expr::compare(*f, a, b), |v| Expr::Const(Scalar::Bool(v)))
        }
        Expr::Select(c, a, b) => match again(c) {
            Expr::Const(Scalar::Bool(true)) => again(a),
            Expr::Const(Scalar::Bool(false)) => again(b),
            c => c.select(again(a), again(b)),
        },
        Expr::Load(b, index) => {
            let index = index.iter().map(|e| expr(&Affine::of(&again(e))));
            Expr::Load(*b, index.collect())
        }
        Expr::Const(_) | Expr::Var(_) | Expr::Acc => e.clone(),
        Expr::Unary(f, a) => Expr::unary(*f, again(a)),
        Expr::Binary(f, a, b) => Expr::binary(*f, again(a), again(b)),
        Expr::Cast(d, a) => again(a).cast(*d),
        Expr::Bits(a) => again(a).bits(),
    }
}

/// `a / c` or `a % c`, without what is a multiple of `c` for all iterations.
fn divided(f: BinaryFn, a: &Expr, c: i64, extents: Extents<'_>) -> Expr {
    let sum = Affine::of(a);
    let (multiples, rest): (Vec<_>, Vec<_>) =
        sum.terms.iter().cloned().partition(|(factor, _)| factor % c == 0);
    let whole = sum.constant.div_euclid(c);
    let rest = Affine { constant: sum.constant.rem_euclid(c), terms: rest };
    let quotient = Affine {
        constant: whole,
        terms: multiples.into_iter().map(|(factor, atom)| (factor / c, atom)).collect(),
    };
    // Division truncates: it splits where nothing is negative.
    let split = of_sum(&sum, extents).is_some_and(|(lo, _)| lo >= 0);
    match of_sum(&rest, extents) {
        Some((lo, hi)) if split && lo >= 0 && hi < c => match f {
            BinaryFn::Div => expr(&quotient),
            _ => expr(&rest),
        },
        Some((lo, _)) if split && lo >= 0 => {
            let of_rest = Expr::binary(f, expr(&rest), Expr::int(c));
            match f {
                BinaryFn::Div => expr(&quotient.plus(&Affine::of(&of_rest), 1)),
                _ => of_rest,
            }
        }
        _ => Expr::binary(f, a.clone(), Expr::int(c)),
    }
}

fn decided(f: CompareFn, a: &Expr, b: &Expr, extents: Extents<'_>) -> Option<bool> {
    let (lo, hi) = of_sum(&Affine::of(a).plus(&Affine::of(b), -1), extents)?;
    match f {
        CompareFn::Lt if hi < 0 => Some(true),
        CompareFn::Lt if lo >= 0 => Some(false),
        CompareFn::Ge if lo >= 0 => Some(true),
        CompareFn::Ge if hi < 0 => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(e: &Expr) -> String {
        // L0 in 4, L1 in 8, L2 in 100
        let extents = |l: VarId| [4, 8, 100].get(l.0 as usize).copied();
        resolve(e, &extents).to_string()
    }

    #[test]
    fn quotients_that_bounds_tell() {
        let v = Expr::var;
        let channel = v(0) * Expr::int(8) + v(1);
        assert_eq!(resolved(&(channel.clone() / Expr::int(8))), "L0");
        assert_eq!(resolved(&(channel.clone() % Expr::int(8))), "L1");
        // Blocks of 8 in groups of 16.
        let grouped = v(2) * Expr::int(16) + channel.clone();
        assert_eq!(resolved(&(grouped.clone() / Expr::int(8))), "add(mul(L2, 2), L0)");
        // L0 * 8 + L1 may be 31: it is no part of a group.
        assert_eq!(resolved(&(grouped / Expr::int(16))), "add(L2, div(add(mul(L0, 8), L1), 16))");
        assert_eq!(
            resolved(&((channel - Expr::int(1)) / Expr::int(8))),
            "div(sub(add(mul(L0, 8), L1), 1), 8)"
        );
    }

    #[test]
    fn conditions_that_bounds_decide() {
        let channel = Expr::var(0) * Expr::int(8) + Expr::var(1);
        let below = |n: i64| Expr::compare(CompareFn::Lt, channel.clone(), Expr::int(n));
        let chosen = |c: Expr| resolved(&c.select(Expr::f32(1.0), Expr::f32(0.0)));
        assert_eq!(chosen(below(32)), "1.0f32");
        assert_eq!(chosen(below(0)), "0.0f32");
        assert!(chosen(below(31)).starts_with("select(lt("));
    }
}
