//! Sampling of images and regions, moved convolutions, norms and places of maxima over windows.

use octrt_ops::def::affine_grid::AffineGrid;
use octrt_ops::def::deform_conv::DeformConv;
use octrt_ops::def::global_lp_pool::GlobalLpPool;
use octrt_ops::def::grid_sample::{GridSample, SampleMode, SamplePadding};
use octrt_ops::def::lp_pool::LpPool;
use octrt_ops::def::max_pool_indices::MaxPoolIndices;
use octrt_ops::def::max_roi_pool::MaxRoiPool;
use octrt_ops::def::roi_align::{RoiAlign, RoiMode};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Op, Tensor};

use crate::check::{Checks, Error, Operand, Random, fits, ints};

/// Numbers in [-scale, scale).
fn scaled(r: &mut Random, shape: &[usize], scale: f32) -> Operand {
    let v: Vec<f32> = (0..shape.iter().product()).map(|_| r.float() * scale).collect();
    Operand::Given(Tensor::new(shape.to_vec(), &v).unwrap())
}

#[test]
fn grid_samples() {
    let mut r = Random(80);
    let mut checks = Checks::default();
    for &mode in SampleMode::ALL {
        for &padding in SamplePadding::ALL {
            for align_corners in [false, true] {
                let op = GridSample { mode, padding, align_corners };
                let error = if mode == SampleMode::Nearest { Error::None } else { Error::Absolute(1e-5) };
                let pairs: [(&[usize], &[usize]); 4] = [
                    (&[2, 3, 5, 6], &[2, 4, 7, 2]),
                    (&[1, 8, 1, 9], &[1, 5, 5, 2]),
                    (&[1, 2, 3, 4, 5], &[1, 2, 3, 2, 3]),
                    (&[2, 2, 7], &[2, 9, 1]),
                ];
                for (x, grid) in pairs {
                    let x = r.given(x);
                    checks.add(op.clone(), &[x, scaled(&mut r, grid, 2.5)], error);
                }
                let x = Operand::Given(r.tensor(DType::F64, &[1, 2, 4, 5]));
                let grid = Operand::Given(r.tensor(DType::F64, &[1, 3, 3, 2]));
                checks.add(op.clone(), &[x, grid], error);
            }
        }
    }
    let op = GridSample { mode: SampleMode::Nearest, padding: SamplePadding::Zeros, align_corners: true };
    for dtype in [DType::I64, DType::I32, DType::U8, DType::Bool] {
        let x = Operand::Given(r.tensor(dtype, &[1, 2, 3, 4]));
        checks.add(op.clone(), &[x, scaled(&mut r, &[1, 5, 5, 2], 1.5)], Error::None);
    }
    checks.finish("grid samples");
}

#[test]
fn affine_grids() {
    let mut r = Random(81);
    let mut checks = Checks::default();
    for align_corners in [false, true] {
        let op = AffineGrid { align_corners };
        checks.add(op.clone(), &[r.given(&[2, 2, 3]), ints(&[2, 5, 4, 6])], Error::Absolute(1e-6));
        checks.add(op, &[r.given(&[1, 3, 4]), ints(&[1, 1, 3, 1, 5])], Error::Absolute(1e-6));
    }
    checks.finish("affine grids");
}

fn regions(r: &mut Random, count: usize, with_batch: bool) -> Vec<f32> {
    let mut all = Vec::new();
    for i in 0..count {
        if with_batch {
            all.push((i % 2) as f32);
        }
        let corner = [r.float() * 3.0 + 3.0, r.float() * 3.0 + 3.0];
        all.extend(corner);
        all.extend(corner.map(|c| c + r.float() * 4.0 + 3.0));
    }
    all
}

#[test]
fn regions_of_interest() {
    let mut r = Random(82);
    let mut checks = Checks::default();
    let images = Tensor::new([5], &[0i64, 1, 1, 0, 1]).unwrap();
    for (output, spatial_scale) in [(vec![3, 2], 0.7), (vec![1, 1], 1.0), (vec![7, 7], 0.5)] {
        for mode in [RoiMode::Average, RoiMode::Max] {
            for sampling_ratio in [0, 1, 2] {
                for half_pixel in [false, true] {
                    let output = output.clone();
                    let op = Op::from(RoiAlign { mode, half_pixel, output, sampling_ratio, spatial_scale });
                    let rois = Tensor::new([5, 4], &regions(&mut r, 5, false)).unwrap();
                    let x = r.given(&[2, 3, 11, 12]);
                    let error = Error::Absolute(1e-5);
                    let known = [rois.clone(), images.clone()].map(Operand::Known);
                    checks.add(op.clone(), &[x.clone(), known[0].clone(), known[1].clone()], error);
                    let given = [rois, images.clone()].map(Operand::Given);
                    checks.add(op, &[x, given[0].clone(), given[1].clone()], error);
                }
            }
        }
        let rois = Operand::Given(Tensor::new([5, 5], &regions(&mut r, 5, true)).unwrap());
        let x = r.given(&[2, 3, 11, 12]);
        checks.add(MaxRoiPool { output, spatial_scale }, &[x, rois], Error::None);
    }
    checks.finish("regions of interest");
}

#[test]
fn moved_convolutions() {
    let mut r = Random(83);
    let mut checks = Checks::default();
    // Spatial extents, kernel, strides, dilations, pads, output extents.
    type Case<'a> = (&'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize]);
    let cases: [Case<'_>; 4] = [
        (&[7], &[3], &[2], &[], &[1, 0], &[3]),
        (&[6, 5], &[3, 3], &[], &[], &[1, 1, 1, 1], &[6, 5]),
        (&[6, 7], &[2, 3], &[2, 1], &[1, 2], &[1, 0, 1, 2], &[4, 5]),
        (&[3, 3, 4], &[2, 1, 2], &[], &[], &[], &[2, 3, 3]),
    ];
    for (spatial, kernel, strides, dilations, pads, out) in cases {
        for (group, offset_group) in [(1, 1), (2, 1), (1, 2), (2, 4)] {
            let op = DeformConv {
                kernel: kernel.to_vec(),
                strides: strides.to_vec(),
                dilations: dilations.to_vec(),
                pads: pads.to_vec(),
                group,
                offset_group,
            };
            let taps = offset_group * kernel.iter().product::<usize>();
            let x = r.given(&[&[2, 4], spatial].concat());
            let w = r.known(&[&[6, 4 / group], kernel].concat());
            let offset = scaled(&mut r, &[&[2, taps * kernel.len()], out].concat(), 2.0);
            let mask = r.given(&[&[2, taps], out].concat());
            let inputs = [x, w, offset];
            checks.add(op.clone(), &inputs, Error::Absolute(2e-5));
            let all = [&inputs[..], &[r.known(&[6]), mask]].concat();
            checks.add(op, &all, Error::Absolute(2e-5));
        }
    }
    checks.finish("moved convolutions");
}

#[test]
fn norms_and_places() {
    let mut r = Random(84);
    let mut checks = Checks::default();
    // Spatial extents, kernel, strides, dilations, pads.
    type Case<'a> = (&'a [usize], &'a [usize], &'a [usize], &'a [usize], &'a [usize]);
    let cases: [Case<'_>; 4] = [
        (&[7], &[3], &[2], &[], &[1, 0]),
        (&[9, 8], &[3, 3], &[2, 2], &[], &[1, 1, 1, 1]),
        (&[6, 7], &[3, 2], &[1, 2], &[2, 3], &[1, 1, 0, 1]),
        (&[3, 4, 5], &[2, 2, 2], &[2, 2, 2], &[], &[0, 1, 0, 1, 0, 0]),
    ];
    for (spatial, kernel, strides, dilations, pads) in cases {
        for &auto_pad in AutoPad::ALL {
            for flag in [false, true] {
                let shape = [&[2, 3], spatial].concat();
                let (kernel, strides) = (kernel.to_vec(), strides.to_vec());
                let (dilations, pads) = (dilations.to_vec(), pads.to_vec());
                let window = Window { kernel, strides, dilations, pads, auto_pad };
                let places = MaxPoolIndices { window: window.clone(), ceil_mode: flag, column_major: flag };
                for dtype in [DType::F32, DType::U8] {
                    let x = [Operand::Given(r.tensor(dtype, &shape))];
                    if fits(&Op::from(places.clone()), &x) {
                        checks.add(places.clone(), &x, Error::None);
                    }
                }
                for p in [1.0, 2.0, 3.0] {
                    let op = LpPool { window: window.clone(), ceil_mode: flag, p };
                    for dtype in [DType::F32, DType::F64] {
                        let x = [Operand::Given(r.tensor(dtype, &shape))];
                        if fits(&Op::from(op.clone()), &x) {
                            checks.add(op.clone(), &x, Error::Absolute(1e-5));
                        }
                    }
                }
            }
        }
    }
    for p in [1.0, 2.0, 3.0] {
        checks.add(GlobalLpPool { p }, &[r.given(&[2, 3, 17, 19])], Error::Absolute(1e-4));
    }
    checks.finish("norms and places");
}
