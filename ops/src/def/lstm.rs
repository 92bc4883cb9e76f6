//! Long short-term memory: ONNX `LSTM`, opsets 1 to 22. Inputs, outputs and errors are those of [`crate::recurrent`], with
//! the four gates input `i`, output `o`, forget `f` and cell `c`, in this order, and two more inputs and one more output:
//!
//! | input | shape | |
//! |---|---|---|
//! | 6 `initial_c` | as `initial_h` | optional, 0 where omitted |
//! | 7 `P` | `[D, 3 * H]` | optional weights of peepholes: `Pi`, `Po`, `Pf`; 0 where omitted |
//!
//! ```text
//! i = f(Wi x[t] + Wbi + Ri h[t - 1] + Rbi + Pi * c[t - 1])
//! m = f(Wf x[t] + Wbf + Rf h[t - 1] + Rbf + Pf * c[t - 1])            or 1 - i with input_forget
//! c[t] = m * c[t - 1] + i * g(Wc x[t] + Wbc + Rc h[t - 1] + Rbc)
//! o = f(Wo x[t] + Wbo + Ro h[t - 1] + Rbo + Po * c[t])
//! h[t] = o * h(c[t])
//! ```
//!
//! Arguments of `f` and `g` are limited to `-clip ..= clip`. Outputs: `Y`, `Y_h`, `Y_c`.

use crate::arg::known_args;
use crate::compute::Compute;
use crate::expr::{BufId, Expr};
use crate::recurrent::{
    ActivationKind, Activations, Arrangement, Direction, H, Recurrence, Stages, empty, reference,
};
use crate::{Args, OpError, Operator, Tensor, TensorType, attributes};

/// ONNX operator LSTM.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    /// In which order sequences are read.
    pub direction: Direction,
    /// Whether the batch is the first axis (ONNX `layout` 1).
    pub batch_first: bool,
    /// `f`, `g` and `h` of each direction.
    pub activations: Vec<ActivationKind>,
    /// Parameter a of each activation; empty: none has one.
    pub alpha: Vec<f32>,
    /// Parameter b of each activation; empty: none has one.
    pub beta: Vec<f32>,
    /// Limit of the arguments of `f` and `g`.
    pub clip: Option<f32>,
    /// Whether the forget gate is what the input gate leaves.
    pub input_forget: bool,
}

attributes!(Lstm { direction, batch_first, activations, alpha, beta, clip, input_forget });

/// Positions of the gates in `W` and `R`, and those of peepholes in `P`.
const INPUT: usize = 0;
const OUTPUT: usize = 1;
const FORGET: usize = 2;
const CELL: usize = 3;

impl Lstm {
    fn problem<'a>(&self, args: Args<'a>) -> Result<(Recurrence<'a>, Activations), OpError> {
        let arrangement = Arrangement { direction: self.direction, batch_first: self.batch_first };
        let r = Recurrence::new(args, arrangement, 4)?;
        r.expect(6, "initial_c", &r.state_dims())?;
        r.expect(7, "P", &[r.directions(), 3 * r.hidden])?;
        let counts = (r.directions(), 3);
        let f = Activations::new(&self.activations, [&self.alpha, &self.beta], counts, self.clip)?;
        Ok((r, f))
    }

    /// The stages of a turn.
    fn turn(
        &self,
        s: &mut Stages<'_>,
        f: &Activations,
        [inputs, weights, hidden, cell]: [BufId; 4],
        [h, c, p]: [Option<BufId>; 3],
    ) {
        let (n, dtype, d) = (s.r.hidden, s.r.dtype, s.direction());
        let [h, c] = [("previous hidden", hidden, h), ("previous cell", cell, c)]
            .map(|(name, state, initial)| s.before(name, state, initial));
        let init = s.input_of_turn(inputs, Expr::var(H));
        let sum = s.product(weights, &(0..4 * n), init, h);
        let argument = |gate: usize, of: Expr| {
            let at = Expr::var(H) + Expr::int(gate * n);
            let plain = Stages::here(sum, at.clone());
            match p {
                Some(p) if gate != CELL => plain + Expr::load(p, [Expr::int(d), at]) * of,
                _ => plain,
            }
        };
        let before = Stages::here(c, Expr::var(H));
        let input = f.clipped_expr(d, 0, dtype, argument(INPUT, before.clone()));
        let (input, kept) = if self.input_forget {
            let input = Stages::here(s.stage("input gate", s.ty(n), None, input), Expr::var(H));
            (input.clone(), s.r.literal(1.0) - input)
        } else {
            (input, f.clipped_expr(d, 0, dtype, argument(FORGET, before.clone())))
        };
        let new = f.clipped_expr(d, 1, dtype, argument(CELL, before.clone()));
        s.c.define("cell", cell, None, kept * before + input * new);
        let now = Stages::here(cell, Expr::var(H));
        let output = f.clipped_expr(d, 0, dtype, argument(OUTPUT, now.clone()));
        s.c.define("hidden", hidden, None, output * f.expr(d, 2, dtype, now));
    }
}

impl Operator for Lstm {
    fn name(&self) -> &'static str {
        "LSTM"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        self.problem(args)?.0.outputs(2)
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (r, f) = self.problem(args)?;
        if r.is_empty() {
            return empty(r.outputs(2)?);
        }
        let mut s = Stages::new(&r)?;
        let optional = [5, 6, 7].map(|i| s.optional(i));
        s.directions(|s| {
            let weights = s.input_weights()?;
            let inputs = s.inputs(weights, &(0..4 * r.hidden), &Stages::biases)?;
            let weights = s.recurrent_weights()?;
            let ty = s.ty(r.hidden);
            let [hidden, cell] = [ty.clone(), ty].map(|ty| s.c.declare(ty));
            s.turns_of(|s| self.turn(s, &f, [inputs, weights, hidden, cell], optional));
            Ok(vec![hidden, cell])
        })
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (r, f) = self.problem(Args(&args))?;
        let peepholes = inputs.get(7).copied().flatten().map(Tensor::to_f64s);
        reference::run(&r, inputs, &[5, 6], &|step, states| {
            let (h, c) = (&states[0], &states[1]);
            let d = step.direction;
            let argument = |gate: usize, j: usize, of: f64| {
                let (wb, rb) = step.biases(gate, j);
                let at = (d * 3 + gate) * r.hidden + j;
                let peephole = peepholes.as_ref().filter(|_| gate != CELL).map_or(0.0, |p| p[at] * of);
                step.input(gate, j) + wb + step.recur(gate, j, h) + rb + peephole
            };
            let next = |j: usize| {
                let i = f.clipped_value(d, 0, argument(INPUT, j, c[j]));
                let kept = if self.input_forget {
                    1.0 - i
                } else {
                    f.clipped_value(d, 0, argument(FORGET, j, c[j]))
                };
                let cell = kept * c[j] + i * f.clipped_value(d, 1, argument(CELL, j, 0.0));
                let o = f.clipped_value(d, 0, argument(OUTPUT, j, cell));
                (o * f.value(d, 2, cell), cell)
            };
            let (h, c) = (0..r.hidden).map(next).unzip();
            vec![h, c]
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
    use crate::testing::{error, run_all, t};

    fn linear() -> Lstm {
        Lstm {
            direction: Direction::Forward,
            batch_first: false,
            activations: vec![ActivationKind::Affine; 3],
            alpha: vec![1.0; 3],
            beta: vec![0.0; 3],
            clip: None,
            input_forget: false,
        }
    }

    #[test]
    fn hand_computed() {
        let x = t([1, 1, 1], &[1.0f32]);
        let w = t([1, 4, 1], &[2.0f32, 3.0, 5.0, 7.0]);
        let r = t([1, 4, 1], &[0.0f32; 4]);
        let c = t([1, 1, 1], &[1.0f32]);
        let of = |op: &Lstm, p: Option<&Tensor>| {
            run_all(op, &[Some(&x), Some(&w), Some(&r), None, None, None, Some(&c), p]).unwrap()
        };
        // i = 2, f = 5, c = 5 * 1 + 2 * 7 = 19, o = 3, h = 57.
        let y = of(&linear(), None);
        assert_eq!(y, [t([1, 1, 1, 1], &[57.0f32]), t([1, 1, 1], &[57.0f32]), t([1, 1, 1], &[19.0f32])]);
        // f = 1 - 2, c = -1 + 14 = 13.
        assert_eq!(of(&Lstm { input_forget: true, ..linear() }, None)[2], t([1, 1, 1], &[13.0f32]));
        // i = 2 + 10, f = 5 + 30, c = 35 + 12 * 7 = 119, o = 3 + 20 * 119.
        let p = t([1, 3], &[10.0f32, 20.0, 30.0]);
        let y = of(&linear(), Some(&p));
        assert_eq!((&y[2], &y[1]), (&t([1, 1, 1], &[119.0f32]), &t([1, 1, 1], &[(3.0f32 + 2380.0) * 119.0])));
    }

    #[test]
    fn definition_is_reference() {
        for input_forget in [false, true] {
            let make = |case: &Case| -> Box<dyn Operator> {
                let f = [ActivationKind::Sigmoid, ActivationKind::Tanh, ActivationKind::Softsign];
                Box::new(Lstm {
                    direction: case.direction,
                    batch_first: case.batch_first,
                    activations: f.repeat(case.directions()),
                    alpha: vec![],
                    beta: vec![],
                    clip: case.clip,
                    input_forget,
                })
            };
            check_all(4, &[2, 3, 4], make);
            check_wide(4, make);
        }
    }

    #[test]
    fn errors_say_expected_and_found() {
        let x = t([1, 1, 1], &[1.0f32]);
        let (w, r) = (t([1, 4, 1], &[0.0f32; 4]), t([1, 4, 1], &[0.0f32; 4]));
        let b = t([1, 8], &[0.0f32; 8]);
        let lens = t([1], &[1i32]);
        let bad = error(&linear(), &[&x, &w, &r, &b, &lens, &x, &x, &b]);
        assert!(bad.contains("input 7 (P): expected [1,3], found [1,8]"), "{bad}");
        let bad = error(&linear(), &[&x, &w, &r, &b, &lens, &x, &lens]);
        assert!(bad.contains("input 6 (initial_c): expected f32"), "{bad}");
    }
}
