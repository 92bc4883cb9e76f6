//! Scores to classes: which output holds scores, what probabilities they stand for, which classes are best.

use octrt_ops::{Graph, ValueId};
use serde::Serialize;

use crate::labels::Labels;
use crate::model::Model;
use crate::tensor::TensorRef;

/// Operators that leave scores as they are.
const TRANSPARENT: [&str; 7] = ["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "CastLike"];

/// A class with its rank's data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Class {
    /// Its index.
    pub index: usize,
    /// Its name, where it is known.
    pub label: Option<String>,
    /// Between 0 and 1.
    pub probability: f64,
}

/// What the last operator in front of an output makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scores {
    /// Probabilities: Softmax.
    Probabilities,
    /// Their logarithms: LogSoftmax.
    LogProbabilities,
    /// Any numbers, greater for better classes.
    Logits,
}

impl Scores {
    /// What the output with this position holds.
    pub fn of(model: &Model, output: usize) -> Self {
        let value = |g: &Graph| g.outputs.get(output).map(|o| o.value);
        match model.structure().and_then(|g| last_operator(g, value(g)?)) {
            Some("Softmax") => Scores::Probabilities,
            Some("LogSoftmax") => Scores::LogProbabilities,
            _ => Scores::Logits,
        }
    }

    /// The probabilities of the classes of one picture. Numbers that are no probabilities although the model ends in
    /// Softmax (over another axis) count as logits.
    pub fn probabilities(self, scores: &[f64]) -> Vec<f64> {
        let exp = || -> Vec<f64> { scores.iter().map(|s| s.exp()).collect() };
        match self {
            Scores::Probabilities if is_distribution(scores) => scores.to_vec(),
            Scores::LogProbabilities if is_distribution(&exp()) => exp(),
            _ => softmax(scores),
        }
    }
}

/// The ONNX name of the operator that computes a value, not counting those that move elements only.
fn last_operator(graph: &Graph, value: ValueId) -> Option<&'static str> {
    let mut value = value;
    loop {
        let id = graph.producer(value)?;
        let node = graph.node(id);
        let name = node.op.as_operator().name();
        if !TRANSPARENT.contains(&name) {
            return Some(name);
        }
        value = node.inputs.first().copied().flatten()?;
    }
}

/// Whether all are from 0 to 1 and the sum is 1, as far as 16-bit floats are exact.
fn is_distribution(p: &[f64]) -> bool {
    p.iter().all(|v| (-1e-6..=1.0 + 1e-3).contains(v)) && (p.iter().sum::<f64>() - 1.0).abs() < 1e-2
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.iter().map(|e| e / sum).collect()
}

/// The number of classes of an output of shape `[C]`, `[batch,C]` or `[batch,C,1,1]`; none for other shapes.
pub fn class_count(shape: &[usize], batch: usize) -> Option<usize> {
    match shape {
        [c] if batch == 1 => Some(*c),
        [n, c] | [n, c, 1, 1] if *n == batch => Some(*c),
        _ => None,
    }
    .filter(|&c| c > 0)
}

/// The probabilities of the classes for each picture of an output of shape `[C]`, `[batch,C]` or `[batch,C,1,1]`; none
/// for other shapes and for elements that are no floats.
pub fn probabilities(output: TensorRef<'_>, batch: usize, scores: Scores) -> Option<Vec<Vec<f64>>> {
    let classes = class_count(output.shape(), batch)?;
    if !output.dtype().inside().is_float() {
        return None;
    }
    Some(output.to_f64s().chunks_exact(classes).map(|s| scores.probabilities(s)).collect())
}

/// The `k` best classes, best first; of equals the one with the smaller index.
pub fn top(probabilities: &[f64], k: usize, labels: Option<&Labels>) -> Vec<Class> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let class = |&index: &usize| Class {
        index,
        label: labels.and_then(|l| l.name(index)).map(str::to_string),
        probability: probabilities[index],
    };
    order.iter().take(k).map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_vectors_of_classes_are_ranked() {
        assert_eq!(class_count(&[1, 10], 1), Some(10));
        assert_eq!(class_count(&[10], 1), Some(10));
        assert_eq!(class_count(&[2, 10, 1, 1], 2), Some(10));
        for shape in [&[2, 10][..], &[1, 10, 2, 1], &[1, 10, 1], &[], &[1, 0]] {
            assert_eq!(class_count(shape, 1), None, "{shape:?}");
        }
    }

    #[test]
    fn logits_become_probabilities_and_probabilities_stay() {
        let p = Scores::Logits.probabilities(&[0.0, 1000.0, 0.0]);
        assert_eq!(p, [0.0, 1.0, 0.0]);
        assert_eq!(Scores::Probabilities.probabilities(&[0.25, 0.75]), [0.25, 0.75]);
        assert_eq!(Scores::Probabilities.probabilities(&[1.0, 1.0]), [0.5, 0.5]);
        let logs = [0.25f64.ln(), 0.75f64.ln()];
        assert!((Scores::LogProbabilities.probabilities(&logs)[1] - 0.75).abs() < 1e-9);
    }

    #[test]
    fn the_best_come_first() {
        let best: Vec<usize> = top(&[0.1, 0.4, 0.1, 0.4], 3, None).iter().map(|c| c.index).collect();
        assert_eq!(best, [1, 3, 0]);
        assert_eq!(top(&[0.5], 9, None).len(), 1);
    }
}
