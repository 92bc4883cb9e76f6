//! How far two tensors are apart.

use serde::Serialize;

/// The difference of a tensor from the expected one. NaN equals NaN, infinities of one sign are equal; any other
/// difference from or to one of them is infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Number of elements.
    pub count: usize,
    /// Number of elements that differ by more than allowed.
    pub bad: usize,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Largest difference relative to the scale of the expected element.
    pub max_rel: f64,
    /// Position of the largest absolute difference, in row-major order.
    pub worst: usize,
}

/// What differences are allowed: `atol + rtol * scale`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Absolute.
    pub atol: f64,
    /// Relative.
    pub rtol: f64,
}

/// What relative differences are relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The magnitude of the expected element.
    Element,
    /// The largest finite magnitude in the expected tensor.
    Tensor,
}

/// The difference of `found` from `expected`; both have the same length.
pub fn compare(expected: &[f64], found: &[f64], tolerance: Tolerance, scale: Scale) -> Difference {
    let finite = expected.iter().map(|v| v.abs()).filter(|v| v.is_finite());
    let largest = finite.fold(0.0, f64::max);
    let mut d = Difference { count: expected.len(), bad: 0, max_abs: 0.0, max_rel: 0.0, worst: 0 };
    for (i, (&e, &f)) in expected.iter().zip(found).enumerate() {
        let abs = distance(e, f);
        if abs == 0.0 {
            continue;
        }
        let scale = match scale {
            Scale::Element => e.abs(),
            Scale::Tensor => largest,
        };
        // Of an infinite scale any share is allowed, so it does not count.
        let allowed = tolerance.atol + if scale.is_finite() { tolerance.rtol * scale } else { 0.0 };
        if abs > allowed {
            d.bad += 1;
        }
        if abs > d.max_abs {
            (d.max_abs, d.worst) = (abs, i);
        }
        d.max_rel = d.max_rel.max(abs / scale);
    }
    d
}

fn distance(a: f64, b: f64) -> f64 {
    match (a.is_finite(), b.is_finite()) {
        (true, true) => (a - b).abs(),
        _ if a == b || (a.is_nan() && b.is_nan()) => 0.0,
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIGHT: Tolerance = Tolerance { atol: 0.01, rtol: 0.1 };

    #[test]
    fn elements_are_judged_by_their_own_scale_or_by_the_tensors() {
        let (expected, found) = ([100.0, 0.0], [105.0, 1.0]);
        let d = compare(&expected, &found, TIGHT, Scale::Element);
        assert_eq!((d.bad, d.max_abs, d.worst), (1, 5.0, 0));
        assert_eq!(d.max_rel, f64::INFINITY);
        let d = compare(&expected, &found, TIGHT, Scale::Tensor);
        assert_eq!((d.bad, d.max_rel), (0, 0.05));
    }

    #[test]
    fn what_is_not_finite_must_be_the_same() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(compare(&odd, &odd, TIGHT, Scale::Element).bad, 0);
        for (e, f) in
            [(f64::NAN, 0.0), (0.0, f64::NAN), (f64::INFINITY, 1.0), (f64::INFINITY, f64::NEG_INFINITY)]
        {
            assert_eq!(compare(&[e], &[f], TIGHT, Scale::Element).bad, 1, "{e} {f}");
        }
        assert_eq!(compare(&[], &[], TIGHT, Scale::Element).bad, 0);
    }
}
