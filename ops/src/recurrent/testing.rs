//! Problems on which definitions and references of recurrent operators are compared.

use super::Direction;
use crate::arg::{Arg, Args};
use crate::operator::Operator;
use crate::testing::{run_all, t};
use crate::{Tensor, dtype::DType};

/// What an operator is made from.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) direction: Direction,
    pub(crate) batch_first: bool,
    pub(crate) clip: Option<f32>,
}

impl Case {
    pub(crate) fn directions(&self) -> usize {
        if self.direction == Direction::Bidirectional { 2 } else { 1 }
    }
}

/// Numbers in [-1, 1), scaled so that sums of `terms` of them stay small.
fn numbers(shape: &[usize], seed: usize, terms: usize) -> Tensor {
    let n = shape.iter().product::<usize>();
    let scale = 1.0 / (terms as f32).sqrt();
    let v: Vec<f32> = (0..n).map(|i| (((i + seed) * 7919 % 1009) as f32 / 504.5 - 1.0) * scale).collect();
    t(shape.to_vec(), &v)
}

fn wide(x: &Tensor) -> Tensor {
    if x.dtype() == DType::F32 { t(x.shape().clone(), &x.to_f64s()) } else { x.clone() }
}

/// Compares the definition of an operator whose products are of several blocks with its reference.
pub(crate) fn check_wide(gates: usize, make: impl Fn(&Case) -> Box<dyn Operator>) {
    let case = Case { direction: Direction::Forward, batch_first: false, clip: None };
    let x = numbers(&[2, 1, 1], 1, 1);
    let w = numbers(&[1, gates * 130, 1], 2, 1);
    let r = numbers(&[1, gates * 130, 130], 3, 130);
    run_all(&*make(&case), &[Some(&x), Some(&w), Some(&r)]).unwrap();
}

/// Compares the definition of operators with their references, with all combinations of optional inputs that make a
/// difference, on sequences of `batch`, numbers and hidden numbers `[input, batch, hidden]`.
pub(crate) fn check_all(
    gates: usize,
    &[input, batch, hidden]: &[usize; 3],
    make: impl Fn(&Case) -> Box<dyn Operator>,
) {
    let steps = 3;
    for (i, &direction) in Direction::ALL.iter().enumerate() {
        for batch_first in [false, true] {
            let case = Case { direction, batch_first, clip: (i % 2 == 1).then_some(0.4) };
            let (op, d) = (make(&case), case.directions());
            let x = if batch_first { [batch, steps, input] } else { [steps, batch, input] };
            let state = if batch_first { [batch, d, hidden] } else { [d, batch, hidden] };
            let x = numbers(&x, 1, 1);
            let w = numbers(&[d, gates * hidden, input], 2, input);
            let r = numbers(&[d, gates * hidden, hidden], 3, hidden);
            let b = numbers(&[d, 2 * gates * hidden], 4, 1);
            let lens: Vec<i32> = (0..batch).map(|b| (b % (steps + 1)) as i32).collect();
            let lens = t([batch], &lens);
            let (h, c) = (numbers(&state, 5, 1), numbers(&state, 6, 1));
            let p = numbers(&[d, 3 * hidden], 7, 1);
            let all = [Some(&x), Some(&w), Some(&r), Some(&b), Some(&lens), Some(&h), Some(&c), Some(&p)];
            let given = &all[..if gates == 4 { 8 } else { 6 }];
            run_all(&*op, &given[..3]).unwrap();
            run_all(&*op, given).unwrap();
            let lengths_unknown: Vec<_> = given
                .iter()
                .enumerate()
                .map(|(i, t)| {
                    t.map(|t| if i == 4 { Arg { value: None, ..Arg::from(t) } } else { Arg::from(t) })
                })
                .collect();
            let unknown = op.compute(Args(&lengths_unknown)).unwrap();
            assert_eq!(unknown.checks.len(), 1);
            let too_long = t([batch], &vec![steps as i32 + 1; batch]);
            let mut bad = given.to_vec();
            bad[4] = Some(&too_long);
            let message = unknown.evaluate(&bad).unwrap_err();
            assert!(message.message().contains("sequence_lens"), "{message}");
            let tensors: Vec<Tensor> = given.iter().flatten().map(|t| wide(t)).collect();
            run_all(&*op, &tensors.iter().map(Some).collect::<Vec<_>>()).unwrap();
        }
    }
}
