//! Reductions over the last axes, over others and over some of them; of rows that fill vectors, hardly fill one, or are too
//! long to be summed in one go; with scales that are those of columns, of rows, or of both.

use octrt_ops::def::instance_normalization::InstanceNormalization;
use octrt_ops::def::layer_normalization::LayerNormalization;
use octrt_ops::def::lp_normalization::{LpNormalization, Norm};
use octrt_ops::def::mean_variance_normalization::MeanVarianceNormalization;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::rms_normalization::RmsNormalization;
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::{DType, ValueId};

use crate::near::Near;

fn reduced(n: &mut Near, x: ValueId) -> Option<ValueId> {
    let shape = n.shape(x);
    let rank = shape.len();
    let axis = n.or(rank - 1, &[0, rank / 2]) as i64;
    match n.g.numbers.below(7) {
        0 | 1 => {
            let span = n.pick(&[SoftmaxSpan::Axis, SoftmaxSpan::Trailing]);
            let axis = if span == SoftmaxSpan::Trailing { n.pick(&[axis, 1]) } else { axis };
            let log = n.half();
            n.add(Softmax { axis, span, log }, &[x])
        }
        2 => {
            let axes: Vec<i64> = match n.g.numbers.below(4) {
                0 => vec![axis],
                1 => (1..rank as i64).collect(),
                2 => (0..rank as i64).collect(),
                _ => vec![0, rank as i64 - 1],
            };
            let axes = n.g.list(&axes)?;
            let kind = n.pick(ReduceKind::ALL);
            let keep_dims = n.half();
            n.add(Reduce { kind, keep_dims, noop_with_empty_axes: false }, &[x, axes])
        }
        3 => {
            let scale = n.weight(&shape[axis as usize..]);
            let mut inputs = vec![x, scale];
            if n.half() {
                inputs.push(n.weight(&shape[axis as usize..]));
            }
            n.add(LayerNormalization { axis, epsilon: 1e-3, stash: DType::F32 }, &inputs)
        }
        4 => {
            let scale = n.weight(&shape[axis as usize..]);
            n.add(RmsNormalization { axis, epsilon: 1e-3, stash: DType::F32 }, &[x, scale])
        }
        5 if rank > 2 => {
            let (scale, bias) = (n.weight(&shape[1..2]), n.weight(&shape[1..2]));
            n.add(InstanceNormalization { epsilon: 1e-3 }, &[x, scale, bias])
        }
        5 => {
            let norm = n.pick(&[Norm::L1, Norm::L2]);
            n.add(LpNormalization { axis, norm }, &[x])
        }
        _ => n.add(MeanVarianceNormalization { axes: vec![axis] }, &[x]),
    }
}

pub fn rows(n: &mut Near) -> Option<()> {
    let columns = n.pick(&[3, 7, 8, 9, 16, 31, 32, 40, 49, 64, 65, 100, 130, 197]);
    let lead = [n.pick(&[1, 2]), n.pick(&[1, 3, 5]), n.pick(&[1, 2, 4])];
    let axes = n.pick(&[0, 1, 2, 3]);
    let mut shape = [&lead[..axes], &[columns]].concat();
    if n.half() && shape.len() > 1 {
        let last = shape.len() - 1;
        shape[last] = n.pick(&[2, 3, 8]);
        shape[last - 1] = n.pick(&[5, 8, 12]);
    }
    let x = n.made(&shape)?;
    let y = reduced(n, x)?;
    if n.half() && !n.shape(y).is_empty() {
        reduced(n, y)?;
    }
    Some(())
}
