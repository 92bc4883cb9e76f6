//! What measurements have told: how a convolution is carried out fastest on the machine at hand.
//!
//! Records stand above the estimate of costs and below what exactness asks for: a decision that names an algorithm which
//! the precision forbids, or which does not serve the convolution, is passed over, and so is what of a tiling does not serve.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::layout::{AXES, MapWindow};
use crate::strategy::decision::Decision;

/// Largest number in the text of a convolution.
const MAX_NUMBER: usize = u32::MAX as usize;

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

impl FromStr for Convolution {
    type Err = String;

    /// Reads what a convolution prints, and nothing else.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut number = |word: &str| {
            let after = rest.strip_prefix(word).ok_or_else(|| format!("expected '{word}' at '{rest}'"))?;
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (digits, tail) = after.split_at(end);
            rest = tail;
            let number = digits.parse().ok().filter(|n| *n <= MAX_NUMBER);
            number.ok_or_else(|| format!("expected a number of 32 bits after '{word}'"))
        };
        let [mb, groups, ic, oc] = [number("mb")?, number("g")?, number("ic")?, number("oc")?];
        let mut axes = |word: char| {
            let mut of = |axis: char| number(&format!("{word}{axis}"));
            Ok::<_, String>([of('d')?, of('h')?, of('w')?])
        };
        let (src, dst) = (axes('i')?, axes('o')?);
        let (kernel, strides) = (axes('k')?, axes('s')?);
        let (dilations, pads) = (axes('d')?.map(|skipped| skipped + 1), axes('p')?);
        if !rest.is_empty() {
            return Err(format!("expected nothing behind the words of a convolution, found '{rest}'"));
        }
        let window = MapWindow { kernel, strides, dilations, pads };
        Ok(Convolution { mb, groups, ic, oc, src, dst, window })
    }
}

/// What was found to be fast: for each convolution decisions, the best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(BTreeMap<Convolution, Vec<Decision>>);

impl Records {
    /// Nothing was measured.
    pub const NONE: Records = Records(BTreeMap::new());

    /// Keeps the decisions for a convolution, the best first, in place of those that are kept. The first that serves is
    /// taken.
    pub fn insert(&mut self, convolution: Convolution, decisions: impl IntoIterator<Item = Decision>) {
        self.0.insert(convolution, decisions.into_iter().collect());
    }

    /// The decisions that were measured, the best first.
    pub fn get(&self, convolution: &Convolution) -> &[Decision] {
        self.0.get(convolution).map_or(&[], Vec::as_slice)
    }

    /// All convolutions with their decisions.
    pub fn iter(&self) -> impl Iterator<Item = (&Convolution, &[Decision])> {
        self.0.iter().map(|(convolution, decisions)| (convolution, &decisions[..]))
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::programs::Winograd;
    use crate::strategy::conv::Algorithm;

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

    const TEXT: &str = "mb2g1ic64oc32id1ih56iw57od1oh28ow29kd1kh3kw5sd1sh2sw2dd0dh0dw1pd0ph1pw4";

    #[test]
    fn a_convolution_prints_in_the_words_of_benchdnn_and_comes_back() {
        assert_eq!(convolution().to_string(), TEXT);
        assert_eq!(TEXT.parse(), Ok(convolution()));
    }

    #[test]
    fn what_is_no_convolution_is_refused() {
        for text in [
            "",
            "mb2",
            &TEXT[2..],
            &format!("{TEXT}x"),
            &format!("{TEXT} "),
            &TEXT.replace("ic64", "ic"),
            &TEXT.replace("ic64", "ic-1"),
            &TEXT.replace("ic64", "ic4294967296"),
            &TEXT.replace("ic64", "ic99999999999999999999999999"),
            &TEXT.replace("pd0", "pq0"),
        ] {
            assert!(text.parse::<Convolution>().is_err(), "{text}");
        }
        let error = TEXT.replace("kd1", "xd1").parse::<Convolution>().unwrap_err();
        assert!(error.starts_with("expected 'kd' at 'xd1"), "{error}");
    }

    #[test]
    fn the_last_decisions_of_a_convolution_stand() {
        let mut records = Records::NONE;
        assert_eq!(records.get(&convolution()), []);
        assert!(records.is_empty());
        let f2 = Decision::from(Algorithm::Winograd(Winograd::F2));
        records.insert(convolution(), [Decision::DIRECT]);
        records.insert(convolution(), [f2, Decision::DIRECT]);
        assert_eq!(records.get(&convolution()), [f2, Decision::DIRECT]);
        assert_eq!(records.get(&Convolution { mb: 1, ..convolution() }), []);
        assert_eq!(records.iter().count(), 1);
    }
}
