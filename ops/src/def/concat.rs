//! Joins tensors along an axis: `Y[.., i, ..]` is `X0[.., i, ..]`, after its end `X1[.., i - n0, ..]`, and so on.
//!
//! Inputs: at least one tensor, rank at least 1, one element type of any kind, equal extents but for `axis`. The
//! extent of Y along `axis` is the sum; operands of extent 0 add nothing.
//!
//! Errors: no inputs, an omitted one, element types, ranks or extents that differ, an axis out of range.
//! Mirrors ONNX Concat-4 to -13 and later.

use crate::arg::{Arg, Args, known_args};
use crate::axes::{extent, resolve_axis};
use crate::compute::Compute;
use crate::elements::{input, room};
use crate::error::OpError;
use crate::expr::{BufId, CompareFn, Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Joins tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// The axis; negative counts from the end.
    pub axis: i64,
}

crate::attributes!(Concat { axis });

impl Concat {
    /// The inputs, the axis, the type of the result.
    fn arguments<'a>(&self, args: Args<'a>) -> Result<(Vec<Arg<'a>>, usize, TensorType), OpError> {
        let first = args.required(0, "inputs")?;
        let axis = resolve_axis(self.axis, first.shape.rank())?;
        let mut all = Vec::with_capacity(args.len());
        let mut total = 0i128;
        for i in 0..args.len() {
            let x = args.required(i, "inputs")?;
            let fits = x.dtype == first.dtype
                && x.shape.rank() == first.shape.rank()
                && (0..x.shape.rank()).all(|k| k == axis || x.shape[k] == first.shape[k]);
            if !fits {
                return invalid!(
                    "input {i}: expected {} but for the extent of axis {axis}, found {}",
                    first.ty(),
                    x.ty()
                );
            }
            total += x.shape[axis] as i128;
            all.push(x);
        }
        let mut shape = first.shape.dims().to_vec();
        shape[axis] = extent(total, "the joined axis")?;
        Ok((all, axis, TensorType::new(first.dtype, shape)))
    }
}

/// More pieces than these are joined in several stages: every element costs as many loads as its stage has pieces.
const FAN_IN: usize = 32;

/// Something to join, with its extent along the axis.
struct Piece {
    buffer: BufId,
    extent: usize,
}

/// A stage that joins `pieces` along `axis`. The result has the other extents of `ty`.
fn join(c: &mut Compute, name: &'static str, ty: &TensorType, axis: usize, pieces: &[Piece]) -> Piece {
    let total: usize = pieces.iter().map(|p| p.extent).sum();
    let mut begin = 0;
    let mut ends = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let end = begin + piece.extent;
        let mut index = vars(ty.shape.rank());
        if begin > 0 {
            index[axis] = (index[axis].clone() - Expr::int(begin)).max(Expr::int(0));
        }
        if end < total {
            index[axis] = index[axis].clone().min(Expr::int(piece.extent - 1));
        }
        ends.push((end, Expr::load(piece.buffer, index)));
        begin = end;
    }
    let mut shape = ty.shape.to_vec();
    shape[axis] = total;
    let body = choose(axis, &ends).unwrap_or(Expr::Const(Scalar::zero(ty.dtype)));
    Piece { buffer: c.map(name, TensorType::new(ty.dtype, shape), body), extent: total }
}

/// The piece into which the position along `axis` falls. Pieces are in order, each with its end.
fn choose(axis: usize, pieces: &[(usize, Expr)]) -> Option<Expr> {
    match pieces {
        [] => None,
        [(_, piece)] => Some(piece.clone()),
        _ => {
            let (before, after) = pieces.split_at(pieces.len() / 2);
            let is_before = Expr::compare(CompareFn::Lt, Expr::var(axis), Expr::int(before.last()?.0));
            Some(is_before.select(choose(axis, before)?, choose(axis, after)?))
        }
    }
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.2])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (all, axis, ty) = self.arguments(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let operands = all.iter().enumerate().filter(|(_, x)| x.shape.numel() > 0);
        let mut pieces: Vec<Piece> =
            operands.map(|(i, x)| Piece { buffer: c.input(i, x), extent: x.shape[axis] }).collect();
        while pieces.len() > FAN_IN {
            pieces = pieces.chunks(FAN_IN).map(|some| join(&mut c, "part", &ty, axis, some)).collect();
        }
        let out = join(&mut c, "concat", &ty, axis, &pieces).buffer;
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let (_, axis, ty) = self.arguments(Args(&known_args(inputs)))?;
        let mut bytes: Vec<u8> = room(ty.bytes())?;
        if ty.shape.numel() > 0 {
            let mut parts = Vec::with_capacity(inputs.len());
            for i in 0..inputs.len() {
                let x = input(inputs, i, "inputs")?;
                let run = x.shape()[axis..].iter().product::<usize>() * ty.dtype.size();
                parts.push((x.bytes(), run));
            }
            for o in 0..ty.shape[..axis].iter().product() {
                for (part, run) in &parts {
                    bytes.extend_from_slice(&part[o * run..(o + 1) * run]);
                }
            }
        }
        Ok(vec![Tensor::from_bytes(ty, bytes)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn joins() {
        let (a, b) = (t([2, 1], &[1i64, 2]), t([2, 2], &[3i64, 4, 5, 6]));
        assert_eq!(run(&Concat { axis: 1 }, &[&a, &b]), Ok(t([2, 3], &[1i64, 3, 4, 2, 5, 6])));
        assert_eq!(run(&Concat { axis: -2 }, &[&b, &b]), Ok(t([4, 2], &[3i64, 4, 5, 6, 3, 4, 5, 6])));
        assert_eq!(run(&Concat { axis: 0 }, &[&a]), Ok(a.clone()));
        assert_eq!(run(&Concat { axis: 1 }, &[&a, &b, &a]), Ok(t([2, 4], &[1i64, 3, 4, 1, 2, 5, 6, 2])));
    }

    #[test]
    fn many_operands_are_joined_in_stages() {
        let parts: Vec<Tensor> =
            (0..1100).map(|i| t([2, 1 + i % 2], &vec![i as i64; 2 + 2 * (i % 2)])).collect();
        let inputs: Vec<&Tensor> = parts.iter().collect();
        let joined = run(&Concat { axis: 1 }, &inputs).unwrap();
        assert_eq!(joined.shape().dims(), [2, 1650]);
        let args = known_args(&inputs.iter().copied().map(Some).collect::<Vec<_>>());
        let stages = Concat { axis: 1 }.compute(Args(&args)).unwrap().stages;
        assert_eq!(stages.len(), 35 + 2 + 1);
    }

    #[test]
    fn empty_operands_add_nothing() {
        let (none, some) = (t::<f32>([0], &[]), t([2], &[1.0f32, 2.0]));
        for parts in [[&none, &some, &none], [&some, &none, &none], [&none, &none, &some]] {
            assert_eq!(run(&Concat { axis: 0 }, &parts), Ok(some.clone()));
        }
        assert_eq!(run(&Concat { axis: 0 }, &[&none, &none]), Ok(none.clone()));
        let flat = t::<bool>([2, 0], &[]);
        assert_eq!(run(&Concat { axis: 0 }, &[&flat, &flat]), Ok(t::<bool>([4, 0], &[])));
    }

    #[test]
    fn errors() {
        let concat = Concat { axis: 1 };
        let a = t([2, 1], &[1i64, 2]);
        let expected = "input 1: expected i64[2,1] but for the extent of axis 1, found";
        assert_eq!(error(&concat, &[&a, &t([1, 1], &[1i64])]), format!("{expected} i64[1,1]"));
        assert_eq!(error(&concat, &[&a, &t([2, 1], &[1.0f32, 2.0])]), format!("{expected} f32[2,1]"));
        assert_eq!(error(&concat, &[&a, &t([2], &[1i64, 2])]), format!("{expected} i64[2]"));
        assert_eq!(error(&concat, &[]), "input 0 (inputs) is missing");
        assert!(error(&Concat { axis: 0 }, &[&t([], &[1i64])]).contains("found 0"));
    }
}
