//! What statements compute.

use super::Width;

/// An operation of two operands, lane by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// `a < b ? a : b`
    Min,
    /// `a > b ? a : b`
    Max,
    /// Bits of `a` and `b`.
    And,
    /// Bits of `b` that are not in `a`.
    AndNot,
    /// Bits of `a` or `b`.
    Or,
    /// Bits of either `a` or `b`.
    Xor,
    /// The bits of `a` less those of `b`, as integers, wrapping.
    SubBits,
    /// `a * 2^n` for the integer `n` at or below `b`, rounded once; only with [`Width::W16`]. For an infinite `b` it is the
    /// product of `a` and the limit, infinite or 0, also where `a` is NaN.
    Scale,
}

/// A function of one operand, lane by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// The square root; NaN below zero.
    Sqrt,
    /// The nearest integer, of two the even one; zeros keep their sign.
    Round,
    /// The integer at or below.
    Floor,
    /// The integer at or above.
    Ceil,
    /// The bits, as an integer with a sign, as a number.
    FromInt,
    /// The exponent `e` of a magnitude from `2^e` up to `2^(e + 1)`; of zero -inf; only with [`Width::W16`].
    Exponent,
    /// The `m` from 3/4 up to 3/2 of which a positive number is a multiple by a power of two; of inf and 0 it is 1, of -0 it
    /// is -1, below zero NaN; only with [`Width::W16`].
    Mantissa,
}

/// A move of the bits of a lane, as those of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// Towards the sign; zeros come in.
    Left,
    /// Away from the sign; copies of it come in.
    Right,
}

/// A comparison, lane by lane; with NaN all but `Ne` and `Unordered` are false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
    /// `a == b`
    Eq,
    /// Not `a == b`.
    Ne,
    /// Either is NaN.
    Unordered,
}

/// A choice among the lanes of two vectors. A *quad* is four lanes in a row, from a multiple of four on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    /// In each quad `a0 b0 a1 b1`.
    InterleaveLow,
    /// In each quad `a2 b2 a3 b3`.
    InterleaveHigh,
    /// In each quad `a0 a1 b0 b1`.
    JoinLow,
    /// In each quad `a2 a3 b2 b3`.
    JoinHigh,
    /// The quads of `a` whose numbers are even, then those of `b`.
    EvenQuads,
    /// The quads of `a` whose numbers are odd, then those of `b`.
    OddQuads,
}

impl Shuffle {
    /// What a lane of the result is: a lane of `a`, or, counted on from the width, of `b`.
    pub fn source(self, lane: usize, width: Width) -> usize {
        let (lanes, within) = (width.lanes() as usize, lane % 4);
        let quad = lane - within;
        // The quads of either vector fill half of the result.
        let half = lanes / 2;
        let quads = lane / half * lanes + lane % half / 4 * 8 + within;
        match self {
            Shuffle::InterleaveLow => within % 2 * lanes + quad + within / 2,
            Shuffle::InterleaveHigh => within % 2 * lanes + quad + within / 2 + 2,
            Shuffle::JoinLow => within / 2 * lanes + quad + within % 2,
            Shuffle::JoinHigh => within / 2 * lanes + quad + within % 2 + 2,
            Shuffle::EvenQuads => quads,
            Shuffle::OddQuads => quads + 4,
        }
    }
}
