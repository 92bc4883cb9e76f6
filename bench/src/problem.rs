//! Convolutions as lines of text, in the way of oneDNN's benchdnn.
//!
//! `mb1g1ic64ih56iw56oc64oh56ow56kh3kw3sh1sw1dh0dw0ph1pw1` in full; in short `ic64ih56oc64kh3ph1`.
//!
//! | word | | when missing |
//! |---|---|---|
//! | `mb` | pictures | 1 |
//! | `g` | groups | 1 |
//! | `ic`, `oc` | channels of all groups together | |
//! | `ih`, `iw` | extents of the input | `iw` is `ih` |
//! | `oh`, `ow` | extents of the output | as many windows as fit with the same padding on both ends; `ow` is `oh` where the axes are alike |
//! | `kh`, `kw` | extents of the window | `kw` is `kh` |
//! | `sh`, `sw` | steps between windows | 1; `sw` is `sh` |
//! | `dh`, `dw` | elements left out between two of a window: dilation - 1 | 0; `dw` is `dh` |
//! | `ph`, `pw` | padding at the beginning | 0; `pw` is `ph` |
//!
//! Words stand in any order, each at most once. Printing gives the short form, in the order of the table.

mod networks;

use std::fmt;
use std::str::FromStr;

use octrt::DataType;
use octrt_ops::def::conv::Conv;
use octrt_ops::graph::text;
use octrt_ops::window::Window;
use octrt_ops::{DType, Dim, Graph, OpError, Shape};

pub use networks::{Layer, Network};

use crate::measure::Buffer;

/// Largest number of a problem, so that products of a few fit 64 bits.
const MAX_NUMBER: usize = u16::MAX as usize;

/// Seeds of the weight, the bias and the input of every problem.
const SEEDS: [u64; 3] = [1, 2, 3];

/// Why a text is no problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("problem '{text}': {what}")]
pub struct ProblemError {
    /// The text.
    pub text: String,
    /// What was expected and what was found.
    pub what: String,
}

/// One spatial axis of a convolution; all as in the [module's](self) table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Axis {
    /// Extent of the input.
    pub i: usize,
    /// Extent of the output.
    pub o: usize,
    /// Extent of the window.
    pub k: usize,
    /// Step between windows.
    pub s: usize,
    /// Elements left out between two of a window.
    pub d: usize,
    /// Padding at the beginning.
    pub p: usize,
}

/// A two-dimensional convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Pictures.
    pub mb: usize,
    /// Groups, which divide both numbers of channels.
    pub g: usize,
    /// Channels of the input.
    pub ic: usize,
    /// Channels of the output.
    pub oc: usize,
    /// Height.
    pub h: Axis,
    /// Width.
    pub w: Axis,
}

impl Axis {
    /// From the first to the last element of a window.
    fn reach(&self) -> usize {
        (self.k - 1) * (self.d + 1) + 1
    }

    /// Windows that fit when so much is padded at the end.
    ///
    /// # Errors
    /// A message when none fits.
    fn windows(&self, end: usize) -> Result<usize, String> {
        let (padded, reach) = (self.i + self.p + end, self.reach());
        let rest = padded.checked_sub(reach);
        rest.map(|r| r / self.s + 1).ok_or_else(|| format!("a window of {reach} is larger than {padded}"))
    }

    /// The extent of the output when none is given: that of `other` where all else is the same, otherwise as many
    /// windows as fit with the same padding on both ends.
    fn usual_output(&self, other: Option<&Axis>) -> Result<usize, String> {
        match other {
            Some(other) if *other == (Axis { o: other.o, ..*self }) => Ok(other.o),
            _ => self.windows(self.p),
        }
    }

    /// Padding at the end: as at the beginning where that gives the output's extent, else what the last window needs.
    fn end(&self) -> usize {
        if self.windows(self.p) == Ok(self.o) {
            return self.p;
        }
        let needed = (self.o - 1) * self.s + self.reach();
        needed.saturating_sub(self.i + self.p)
    }

    /// Whether the output's extent is one that the padding of [`Axis::end`] gives.
    fn is_consistent(&self) -> bool {
        self.windows(self.end()) == Ok(self.o)
    }
}

impl Problem {
    /// Multiply-accumulates of one run; those with padding count.
    pub fn macs(&self) -> u64 {
        let Problem { mb, g, ic, oc, h, w } = self;
        [*mb, *oc, h.o, w.o, ic / g, h.k, w.k].iter().fold(1, |macs, &n| macs.saturating_mul(n as u64))
    }

    /// A graph with this convolution as its only node: from `src` to `dst`, with a bias, weights from fixed seeds.
    ///
    /// # Errors
    /// [`OpError::TooLarge`] when the weights do not fit the address space.
    pub fn graph(&self) -> Result<Graph, OpError> {
        let Problem { mb, g, ic, oc, h, w } = *self;
        let mut graph = Graph::new(self.to_string());
        let fixed = [mb, ic, h.i, w.i].map(Dim::Fixed).to_vec();
        let src = graph.add_input("src", DType::F32, fixed);
        let wei = text::random(&Shape::new(vec![oc, ic / g, h.k, w.k]), SEEDS[0])?;
        let bias = text::random(&Shape::new(vec![oc]), SEEDS[1])?;
        let (wei, bias) = (graph.add_const("wei", wei), graph.add_const("bias", bias));
        let conv = Conv {
            window: Window {
                kernel: vec![h.k, w.k],
                strides: vec![h.s, w.s],
                dilations: vec![h.d + 1, w.d + 1],
                pads: vec![h.p, w.p, h.end(), w.end()],
                ..Window::default()
            },
            group: g,
        };
        let dst = graph.add_node("conv", conv, vec![Some(src), Some(wei), Some(bias)], &["dst"]);
        graph.add_output("dst", dst[0]);
        Ok(graph)
    }

    /// The input of [`Problem::graph`]: floats in [-1, 1) from a fixed seed.
    ///
    /// # Errors
    /// As [`Problem::graph`].
    pub fn inputs(&self) -> Result<Vec<Buffer>, OpError> {
        let shape = vec![self.mb, self.ic, self.h.i, self.w.i];
        let src = text::random(&Shape::new(shape.clone()), SEEDS[2])?;
        let bytes = src.bytes().to_vec();
        Ok(vec![Buffer { name: "src".to_string(), dtype: DataType::F32, shape, bytes }])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { mb, g, ic, oc, h, w } = self;
        let mut word = |name: &str, n: usize, default: usize| {
            if n == default { Ok(()) } else { write!(f, "{name}{n}") }
        };
        // No number but a padding or a dilation is 0, so a default of 0 is always printed.
        word("mb", *mb, 1)?;
        word("g", *g, 1)?;
        word("ic", *ic, 0)?;
        word("ih", h.i, 0)?;
        word("iw", w.i, h.i)?;
        word("oc", *oc, 0)?;
        word("oh", h.o, h.usual_output(None).unwrap_or(0))?;
        word("ow", w.o, w.usual_output(Some(h)).unwrap_or(0))?;
        word("kh", h.k, 0)?;
        word("kw", w.k, h.k)?;
        word("sh", h.s, 1)?;
        word("sw", w.s, h.s)?;
        word("dh", h.d, 0)?;
        word("dw", w.d, h.d)?;
        word("ph", h.p, 0)?;
        word("pw", w.p, h.p)
    }
}

/// The words of a problem, in the order in which they are printed.
const WORDS: [&str; 16] =
    ["mb", "g", "ic", "ih", "iw", "oc", "oh", "ow", "kh", "kw", "sh", "sw", "dh", "dw", "ph", "pw"];

/// The numbers of a text, by the positions of their words in [`WORDS`].
struct Numbers([Option<usize>; WORDS.len()]);

impl Numbers {
    fn read(text: &str) -> Result<Self, String> {
        let mut numbers = Numbers([None; WORDS.len()]);
        let mut rest = text;
        while !rest.is_empty() {
            let (word, after) = split(rest, |c| c.is_ascii_lowercase());
            let (digits, after) = split(after, |c| c.is_ascii_digit());
            let at = WORDS.iter().position(|w| *w == word);
            let at = at.ok_or_else(|| format!("expected one of {}, found '{rest}'", WORDS.join(" ")))?;
            let number = digits.parse().ok().filter(|&n| n <= MAX_NUMBER);
            let number =
                number.ok_or_else(|| format!("expected a number up to {MAX_NUMBER} after '{word}'"))?;
            if numbers.0[at].replace(number).is_some() {
                return Err(format!("'{word}' is given twice"));
            }
            rest = after;
        }
        Ok(numbers)
    }

    fn get(&self, word: &str) -> Option<usize> {
        WORDS.iter().position(|w| *w == word).and_then(|at| self.0[at])
    }

    /// A number from 1 on.
    fn extent(&self, word: &str, default: Option<usize>) -> Result<usize, String> {
        match self.get(word).or(default) {
            None => Err(format!("'{word}' is missing")),
            Some(0) => Err(format!("'{word}' must be at least 1")),
            Some(n) => Ok(n),
        }
    }

    /// The axis whose words end in `suffix`; what is missing is that of `other`.
    fn axis(&self, suffix: char, other: Option<&Axis>) -> Result<Axis, String> {
        let word = |letter: char| format!("{letter}{suffix}");
        let i = self.extent(&word('i'), other.map(|a| a.i))?;
        let k = self.extent(&word('k'), other.map(|a| a.k))?;
        let s = self.extent(&word('s'), Some(other.map_or(1, |a| a.s)))?;
        let d = self.get(&word('d')).unwrap_or(other.map_or(0, |a| a.d));
        let p = self.get(&word('p')).unwrap_or(other.map_or(0, |a| a.p));
        let out = word('o');
        let axis = Axis { i, o: 1, k, s, d, p };
        let Some(o) = self.get(&out) else { return Ok(Axis { o: axis.usual_output(other)?, ..axis }) };
        let axis = Axis { o: self.extent(&out, Some(o))?, ..axis };
        if axis.is_consistent() { Ok(axis) } else { Err(format!("no padding at the end gives {out}{o}")) }
    }

    fn problem(&self) -> Result<Problem, String> {
        let h = self.axis('h', None)?;
        let w = self.axis('w', Some(&h))?;
        let (mb, g) = (self.extent("mb", Some(1))?, self.extent("g", Some(1))?);
        let (ic, oc) = (self.extent("ic", None)?, self.extent("oc", None)?);
        if ic % g != 0 || oc % g != 0 {
            return Err(format!("{g} groups do not divide {ic} and {oc} channels"));
        }
        Ok(Problem { mb, g, ic, oc, h, w })
    }
}

/// What the text begins with, and the rest.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

impl FromStr for Problem {
    type Err = ProblemError;
    fn from_str(text: &str) -> Result<Self, ProblemError> {
        let problem = Numbers::read(text).and_then(|n| n.problem());
        problem.map_err(|what| ProblemError { text: text.to_string(), what })
    }
}

#[cfg(test)]
mod tests;
