//! What becomes of the result of a reduction.

use octrt_ops::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar};

use super::call::Values;
use crate::leaf::programs::{Formula, OPERAND, OPERANDS};
use crate::nest::SlotValue;

/// An element of a buffer.
pub(super) type Element<'a> = (BufId, &'a [Expr]);

/// Names of the tables of distances of operands.
const OFFSETS: [&str; OPERANDS] = [
    "operand0_offsets",
    "operand1_offsets",
    "operand2_offsets",
    "operand3_offsets",
    "operand4_offsets",
    "operand5_offsets",
];

/// What becomes of an accumulator: `exists ? formula(acc, operands) : 0`, or `formula(acc + dst, operands)` where parts of a sum
/// have stored what they found before.
#[derive(Clone, Debug)]
pub(super) struct Finish<'a> {
    /// Whether what is stored is added to the accumulator first.
    pub(super) adds_stored: bool,
    pub(super) formula: Formula,
    /// The operands of the formula in their order.
    pub(super) operands: Vec<Element<'a>>,
    pub(super) exists: Option<(&'a Expr, &'a Expr)>,
}

impl<'a> Finish<'a> {
    /// Of a result that is `stored` there; `None` for what leaf programs do not compute.
    pub(super) fn of(e: &'a Expr, stored: Element<'_>) -> Option<Finish<'a>> {
        let (exists, e) = match e {
            Expr::Select(c, x, zero) if **zero == Expr::f32(0.0) => match &**c {
                Expr::Compare(CompareFn::Lt, a, b) if matches!(**b, Expr::Const(Scalar::I64(_))) => {
                    (Some((&**a, &**b)), &**x)
                }
                _ => (None, e),
            },
            e => (None, e),
        };
        let is_stored = |e: &Expr| matches!(e, Expr::Load(b, index) if (*b, &index[..]) == stored);
        let with_stored = |e: &Expr| match e {
            Expr::Binary(BinaryFn::Add, acc, of) => **acc == Expr::Acc && is_stored(of),
            _ => false,
        };
        let (mut sums, mut accumulators) = (0, 0);
        // Elements are numbered in the order in which they stand in the expression.
        let mut operands: Vec<Element<'a>> = Vec::new();
        e.visit(&mut |e| {
            sums += usize::from(with_stored(e));
            accumulators += usize::from(*e == Expr::Acc);
            if let Expr::Load(b, index) = e
                && !operands.contains(&(*b, &index[..]))
                && !is_stored(e)
            {
                operands.push((*b, &index[..]));
            }
        });
        // Where a tile ends by way of memory, nothing else may be read of what it writes.
        if operands.iter().any(|(b, _)| *b == stored.0) || sums > 0 && sums != accumulators {
            return None;
        }
        let summed = e.map(&mut |e| with_stored(e).then_some(Expr::Acc));
        let number =
            |b: BufId, index: &[Expr]| operands.iter().position(|o| *o == (b, index)).unwrap_or(OPERANDS);
        let formula = Formula::of(&summed, &mut |b, index| number(b, index))?;
        Some(Finish { adds_stored: sums > 0, formula, operands, exists })
    }
}

/// Gives the slots of operands their values: for each its address, and that of its distances where they are in a table.
pub(super) fn set_operands(values: &mut Values, operands: Vec<(SlotValue, Option<SlotValue>)>) {
    for ((at, offsets), (name, of_offsets)) in operands.into_iter().zip(OPERAND.into_iter().zip(OFFSETS)) {
        values.set(name, Some(at));
        values.set(of_offsets, offsets);
    }
}
