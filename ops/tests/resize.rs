//! Resize: its definition against its reference.

mod support;

use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use octrt_ops::{DType, Tensor};
use support::{Numbers, check_rounded as check};

const RESIZE: Resize = Resize {
    mode: ResizeMode::Nearest,
    coordinates: CoordinateTransform::HalfPixel,
    nearest_mode: NearestMode::RoundPreferFloor,
    cubic_coeff_a: -0.75,
    exclude_outside: false,
    extrapolation_value: 3.0,
    antialias: false,
    aspect: AspectPolicy::Stretch,
    axes: Vec::new(),
};

/// Resizes an input of this type and shape by factors and to sizes.
fn check_resize(random: &mut Numbers, op: &Resize, dtype: DType, shape: &[usize]) {
    let src = random.tensor(dtype, shape.to_vec());
    let roi: Vec<f32> = match op.axes.len() {
        0 => [vec![0.0; shape.len() - 2], vec![0.25, -0.5], vec![1.0; shape.len() - 2], vec![0.75, 1.25]]
            .concat(),
        n => [vec![-0.25; n], vec![1.0; n]].concat(),
    };
    let roi = Tensor::new([roi.len()], &roi).unwrap();
    for (h, w) in [(2.0, 3.0), (0.6, 1.7), (1.0, 0.3), (1.0, 1.0)] {
        let scales: Vec<f32> = match op.axes.len() {
            0 => [vec![1.0; shape.len() - 2], vec![h, w]].concat(),
            n => [h, w][..n].to_vec(),
        };
        let scales = Tensor::new([scales.len()], &scales).unwrap();
        check(op.clone(), &[Some(&src), Some(&roi), Some(&scales)]);
    }
    for (h, w) in [(7, 5), (1, 2), (3, 9), (0, 4)] {
        let sizes = match op.axes.len() {
            0 => [shape[..shape.len() - 2].iter().map(|&d| d as i64).collect(), vec![h, w]].concat(),
            n => [h, w][..n].to_vec(),
        };
        if !shape.contains(&0) {
            let sizes = Tensor::new([sizes.len()], &sizes).unwrap();
            check(op.clone(), &[Some(&src), Some(&roi), None, Some(&sizes)]);
        }
    }
}

#[test]
fn resize_nearest() {
    let mut random = Numbers(11);
    for &coordinates in CoordinateTransform::ALL {
        for &nearest_mode in NearestMode::ALL {
            let op = Resize { coordinates, nearest_mode, ..RESIZE };
            check_resize(&mut random, &op, DType::F32, &[1, 2, 4, 5]);
            check_resize(&mut random, &op, DType::I64, &[3, 4]);
        }
        for axes in [&[2, 1][..], &[-1]] {
            let op = Resize { coordinates, axes: axes.to_vec(), ..RESIZE };
            check_resize(&mut random, &op, DType::Bool, &[2, 4, 3]);
        }
        let op = Resize { coordinates, ..RESIZE };
        check_resize(&mut random, &op, DType::U8, &[2, 0, 3, 4]);
    }
}

#[test]
fn resize_weighted() {
    let mut random = Numbers(12);
    let modes = [ResizeMode::Linear, ResizeMode::Cubic];
    for (&coordinates, mode) in CoordinateTransform::ALL.iter().flat_map(|c| modes.map(|m| (c, m))) {
        let flags = [false, true].map(|a| [(a, false), (a, true)]);
        for (antialias, exclude_outside) in flags.into_iter().flatten() {
            let op = Resize { mode, coordinates, antialias, exclude_outside, cubic_coeff_a: -0.5, ..RESIZE };
            check_resize(&mut random, &op, DType::F32, &[1, 2, 4, 5]);
            let op = Resize { axes: vec![-1, 0], ..op };
            check_resize(&mut random, &op, DType::F32, &[5, 2, 6]);
        }
    }
}

#[test]
fn resize_weighted_integers() {
    let mut random = Numbers(13);
    for dtype in [DType::U8, DType::I32, DType::I64] {
        for mode in [ResizeMode::Linear, ResizeMode::Cubic] {
            let op = Resize { mode, coordinates: CoordinateTransform::TfCropAndResize, ..RESIZE };
            check_resize(&mut random, &op, dtype, &[1, 4, 5]);
        }
    }
}

#[test]
fn resize_keeps_the_aspect() {
    let mut random = Numbers(14);
    for aspect in [AspectPolicy::NotLarger, AspectPolicy::NotSmaller] {
        for (axes, mode) in [(vec![1, 2], ResizeMode::Nearest), (vec![-1, -2], ResizeMode::Cubic)] {
            let op = Resize { aspect, axes, mode, ..RESIZE };
            check_resize(&mut random, &op, DType::F32, &[2, 4, 3]);
        }
    }
}
