//! What the fastest runs of candidates tell.

use std::time::Duration;

use octrt_compiler::strategy::conv::Algorithm;
use octrt_compiler::strategy::decision::{Decision, Tiling};

/// What a way to cut loops must gain to be preferred to the strategy's own.
const GAIN: f64 = 1.02;

/// Candidates and what each took in its fastest run.
pub type Times = [(Decision, Duration)];

/// The fastest by an algorithm, where it gains enough; else as its strategy cuts it.
pub fn best(times: &Times, algorithm: Algorithm) -> Option<(Decision, Duration)> {
    let mut of = times.iter().filter(|(d, _)| d.algorithm == algorithm);
    let fastest = of.clone().min_by_key(|(_, time)| *time)?;
    let plain = of.find(|(d, _)| d.tiling == Tiling::NONE);
    let is_near = |(_, time): &&(Decision, Duration)| time.as_secs_f64() < GAIN * fastest.1.as_secs_f64();
    Some(*plain.filter(is_near).unwrap_or(fastest))
}

/// Candidates that may still win: those that take at most so many times the fastest, the compiler's own choice, and the
/// best and the strategy's own of each algorithm.
pub fn near(times: &Times, own: Decision, near: f64) -> Vec<Decision> {
    let fastest = times.iter().map(|(_, time)| *time).min().unwrap_or_default();
    let firsts = Algorithm::ALL.map(|algorithm| best(times, algorithm).map(|(d, _)| d));
    let stays = |(decision, time): &&(Decision, Duration)| {
        *decision == own
            || decision.tiling == Tiling::NONE
            || firsts.contains(&Some(*decision))
            || time.as_secs_f64() <= near * fastest.as_secs_f64()
    };
    times.iter().filter(stays).map(|(decision, _)| *decision).collect()
}

/// The choices of direct convolution that have gained something each by itself, together, the largest gain first; none
/// where that was measured already.
pub fn together(times: &Times) -> Option<Decision> {
    let direct = || times.iter().filter(|(d, _)| d.algorithm == Algorithm::Direct);
    let (_, own) = direct().find(|(d, _)| d.tiling == Tiling::NONE)?;
    let mut gained: Vec<&(Decision, Duration)> = direct().filter(|(_, time)| time < own).collect();
    gained.sort_by_key(|(_, time)| *time);
    let mut tiling = Tiling::NONE;
    for Tiling { chunks, parts, vectors, pixels, order } in gained.iter().map(|(d, _)| d.tiling) {
        tiling.chunks = tiling.chunks.or(chunks);
        tiling.parts = tiling.parts.or(parts);
        tiling.vectors = tiling.vectors.or(vectors);
        tiling.pixels = tiling.pixels.or(pixels);
        tiling.order = tiling.order.or(order);
    }
    let is_new = times.iter().all(|(d, _)| d.tiling != tiling);
    is_new.then_some(Decision { algorithm: Algorithm::Direct, tiling })
}

#[cfg(test)]
mod tests {
    use super::*;
    use octrt_compiler::leaf::programs::Winograd;

    const F2: Algorithm = Algorithm::Winograd(Winograd::F2);

    fn way(
        algorithm: Algorithm,
        chunks: Option<usize>,
        parts: Option<usize>,
        us: u64,
    ) -> (Decision, Duration) {
        let tiling = Tiling { chunks, parts, ..Tiling::NONE };
        (Decision { algorithm, tiling }, Duration::from_micros(us))
    }

    #[test]
    fn small_gains_leave_loops_as_they_are() {
        let plain = way(Algorithm::Direct, None, None, 1000);
        let of = |us| [plain, way(Algorithm::Direct, Some(2), None, us), way(F2, None, None, 10)];
        assert_eq!(best(&of(990), Algorithm::Direct), Some(plain));
        assert_eq!(best(&of(970), Algorithm::Direct), Some(of(970)[1]));
        assert_eq!(best(&of(970), F2), Some(of(970)[2]));
        assert_eq!(best(&of(970)[..2], F2), None);
    }

    #[test]
    fn what_cannot_win_is_dropped() {
        let own = way(Algorithm::Direct, Some(9), None, 5000);
        let all = [
            own,
            way(Algorithm::Direct, None, None, 2000),
            way(Algorithm::Direct, Some(2), None, 1500),
            way(Algorithm::Direct, Some(3), None, 1600),
            way(F2, None, None, 1000),
            way(F2, Some(2), None, 1090),
            way(F2, Some(3), None, 1110),
        ];
        let stays = near(&all, own.0, 1.1);
        let expected = [0, 1, 2, 4, 5].map(|i: usize| all[i].0);
        assert_eq!(stays, expected);
        assert_eq!(near(&all, own.0, f64::INFINITY).len(), all.len());
    }

    #[test]
    fn choices_that_gain_are_tried_together() {
        let plain = way(Algorithm::Direct, None, None, 1000);
        let chunks = |n, us| way(Algorithm::Direct, Some(n), None, us);
        let parts = |n, us| way(Algorithm::Direct, None, Some(n), us);
        let both = way(Algorithm::Direct, Some(4), Some(2), 0).0;
        let all = [plain, chunks(2, 950), chunks(4, 900), parts(2, 980), parts(3, 1200)];
        assert_eq!(together(&all), Some(both));
        // One gain was measured by itself, and so may be both.
        assert_eq!(together(&[plain, chunks(2, 950), parts(2, 1001)]), None);
        assert_eq!(together(&[plain, chunks(4, 900), parts(2, 950), (both, plain.1)]), None);
        assert_eq!(together(&[chunks(4, 900)]), None);
    }
}
