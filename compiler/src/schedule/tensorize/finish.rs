//! What becomes of the result of a reduction.

use octrt_ops::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar};

use crate::leaf::programs::Activation;

/// An element of a buffer.
pub(super) type Element<'a> = (BufId, &'a [Expr]);

/// What becomes of an accumulator: `exists ? activation(acc * scale + base + residual) : 0`, or with the residual outside.
#[derive(Clone, Debug)]
pub(super) struct Finish<'a> {
    /// What the accumulator is multiplied by.
    pub(super) scale: Option<f32>,
    pub(super) base: Option<Element<'a>>,
    pub(super) residual: Option<Element<'a>>,
    pub(super) after: bool,
    pub(super) activation: Activation,
    pub(super) exists: Option<(&'a Expr, &'a Expr)>,
}

impl<'a> Finish<'a> {
    pub(super) fn of(e: &'a Expr, base: impl Fn(BufId) -> bool) -> Option<Finish<'a>> {
        let (exists, e) = match e {
            Expr::Select(c, x, zero) if **zero == Expr::f32(0.0) => match &**c {
                Expr::Compare(CompareFn::Lt, a, b) => (Some((&**a, &**b)), &**x),
                _ => return None,
            },
            e => (None, e),
        };
        let sum = |e: &'a Expr| match e {
            Expr::Binary(BinaryFn::Add, a, b) => match &**b {
                Expr::Load(b, index) => Some((&**a, (*b, &index[..]))),
                _ => None,
            },
            _ => None,
        };
        let outer = sum(e).map(|(x, load)| (load, Activation::of(x)));
        let (after, (activation, mut inner)) = match outer {
            Some((load, of)) if of.0 != Activation::Identity => (Some(load), of),
            _ => (None, Activation::of(e)),
        };
        let mut added = Vec::new();
        while let Some((rest, load)) = sum(inner) {
            added.push(load);
            inner = rest;
        }
        added.reverse();
        let (base, rest) = match &added[..] {
            [first, rest @ ..] if base(first.0) => (Some(*first), rest),
            rest => (None, rest),
        };
        let residual = match (rest, after) {
            ([], after) => after,
            ([one], None) => Some(*one),
            _ => return None,
        };
        let scale = match inner {
            Expr::Acc => None,
            Expr::Binary(BinaryFn::Mul, acc, factor) if **acc == Expr::Acc => match **factor {
                Expr::Const(Scalar::F32(factor)) => Some(factor),
                _ => return None,
            },
            _ => return None,
        };
        Some(Finish { scale, base, residual, after: after.is_some(), activation, exists })
    }
}
