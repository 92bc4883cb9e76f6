//! Operators that read or write by index, and those that know places, with indices known and given.

use octrt_ops::def::center_crop_pad::CenterCropPad;
use octrt_ops::def::col2im::Col2Im;
use octrt_ops::def::compress::Compress;
use octrt_ops::def::eye_like::EyeLike;
use octrt_ops::def::gather_elements::GatherElements;
use octrt_ops::def::gather_nd::GatherNd;
use octrt_ops::def::max_unpool::MaxUnpool;
use octrt_ops::def::one_hot::OneHot;
use octrt_ops::def::reverse_sequence::ReverseSequence;
use octrt_ops::def::round_float::{FloatFormat, RoundFloat};
use octrt_ops::def::scatter::ScatterReduction;
use octrt_ops::def::scatter_elements::ScatterElements;
use octrt_ops::def::scatter_nd::ScatterNd;
use octrt_ops::def::size::Size;
use octrt_ops::def::tensor_scatter::{CacheMode, TensorScatter};
use octrt_ops::def::trilu::Trilu;
use octrt_ops::{DType, Op, Tensor};

use crate::check::{Checks, Error, Operand, Random, fits, ints};

/// Indices of either sign into extents, all of them or as many as the last extent has.
fn indices(r: &mut Random, shape: &[usize], extents: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let index = |i: usize, r: &mut Random| {
        let extent = extents[i % extents.len()];
        r.below(2 * extent) as i64 - extent as i64
    };
    let all: Vec<i64> = (0..n).map(|i| index(i, r)).collect();
    Tensor::new(shape.to_vec(), &all).unwrap()
}

/// As i32.
fn narrow(t: &Tensor) -> Tensor {
    let all: Vec<i32> = t.to_i64s().unwrap().into_iter().map(|v| v as i32).collect();
    Tensor::new(t.shape().clone(), &all).unwrap()
}

/// Adds the operator for every element type of data and updates, with indices of both types, known and given.
fn indexed(
    c: &mut Checks,
    r: &mut Random,
    op: impl Into<Op>,
    data: &[usize],
    index: &Tensor,
    updates: Option<&[usize]>,
) {
    let op = op.into();
    for dtype in DType::ALL {
        for i in [Operand::Given(index.clone()), Operand::Known(index.clone()), Operand::Given(narrow(index))]
        {
            let mut operands = vec![Operand::Given(r.tensor(dtype, data)), i];
            operands.extend(updates.map(|shape| Operand::Given(r.tensor(dtype, shape))));
            if fits(&op, &operands) {
                c.add(op.clone(), &operands, Error::None);
            }
        }
    }
}

#[test]
fn gathers() {
    let (mut r, mut c) = (Random(60), Checks::default());
    for (axis, shape) in [(0, [7, 4, 5]), (1, [3, 2, 5]), (-1, [2, 4, 33])] {
        let extent = [[3, 4, 5][if axis < 0 { 2 } else { axis as usize }]];
        let index = indices(&mut r, &shape, &extent);
        indexed(&mut c, &mut r, GatherElements { axis }, &[3, 4, 5], &index, None);
    }
    for (batch_dims, shape, extents) in [
        (0, &[6, 2][..], &[3, 4][..]),
        (0, &[2, 3, 1], &[3]),
        (0, &[5, 3], &[3, 4, 5]),
        (1, &[3, 7, 1], &[4]),
        (2, &[3, 4, 2, 1], &[5]),
    ] {
        let index = indices(&mut r, shape, extents);
        indexed(&mut c, &mut r, GatherNd { batch_dims }, &[3, 4, 5], &index, None);
    }
    c.finish("gathers");
}

#[test]
fn scatters() {
    let (mut r, mut c) = (Random(61), Checks::default());
    for &reduction in ScatterReduction::ALL {
        for (axis, shape) in [(0, [7, 4, 5]), (1, [2, 9, 5]), (-1, [3, 3, 17])] {
            let extent = [[3, 4, 5][if axis < 0 { 2 } else { axis as usize }]];
            let index = indices(&mut r, &shape, &extent);
            let op = ScatterElements { axis, reduction };
            indexed(&mut c, &mut r, op, &[3, 4, 5], &index, Some(&shape));
        }
        for (shape, extents, updates) in [
            (&[6, 2][..], &[3, 4][..], &[6, 5][..]),
            (&[2, 3, 1], &[3], &[2, 3, 4, 5]),
            (&[40, 3], &[3, 4, 5], &[40]),
            (&[1], &[3], &[4, 5]),
        ] {
            let index = indices(&mut r, shape, extents);
            indexed(&mut c, &mut r, ScatterNd { reduction }, &[3, 4, 5], &index, Some(updates));
        }
    }
    c.finish("scatters");
}

#[test]
fn caches_and_sequences() {
    let (mut r, mut c) = (Random(62), Checks::default());
    for (batch_axis, time_axis) in [(0, 1), (1, 0), (2, -2)] {
        let lens = Tensor::new([3], &[3i64, 0, 2]).unwrap();
        let op = ReverseSequence { batch_axis, time_axis };
        indexed(&mut c, &mut r, op, &[3, 3, 3], &lens, None);
    }
    for (mode, at) in [(CacheMode::Linear, [0i64, 4]), (CacheMode::Circular, [6, 3])] {
        let op = Op::from(TensorScatter { axis: -2, mode });
        let at = Tensor::new([2], &at).unwrap();
        for dtype in DType::ALL {
            let (cache, new) = (r.tensor(dtype, &[2, 3, 7, 5]), r.tensor(dtype, &[2, 3, 3, 5]));
            for at in [Operand::Omitted, Operand::Given(at.clone()), Operand::Known(at.clone())] {
                c.add(
                    op.clone(),
                    &[Operand::Given(cache.clone()), Operand::Given(new.clone()), at],
                    Error::None,
                );
            }
        }
    }
    c.finish("caches and sequences");
}

#[test]
fn places() {
    let (mut r, mut c) = (Random(63), Checks::default());
    for dtype in DType::ALL {
        let x = Operand::Given(r.tensor(dtype, &[2, 5, 7]));
        let matrix = Operand::Given(r.tensor(dtype, &[5, 9]));
        for (upper, k) in [(true, 0), (false, 0), (true, -2), (false, 3), (true, 40)] {
            c.add(Trilu { upper }, &[x.clone(), Operand::Given(Tensor::scalar(k))], Error::None);
            c.add(EyeLike { dtype: None, k }, std::slice::from_ref(&matrix), Error::None);
        }
        c.add(Trilu { upper: true }, std::slice::from_ref(&x), Error::None);
        c.add(EyeLike { dtype: Some(dtype), k: 1 }, &[r.given(&[4, 4])], Error::None);
        c.add(Size {}, std::slice::from_ref(&x), Error::None);
        for (axes, extents) in [(None, &[3, 5, 10][..]), (Some(vec![1, -1]), &[8, 2]), (Some(vec![0]), &[1])]
        {
            c.add(CenterCropPad { axes }, &[x.clone(), ints(extents)], Error::None);
        }
        let condition = |v: &[bool]| Operand::Known(Tensor::new([v.len()], v).unwrap());
        let some = condition(&[true, false, false, true, true]);
        c.add(Compress { axis: Some(1) }, &[x.clone(), some.clone()], Error::None);
        c.add(Compress { axis: None }, &[x, some], Error::None);
        let values = Operand::Given(r.tensor(dtype, &[2]));
        for axis in [0, 1, -1] {
            let index = Operand::Given(r.tensor(DType::I64, &[2, 3]));
            c.add(OneHot { axis }, &[index, ints(&[12]), values.clone()], Error::None);
        }
    }
    c.finish("places");
}

#[test]
fn images_of_columns_and_maxima() {
    let (mut r, mut c) = (Random(64), Checks::default());
    let op = |dilations: &[usize], pads: &[usize], strides: &[usize]| Col2Im {
        dilations: dilations.to_vec(),
        pads: pads.to_vec(),
        strides: strides.to_vec(),
    };
    for (op, image, block, columns) in [
        (op(&[], &[], &[]), &[5, 6][..], &[2, 3][..], [2, 12, 16]),
        (op(&[], &[0, 1, 1, 0], &[2, 3]), &[5, 8], &[2, 3], [1, 18, 9]),
        (op(&[1, 5], &[], &[]), &[5, 6], &[1, 2], [1, 4, 5]),
        (op(&[], &[], &[]), &[9], &[3], [2, 3, 7]),
        (op(&[], &[], &[1, 2, 1]), &[3, 4, 3], &[2, 2, 2], [1, 8, 8]),
    ] {
        let operands = [r.given(&columns), ints(image), ints(block)];
        let shown = format!("{image:?} {block:?}: {:?}", columns);
        assert!(fits(&op.clone().into(), &operands), "{shown}");
        c.add(op, &operands, Error::Sums);
    }
    let image = |v: &[i64]| Operand::Known(Tensor::new([v.len()], v).unwrap());
    for dtype in [DType::F32, DType::F64] {
        let x = Operand::Given(r.tensor(dtype, &[1, 2, 2, 3]));
        let at = Tensor::new([1, 2, 2, 3], &[0i64, 3, 5, 12, 20, 23, 24, 24, 30, 40, 46, 47]).unwrap();
        let op = MaxUnpool { kernel: vec![2, 2], pads: vec![], strides: vec![2, 2] };
        for at in [Operand::Given(at.clone()), Operand::Known(at)] {
            c.add(op.clone(), &[x.clone(), at.clone()], Error::None);
            c.add(op.clone(), &[x.clone(), at, image(&[1, 2, 5, 8])], Error::None);
        }
    }
    c.finish("images of columns and maxima");
}

#[test]
fn narrow_floats() {
    let mut c = Checks::default();
    let x = [70000.0f32, 65519.9, 65520.0, 1.0 + 1.0 / 2048.0, 1e-8, 6e-8, -0.1, 3.4e38, f32::INFINITY];
    let x = Operand::Given(Tensor::new([x.len()], &x).unwrap());
    for &to in FloatFormat::ALL {
        c.add(RoundFloat { to }, std::slice::from_ref(&x), Error::None);
    }
    c.finish("narrow floats");
}
