//! What follows an operator, as expressions.

use octrt_ops::expr::{BinaryFn, CompareFn, Expr, Scalar};

use crate::leaf::programs::Activation;
use crate::strategy::conv::{Addend, Tail};

/// What a tail makes of a result.
pub(super) fn finished(tail: &Tail, result: Expr, addend: &dyn Fn(&Addend, u32) -> Expr) -> Expr {
    // Buffers of what is added follow src, wei and bias.
    let mut next = 3..;
    let mut load = |a: &Addend| addend(a, next.next().unwrap_or(0));
    let result = match &tail.base {
        Some(a) => result + load(a),
        None => result,
    };
    let added = tail.addend.as_ref().map(|a| (load(a), a.after));
    match added {
        Some((e, true)) => tail.activation.expr(result) + e,
        Some((e, false)) => tail.activation.expr(result + e),
        None => tail.activation.expr(result),
    }
}

impl Activation {
    /// The function as an expression.
    pub fn expr(self, x: Expr) -> Expr {
        let at_least = |lo: f32, x: Expr| {
            Expr::compare(CompareFn::Lt, x.clone(), Expr::f32(lo)).select(Expr::f32(lo), x)
        };
        let at_most = |hi: f32, x: Expr| {
            Expr::compare(CompareFn::Gt, x.clone(), Expr::f32(hi)).select(Expr::f32(hi), x)
        };
        match self {
            Activation::Identity => x,
            Activation::Relu => at_least(0.0, x),
            Activation::Clip { lo, hi } => at_most(hi, at_least(lo, x)),
            Activation::HardSwish => {
                let gate = x.clone() * Expr::f32(1.0 / 6.0) + Expr::f32(0.5);
                x * at_least(0.0, at_most(1.0, gate))
            }
        }
    }

    /// The function that an expression applies, and to what; the identity where it is none of the others.
    pub fn of(e: &Expr) -> (Activation, &Expr) {
        /// What is limited by a constant.
        fn limited(e: &Expr, by: CompareFn) -> Option<(f32, &Expr)> {
            let Expr::Select(c, bound, x) = e else { return None };
            let Expr::Compare(f, y, limit) = &**c else { return None };
            let Expr::Const(Scalar::F32(v)) = **bound else { return None };
            (*f == by && x == y && limit == bound).then_some((v, x))
        }
        if let Some((hi, inner)) = limited(e, CompareFn::Gt)
            && let Some((lo, x)) = limited(inner, CompareFn::Lt)
        {
            return (Activation::Clip { lo, hi }, x);
        }
        if let Some((lo, x)) = limited(e, CompareFn::Lt)
            && lo.to_bits() == 0
        {
            return (Activation::Relu, x);
        }
        if let Expr::Binary(BinaryFn::Mul, x, _) = e
            && *e == Activation::HardSwish.expr((**x).clone())
        {
            return (Activation::HardSwish, x);
        }
        (Activation::Identity, e)
    }
}
