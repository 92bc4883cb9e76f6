//! Plain evaluation: bin by bin.

use super::{RoiAlign, RoiMode};
use crate::compute::tensor;
use crate::expr::Scalar;
use crate::{DType, OpError, Tensor, TensorType};

/// Where a region lies along an axis.
pub(super) struct Place {
    pub(super) start: f64,
    /// Extent of a bin.
    pub(super) bin: f64,
    /// Samples of a bin.
    pub(super) samples: usize,
}

/// The two elements around a sample with their weights; none where it is outside.
type Around = Option<[(usize, f64); 2]>;

impl Place {
    fn around(&self, bin: usize, sample: usize, d: usize, dtype: DType) -> Around {
        let r = |v: f64| if dtype == DType::F32 { f64::from(v as f32) } else { v };
        let middle = r(r((sample as f64 + 0.5) * self.bin) / self.samples as f64);
        let at = r(r(self.start + r(bin as f64 * self.bin)) + middle);
        if at < -1.0 || at > d as f64 {
            return None;
        }
        let at = at.max(0.0);
        let low = at as usize;
        if low >= d - 1 {
            return Some([(d - 1, 1.0), (d - 1, 0.0)]);
        }
        let rest = at - low as f64;
        Some([(low, 1.0 - rest), (low + 1, rest)])
    }
}

pub(super) fn align(
    op: &RoiAlign,
    x: &Tensor,
    rois: &Tensor,
    images: &[i64],
    dst: &TensorType,
) -> Result<Tensor, OpError> {
    let [_, channels, h, w] = *x.shape().dims() else { return tensor(dst, &[]) };
    let (elements, rois) = (x.to_f64s(), rois.to_f64s());
    let mut out = Vec::with_capacity(dst.shape.numel());
    for index in dst.shape.indices() {
        let [region, channel, row, column] = [index[0], index[1], index[2], index[3]];
        let places = [0, 1].map(|axis| op.place(&rois[region * 4..][..4], axis, dst.dtype));
        let image = &elements[(images[region] as usize * channels + channel) * h * w..][..h * w];
        let mut weighted = Vec::new();
        for sy in 0..places[0].samples {
            let ys = places[0].around(row, sy, h, dst.dtype);
            for sx in 0..places[1].samples {
                let xs = places[1].around(column, sx, w, dst.dtype);
                match (ys, xs) {
                    (Some(ys), Some(xs)) => {
                        let pairs = ys.iter().flat_map(|y| xs.iter().map(move |x| (y, x)));
                        weighted.extend(pairs.map(|((y, wy), (x, wx))| wy * wx * image[y * w + x]));
                    }
                    _ => weighted.push(0.0),
                }
            }
        }
        let count = (places[0].samples * places[1].samples).max(1) as f64;
        let value = match op.mode {
            RoiMode::Average => weighted.iter().sum::<f64>() / count,
            RoiMode::Max => weighted.into_iter().reduce(f64::max).unwrap_or(0.0),
        };
        out.push(Scalar::F64(value).cast(dst.dtype));
    }
    tensor(dst, &out)
}
