//! What the paper measured: one thread of a 2.0 GHz Skylake with AVX-512, f32, TVM.

use serde::Serialize;

/// The most that such a core computes, in GFLOP/s: 2 fused multiply-adds of 16 lanes a cycle at 2.0 GHz.
pub const PEAK_GFLOPS: f64 = 128.0;

/// ResNet-50 of table 2: alpha, 10^9 multiply-accumulates, milliseconds.
const RESNET50: [(f64, f64, f64); 5] =
    [(0.0, 4.1, 115.0), (0.125, 3.6, 116.0), (0.25, 3.1, 99.0), (0.5, 2.4, 74.0), (0.75, 1.9, 61.0)];

/// Milliseconds of the vanilla network with MKL-DNN.
pub const RESNET50_MKL_DNN_MS: f64 = 119.0;

/// What the paper says of a case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Published {
    /// Milliseconds.
    pub ms: f64,
    /// Speed-up over the vanilla network; none where that was not measured.
    pub speedup: Option<f64>,
    /// Share of [`PEAK_GFLOPS`], from the printed times and multiply-accumulates; none where it was not computed.
    pub peak_fraction: Option<f64>,
}

/// ResNet-50, the vanilla network at alpha 0.
pub fn resnet50(alpha: f64) -> Option<Published> {
    let (_, _, vanilla) = RESNET50[0];
    let &(_, gmacs, ms) = RESNET50.iter().find(|(a, ..)| *a == alpha)?;
    let speedup = (alpha > 0.0).then_some(vanilla / ms);
    Some(Published { ms, speedup, peak_fraction: Some(2.0 * gmacs / (ms * 1e-3) / PEAK_GFLOPS) })
}

/// MobileNets of table 5: name in the zoo without `oct-`, alpha (0 for the vanilla network), milliseconds.
pub const MOBILENETS: [(&str, f64, Option<f64>); 8] = [
    ("mobilenet-v1-0.75", 0.0, Some(13.4)),
    ("mobilenet-v1-0.75", 0.375, Some(11.9)),
    ("mobilenet-v1-1.0", 0.0, None),
    ("mobilenet-v1-1.0", 0.5, Some(18.4)),
    ("mobilenet-v2-1.0", 0.0, Some(24.5)),
    ("mobilenet-v2-1.0", 0.375, Some(17.1)),
    ("mobilenet-v2-1.125", 0.0, None),
    ("mobilenet-v2-1.125", 0.5, Some(26.3)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_from_what_is_printed() {
        let all: Vec<Published> = [0.0, 0.125, 0.25, 0.5, 0.75].into_iter().filter_map(resnet50).collect();
        let speedups: Vec<String> = all.iter().filter_map(|p| p.speedup).map(|s| format!("{s:.2}")).collect();
        assert_eq!(speedups, ["0.99", "1.16", "1.55", "1.89"]);
        let shares: Vec<f64> =
            all.iter().filter_map(|p| p.peak_fraction).map(|p| (100.0 * p).round()).collect();
        assert_eq!(shares, [56.0, 48.0, 49.0, 51.0, 49.0]);
        assert_eq!(resnet50(0.3), None);
    }
}
