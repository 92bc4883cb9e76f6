//! Normalisations: the definition against the reference.

mod support;

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
use support::{Numbers, check, check1};

const SHAPES: [&[usize]; 6] = [&[7], &[2, 3], &[2, 4, 5], &[1, 6, 2, 3], &[3, 1, 4], &[2, 0, 3]];
const STASHES: [DType; 2] = [DType::F32, DType::F64];
const EPSILON: f32 = 0.01;

/// Numbers of magnitude up to 5 lose a few bits each to the mean, to the difference from it and to the deviation.
fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::F32 { 256.0 * f64::from(f32::EPSILON) } else { 1e-12 }
}

/// Some inputs that broadcast to `shape`.
fn broadcast(numbers: &mut Numbers, shape: &[usize], axis: usize) -> Vec<Vec<usize>> {
    let ones: Vec<usize> = shape.iter().map(|&d| if numbers.below(2) == 0 { 1 } else { d }).collect();
    vec![shape[axis..].to_vec(), vec![], shape.to_vec(), ones]
}

#[test]
fn over_trailing_axes() {
    let mut numbers = Numbers(1);
    for (shape, &dtype) in SHAPES.iter().flat_map(|s| DType::FLOATS.iter().map(move |d| (*s, d))) {
        for axis in 0..shape.len() {
            for (i, of) in broadcast(&mut numbers, shape, axis).into_iter().enumerate() {
                let x = numbers.tensor(dtype, shape.to_vec());
                let (scale, bias) = (numbers.tensor(dtype, of.clone()), numbers.tensor(dtype, of));
                let (signed, stash) = (axis as i64 - (i % 2 * shape.len()) as i64, STASHES[i / 2]);
                let layer = LayerNormalization { axis: signed, epsilon: EPSILON, stash };
                // Statistics of f64 are stored as `stash` says.
                check(&layer, &[Some(&x), Some(&scale), Some(&bias)], tolerance(dtype));
                check(&layer, &[Some(&x), Some(&scale), None], tolerance(dtype));
                let rms = RmsNormalization { axis: signed, epsilon: EPSILON, stash };
                check1(&rms, &[&x, &scale], tolerance(dtype));
                let narrow = numbers.tensor(DType::F32, []);
                check1(&rms, &[&x, &narrow], tolerance(DType::F32));
            }
        }
    }
}

#[test]
fn of_channels() {
    let mut numbers = Numbers(2);
    for shape in
        [&[2, 4][..], &[1, 4, 5], &[2, 6, 3, 2], &[1, 2, 1, 1], &[0, 3, 2], &[2, 3, 0], &[1, 8, 2, 2, 2]]
    {
        for (&dtype, stash) in DType::FLOATS.iter().flat_map(|d| STASHES.map(|s| (d, s))) {
            let x = numbers.tensor(dtype, shape.to_vec());
            let channels = shape[1];
            let mut parameters = |n: usize| [0, 1].map(|_| numbers.tensor(dtype, [n]));
            let [scale, bias] = parameters(channels);
            check1(&InstanceNormalization { epsilon: EPSILON }, &[&x, &scale, &bias], tolerance(dtype));
            for groups in (1..=channels).filter(|g| channels % g == 0) {
                let op = |per| GroupNormalization { groups, epsilon: EPSILON, per, stash };
                check1(&op(ScalePer::Channel), &[&x, &scale, &bias], tolerance(dtype));
                let [scale, bias] = parameters(groups);
                check1(&op(ScalePer::Group), &[&x, &scale, &bias], tolerance(dtype));
            }
            for size in [1, 2, 3, 4, 5, 100, usize::MAX] {
                let op = Lrn { alpha: 0.5, beta: 0.75, bias: 2.0, size };
                check1(&op, &[&x], tolerance(dtype));
            }
        }
    }
}

#[test]
fn over_any_axes() {
    let mut numbers = Numbers(3);
    for (shape, &dtype) in SHAPES.iter().flat_map(|s| DType::FLOATS.iter().map(move |d| (*s, d))) {
        let rank = shape.len() as i64;
        let x = numbers.tensor(dtype, shape.to_vec());
        let half = tolerance(dtype);
        for axis in -rank..rank {
            for &norm in Norm::ALL {
                check1(&LpNormalization { axis, norm }, &[&x], half);
            }
            for &span in SoftmaxSpan::ALL {
                check1(&Hardmax { axis, span }, &[&x], 0.0);
            }
            let second = (axis + 1).rem_euclid(rank);
            for axes in [vec![axis], vec![], vec![axis, second]] {
                if axes.len() == 2 && second == axis.rem_euclid(rank) {
                    continue;
                }
                // Where all elements are equal, nothing but rounding is left to divide.
                let varied = axes.iter().any(|a| shape[a.rem_euclid(rank) as usize] > 1);
                if varied {
                    check1(&MeanVarianceNormalization { axes }, &[&spread(&x)], half * 16.0);
                }
            }
        }
    }
}

/// Different numbers, so that deviations are not small.
fn spread(x: &Tensor) -> Tensor {
    let v: Vec<f64> = (0..x.numel()).map(|i| (i * i % 31) as f64 + i as f64 / 4.0).collect();
    octrt_ops::elements::from_f64s(x.ty(), &v).unwrap()
}

#[test]
fn operators_print_and_parse() {
    let ops: [Op; 7] = [
        LayerNormalization { axis: -1, epsilon: 0.5, stash: DType::F64 }.into(),
        GroupNormalization { groups: 3, epsilon: 0.5, per: ScalePer::Group, stash: DType::F32 }.into(),
        RmsNormalization { axis: 1, epsilon: 0.5, stash: DType::F32 }.into(),
        Lrn { alpha: 0.5, beta: 0.75, bias: 2.0, size: 3 }.into(),
        LpNormalization { axis: 1, norm: Norm::L1 }.into(),
        MeanVarianceNormalization { axes: vec![0, -1] }.into(),
        Hardmax { axis: 1, span: SoftmaxSpan::Trailing }.into(),
    ];
    for op in ops {
        let attrs = op.attrs().into_iter().map(|(k, v)| (k.to_string(), v)).collect();
        assert_eq!(Op::from_parts(op.tag(), attrs), Ok(op));
    }
}
