//! Reverses the beginning of every sequence of a batch: `Y[.., t, .., b, ..] = X[.., n - 1 - t, .., b, ..]` for t below
//! `n = sequence_lens[b]`, and X's element elsewhere.
//!
//! Inputs: X of any type, rank at least 2; sequence_lens, an integer from 0 to the extent of `time_axis` for each of
//! `batch_axis`. Y has X's type.
//!
//! Errors: axes that are out of range or one, another number of lengths, a length out of range. Lengths that are not
//! known before the run are checked when it happens. Mirrors ONNX ReverseSequence-10.

use crate::arg::{Arg, Args, known_args};
use crate::axes::resolve_axis;
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, take};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr, Scalar};
use crate::index::vars;
use crate::indexing::check_all;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Reverses the beginning of every sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct ReverseSequence {
    /// The axis of sequences; negative counts from the end.
    pub batch_axis: i64,
    /// The axis of their elements; negative counts from the end.
    pub time_axis: i64,
}

crate::attributes!(ReverseSequence { batch_axis, time_axis });

struct Arguments<'a> {
    x: Arg<'a>,
    lens: Arg<'a>,
    batch: usize,
    time: usize,
}

impl ReverseSequence {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let x = args.required(0, "input")?;
        let lens = args.typed(1, "sequence_lens", &[DType::I64, DType::I32])?;
        let rank = x.shape.rank();
        let (batch, time) = (resolve_axis(self.batch_axis, rank)?, resolve_axis(self.time_axis, rank)?);
        if batch == time {
            return invalid!("batch_axis and time_axis: expected two axes, found {batch} twice");
        }
        if lens.shape.dims() != [x.shape[batch]] {
            return invalid!(
                "input 1 (sequence_lens): expected [{}] for axis {batch} of {}, found {}",
                x.shape[batch],
                x.ty(),
                lens.ty()
            );
        }
        let n = x.shape[time];
        if let Some(lens) = lens.value
            && let Some(bad) =
                lens.to_i64s()?.into_iter().find(|&l| usize::try_from(l).is_ok_and(|l| l > n) || l < 0)
        {
            return invalid!("{}, found {bad}", expected(n));
        }
        Ok(Arguments { x, lens, batch, time })
    }
}

fn expected(n: usize) -> String {
    format!("sequence_lens: expected 0 to {n}")
}

impl Operator for ReverseSequence {
    fn name(&self) -> &'static str {
        "ReverseSequence"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.x.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { x, lens, batch, time } = self.arguments(args)?;
        if x.shape.numel() == 0 {
            return Ok(Compute::filled(x.ty(), Scalar::zero(x.dtype)));
        }
        let n = x.shape[time];
        let mut c = Compute::new();
        let (src, lengths) = (c.input(0, &x), c.input(1, &lens));
        let length = |at: Expr| Expr::load(lengths, [at]).cast(DType::I64);
        if lens.value.is_none() {
            let l = length(Expr::var(0));
            let below = Expr::compare(CompareFn::Le, l.clone(), Expr::int(n));
            let inside = Expr::compare(CompareFn::Ge, l, Expr::int(0)).and(below);
            let check = check_all(&mut c, lens.shape, inside, format!("{}, found another", expected(n)));
            c.checks.push(check);
        }
        let mut index = vars(x.shape.rank());
        let (t, l) = (Expr::var(time), length(Expr::var(batch)));
        let mirrored = l.clone() - Expr::int(1) - t.clone();
        let at = Expr::compare(CompareFn::Lt, t.clone(), l).select(mirrored, t);
        index[time] = at.clamp(0, n as i64 - 1);
        let out = c.map("reverse_sequence", x.ty(), Expr::load(src, index));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let Arguments { batch, time, .. } = self.arguments(Args(&args))?;
        let (x, lens) = (input(inputs, 0, "input")?, input(inputs, 1, "sequence_lens")?.to_i64s()?);
        let strides = x.shape().strides();
        let place = |mut at: Vec<usize>| {
            let n = lens[at[batch]] as usize;
            if at[time] < n {
                at[time] = n - 1 - at[time];
            }
            Some(at.iter().zip(&strides).map(|(a, s)| a * s).sum())
        };
        let places: Vec<Option<usize>> = x.shape().indices().map(place).collect();
        Ok(vec![take(x, &places, x.shape().clone(), &[])?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn reverses() {
        let x = t([4, 2], &[0i64, 1, 2, 3, 4, 5, 6, 7]);
        let y = run(&ReverseSequence { batch_axis: 1, time_axis: 0 }, &[&x, &t([2], &[3i64, 0])]);
        assert_eq!(y, Ok(t([4, 2], &[4i64, 1, 2, 3, 0, 5, 6, 7])));
        let rows = ReverseSequence { batch_axis: 0, time_axis: -1 };
        let y = run(&rows, &[&t([2, 3], &[1u8, 2, 3, 4, 5, 6]), &t([2], &[3i32, 2])]);
        assert_eq!(y, Ok(t([2, 3], &[3u8, 2, 1, 5, 4, 6])));
        let none = run(&rows, &[&t::<bool>([2, 0], &[]), &t([2], &[0i64, 0])]);
        assert_eq!(none, Ok(t::<bool>([2, 0], &[])));
    }

    #[test]
    fn errors() {
        let x = t([2, 3], &[1u8, 2, 3, 4, 5, 6]);
        let op = ReverseSequence { batch_axis: 0, time_axis: 1 };
        assert_eq!(error(&op, &[&x, &t([2], &[4i64, 0])]), "sequence_lens: expected 0 to 3, found 4");
        assert_eq!(error(&op, &[&x, &t([2], &[0i64, -1])]), "sequence_lens: expected 0 to 3, found -1");
        assert!(error(&op, &[&x, &t([3], &[1i64; 3])]).contains("expected [2] for axis 0"));
        let twice = ReverseSequence { batch_axis: 1, time_axis: -1 };
        assert!(error(&twice, &[&x, &t([3], &[1i64; 3])]).contains("found 1 twice"));
        let lens = t([2], &[1i64, 3]);
        let args = [Some(Arg::from(&x)), Some(Arg { value: None, ..Arg::from(&lens) })];
        let c = op.compute(Args(&args)).unwrap();
        assert_eq!(c.evaluate(&[Some(&x), Some(&lens)]), Ok(vec![t([2, 3], &[1u8, 2, 3, 6, 5, 4])]));
        assert!(c.evaluate(&[Some(&x), Some(&t([2], &[1i64, 4]))]).is_err());
    }
}
