//! Plain evaluation of recurrent operators: sequence by sequence, step by step, in f64.

use super::{Direction, Recurrence};
use crate::compute::tensor;
use crate::elements::input;
use crate::expr::Scalar;
use crate::invalid;
use crate::shape::TensorType;
use crate::{OpError, Tensor};

/// What one step of one sequence sees.
#[derive(Debug)]
pub struct Step<'a> {
    /// The direction.
    pub direction: usize,
    /// Products of `W` with the element, gate by gate.
    pub inputs: &'a [f64],
    /// Numbers of a state.
    pub hidden: usize,
    weights: &'a [f64],
    bias: &'a [f64],
    gates: usize,
}

impl Step<'_> {
    /// Product of `state` with row `row` of gate `gate` of `R`.
    pub fn recur(&self, gate: usize, row: usize, state: &[f64]) -> f64 {
        let all = self.gates * self.hidden;
        let row = self.direction * all + gate * self.hidden + row;
        let weights = &self.weights[row * self.hidden..][..self.hidden];
        weights.iter().zip(state).map(|(w, h)| w * h).sum()
    }

    /// The product with the element, of row `row` of gate `gate`.
    pub fn input(&self, gate: usize, row: usize) -> f64 {
        self.inputs[gate * self.hidden + row]
    }

    /// The bias of `W` and that of `R` for row `row` of gate `gate`.
    pub fn biases(&self, gate: usize, row: usize) -> (f64, f64) {
        let all = self.gates * self.hidden;
        let at = self.direction * 2 * all + gate * self.hidden + row;
        let of = |at: usize| self.bias.get(at).copied().unwrap_or(0.0);
        (of(at), of(at + all))
    }
}

/// The states after a step, from those before it.
pub type Next<'a> = dyn Fn(&Step<'_>, &[Vec<f64>]) -> Vec<Vec<f64>> + 'a;

/// Runs `step`, which gives the next states of those it is given; there are as many as `initial` names inputs, the
/// hidden state first.
///
/// # Errors
/// As [`Recurrence::outputs`].
pub fn run(
    r: &Recurrence<'_>,
    inputs: &[Option<&Tensor>],
    initial: &[usize],
    step: &Next<'_>,
) -> Result<Vec<Tensor>, OpError> {
    let types = r.outputs(initial.len())?;
    let numbers = |i: usize| inputs.get(i).copied().flatten().map(Tensor::to_f64s);
    let mut outputs: Vec<Vec<f64>> = types.iter().map(|ty| vec![0.0; ty.shape.numel()]).collect();
    let (x, w) = (input(inputs, 0, "X")?.to_f64s(), input(inputs, 1, "W")?.to_f64s());
    let weights = input(inputs, 2, "R")?.to_f64s();
    let bias = numbers(3).unwrap_or_default();
    let lengths = numbers(4).unwrap_or_else(|| vec![r.steps as f64; r.batch]);
    let (directions, wide) = (r.directions(), r.gates * r.hidden);
    let batch_first = r.arrangement.batch_first;
    for (d, b) in (0..directions).flat_map(|d| (0..r.batch).map(move |b| (d, b))) {
        let state_at = if batch_first { b * directions + d } else { d * r.batch + b } * r.hidden;
        let first = |i: &usize| match numbers(*i) {
            Some(all) => all[state_at..][..r.hidden].to_vec(),
            None => vec![0.0; r.hidden],
        };
        let mut states: Vec<Vec<f64>> = initial.iter().map(first).collect();
        let backwards = d == 1 || r.arrangement.direction == Direction::Reverse;
        let length = lengths[b] as usize;
        for s in 0..length {
            let t = if backwards { length - 1 - s } else { s };
            let element_at = if batch_first { b * r.steps + t } else { t * r.batch + b };
            let element = &x[element_at * r.input..][..r.input];
            let row = |g: usize| &w[(d * wide + g) * r.input..][..r.input];
            let products: Vec<f64> =
                (0..wide).map(|g| row(g).iter().zip(element).map(|(w, x)| w * x).sum()).collect();
            let context = Step {
                direction: d,
                inputs: &products,
                hidden: r.hidden,
                weights: &weights,
                bias: &bias,
                gates: r.gates,
            };
            states = step(&context, &states);
            let y_at = if batch_first {
                (b * r.steps + t) * directions + d
            } else {
                (t * directions + d) * r.batch + b
            };
            outputs[0][y_at * r.hidden..][..r.hidden].copy_from_slice(&states[0]);
        }
        for (output, state) in outputs[1..].iter_mut().zip(&states).filter(|_| length > 0) {
            output[state_at..][..r.hidden].copy_from_slice(state);
        }
    }
    if outputs.len() != types.len() {
        return invalid!("expected {} outputs, found {}", types.len(), outputs.len());
    }
    types.iter().zip(outputs).map(|(ty, v)| rounded(ty, &v)).collect()
}

fn rounded(ty: &TensorType, v: &[f64]) -> Result<Tensor, OpError> {
    let elements: Vec<Scalar> = v.iter().map(|v| Scalar::F64(*v).cast(ty.dtype)).collect();
    tensor(ty, &elements)
}
