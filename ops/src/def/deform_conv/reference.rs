//! Plain evaluation: output element by output element, in f64.

use super::DeformConv;
use crate::compute::tensor;
use crate::elements::input;
use crate::expr::Scalar;
use crate::window::{WindowAxis, output_extents};
use crate::{DType, OpError, Shape, Tensor, TensorType};

/// The image at a position between its elements.
fn interpolate(image: &[f64], extents: &[usize], at: &[f64]) -> f64 {
    let (Some((&d, rest)), Some((&p, others))) = (extents.split_first(), at.split_first()) else {
        return image.first().copied().unwrap_or(0.0);
    };
    let plane = rest.iter().product::<usize>();
    let low = p.floor();
    let part = |index: f64, weight: f64| {
        if index < 0.0 || index >= d as f64 {
            return 0.0 * weight;
        }
        weight * interpolate(&image[index as usize * plane..][..plane], rest, others)
    };
    part(low, 1.0 - (p - low)) + part(low + 1.0, p - low)
}

pub(super) fn convolve(
    op: &DeformConv,
    window: &[WindowAxis],
    inputs: &[Option<&Tensor>],
    dst: &TensorType,
) -> Result<Tensor, OpError> {
    let (x, w) = (input(inputs, 0, "X")?, input(inputs, 1, "W")?);
    let numbers = |i: usize| inputs.get(i).copied().flatten().map(Tensor::to_f64s);
    let (elements, weights) = (x.to_f64s(), w.to_f64s());
    let offset = input(inputs, 2, "offset")?.to_f64s();
    let (bias, mask) = (numbers(3), numbers(4));
    let round = |v: f64| if dst.dtype == DType::F32 { f64::from(v as f32) } else { v };
    let (r, channels, ic) = (window.len(), x.shape()[1], w.shape()[1]);
    let extents: Vec<usize> = window.iter().map(|w| w.input).collect();
    let kernel = Shape::new(window.iter().map(|w| w.kernel).collect::<Vec<_>>());
    let (plane, taps) = (extents.iter().product::<usize>(), kernel.numel());
    let windows = output_extents(window);
    let mut out = Vec::with_capacity(dst.shape.numel());
    for index in dst.shape.indices() {
        let (n, oc, o) = (index[0], index[1], &index[2..]);
        let place = windows.iter().zip(o).fold(0, |flat, (&d, &i)| flat * d + i);
        let group = oc / (dst.shape[1] / op.group);
        let mut sum = bias.as_ref().map_or(0.0, |b| b[oc]);
        for c in 0..ic {
            let channel = group * ic + c;
            let offset_group = channel / (channels / op.offset_group);
            let image = &elements[(n * channels + channel) * plane..][..plane];
            for (k, tap) in kernel.indices().enumerate() {
                let map = (n * op.offset_group + offset_group) * taps + k;
                let position = |a: usize| {
                    let w = &window[a];
                    let base = (o[a] * w.stride + tap[a] * w.dilation) as f64 - w.pad_begin as f64;
                    round(base + offset[(map * r + a) * windows.numel() + place])
                };
                let at: Vec<f64> = (0..r).map(position).collect();
                let scale = mask.as_ref().map_or(1.0, |m| m[map * windows.numel() + place]);
                sum += weights[(oc * ic + c) * taps + k] * scale * interpolate(image, &extents, &at);
            }
        }
        out.push(Scalar::F64(sum).cast(dst.dtype));
    }
    tensor(dst, &out)
}
