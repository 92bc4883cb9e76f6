//! Operators that read or write by index, and those that know places: the definition against the reference.

mod support;

use octrt_ops::def::center_crop_pad::CenterCropPad;
use octrt_ops::def::col2im::Col2Im;
use octrt_ops::def::compress::Compress;
use octrt_ops::def::eye_like::EyeLike;
use octrt_ops::def::gather_elements::GatherElements;
use octrt_ops::def::gather_nd::GatherNd;
use octrt_ops::def::max_unpool::MaxUnpool;
use octrt_ops::def::one_hot::OneHot;
use octrt_ops::def::reverse_sequence::ReverseSequence;
use octrt_ops::def::scatter::ScatterReduction;
use octrt_ops::def::scatter_elements::ScatterElements;
use octrt_ops::def::scatter_nd::ScatterNd;
use octrt_ops::def::tensor_scatter::{CacheMode, TensorScatter};
use octrt_ops::def::trilu::Trilu;
use octrt_ops::{DType, Tensor};
use support::{Numbers, check, check1, filled, ints};

/// Indices of either sign into extents, all of them or as many as the last extent has.
fn indices(numbers: &mut Numbers, shape: &[usize], extents: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let mut index = |i: usize| {
        let extent = extents[i % extents.len()];
        numbers.below(2 * extent) as i64 - extent as i64
    };
    let all: Vec<i64> = (0..n).map(&mut index).collect();
    Tensor::new(shape.to_vec(), &all).unwrap()
}

#[test]
fn along_an_axis() {
    let mut numbers = Numbers(1);
    for seed in 0..60 {
        let dtype = DType::ALL[seed % DType::ALL.len()];
        let rank = 1 + numbers.below(3);
        let axis = numbers.below(rank);
        let data: Vec<usize> = (0..rank).map(|_| 1 + numbers.below(4)).collect();
        let mut shape: Vec<usize> = data.iter().map(|&d| 1 + numbers.below(d)).collect();
        shape[axis] = numbers.below(6);
        let index = indices(&mut numbers, &shape, &[data[axis]]);
        let signed = axis as i64 - if seed % 2 == 0 { rank as i64 } else { 0 };
        let x = numbers.tensor(dtype, data);
        check1(&GatherElements { axis: signed }, &[&x, &index], 0.0);
        let updates = numbers.tensor(dtype, shape);
        for &reduction in ScatterReduction::ALL {
            if reduction.takes(dtype).is_ok() {
                check1(&ScatterElements { axis: signed, reduction }, &[&x, &index, &updates], 0.0);
            }
        }
    }
}

#[test]
fn along_several_axes() {
    let mut numbers = Numbers(2);
    for seed in 0..60 {
        let dtype = DType::ALL[seed % DType::ALL.len()];
        let data: Vec<usize> = (0..3).map(|_| 1 + numbers.below(4)).collect();
        let batch_dims = numbers.below(3);
        let k = 1 + numbers.below(3 - batch_dims);
        let lead: Vec<usize> = (0..numbers.below(3)).map(|_| numbers.below(4)).collect();
        let shape = [&data[..batch_dims], &lead, &[k]].concat();
        let index = indices(&mut numbers, &shape, &data[batch_dims..batch_dims + k]);
        let x = numbers.tensor(dtype, data.clone());
        check1(&GatherNd { batch_dims }, &[&x, &index], 0.0);
        if batch_dims == 0 {
            let updates = numbers.tensor(dtype, [&lead[..], &data[k..]].concat());
            for &reduction in ScatterReduction::ALL {
                if reduction.takes(dtype).is_ok() {
                    check1(&ScatterNd { reduction }, &[&x, &index, &updates], 0.0);
                }
            }
        }
    }
}

#[test]
fn sequences_and_caches() {
    let mut numbers = Numbers(3);
    for seed in 0..40 {
        let dtype = DType::ALL[seed % DType::ALL.len()];
        let dims: Vec<usize> = (0..3).map(|_| 1 + numbers.below(4)).collect();
        let (batch, time) = *numbers.pick(&[(0, 1), (1, 0), (2, 0), (0, 2)]);
        let lens: Vec<i64> = (0..dims[batch]).map(|_| numbers.below(dims[time] + 1) as i64).collect();
        let x = numbers.tensor(dtype, dims.clone());
        let op = ReverseSequence { batch_axis: batch as i64, time_axis: time as i64 };
        check1(&op, &[&x, &ints(&lens)], 0.0);
        let axis = 1 + numbers.below(2);
        let mut new = dims.clone();
        new[axis] = numbers.below(dims[axis] + 1);
        let update = numbers.tensor(dtype, new.clone());
        for mode in [CacheMode::Linear, CacheMode::Circular] {
            let begins = if mode == CacheMode::Linear { dims[axis] - new[axis] + 1 } else { dims[axis] };
            let at: Vec<i64> = (0..dims[0]).map(|_| numbers.below(begins) as i64).collect();
            let op = TensorScatter { axis: axis as i64 - 3, mode };
            check1(&op, &[&x, &update, &ints(&at)], 0.0);
            check(&op, &[Some(&x), Some(&update), None], 0.0);
        }
    }
}

#[test]
fn triangles_and_classes() {
    for dtype in DType::ALL {
        for (i, shape) in [&[4, 5][..], &[2, 3, 3], &[0, 2], &[1, 1]].into_iter().enumerate() {
            let x = filled(dtype, shape, i as u64);
            for k in [-9, -1, 0, 2, 7] {
                for upper in [true, false] {
                    check1(&Trilu { upper }, &[&x, &Tensor::scalar(k)], 0.0);
                }
                if shape.len() == 2 {
                    check1(&EyeLike { dtype: None, k }, &[&x], 0.0);
                    check1(&EyeLike { dtype: Some(DType::ALL[i]), k }, &[&x], 0.0);
                }
            }
            check(&Trilu { upper: true }, &[Some(&x), None], 0.0);
        }
        for (i, shape) in [&[3][..], &[2, 4], &[], &[0, 2]].into_iter().enumerate() {
            if dtype == DType::Bool {
                continue;
            }
            let index = filled(dtype, shape, i as u64);
            for axis in -1..=shape.len() as i64 {
                for depth in [0i64, 1, 12] {
                    let values = filled(DType::ALL[i + 3], &[2], 9);
                    check1(&OneHot { axis }, &[&index, &Tensor::scalar(depth), &values], 0.0);
                }
            }
        }
    }
}

#[test]
fn cut_extended_and_picked() {
    let mut numbers = Numbers(4);
    for seed in 0..40 {
        let dtype = DType::ALL[seed % DType::ALL.len()];
        let dims: Vec<usize> = (0..2).map(|_| numbers.below(5)).collect();
        let x = numbers.tensor(dtype, dims.clone());
        let to: Vec<i64> = (0..2).map(|_| numbers.below(8) as i64).collect();
        check1(&CenterCropPad { axes: None }, &[&x, &ints(&to)], 0.0);
        check1(&CenterCropPad { axes: Some(vec![-1]) }, &[&x, &ints(&to[..1])], 0.0);
        for axis in [None, Some(0), Some(-1)] {
            let n = match axis {
                None => dims[0] * dims[1],
                Some(0) => dims[0],
                Some(_) => dims[1],
            };
            let condition: Vec<bool> = (0..numbers.below(n + 1)).map(|_| numbers.below(2) == 0).collect();
            let condition = Tensor::new([condition.len()], &condition).unwrap();
            check1(&Compress { axis }, &[&x, &condition], 0.0);
        }
    }
}

#[test]
fn images_of_columns() {
    let mut numbers = Numbers(5);
    let mut done = 0;
    for seed in 0..200 {
        let dtype = DType::NUMBERS[seed % DType::NUMBERS.len()];
        let axes = 1 + numbers.below(2);
        let mut list = |most: usize| -> Vec<usize> { (0..axes).map(|_| 1 + numbers.below(most)).collect() };
        let (image, block, strides, dilations) = (list(6), list(3), list(3), list(2));
        let pads: Vec<usize> = (0..2 * axes).map(|_| numbers.below(2)).collect();
        let (n, channels) = (numbers.below(3), 1 + numbers.below(2));
        let room = |i: usize| {
            let extent = (block[i] - 1) * dilations[i] + 1;
            (image[i] + pads[i] + pads[axes + i]).checked_sub(extent).map(|room| room / strides[i] + 1)
        };
        let Some(positions) = (0..axes).map(room).product::<Option<usize>>() else { continue };
        let places: usize = block.iter().product();
        let x = numbers.tensor(dtype, [n, channels * places, positions]);
        let wide = |v: &[usize]| ints(&v.iter().map(|&d| d as i64).collect::<Vec<_>>());
        let (image, block) = (wide(&image), wide(&block));
        check1(&Col2Im { dilations, pads, strides }, &[&x, &image, &block], 0.0);
        done += 1;
    }
    assert!(done > 100);
}

#[test]
fn maxima_put_back() {
    let mut numbers = Numbers(6);
    for seed in 0..40 {
        let dtype = DType::FLOATS[seed % 2];
        let dims = [1 + numbers.below(2), 1 + numbers.below(2), 1 + numbers.below(3), 1 + numbers.below(3)];
        let (kernel, stride, pad) = (2 + numbers.below(2), 1 + numbers.below(3), numbers.below(2));
        let pooled = |d: usize| (d - 1) * stride + kernel - pad;
        let shape = [dims[0], dims[1], pooled(dims[2]), pooled(dims[3])];
        let at = indices(&mut numbers, &dims, &[shape.iter().product()]);
        let x = numbers.tensor(dtype, dims);
        let op = MaxUnpool { kernel: vec![kernel; 2], pads: vec![pad, pad, 0, 0], strides: vec![stride; 2] };
        check1(&op, &[&x, &at], 0.0);
        let larger: Vec<i64> = shape.iter().map(|&d| (d + numbers.below(2)) as i64).collect();
        check1(&op, &[&x, &at, &ints(&larger)], 0.0);
    }
}
