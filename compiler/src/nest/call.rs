//! What calls of leaf programs are given: addresses that move with loops, in bytes, and numbers.

use octrt_ops::expr::{BufId, VarId};

/// `base + sum of factor * loop`, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distance {
    /// The constant part.
    pub base: i64,
    /// Loops and their factors; no loop twice.
    pub terms: Vec<(VarId, i64)>,
}

impl Distance {
    /// A constant distance.
    pub fn new(base: i64) -> Distance {
        Distance { base, terms: Vec::new() }
    }

    /// The distance with `factor` bytes for each iteration of `l`.
    #[must_use]
    pub fn plus(mut self, l: VarId, factor: i64) -> Distance {
        match self.terms.iter_mut().find(|(id, _)| *id == l) {
            Some((_, f)) => *f += factor,
            None if factor != 0 => self.terms.push((l, factor)),
            None => {}
        }
        self
    }

    /// The distance, moved by a constant.
    #[must_use]
    pub fn offset(mut self, bytes: i64) -> Distance {
        self.base += bytes;
        self
    }

    /// The distance, times a constant.
    #[must_use]
    pub fn times(&self, factor: i64) -> Distance {
        let terms = self.terms.iter().filter(|_| factor != 0).map(|(l, f)| (*l, f * factor)).collect();
        Distance { base: self.base * factor, terms }
    }

    /// The sum of two distances.
    #[must_use]
    pub fn and(&self, other: &Distance) -> Distance {
        let sum = Distance { base: self.base + other.base, terms: self.terms.clone() };
        other.terms.iter().fold(sum, |sum, (l, f)| sum.plus(*l, *f))
    }
}

/// What a slot of a called leaf program gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotValue {
    /// An address.
    Pointer(BufId, Distance),
    /// A count or a stride.
    Number(i64),
}

/// An address some bytes into a buffer.
pub fn pointer(buffer: BufId, at: Distance) -> SlotValue {
    SlotValue::Pointer(buffer, at)
}
