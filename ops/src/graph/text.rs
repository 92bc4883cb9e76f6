//! The text form of a [`Graph`]: [`print()`] and [`parse`] are inverse to each other.
//!
//! ```text
//! graph "squeezenet" {
//!   input %0 "data_0": f32[N,3,224,224]
//!   const %1 "conv1.weight": f32[64,3,3,3] = blob(0)
//!   const %2: i64[2] = [1, -1]
//!   %3 "conv1_out": f32[1,64,111,111] = n0 "conv1" Conv { kernel = [], strides = [2, 2], ... } (%0, %1, _)
//!   output "softmaxout_1" = %3
//! }
//! ```
//!
//! * One line per input, constant, node and output; `//` starts a comment. Lines of one kind stand in the graph's
//!   order; a printed graph has inputs, constants (by id), nodes, outputs.
//! * Every [`ValueId`](super::ValueId) is defined exactly once and the ids leave no gap. The id of a node is its
//!   position and may be left out.
//! * Names are quoted, with `\"`, `\\`, `\n`, `\r`, `\t` and `\u{1f}`; empty ones are left out, except in `graph`
//!   and `output`.
//! * A type after `:` is printed when it is known. For inputs it is the declaration, in which dynamic dimensions
//!   stand by name, or as `?` when nameless. The type of an input is known when all its dimensions are fixed; the
//!   two other cases read `f32[2] = ?` (unknown though fixed) and `f32[N] = f32[2]` (known though dynamic).
//! * An omitted optional input is `_`.
//! * Attributes are those of [`Op::attrs`](crate::Op::attrs), all of them.
//! * The elements of a constant are in row-major order. Floats are the shortest text that reads back as the same
//!   number, or `inf`, `-inf`, `nan`, `nan(0xffc00000)` (any NaN, by its bits); bools are `true`, `false`, or
//!   another byte as a number. With more than [`INLINE_ELEMENTS`] elements it is `blob(i)`: entry `i` of
//!   [`blobs`]. For tests there are two more forms, which are resolved when read and so never printed:
//!   `random(7)`, see [`random`], and `fill(0.5)`, the same element everywhere; [`parse_printed`] refuses them.

mod float;
mod lex;
mod parse;
mod print;

use std::fmt;

use crate::error::OpError;
use crate::graph::{Graph, ValueDef};
use crate::shape::Shape;
use crate::tensor::Tensor;

pub use parse::{parse, parse_printed};
pub use print::print;

/// Largest number of elements of a constant that is printed in full.
pub const INLINE_ELEMENTS: usize = 64;

/// Why a text is not a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What could stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: expected {}, found {}", self.line, self.column, self.expected, self.found)
    }
}

impl std::error::Error for ParseError {}

/// The constants that [`print()`] shows as `blob(0)`, `blob(1)`, ..., in this order. They share the graph's bytes.
pub fn blobs(graph: &Graph) -> Vec<Tensor> {
    graph
        .values
        .iter()
        .filter_map(|v| match &v.def {
            ValueDef::Const(t) if t.numel() > INLINE_ELEMENTS => Some(t.clone()),
            _ => None,
        })
        .collect()
}

/// Pseudorandom f32 numbers in `[-1, 1)`, multiples of 2^-23: the same for the same shape and seed everywhere.
///
/// # Errors
/// [`OpError::TooLarge`] when the shape cannot be addressed.
pub fn random(shape: &Shape, seed: u64) -> Result<Tensor, OpError> {
    shape.checked_bytes(crate::DType::F32)?;
    let mut state = seed;
    let mut next = || {
        // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let elements: Vec<f32> =
        (0..shape.numel()).map(|_| (next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0).collect();
    Tensor::new(shape.clone(), &elements)
}

#[cfg(test)]
mod tests;
