//! Recurrences, sums of products over named axes, attention.

use octrt_ops::def::attention::{Attention, AttentionStep};
use octrt_ops::def::einsum::Einsum;
use octrt_ops::def::gru::Gru;
use octrt_ops::def::lstm::Lstm;
use octrt_ops::def::rnn::Rnn;
use octrt_ops::def::rotary_embedding::RotaryEmbedding;
use octrt_ops::recurrent::{ActivationKind, Direction};
use octrt_ops::{DType, Op, Tensor};

use crate::check::{Checks, Error, Operand, Random};

/// Inputs of a recurrence, of one element type.
struct Shapes {
    dtype: DType,
    direction: Direction,
    batch_first: bool,
    /// Whether weights are known when the model is compiled.
    known: bool,
    gates: usize,
    /// Elements, sequences, numbers of an element, numbers of a state.
    extents: [usize; 4],
}

impl Shapes {
    fn directions(&self) -> usize {
        if self.direction == Direction::Bidirectional { 2 } else { 1 }
    }

    /// All inputs, or those that must be given.
    fn operands(&self, r: &mut Random, all: bool) -> Vec<Operand> {
        let [s, b, i, h] = self.extents;
        let (d, g) = (self.directions(), self.gates);
        let state = if self.batch_first { [b, d, h] } else { [d, b, h] };
        let x = if self.batch_first { [b, s, i] } else { [s, b, i] };
        let dtype = self.dtype;
        let weights = if self.known { Operand::Known } else { Operand::Given };
        let mut list = vec![
            Operand::Given(r.tensor(dtype, &x)),
            weights(r.tensor(dtype, &[d, g * h, i])),
            weights(r.tensor(dtype, &[d, g * h, h])),
        ];
        if all {
            let lens: Vec<i32> = (0..b).map(|_| r.below(s + 1) as i32).collect();
            list.push(Operand::Known(r.tensor(dtype, &[d, 2 * g * h])));
            list.push(Operand::Given(Tensor::new([b], &lens).unwrap()));
            list.push(Operand::Given(r.tensor(dtype, &state)));
            if g == 4 {
                list.push(Operand::Given(r.tensor(dtype, &state)));
                list.push(Operand::Known(r.tensor(dtype, &[d, 3 * h])));
            }
        }
        list
    }
}

/// An error that grows from step to step, of numbers of magnitude 1.
const STEPS: Error = Error::Absolute(2e-5);

#[test]
fn recurrences() {
    let mut r = Random(70);
    let mut checks = Checks::default();
    let sizes = [[1, 1, 3, 4], [5, 2, 7, 8], [4, 3, 16, 5], [3, 1, 2, 160], [3, 7, 300, 136], [4, 1, 9, 40]];
    for (case, extents) in sizes.into_iter().enumerate() {
        for &direction in Direction::ALL {
            let kinds = [
                (false, true, DType::F32),
                (false, false, DType::F32),
                (true, true, DType::F32),
                (true, true, DType::F64),
            ];
            for (all, known, dtype) in kinds {
                let batch_first = case % 2 == 1;
                let shapes = |gates| Shapes { dtype, direction, batch_first, known, gates, extents };
                let clip = all.then_some(0.75);
                let d = shapes(1).directions();
                let activations = [ActivationKind::Sigmoid, ActivationKind::Tanh, ActivationKind::Softsign];
                let of = |n: usize| activations[..n].repeat(d);
                let (alpha, beta) = (vec![], vec![]);
                let operands = shapes(1).operands(&mut r, all);
                let op = Rnn {
                    direction,
                    batch_first,
                    activations: vec![ActivationKind::Tanh; d],
                    alpha: alpha.clone(),
                    beta: beta.clone(),
                    clip,
                };
                checks.add(op, &operands, STEPS);
                let operands = shapes(3).operands(&mut r, all);
                let op = Gru {
                    direction,
                    batch_first,
                    activations: of(2),
                    alpha: alpha.clone(),
                    beta: beta.clone(),
                    clip,
                    linear_before_reset: all,
                };
                checks.add(op, &operands, STEPS);
                let operands = shapes(4).operands(&mut r, all);
                let input_forget = case == 1;
                let activations = of(3);
                let op = Lstm { direction, batch_first, activations, alpha, beta, clip, input_forget };
                checks.add(op, &operands, STEPS);
            }
        }
    }
    checks.finish("recurrences");
}

#[test]
fn activations() {
    let mut r = Random(71);
    let mut checks = Checks::default();
    for &kind in ActivationKind::ALL {
        for dtype in [DType::F32, DType::F64] {
            let (direction, gates, extents) = (Direction::Forward, 1, [2, 2, 3, 5]);
            let (batch_first, known) = (false, true);
            let shapes = Shapes { dtype, direction, batch_first, known, gates, extents };
            let op = Rnn {
                direction,
                batch_first: false,
                activations: vec![kind],
                alpha: vec![0.3],
                beta: vec![0.2],
                clip: None,
            };
            checks.add(op, &shapes.operands(&mut r, true), STEPS);
        }
    }
    checks.finish("activations");
}

#[test]
fn einsums() {
    let mut r = Random(72);
    let mut checks = Checks::default();
    type Case<'a> = (&'a str, &'a [&'a [usize]]);
    let cases: [Case<'_>; 14] = [
        ("ij->ji", &[&[3, 5]]),
        ("ii->i", &[&[4, 4]]),
        ("iji->j", &[&[4, 3, 4]]),
        ("i...->...", &[&[4, 3, 2]]),
        ("ij->", &[&[17, 33]]),
        ("ij,jk->ik", &[&[5, 7], &[7, 9]]),
        ("bij,bjk->bik", &[&[2, 5, 7], &[2, 7, 9]]),
        ("bhqd,bhkd->bhqk", &[&[1, 2, 5, 16], &[1, 2, 6, 16]]),
        ("bqhd,bkhd->bhqk", &[&[2, 5, 2, 8], &[2, 6, 2, 8]]),
        ("...ij,jk->...ik", &[&[2, 3, 5, 4], &[4, 6]]),
        ("i,j->ij", &[&[5], &[7]]),
        ("ij,jk,kl->il", &[&[3, 4], &[4, 5], &[5, 6]]),
        ("ij,i,j->", &[&[3, 4], &[3], &[4]]),
        ("bnij,bnjk->bik", &[&[2, 3, 4, 150], &[1, 3, 150, 2]]),
    ];
    for (equation, shapes) in cases {
        let op = Einsum { equation: equation.into() };
        let given: Vec<Operand> = shapes.iter().map(|s| r.given(s)).collect();
        checks.add(op.clone(), &given, Error::Sums);
        for dtype in [DType::F64, DType::I64, DType::I32] {
            let operands: Vec<Operand> = shapes.iter().map(|s| Operand::Given(r.tensor(dtype, s))).collect();
            let error = if dtype == DType::F64 { Error::Absolute(1e-9) } else { Error::None };
            checks.add(op.clone(), &operands, error);
        }
    }
    checks.finish("sums of products");
}

#[test]
fn attention() {
    let mut r = Random(73);
    let mut checks = Checks::default();
    let error = Error::Absolute(2e-5);
    for &step in AttentionStep::ALL {
        for is_causal in [false, true] {
            let flat = Attention {
                is_causal,
                q_num_heads: Some(4),
                kv_num_heads: Some(2),
                scale: None,
                softcap: if is_causal { 0.0 } else { 1.5 },
                step,
            };
            let mut operands = vec![r.given(&[2, 3, 32]), r.given(&[2, 5, 16]), r.given(&[2, 5, 12])];
            checks.add(flat.clone(), &operands, error);
            operands.extend([Operand::Omitted, r.given(&[2, 2, 4, 8]), r.given(&[2, 2, 4, 6])]);
            checks.add(flat.clone(), &operands, error);
            let whole = Attention { scale: Some(0.25), q_num_heads: None, kv_num_heads: None, ..flat };
            let qkv = [r.given(&[2, 4, 3, 8]), r.given(&[2, 2, 5, 8]), r.given(&[2, 2, 5, 6])];
            // The first key is never masked, or a row would be empty.
            let bools: Vec<bool> = (0..15).map(|i| i % 5 == 0 || i % 2 == 0).collect();
            let bools = Operand::Given(Tensor::new([3, 5], &bools).unwrap());
            let nonpad = Operand::Given(Tensor::new([2], &[2i64, 5]).unwrap());
            for mask in [r.given(&[3, 5]), r.given(&[2, 1, 3, 5]), r.given(&[4, 3, 3]), bools] {
                let mut all = qkv.to_vec();
                all.push(mask);
                checks.add(whole.clone(), &all, error);
                all.extend([Operand::Omitted, Operand::Omitted, nonpad.clone()]);
                checks.add(whole.clone(), &all, error);
            }
        }
    }
    checks.finish("attention");
}

#[test]
fn rotary_embeddings() {
    let mut r = Random(74);
    let mut checks = Checks::default();
    let ids = Tensor::new([2, 3], &[4i64, 0, 1, 2, 3, 3]).unwrap();
    for interleaved in [false, true] {
        for (rotary_dim, half) in [(0, 4), (4, 2), (8, 4)] {
            for shape in [&[2, 2, 3, 8][..], &[2, 3, 16]] {
                let op = Op::from(RotaryEmbedding { interleaved, num_heads: 2, rotary_dim });
                let x = r.given(shape);
                let (cos, sin) = (r.known(&[5, half]), r.known(&[5, half]));
                for ids in [Operand::Given(ids.clone()), Operand::Known(ids.clone())] {
                    checks.add(
                        op.clone(),
                        &[x.clone(), cos.clone(), sin.clone(), ids],
                        Error::Absolute(1e-6),
                    );
                }
                let (cos, sin) = (r.given(&[2, 3, half]), r.given(&[2, 3, half]));
                checks.add(op, &[x, cos, sin], Error::Absolute(1e-6));
            }
        }
    }
    checks.finish("rotary embeddings");
}
