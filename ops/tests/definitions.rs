//! Definitions against references: convolutions, pools, normalisation, products, reductions.

mod support;

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Tensor};
use support::{Numbers, check_rounded as check};

const PADDINGS: [AutoPad; 4] = [AutoPad::NotSet, AutoPad::SameUpper, AutoPad::SameLower, AutoPad::Valid];

#[test]
fn conv() {
    let mut random = Numbers(1);
    // Channels of the input and the output, groups.
    for (ic, oc, group) in [(3, 2, 1), (4, 6, 2), (4, 4, 4), (2, 4, 2), (1, 3, 1)] {
        // Spatial extents, kernel, strides, dilations, pads.
        type Case<'a> = (&'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize]);
        let cases: [Case<'_>; 6] = [
            (&[7], &[3], &[2], &[1], &[1, 0]),
            (&[5, 4], &[3, 2], &[], &[], &[]),
            (&[6, 5], &[3, 3], &[2, 1], &[1, 2], &[1, 2, 0, 3]),
            (&[4, 4], &[1, 1], &[2, 2], &[], &[]),
            (&[3, 4, 3], &[2, 2, 3], &[1, 2, 1], &[2, 1, 1], &[1, 0, 1, 1, 1, 1]),
            (&[0, 3], &[1, 2], &[], &[], &[1, 1, 1, 1]),
        ];
        for (i, (spatial, kernel, strides, dilations, pads)) in cases.into_iter().enumerate() {
            for auto_pad in PADDINGS {
                if spatial.contains(&0) && auto_pad == AutoPad::Valid {
                    continue;
                }
                let src = random.f32s([&[2, ic], spatial].concat());
                let wei = random.f32s([&[oc, ic / group], kernel].concat());
                let bias = random.f32s([oc]);
                let op = Conv {
                    window: Window {
                        kernel: if i % 2 == 0 { kernel.to_vec() } else { vec![] },
                        strides: strides.to_vec(),
                        dilations: dilations.to_vec(),
                        pads: pads.to_vec(),
                        auto_pad,
                    },
                    group,
                };
                let bias = (random.below(2) == 0).then_some(&bias);
                check(op, &[Some(&src), Some(&wei), bias]);
            }
        }
    }
}

#[test]
fn conv_of_nothing() {
    let mut random = Numbers(2);
    let op = |pads: &[usize]| Conv { window: Window { pads: pads.to_vec(), ..Window::default() }, group: 1 };
    for (src, wei) in [([0, 2, 3], [2, 2, 1]), ([1, 0, 3], [2, 0, 1]), ([1, 2, 3], [0, 2, 1])] {
        let (src, bias, wei) = (random.f32s(src), random.f32s([wei[0]]), random.f32s(wei));
        check(op(&[]), &[Some(&src), Some(&wei), Some(&bias)]);
        check(op(&[1, 1]), &[Some(&src), Some(&wei)]);
    }
}

#[test]
fn pools() {
    let mut random = Numbers(3);
    // Spatial extents, kernel, strides, dilations, pads.
    type Case<'a> = (&'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize]);
    let cases: [Case<'_>; 9] = [
        (&[7], &[3], &[2], &[1], &[1, 0]),
        (&[5], &[2], &[1], &[6], &[1, 1]),
        (&[4], &[1], &[3], &[], &[2, 3]),
        (&[5, 6], &[2, 3], &[], &[], &[]),
        (&[5, 6], &[2, 3], &[2, 3], &[], &[1, 1, 0, 2]),
        (&[6, 6], &[3, 3], &[2, 2], &[], &[1, 1, 1, 1]),
        (&[6, 7], &[3, 2], &[2, 2], &[2, 3], &[1, 1, 1, 1]),
        (&[3, 4, 5], &[2, 2, 2], &[2, 2, 2], &[], &[0, 1, 0, 1, 0, 0]),
        (&[0, 4], &[1, 2], &[], &[], &[1, 1, 1, 1]),
    ];
    for (spatial, kernel, strides, dilations, pads) in cases {
        for (auto_pad, ceil_mode) in PADDINGS.into_iter().flat_map(|p| [(p, false), (p, true)]) {
            let fits = spatial
                .iter()
                .zip(kernel)
                .enumerate()
                .all(|(i, (&s, &k))| s > (k - 1) * dilations.get(i).unwrap_or(&1));
            if auto_pad == AutoPad::Valid && !fits {
                continue;
            }
            let (kernel, strides) = (kernel.to_vec(), strides.to_vec());
            let (dilations, pads) = (dilations.to_vec(), pads.to_vec());
            let max = MaxPool { window: Window { kernel, strides, dilations, pads, auto_pad }, ceil_mode };
            for dtype in [DType::F32, DType::U8] {
                check(max.clone(), &[Some(&random.tensor(dtype, [&[2, 3], spatial].concat()))]);
            }
            for count_include_pad in [false, true] {
                let window = max.window.clone();
                let average = AveragePool { window, ceil_mode, count_include_pad };
                check(average, &[Some(&random.f32s([&[2, 3], spatial].concat()))]);
            }
        }
    }
}

#[test]
fn global_pools() {
    let mut random = Numbers(4);
    for shape in [&[2, 3, 5][..], &[1, 2, 3, 4], &[2, 1, 2, 3, 2], &[1, 2, 0, 3], &[0, 2, 3], &[1, 0, 3, 2]] {
        for &kind in GlobalPoolKind::ALL {
            check(GlobalPool { kind }, &[Some(&random.f32s(shape.to_vec()))]);
        }
    }
}

#[test]
fn batch_normalization() {
    let mut random = Numbers(5);
    for shape in [&[4][..], &[2, 3], &[2, 3, 4], &[1, 2, 3, 2], &[2, 0, 3], &[2, 3, 0]] {
        let channels = if shape.len() == 1 { 1 } else { shape[1] };
        let src = random.f32s(shape.to_vec());
        let [scale, shift, mean] = [(); 3].map(|()| random.f32s([channels]));
        let var: Vec<f32> = (0..channels).map(|c| 0.5 + c as f32).collect();
        let var = Tensor::new([channels], &var).unwrap();
        let inputs = [&src, &scale, &shift, &mean, &var].map(Some);
        check(BatchNormalization { epsilon: 1e-5 }, &inputs);
    }
}

#[test]
fn gemm() {
    let mut random = Numbers(6);
    for (m, n, k) in [(3, 4, 5), (1, 4, 7), (4, 1, 2), (1, 1, 1), (2, 3, 0), (0, 3, 2), (2, 0, 2)] {
        for (trans_a, trans_b) in [(false, false), (true, false), (false, true), (true, true)] {
            let a = random.f32s(if trans_a { [k, m] } else { [m, k] });
            let b = random.f32s(if trans_b { [n, k] } else { [k, n] });
            for (alpha, beta) in [(1.0, 1.0), (0.5, 2.0), (-1.0, 0.0)] {
                let op = Gemm { alpha, beta, trans_a, trans_b };
                check(op.clone(), &[Some(&a), Some(&b)]);
                for bias in [&[][..], &[n], &[m, n], &[m, 1], &[1, n], &[1, 1]] {
                    check(op.clone(), &[Some(&a), Some(&b), Some(&random.f32s(bias.to_vec()))]);
                }
            }
        }
    }
}

#[test]
fn matmul() {
    let mut random = Numbers(7);
    let cases: [(&[usize], &[usize]); 12] = [
        (&[2, 3], &[3, 4]),
        (&[3], &[3]),
        (&[3], &[3, 2]),
        (&[2, 3], &[3]),
        (&[2, 2, 3], &[3]),
        (&[3], &[2, 3, 2]),
        (&[2, 1, 2, 3], &[3, 3, 2]),
        (&[2, 3], &[2, 2, 3, 1]),
        (&[1, 2, 3], &[4, 3, 2]),
        (&[2, 0], &[0, 3]),
        (&[0, 2], &[2, 3]),
        (&[0, 2, 2], &[1, 2, 2]),
    ];
    for (a, b) in cases {
        for dtype in [DType::F32, DType::I64, DType::I32] {
            let (a, b) = (random.tensor(dtype, a.to_vec()), random.tensor(dtype, b.to_vec()));
            check(MatMul {}, &[Some(&a), Some(&b)]);
        }
    }
}

#[test]
fn softmax() {
    let mut random = Numbers(8);
    for shape in [&[][..], &[4], &[2, 3], &[2, 3, 4], &[2, 1, 3, 2], &[2, 0, 3]] {
        let rank = shape.len() as i64;
        for span in [SoftmaxSpan::Axis, SoftmaxSpan::Trailing] {
            for (axis, log) in (-rank..rank).flat_map(|a| [(a, false), (a, true)]) {
                check(Softmax { axis, span, log }, &[Some(&random.f32s(shape.to_vec()))]);
            }
        }
    }
}

#[test]
fn reduce() {
    let mut random = Numbers(9);
    let axes: [&[i64]; 7] = [&[], &[0], &[-1], &[1], &[0, 2], &[2, 0, 1], &[-2]];
    for shape in [&[2, 3, 4][..], &[1, 1, 5], &[2, 0, 3], &[0, 2, 2], &[]] {
        for axes in axes {
            if shape.is_empty() && !axes.is_empty() {
                continue;
            }
            let axes = Tensor::new([axes.len()], axes).unwrap();
            let all = ReduceKind::ALL.iter().flat_map(|k| k.dtypes().iter().map(|d| (*k, *d)));
            for (kind, dtype) in all {
                let src = random.tensor(dtype, shape.to_vec());
                for (keep_dims, noop_with_empty_axes) in [(true, true), (true, false), (false, false)] {
                    let op = Reduce { kind, keep_dims, noop_with_empty_axes };
                    check(op.clone(), &[Some(&src), Some(&axes)]);
                    check(op, &[Some(&src)]);
                }
            }
        }
    }
}

#[test]
fn conv_transpose() {
    let mut random = Numbers(10);
    // Input channels, output channels of one group, groups.
    for (ic, group_oc, group) in [(3, 2, 1), (4, 3, 2), (3, 1, 3), (2, 2, 2)] {
        // Spatial extents, kernel, strides, dilations, pads, output padding, output shape.
        type Case<'a> =
            (&'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize]);
        let cases: [Case<'_>; 9] = [
            (&[4], &[3], &[2], &[1], &[1, 0], &[1], &[]),
            (&[3], &[2], &[3], &[], &[], &[], &[]),
            (&[4], &[1], &[1], &[], &[], &[], &[]),
            (&[3, 4], &[3, 2], &[], &[], &[], &[], &[]),
            (&[3, 2], &[2, 3], &[2, 1], &[1, 2], &[1, 2, 0, 1], &[], &[]),
            (&[2, 3], &[3, 3], &[2, 3], &[], &[1, 1, 1, 1], &[1, 0], &[]),
            (&[2, 3], &[3, 3], &[2, 2], &[2, 1], &[], &[0, 1], &[5, 6]),
            (&[2, 2], &[1, 2], &[1, 2], &[], &[], &[], &[4, 5]),
            (&[2, 1, 2], &[2, 2, 1], &[2, 1, 1], &[1, 2, 1], &[0, 1, 0, 1, 0, 0], &[], &[]),
        ];
        for (spatial, kernel, strides, dilations, pads, output_padding, output_shape) in cases {
            for auto_pad in PADDINGS {
                let src = random.f32s([&[2, ic], spatial].concat());
                let wei = random.f32s([&[ic, group_oc], kernel].concat());
                let bias = random.f32s([group_oc * group]);
                let op = ConvTranspose {
                    window: Window {
                        strides: strides.to_vec(),
                        dilations: dilations.to_vec(),
                        pads: pads.to_vec(),
                        auto_pad,
                        ..Window::default()
                    },
                    group,
                    output_padding: output_padding.to_vec(),
                    output_shape: output_shape.to_vec(),
                };
                let bias = (random.below(2) == 0).then_some(&bias);
                check(op, &[Some(&src), Some(&wei), bias]);
            }
        }
    }
}
