//! Plain evaluation: one element at a time, positions rounded as the grid's type rounds them.

use super::{GridSample, SampleMode, SamplePadding, spatial};
use crate::compute::{scalars, tensor};
use crate::expr::Scalar;
use crate::{DType, OpError, Tensor, TensorType};

/// Rounds as the grid's type does.
#[derive(Clone, Copy)]
struct Rounding(DType);

impl Rounding {
    fn of(self, v: f64) -> f64 {
        if self.0 == DType::F32 { f64::from(v as f32) } else { v }
    }
}

/// The elements along one axis that a sample is made from; no index where there is zero.
type Taps = Vec<(Option<usize>, f64)>;

pub(super) fn sample(op: &GridSample, x: &Tensor, grid: &Tensor, dst: TensorType) -> Result<Tensor, OpError> {
    let elements = scalars(x)?;
    let numbers = grid.to_f64s();
    let extents = spatial(x.shape());
    let (r, plane) = (extents.rank(), extents.numel());
    let points = spatial(&dst.shape).numel();
    let channels = dst.shape[1];
    let mut out = vec![Scalar::zero(dst.dtype); dst.shape.numel()];
    for (point, coordinates) in numbers.chunks_exact(r).enumerate().take(dst.shape[0] * points) {
        let (n, o) = (point / points, point % points);
        let axes: Vec<Taps> =
            (0..r).map(|a| taps(op, coordinates[r - 1 - a], extents[a], Rounding(grid.dtype()))).collect();
        for c in 0..channels {
            let image = &elements[(n * channels + c) * plane..][..plane];
            out[(n * channels + c) * points + o] = interpolate(op, image, &extents, &axes, dst.dtype);
        }
    }
    tensor(&dst, &out)
}

/// The sum over all combinations of taps, or the one element of mode nearest.
fn interpolate(op: &GridSample, image: &[Scalar], extents: &[usize], axes: &[Taps], dtype: DType) -> Scalar {
    let mut places: Vec<(Option<usize>, f64)> = vec![(Some(0), 1.0)];
    for (taps, d) in axes.iter().zip(extents) {
        places = places
            .iter()
            .flat_map(|(at, w)| taps.iter().map(move |(i, v)| (at.zip(*i).map(|(at, i)| at * d + i), w * v)))
            .collect();
    }
    if op.mode == SampleMode::Nearest {
        return places[0].0.map_or(Scalar::zero(dtype), |at| image[at]);
    }
    let term = |(at, w): &(Option<usize>, f64)| at.map_or(0.0, |at| image[at].to_f64()) * w;
    Scalar::F64(places.iter().map(term).sum()).cast(dtype)
}

fn taps(op: &GridSample, g: f64, d: usize, r: Rounding) -> Taps {
    let n = d as f64;
    let mut at = if op.align_corners {
        r.of(r.of(r.of(g + 1.0) / 2.0) * (n - 1.0))
    } else {
        r.of(r.of(r.of(r.of(g + 1.0) * n) - 1.0) / 2.0)
    };
    if op.mode == SampleMode::Nearest {
        at = at.round_ties_even();
    }
    if op.mode != SampleMode::Cubic {
        at = match op.padding {
            SamplePadding::Zeros => at,
            SamplePadding::Border => at.clamp(0.0, n - 1.0),
            SamplePadding::Reflection => reflect(op, at, d, r),
        };
    }
    let base = at.floor();
    let rest = r.of(at - base);
    match op.mode {
        SampleMode::Nearest => vec![(pad(op, at, d), 1.0)],
        SampleMode::Linear => vec![(pad(op, base, d), 1.0 - rest), (pad(op, base + 1.0, d), rest)],
        SampleMode::Cubic => {
            (0..4).map(|k| (pad(op, base - 1.0 + f64::from(k), d), keys(rest + 1.0 - f64::from(k)))).collect()
        }
    }
}

/// Keys' kernel with a = -0.75 at distance `s` of at most 2.
fn keys(s: f64) -> f64 {
    let (s, a) = (s.abs(), -0.75);
    if s <= 1.0 {
        (a + 2.0) * s.powi(3) - (a + 3.0) * s.powi(2) + 1.0
    } else {
        a * s.powi(3) - 5.0 * a * s.powi(2) + 8.0 * a * s - 4.0 * a
    }
}

/// Walks back and forth between the limits.
fn reflect(op: &GridSample, at: f64, d: usize, r: Rounding) -> f64 {
    let n = d as f64;
    let (low, high) = if op.align_corners { (0.0, n - 1.0) } else { (-0.5, n - 0.5) };
    if high == low {
        return low;
    }
    if at >= low && at <= high {
        return at;
    }
    let away = if at < low { r.of(low - at) } else { r.of(at - high) };
    let turns = r.of(away / (high - low)).floor();
    let rest = r.of(away - r.of(turns * (high - low)));
    if (turns % 2.0 == 0.0) == (at < low) { r.of(low + rest) } else { r.of(high - rest) }
}

/// The element that stands for index `at`.
fn pad(op: &GridSample, at: f64, d: usize) -> Option<usize> {
    let last = d as i64 - 1;
    let mut at = if at.is_nan() { 0 } else { at.clamp(-1e15, 1e15) as i64 };
    match op.padding {
        SamplePadding::Zeros => usize::try_from(at).ok().filter(|&i| i < d),
        SamplePadding::Border => Some(at.clamp(0, last) as usize),
        SamplePadding::Reflection => {
            let period = if op.align_corners { 2 * last } else { 2 * d as i64 };
            at = if period == 0 { 0 } else { at.rem_euclid(period) };
            let mirrored = if op.align_corners { period - at } else { period - 1 - at };
            Some(at.min(mirrored).clamp(0, last) as usize)
        }
    }
}
