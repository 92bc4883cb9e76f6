//! Gated recurrent units: ONNX `GRU`, opsets 1 to 22. Inputs, outputs and errors are those of [`crate::recurrent`], with
//! the three gates update `z`, reset `r` and new `h`, in this order.
//!
//! ```text
//! z = f(Wz x[t] + Wbz + Rz h[t - 1] + Rbz)            r = f(Wr x[t] + Wbr + Rr h[t - 1] + Rbr)
//! n = g(Wh x[t] + Wbh + Rh (r * h[t - 1]) + Rbh)                      without linear_before_reset
//! n = g(Wh x[t] + Wbh + r * (Rh h[t - 1] + Rbh))                      with it
//! h[t] = (1 - z) * n + z * h[t - 1]
//! ```
//!
//! Arguments of `f` and `g` are limited to `-clip ..= clip`. Outputs: `Y`, `Y_h`.

use crate::arg::known_args;
use crate::compute::Compute;
use crate::expr::Expr;
use crate::recurrent::{
    ActivationKind, Activations, Arrangement, Direction, H, Recurrence, Stages, empty, reference,
};
use crate::{Args, OpError, Operator, Tensor, TensorType, attributes};

/// ONNX operator GRU.
#[derive(Clone, Debug, PartialEq)]
pub struct Gru {
    /// In which order sequences are read.
    pub direction: Direction,
    /// Whether the batch is the first axis (ONNX `layout` 1).
    pub batch_first: bool,
    /// `f` and `g` of each direction.
    pub activations: Vec<ActivationKind>,
    /// Parameter a of each activation; empty: none has one.
    pub alpha: Vec<f32>,
    /// Parameter b of each activation; empty: none has one.
    pub beta: Vec<f32>,
    /// Limit of the arguments of activations.
    pub clip: Option<f32>,
    /// Whether the reset gate is applied after the product with the state.
    pub linear_before_reset: bool,
}

attributes!(Gru { direction, batch_first, activations, alpha, beta, clip, linear_before_reset });

impl Gru {
    fn problem<'a>(&self, args: Args<'a>) -> Result<(Recurrence<'a>, Activations), OpError> {
        let arrangement = Arrangement { direction: self.direction, batch_first: self.batch_first };
        let r = Recurrence::new(args, arrangement, 3)?;
        let counts = (r.directions(), 2);
        let f = Activations::new(&self.activations, [&self.alpha, &self.beta], counts, self.clip)?;
        Ok((r, f))
    }
}

impl Operator for Gru {
    fn name(&self) -> &'static str {
        "GRU"
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
            let (both, candidate) = (0..2 * n, 2 * n..3 * n);
            let weights = s.input_weights()?;
            let of_gates = s.inputs(weights, &both, &Stages::biases)?;
            // The bias of R belongs to what the reset gate scales.
            let linear = self.linear_before_reset;
            let bias = if linear { Stages::input_bias } else { Stages::biases };
            let of_candidate = s.inputs(weights, &candidate, &bias)?;
            let weights = s.recurrent_weights()?;
            let hidden = s.c.declare(s.ty(n));
            s.turns_of(|s| {
                let d = s.direction();
                let before = s.before("previous hidden", hidden, initial);
                let init = s.input_of_turn(of_gates, Expr::var(H));
                let sum = s.product(weights, &both, init, before);
                let value = f.clipped_expr(d, 0, r.dtype, Stages::here(sum, Expr::var(H)));
                let gates = s.stage("gates", s.ty(2 * n), None, value);
                let reset = Stages::here(gates, Expr::var(H) + Expr::int(n));
                let from_input = s.input_of_turn(of_candidate, Expr::var(H));
                let argument = if linear {
                    let init = s.recurrent_bias(Expr::var(H) + Expr::int(2 * n));
                    let linear = s.product(weights, &candidate, init, before);
                    from_input + reset * Stages::here(linear, Expr::var(H))
                } else {
                    let kept = reset * Stages::here(before, Expr::var(H));
                    let reset = s.stage("reset", s.ty(n), None, kept);
                    let sum = s.product(weights, &candidate, from_input, reset);
                    Stages::here(sum, Expr::var(H))
                };
                let new = f.clipped_expr(d, 1, r.dtype, argument);
                let z = Stages::here(gates, Expr::var(H));
                let kept = z.clone() * Stages::here(before, Expr::var(H));
                s.c.define("hidden", hidden, None, (r.literal(1.0) - z) * new + kept);
            });
            Ok(vec![hidden])
        })
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (r, f) = self.problem(Args(&args))?;
        reference::run(&r, inputs, &[5], &|step, states| {
            let h = &states[0];
            let d = step.direction;
            let gate = |i: usize, j: usize| {
                let (wb, rb) = step.biases(i, j);
                f.clipped_value(d, 0, step.input(i, j) + wb + step.recur(i, j, h) + rb)
            };
            let kept: Vec<f64> = (0..r.hidden).map(|j| gate(1, j) * h[j]).collect();
            let next = |j: usize| {
                let (wb, rb) = step.biases(2, j);
                let from_state = if self.linear_before_reset {
                    gate(1, j) * (step.recur(2, j, h) + rb)
                } else {
                    step.recur(2, j, &kept) + rb
                };
                let new = f.clipped_value(d, 1, step.input(2, j) + wb + from_state);
                let z = gate(0, j);
                (1.0 - z) * new + z * h[j]
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
    use crate::recurrent::testing::{Case, check_all, check_wide};
    use crate::testing::{run_all, t};

    #[test]
    fn hand_computed() {
        // f(x) = x, g(x) = x: z = 0.5, r = 2, h0 = 1.
        let op = |linear_before_reset| Gru {
            direction: Direction::Forward,
            batch_first: false,
            activations: vec![ActivationKind::Affine; 2],
            alpha: vec![1.0; 2],
            beta: vec![0.0; 2],
            clip: None,
            linear_before_reset,
        };
        let x = t([1, 1, 1], &[1.0f32]);
        let (w, r) = (t([1, 3, 1], &[0.5f32, 2.0, 3.0]), t([1, 3, 1], &[0.0f32, 0.0, 4.0]));
        let (b, h) = (t([1, 6], &[0.0f32, 0.0, 0.0, 0.0, 0.0, 10.0]), t([1, 1, 1], &[1.0f32]));
        let of = |linear| {
            run_all(&op(linear), &[Some(&x), Some(&w), Some(&r), Some(&b), None, Some(&h)]).unwrap().remove(0)
        };
        // 3 + 4 * (2 * 1) + 10 = 21; 3 + 2 * (4 * 1 + 10) = 31.
        assert_eq!(of(false), t([1, 1, 1, 1], &[0.5f32 * 21.0 + 0.5]));
        assert_eq!(of(true), t([1, 1, 1, 1], &[0.5f32 * 31.0 + 0.5]));
    }

    #[test]
    fn definition_is_reference() {
        for linear_before_reset in [false, true] {
            let make = |case: &Case| -> Box<dyn Operator> {
                Box::new(Gru {
                    direction: case.direction,
                    batch_first: case.batch_first,
                    activations: [ActivationKind::Sigmoid, ActivationKind::Tanh].repeat(case.directions()),
                    alpha: vec![],
                    beta: vec![],
                    clip: case.clip,
                    linear_before_reset,
                })
            };
            check_all(3, &[2, 3, 4], make);
            check_wide(3, make);
        }
    }
}
