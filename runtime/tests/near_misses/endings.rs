//! What comes close to a function of the result of a node, in as many nodes as it may be spelled in: of the result again and
//! again, and of tensors with an element for each, for each channel, for each pixel, or one.

use octrt_ops::ValueId;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::clip::Clip;
use octrt_ops::def::elu::Elu;
use octrt_ops::def::hard_sigmoid::HardSigmoid;
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::unary::{Unary, UnaryKind};

use crate::near::Near;
use crate::tails::root;

/// Functions that neither jump nor grow beyond their argument, so that what sums have lost stays as small.
const SMOOTH: [UnaryKind; 11] = [
    UnaryKind::Sigmoid,
    UnaryKind::Tanh,
    UnaryKind::Erf,
    UnaryKind::HardSwish,
    UnaryKind::Relu,
    UnaryKind::Neg,
    UnaryKind::Abs,
    UnaryKind::Softplus,
    UnaryKind::Mish,
    UnaryKind::Softsign,
    UnaryKind::Atan,
];

/// A tensor that may stand beside one of this shape.
fn operand(n: &mut Near, shape: &[usize]) -> Option<ValueId> {
    let ones = vec![1; shape.len()];
    let along = |axes: &[usize]| -> Vec<usize> {
        let has = |i: usize| axes.contains(&i) || axes.is_empty();
        (0..shape.len()).map(|i| if has(i) { shape[i] } else { 1 }).collect()
    };
    match n.g.numbers.below(7) {
        0 | 1 => n.made(shape),
        2 => Some(n.weight(&along(&[1])[1..])),
        3 => n.made(&along(&[0, 1])),
        4 => {
            let last = shape.len() - 1;
            let skipped = n.g.numbers.below(last);
            Some(n.weight(&along(&[last])[skipped..]))
        }
        5 => n.made(&along(&[last_of(shape)])),
        _ => {
            let rank = n.g.numbers.below(shape.len() + 1);
            Some(n.weight(&ones[..rank]))
        }
    }
}

fn last_of(shape: &[usize]) -> usize {
    shape.len() - 1
}

/// One more node, of values that there are already.
fn step(n: &mut Near, all: &[ValueId]) -> Option<ValueId> {
    let x = if n.g.numbers.one_in(3) { n.pick(all) } else { all[all.len() - 1] };
    let shape = n.shape(x);
    match n.g.numbers.below(8) {
        0 | 1 => {
            let kind = n.pick(&SMOOTH);
            n.add(Unary { kind }, &[x])
        }
        2 => match n.g.numbers.below(5) {
            0 => n.add(LeakyRelu { alpha: 0.25 }, &[x]),
            1 => n.add(Elu { alpha: 0.5 }, &[x]),
            2 => n.add(HardSigmoid { alpha: 0.25, beta: 0.5 }, &[x]),
            3 => {
                let (low, high) = (n.weight(&[]), n.weight(&[]));
                n.add(Clip {}, &[x, low, high])
            }
            _ => {
                let slope = n.weight(&[&[shape[1]], &vec![1; shape.len() - 2][..]].concat());
                n.add(PRelu {}, &[x, slope])
            }
        },
        // A gate: the value times a function of it.
        3 => {
            let kind = n.pick(&[UnaryKind::Sigmoid, UnaryKind::Tanh, UnaryKind::Erf]);
            let gate = n.add(Unary { kind }, &[x])?;
            n.add(Binary { kind: BinaryKind::Mul }, &[x, gate])
        }
        4 => {
            let other = n.pick(all);
            let kind = n.pick(&[BinaryKind::Add, BinaryKind::Sub, BinaryKind::Max]);
            n.add(Binary { kind }, &[x, other])
        }
        _ => {
            let other = operand(n, &shape)?;
            let kinds = [BinaryKind::Add, BinaryKind::Sub, BinaryKind::Mul, BinaryKind::Min, BinaryKind::Max];
            let kind = n.pick(&kinds);
            let inputs = if n.half() { [x, other] } else { [other, x] };
            n.add(Binary { kind }, &inputs)
        }
    }
}

/// Something that computes, or elements of a tensor, with up to seven nodes behind it; and what reads the last in blocks.
pub fn ending(n: &mut Near) -> Option<()> {
    let first = match n.g.numbers.below(4) {
        0 => {
            let lead = [n.or(1, &[2]), n.pick(&[3, 8]), n.pick(&[5, 9])];
            let last = n.pick(&[7, 16, 33]);
            let axes = n.pick(&[1, 2, 3]);
            n.made(&[&lead[..axes], &[last]].concat())?
        }
        _ => root(n)?,
    };
    let mut all = vec![first];
    for _ in 0..2 + n.g.numbers.below(6) {
        let next = step(n, &all)?;
        all.push(next);
    }
    if n.half() && n.shape(all[all.len() - 1]).len() == 4 {
        n.conv(all[all.len() - 1], 8, 1)?;
    }
    Some(())
}
