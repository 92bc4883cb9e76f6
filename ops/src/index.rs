//! Index expressions that the operators' definitions share. Every index is in bounds by its intervals alone.

use crate::arg::Arg;
use crate::compute::{Compute, scalars};
use crate::error::OpError;
use crate::expr::{BufId, Expr, Scalar};
use crate::invalid;
use crate::shape::{Shape, TensorType};

/// The index of the element of an argument of shape `arg` that belongs to element `L0 ..` of a result of rank
/// `out_rank` to which it is broadcast: the aligned variables, 0 on axes of extent 1.
pub fn broadcast_index(arg: &Shape, out_rank: usize) -> Vec<Expr> {
    let skipped = out_rank.saturating_sub(arg.rank());
    let at = |(i, &d): (usize, &usize)| if d == 1 { Expr::int(0) } else { Expr::var(skipped + i) };
    arg.iter().enumerate().map(at).collect()
}

/// The element of input `i` that belongs to element `L0 ..` of a result of shape `out`; a literal when `arg` is
/// known and has one element, or when the result has none.
pub fn broadcast_load(c: &mut Compute, i: usize, arg: &Arg<'_>, out: &Shape) -> Expr {
    if out.numel() == 0 {
        return Expr::Const(Scalar::zero(arg.dtype));
    }
    if let Some(s) = known_scalar(arg) {
        return Expr::Const(s);
    }
    let b = c.input(i, arg);
    Expr::load(b, broadcast_index(arg.shape, out.rank()))
}

/// The element of input `i`, a tensor of one element: a literal when it is known.
///
/// # Errors
/// [`OpError::Invalid`] when it has more elements or none.
pub fn scalar_load(c: &mut Compute, i: usize, arg: &Arg<'_>) -> Result<Expr, OpError> {
    if arg.shape.numel() != 1 {
        return invalid!("input {i}: expected one element, found {}", arg.ty());
    }
    if let Some(s) = known_scalar(arg) {
        return Ok(Expr::Const(s));
    }
    let b = c.input(i, arg);
    Ok(Expr::load(b, vec![Expr::int(0); arg.shape.rank()]))
}

/// The element of an argument that is known and has one element.
pub fn known_scalar(arg: &Arg<'_>) -> Option<Scalar> {
    let value = arg.value.filter(|t| t.numel() == 1)?;
    scalars(value).ok()?.first().copied()
}

/// The variables of a stage of this rank.
pub fn vars(rank: usize) -> Vec<Expr> {
    (0..rank).map(Expr::var).collect()
}

/// The row-major position of element `L0 ..` of a tensor of shape `from` as an index into a tensor of shape `to` with
/// as many elements.
pub fn view_index(from: &Shape, to: &Shape) -> Vec<Expr> {
    let scaled = |(i, &stride): (usize, &usize)| match stride {
        1 => Expr::var(i),
        s => Expr::var(i) * Expr::int(s),
    };
    let flat = from
        .strides()
        .iter()
        .enumerate()
        .filter(|(i, _)| from[*i] != 1)
        .map(scaled)
        .reduce(|a, b| a + b)
        .unwrap_or_else(|| Expr::int(0));
    let strides = to.strides();
    let outermost = to.iter().position(|&d| d != 1);
    (0..to.rank())
        .map(|i| {
            if to[i] == 1 {
                return Expr::int(0);
            }
            let at = if strides[i] == 1 { flat.clone() } else { flat.clone() / Expr::int(strides[i]) };
            if Some(i) == outermost { at } else { at % Expr::int(to[i]) }
        })
        .collect()
}

/// The definition of a result of type `ty` that is input 0 at `index(b)`, an expression of its element type given the
/// input's buffer. Nothing is read when the result has no elements.
pub fn from_input(
    name: &'static str,
    src: &Arg<'_>,
    ty: TensorType,
    body: impl FnOnce(&mut Compute, BufId) -> Expr,
) -> Compute {
    let mut c = Compute::new();
    let body = if ty.shape.numel() == 0 {
        Expr::Const(Scalar::zero(ty.dtype))
    } else {
        let b = c.input(0, src);
        body(&mut c, b)
    };
    let out = c.map(name, ty, body);
    c.output(out);
    c
}

/// The definition of a function of every element of input 0, whose type the result has.
pub fn elementwise(name: &'static str, src: &Arg<'_>, body: impl FnOnce(Expr) -> Expr) -> Compute {
    from_input(name, src, src.ty(), |_, b| body(Expr::load(b, vars(src.shape.rank()))))
}

/// The definition of a result of type `ty` whose elements are those of input 0 at `index`.
pub fn rearranged(name: &'static str, src: &Arg<'_>, ty: TensorType, index: Vec<Expr>) -> Compute {
    from_input(name, src, ty, |_, b| Expr::load(b, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(index: Vec<Expr>) -> String {
        index.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn broadcasting_aligns_the_last_axes() {
        assert_eq!(text(broadcast_index(&Shape::new([3, 1, 5]), 4)), "L1 0 L3");
        assert_eq!(text(broadcast_index(&Shape::scalar(), 2)), "");
    }

    #[test]
    fn views_go_through_the_flat_position() {
        let s = |d: &[usize]| Shape::new(d);
        assert_eq!(text(view_index(&s(&[6]), &s(&[1, 2, 3]))), "0 div(L0, 3) rem(L0, 3)");
        assert_eq!(text(view_index(&s(&[2, 3]), &s(&[6]))), "add(mul(L0, 3), L1)");
        assert_eq!(text(view_index(&s(&[1]), &s(&[]))), "");
        assert_eq!(text(view_index(&s(&[]), &s(&[1, 1]))), "0 0");
    }
}
