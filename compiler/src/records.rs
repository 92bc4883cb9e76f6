//! What measurements have told: the algorithm that is fastest for a convolution on the machine at hand.
//!
//! Records stand above the estimate of costs and below what exactness asks for: one that names an algorithm which the
//! precision forbids, or which does not serve the convolution, is passed over.

use std::collections::BTreeMap;
use std::fmt;

use crate::layout::{AXES, MapWindow};
use crate::strategy::conv::Algorithm;

/// A convolution as records know it. It prints in the way of oneDNN's benchdnn, with every word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Convolution {
    /// Images.
    pub mb: usize,
    /// Groups.
    pub groups: usize,
    /// Input channels of all groups.
    pub ic: usize,
    /// Output channels of all groups.
    pub oc: usize,
    /// Planes, rows and columns of the input.
    pub src: [usize; AXES],
    /// Planes, rows and columns of the output.
    pub dst: [usize; AXES],
    /// The window.
    pub window: MapWindow,
}

impl fmt::Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Convolution { mb, groups, ic, oc, src, dst, window } = *self;
        write!(f, "mb{mb}g{groups}ic{ic}oc{oc}")?;
        let skipped = window.dilations.map(|d| d.saturating_sub(1));
        let words = [
            ('i', src),
            ('o', dst),
            ('k', window.kernel),
            ('s', window.strides),
            ('d', skipped),
            ('p', window.pads),
        ];
        for (word, [d, h, w]) in words {
            write!(f, "{word}d{d}{word}h{h}{word}w{w}")?;
        }
        Ok(())
    }
}

/// The algorithms that were found fastest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(BTreeMap<Convolution, Algorithm>);

impl Records {
    /// Nothing was measured.
    pub const NONE: Records = Records(BTreeMap::new());

    /// Keeps the algorithm of a convolution; a later record stands for an earlier one.
    pub fn insert(&mut self, convolution: Convolution, algorithm: Algorithm) {
        self.0.insert(convolution, algorithm);
    }

    /// The algorithm that was measured to be the fastest.
    pub fn get(&self, convolution: &Convolution) -> Option<Algorithm> {
        self.0.get(convolution).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::programs::Winograd;

    fn convolution() -> Convolution {
        Convolution {
            mb: 2,
            groups: 1,
            ic: 64,
            oc: 32,
            src: [1, 56, 57],
            dst: [1, 28, 29],
            window: MapWindow {
                kernel: [1, 3, 5],
                strides: [1, 2, 2],
                dilations: [1, 1, 2],
                pads: [0, 1, 4],
            },
        }
    }

    #[test]
    fn a_convolution_prints_in_the_words_of_benchdnn() {
        let text = "mb2g1ic64oc32id1ih56iw57od1oh28ow29kd1kh3kw5sd1sh2sw2dd0dh0dw1pd0ph1pw4";
        assert_eq!(convolution().to_string(), text);
    }

    #[test]
    fn the_last_record_of_a_convolution_stands() {
        let mut records = Records::NONE;
        assert_eq!(records.get(&convolution()), None);
        records.insert(convolution(), Algorithm::Direct);
        records.insert(convolution(), Algorithm::Winograd(Winograd::F2));
        assert_eq!(records.get(&convolution()), Some(Algorithm::Winograd(Winograd::F2)));
        assert_eq!(records.get(&Convolution { mb: 1, ..convolution() }), None);
    }
}
