//! Elementary functions of vectors.
//!
//! Each reduces its argument, evaluates a polynomial and puts the result together. Constants are read where they are used,
//! so that few registers are in use at once: at most three beside the argument. Vectors of both widths hold the same bits.
//!
//! | function | instructions of 8 lanes | of 16 | farthest from the function, in units in the last place |
//! |---|---|---|---|
//! | `Neg`, `Sqrt`, `Floor`, `Ceil`, `Round` | 1 | 1 | 0 |
//! | `Abs` | 2 | 2 | 0 |
//! | `Exp` | 22 | 18 | 1 |
//! | `Log` | 26 | 17 | 1 |
//! | `Tanh` | 26 | 26 | 2 |
//! | `Erf` | 31 | 31 | 2 |
//! | `Sigmoid` | 22 | 22 | 2 |

use super::builder::Builder;
use crate::leaf::{Address, BinaryOp, Inst, Operand, Predicate, Program, Shift, UnaryOp, VecId, Width};

mod exponential;
mod logarithm;

/// A function of each lane of a vector.
///
/// Results lie within 2 units in the last place; NaN gives NaN, and infinities and zeros give what the function tends to,
/// with its sign. What is denormal, argument or result, counts as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `-x`, exact.
    Neg,
    /// `|x|`, exact.
    Abs,
    /// The square root, rounded once.
    Sqrt,
    /// The integer at or below, exact.
    Floor,
    /// The integer at or above, exact.
    Ceil,
    /// The nearest integer, of two the even one, exact.
    Round,
    /// `e^x`.
    Exp,
    /// The natural logarithm; NaN below zero.
    Log,
    /// The hyperbolic tangent.
    Tanh,
    /// The error function.
    Erf,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

impl Function {
    /// All of them.
    pub const ALL: [Function; 11] = [
        Function::Neg,
        Function::Abs,
        Function::Sqrt,
        Function::Floor,
        Function::Ceil,
        Function::Round,
        Function::Exp,
        Function::Log,
        Function::Tanh,
        Function::Erf,
        Function::Sigmoid,
    ];

    /// `dst = f(src)` for `trips` vectors in a row; `src` and `dst` are pointer slots, `trips` is a count.
    pub fn program(self, width: Width) -> Program {
        let mut b = Builder::new(format!("{self:?}").to_lowercase(), width);
        let (src, dst) = (b.pointer("src"), b.pointer("dst"));
        b.repeat("trips", |b| {
            let x = b.load(Address::new(src, 0));
            let y = b.function(self, x);
            b.store(Address::new(dst, 0), width.lanes() as u8, y);
            b.advance(src, width.bytes());
            b.advance(dst, width.bytes());
        });
        b.finish()
    }
}

impl Builder {
    /// A function of `x`, in a fresh vector.
    pub(super) fn function(&mut self, f: Function, x: VecId) -> VecId {
        match f {
            Function::Neg => self.with(BinaryOp::Xor, x, -0.0),
            Function::Abs => self.of_constant(BinaryOp::AndNot, -0.0, x),
            Function::Sqrt => self.unary(UnaryOp::Sqrt, x),
            Function::Floor => self.unary(UnaryOp::Floor, x),
            Function::Ceil => self.unary(UnaryOp::Ceil, x),
            Function::Round => self.unary(UnaryOp::Round, x),
            Function::Exp => self.exp(x),
            Function::Log => self.log(x),
            Function::Tanh => self.tanh(x),
            Function::Erf => self.erf(x),
            Function::Sigmoid => self.sigmoid(x),
        }
    }

    fn unary(&mut self, op: UnaryOp, src: VecId) -> VecId {
        let dst = self.vector();
        self.push(Inst::Unary { op, dst, src });
        dst
    }

    fn shift(&mut self, op: Shift, src: VecId, by: u8) -> VecId {
        let dst = self.vector();
        self.push(Inst::Shift { op, dst, src, by });
        dst
    }

    /// `op v, c`.
    fn with(&mut self, op: BinaryOp, v: VecId, c: f32) -> VecId {
        let dst = self.vector();
        self.assign(dst, op, v, Operand::Splat(c));
        dst
    }

    /// `op c, v`.
    fn of_constant(&mut self, op: BinaryOp, c: f32, v: VecId) -> VecId {
        let dst = self.splat(c);
        self.assign(dst, op, dst, Operand::Vector(v));
        dst
    }

    /// `acc += v * c`.
    fn add_multiple(&mut self, acc: VecId, v: VecId, c: f32) {
        self.fma(acc, v, Operand::Splat(c));
    }

    /// The nearest number from `lo` to `hi`; NaN stays.
    fn within(&mut self, x: VecId, lo: f32, hi: f32) -> VecId {
        let v = self.of_constant(BinaryOp::Max, lo, x);
        self.of_constant(BinaryOp::Min, hi, v)
    }

    /// The magnitude of `x`, at most `hi`; NaN stays.
    fn magnitude(&mut self, x: VecId, hi: f32) -> VecId {
        let v = self.of_constant(BinaryOp::AndNot, -0.0, x);
        self.of_constant(BinaryOp::Min, hi, v)
    }

    /// The polynomial in `x` with these coefficients, highest power first.
    fn polynomial(&mut self, x: VecId, coefficients: &[f32]) -> VecId {
        let (first, others) = coefficients.split_first().unwrap_or((&0.0, &[]));
        let acc = self.splat(*first);
        others.iter().for_each(|c| self.push(Inst::Horner { acc, x, c: Operand::Splat(*c) }));
        acc
    }

    /// A value of the sign of `x`, or zero, with the sign of `x`.
    fn signed(&mut self, value: VecId, x: VecId) -> VecId {
        let sign = self.with(BinaryOp::And, x, -0.0);
        self.binary(BinaryOp::Or, value, sign)
    }
}

#[cfg(test)]
mod tests;
