//! Normalisations.

use octrt_ops::def::group_normalization::{GroupNormalization, ScalePer};
use octrt_ops::def::hardmax::Hardmax;
use octrt_ops::def::instance_normalization::InstanceNormalization;
use octrt_ops::def::layer_normalization::LayerNormalization;
use octrt_ops::def::lp_normalization::{LpNormalization, Norm};
use octrt_ops::def::lrn::Lrn;
use octrt_ops::def::mean_variance_normalization::MeanVarianceNormalization;
use octrt_ops::def::rms_normalization::RmsNormalization;
use octrt_ops::def::softmax::SoftmaxSpan;
use octrt_ops::{DType, Op, Tensor};

use crate::check::{Checks, Error, Operand, Random};

const SHAPES: [&[usize]; 6] =
    [&[2, 12], &[1, 197, 64], &[2, 6, 7, 5], &[1, 16, 33, 31], &[3, 4, 2, 3, 2], &[1, 1]];
const STASHES: [DType; 2] = [DType::F32, DType::F64];
const EPSILON: f32 = 1e-3;

/// Numbers of a few units, each off by some units in the last place of the mean, the difference from it and the
/// deviation; and the same in f64.
fn error(dtype: DType) -> Error {
    Error::Absolute(if dtype == DType::F32 { 64.0 * f64::from(f32::EPSILON) } else { 1e-12 })
}

/// Every shape with every type.
fn problems() -> impl Iterator<Item = (&'static [usize], DType)> {
    SHAPES.into_iter().flat_map(|s| DType::FLOATS.iter().map(move |d| (s, *d)))
}

/// Numbers of which the last extents of a tensor have their own, large ones beside small differences.
fn shifted(r: &mut Random, dtype: DType, shape: &[usize]) -> Operand {
    let x = r.tensor(dtype, shape).to_f64s();
    let inner = *shape.last().unwrap();
    let mut bytes = Vec::new();
    for (i, v) in x.iter().enumerate() {
        let shift = (i / inner % 4) as f64;
        octrt_ops::expr::Scalar::F64(v + shift).cast(dtype).write(&mut bytes);
    }
    Operand::Given(Tensor::from_bytes(octrt_ops::TensorType::new(dtype, shape.to_vec()), bytes).unwrap())
}

#[test]
fn over_trailing_axes() {
    let mut r = Random(60);
    let mut checks = Checks::default();
    for (shape, dtype) in problems() {
        for axis in 1..shape.len() {
            let x = shifted(&mut r, dtype, shape);
            let of = if axis % 2 == 0 { shape[axis..].to_vec() } else { vec![*shape.last().unwrap()] };
            let scale = Operand::Known(r.tensor(dtype, &of));
            let bias = Operand::Given(r.tensor(dtype, &of));
            let stash = STASHES[axis % 2];
            let signed = axis as i64 - shape.len() as i64;
            let layer = LayerNormalization { axis: signed, epsilon: EPSILON, stash };
            // The mean is stored in f32 where `stash` says so.
            let mean = if stash == DType::F32 { DType::F32 } else { dtype };
            checks.add(layer.clone(), &[x.clone(), scale.clone(), bias], error(mean));
            checks.add(layer, &[x.clone(), scale.clone()], error(mean));
            checks.add(RmsNormalization { axis: signed, epsilon: EPSILON, stash }, &[x, scale], error(dtype));
        }
    }
    checks.finish("normalisation over trailing axes");
}

#[test]
fn of_channels() {
    let mut r = Random(61);
    let mut checks = Checks::default();
    for (shape, dtype) in problems() {
        let x = shifted(&mut r, dtype, shape);
        let channels = shape[1];
        let mut parameters = |n: usize| [0, 1].map(|_| Operand::Known(r.tensor(dtype, &[n])));
        let [scale, bias] = parameters(channels);
        let operands = [x.clone(), scale, bias];
        checks.add(InstanceNormalization { epsilon: EPSILON }, &operands, error(dtype));
        for groups in (1..=channels).filter(|g| channels % g == 0 && *g < 8) {
            let op = |per| GroupNormalization { groups, epsilon: EPSILON, per, stash: STASHES[groups % 2] };
            checks.add(op(ScalePer::Channel), &operands, error(dtype));
            let [scale, bias] = parameters(groups);
            checks.add(op(ScalePer::Group), &[x.clone(), scale, bias], error(dtype));
        }
        for size in [1, 2, 5, 400] {
            let op = Lrn { alpha: 0.5, beta: 0.75, bias: 1.0, size };
            checks.add(op, std::slice::from_ref(&x), error(dtype));
        }
    }
    checks.finish("normalisation of channels");
}

#[test]
fn over_any_axes() {
    let mut r = Random(62);
    let mut checks = Checks::default();
    for (shape, dtype) in problems() {
        let x = [shifted(&mut r, dtype, shape)];
        for axis in 0..shape.len() {
            let axis = axis as i64;
            for &norm in Norm::ALL {
                checks.add(LpNormalization { axis, norm }, &x, error(dtype));
            }
            for &span in SoftmaxSpan::ALL {
                checks.add(Op::from(Hardmax { axis, span }), &x, Error::None);
            }
            let all = shape.iter().product::<usize>() > 1;
            // Of two numbers that lie close together the digits of the difference are few.
            if shape[axis as usize] > 2 {
                checks.add(MeanVarianceNormalization { axes: vec![axis] }, &x, error(dtype));
            }
            if all {
                checks.add(MeanVarianceNormalization { axes: vec![] }, &x, error(dtype));
            }
        }
    }
    checks.finish("normalisation over any axes");
}
