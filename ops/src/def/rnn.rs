//! A simple recurrence: ONNX `RNN`, opsets 1 to 22. Inputs, outputs and errors are those of [`crate::recurrent`], with
//! one gate.
//!
//! ```text
//! h[t] = f(W x[t] + Wb + R h[t - 1] + Rb)
//! ```
//!
//! The argument of `f` is limited to `-clip ..= clip`. Outputs: `Y`, `Y_h`.

use crate::arg::known_args;
use crate::compute::Compute;
use crate::expr::Expr;
use crate::recurrent::{
    ActivationKind, Activations, Arrangement, Direction, H, Recurrence, Stages, empty, reference,
};
use crate::{Args, OpError, Operator, Tensor, TensorType, attributes};

/// ONNX operator RNN.
#[derive(Clone, Debug, PartialEq)]
pub struct Rnn {
    /// In which order sequences are read.
    pub direction: Direction,
    /// Whether the batch is the first axis (ONNX `layout` 1).
    pub batch_first: bool,
    /// `f` of each direction.
    pub activations: Vec<ActivationKind>,
    /// Parameter a of each activation; empty: none has one.
    pub alpha: Vec<f32>,
    /// Parameter b of each activation; empty: none has one.
    pub beta: Vec<f32>,
    /// Limit of the arguments of activations.
    pub clip: Option<f32>,
}

attributes!(Rnn { direction, batch_first, activations, alpha, beta, clip });

impl Rnn {
    fn problem<'a>(&self, args: Args<'a>) -> Result<(Recurrence<'a>, Activations), OpError> {
        let arrangement = Arrangement { direction: self.direction, batch_first: self.batch_first };
        let r = Recurrence::new(args, arrangement, 1)?;
        let counts = (r.directions(), 1);
        let f = Activations::new(&self.activations, [&self.alpha, &self.beta], counts, self.clip)?;
        Ok((r, f))
    }
}

impl Operator for Rnn {
    fn name(&self) -> &'static str {
        "RNN"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        self.problem(args)?.0.outputs(1)
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (r, f) = self.problem(args)?;
        if r.is_empty() {
            return empty(r.outputs(1)?);
        }
        let mut s = Stages::new(&r)?;
        let initial = s.optional(5);
        s.directions(|s| {
            let n = r.hidden;
            let weights = s.input_weights()?;
            let inputs = s.inputs(weights, &(0..n), &Stages::biases)?;
            let weights = s.recurrent_weights()?;
            let hidden = s.c.declare(s.ty(n));
            s.turns_of(|s| {
                let before = s.before("previous hidden", hidden, initial);
                let init = s.input_of_turn(inputs, Expr::var(H));
                let sum = s.product(weights, &(0..n), init, before);
                let argument = Stages::here(sum, Expr::var(H));
                let next = f.clipped_expr(s.direction(), 0, r.dtype, argument);
                s.c.define("hidden", hidden, None, next);
            });
            Ok(vec![hidden])
        })
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (r, f) = self.problem(Args(&args))?;
        reference::run(&r, inputs, &[5], &|step, states| {
            let next = |j: usize| {
                let (wb, rb) = step.biases(0, j);
                f.clipped_value(step.direction, 0, step.input(0, j) + wb + step.recur(0, j, &states[0]) + rb)
            };
            vec![(0..r.hidden).map(next).collect()]
        })
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.problem(args).map_or(0, |(r, _)| r.macs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recurrent::testing::{Case, check_all};
    use crate::testing::{error, run_all, t};

    fn tanh() -> Rnn {
        Rnn {
            direction: Direction::Forward,
            batch_first: false,
            activations: vec![ActivationKind::Tanh],
            alpha: vec![],
            beta: vec![],
            clip: None,
        }
    }

    #[test]
    fn hand_computed() {
        let op =
            Rnn { activations: vec![ActivationKind::Affine], alpha: vec![2.0], beta: vec![1.0], ..tanh() };
        let x = t([2, 1, 1], &[1.0f32, 2.0]);
        let (w, r) = (t([1, 1, 1], &[3.0f32]), t([1, 1, 1], &[0.5f32]));
        let y = run_all(&op, &[Some(&x), Some(&w), Some(&r)]).unwrap();
        // 2 * 3 + 1 = 7, 2 * (6 + 3.5) + 1 = 20.
        assert_eq!(y[0], t([2, 1, 1, 1], &[7.0f32, 20.0]));
        assert_eq!(y[1], t([1, 1, 1], &[20.0f32]));
        let limited = Rnn { clip: Some(2.5), ..op };
        let y = run_all(&limited, &[Some(&x), Some(&w), Some(&r)]).unwrap();
        assert_eq!(y[0], t([2, 1, 1, 1], &[6.0f32, 6.0]));
    }

    #[test]
    fn definition_is_reference() {
        for &kind in ActivationKind::ALL {
            check_all(1, &[2, 3, 2], |case: &Case| {
                Box::new(Rnn {
                    direction: case.direction,
                    batch_first: case.batch_first,
                    activations: vec![kind; case.directions()],
                    alpha: vec![0.3; case.directions()],
                    beta: vec![0.2; case.directions()],
                    clip: case.clip,
                })
            });
        }
    }

    #[test]
    fn errors_say_expected_and_found() {
        let x = t([2, 1, 3], &[0.0f32; 6]);
        let (w, r) = (t([1, 2, 3], &[0.0f32; 6]), t([1, 2, 2], &[0.0f32; 4]));
        let fail = |op: Rnn, inputs: &[&Tensor]| error(&op, inputs);
        assert!(fail(tanh(), &[&x, &r, &r]).contains("input 1 (W): expected [1,2,3], found [1,2,2]"));
        assert!(fail(tanh(), &[&x, &w, &w]).contains("expected [1,3,3], found [1,2,3]"));
        assert!(fail(tanh(), &[&t([2, 3], &[0.0f32; 6]), &w, &r]).contains("three axes"));
        assert!(fail(Rnn { activations: vec![], ..tanh() }, &[&x, &w, &r]).contains("expected 1, found 0"));
        assert!(fail(Rnn { clip: Some(0.0), ..tanh() }, &[&x, &w, &r]).contains("positive"));
        assert!(fail(Rnn { alpha: vec![0.0; 2], ..tanh() }, &[&x, &w, &r]).contains("alpha: expected 1"));
        let b = t([1, 4], &[0.0f32; 4]);
        assert!(fail(tanh(), &[&x, &w, &r, &b, &t([1], &[3i32])]).contains("expected 0 to 2, found 3"));
        assert!(fail(tanh(), &[&x, &w, &r, &b, &t([2], &[1i32, 1])]).contains("expected [1], found [2]"));
        assert!(
            fail(tanh(), &[&t([0, 1, 0], &[0.0f32; 0]), &t([1, 2, 0], &[0.0f32; 0]), &r])
                .contains("at least one")
        );
        let both = Rnn { direction: Direction::Bidirectional, ..tanh() };
        assert!(fail(both, &[&x, &w, &r]).contains("expected [2,2,3]"));
    }
}
