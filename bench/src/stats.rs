//! Times of repeated runs, and ratios of such times.

use serde::Serialize;

/// Resamplings for an interval.
const RESAMPLES: usize = 2000;

/// How far the slow runs may lie from the fastest before a machine counts as noisy: see [`Samples::is_noisy`].
const NOISY: f64 = 0.15;

/// Wall times of runs of one thing, in milliseconds, in the order in which they were taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// The time below which a share `q` of the runs lies, between two of them by linear interpolation (definition 7 of
    /// Hyndman and Fan 1996); 0 without runs.
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted_quantile(&sorted, q)
    }

    /// The fastest run; 0 without runs.
    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// How far the 90 % quantile lies above the fastest run, as a share of that.
    pub fn spread(&self) -> f64 {
        let min = self.min();
        if min > 0.0 { (self.quantile(0.9) - min) / min } else { 0.0 }
    }

    /// Whether something else kept the machine busy: the 90 % quantile lies more than 15 % above the fastest run.
    pub fn is_noisy(&self) -> bool {
        self.spread() > NOISY
    }
}

/// The medians of the rounds.
pub fn by_round(rounds: &[Samples]) -> Samples {
    Samples(rounds.iter().map(Samples::median).collect())
}

/// All runs.
pub fn flat(rounds: &[Samples]) -> Samples {
    Samples(rounds.iter().flat_map(|r| &r.0).copied().collect())
}

/// `sorted` is in ascending order.
fn sorted_quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, part) = (at as usize, at.fract());
    let high = (low + 1).min(last);
    sorted[low] + part * (sorted[high] - sorted[low])
}

/// How many times as long one thing takes as another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Median of the ratios of runs that were taken side by side.
    pub median: f64,
    /// Lower end of the interval that holds this median with a probability of 95 %.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Ratio {
    /// The ratio of `times` to `base`, whose runs with the same position were taken side by side, so that what slowed
    /// down one slowed down the other too. The interval is a bootstrap: quantiles of the medians of samples drawn from
    /// the ratios with replacement, the same draws every time. None without runs.
    pub fn paired(times: &Samples, base: &Samples) -> Option<Ratio> {
        let ratios: Vec<f64> = times.0.iter().zip(&base.0).map(|(t, b)| t / b).collect();
        if ratios.is_empty() {
            return None;
        }
        let mut random = Random(0x6f63_7472_745f_3031);
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                Samples((0..ratios.len()).map(|_| ratios[random.below(ratios.len())]).collect()).median()
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let (low, high) = (sorted_quantile(&medians, 0.025), sorted_quantile(&medians, 0.975));
        Some(Ratio { median: Samples(ratios).median(), low, high })
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    /// A number below `n`; the lean towards small numbers is below n / 2^64.
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let s = Samples(vec![4.0, 1.0, 3.0, 2.0, 5.0]);
        assert_eq!((s.min(), s.median(), s.quantile(1.0)), (1.0, 3.0, 5.0));
        assert!((s.quantile(0.9) - 4.6).abs() < 1e-12);
        assert_eq!(Samples(vec![1.0, 2.0]).median(), 1.5);
        assert_eq!(Samples(vec![7.0]).quantile(0.99), 7.0);
        assert_eq!(Samples::default().median(), 0.0);
    }

    #[test]
    fn noise_is_what_lies_far_from_the_fastest_run() {
        let steady = Samples(vec![1.0, 1.05, 1.1, 1.08]);
        assert!(!steady.is_noisy() && (steady.spread() - 0.094).abs() < 1e-3, "{}", steady.spread());
        // One slow run of many is an accident.
        let accident = Samples([vec![1.0; 19], vec![9.0]].concat());
        assert!(!accident.is_noisy());
        assert!(Samples(vec![1.0, 1.0, 1.3, 1.4]).is_noisy());
    }

    #[test]
    fn pairs_cancel_what_slows_down_both() {
        // A machine that becomes three times as slow on the way.
        let base = Samples((0..40).map(|i| 10.0 + 0.5 * f64::from(i)).collect());
        let half =
            Samples(base.0.iter().enumerate().map(|(i, t)| t * (0.5 + 0.001 * (i % 5) as f64)).collect());
        let r = Ratio::paired(&half, &base).unwrap();
        assert!((r.median - 0.502).abs() < 1e-9, "{r:?}");
        assert!(0.5 <= r.low && r.low <= r.median && r.median <= r.high && r.high <= 0.504, "{r:?}");
        assert_eq!(Ratio::paired(&half, &base), Some(r));
        assert_eq!(Ratio::paired(&Samples::default(), &base), None);
    }

    #[test]
    fn an_interval_grows_with_the_spread() {
        let base = Samples(vec![1.0; 30]);
        let width = |spread: f64| {
            let times = Samples((0..30).map(|i| 1.0 + spread * f64::from(i % 7)).collect());
            let r = Ratio::paired(&times, &base).unwrap();
            r.high - r.low
        };
        assert!(width(0.1) > width(0.01) && width(0.01) > 0.0);
    }

    #[test]
    fn draws_are_even() {
        let mut random = Random(1);
        let mut counts = [0; 7];
        (0..7000).for_each(|_| counts[random.below(7)] += 1);
        assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
    }
}
