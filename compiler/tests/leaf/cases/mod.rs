//! Pseudorandom leaf programs with their memory, and what they must compute.

use octrt_compiler::leaf::Program;
use octrt_compiler::leaf::memory::{Memory, Value};

mod functions;
mod fuzz;
mod kinds;
mod model;
mod operations;

pub use functions::functions;
pub use fuzz::fuzz;
pub use kinds::KINDS;
pub use operations::operations;

/// A program with everything that it needs to run.
pub struct Case {
    /// What it is, for messages.
    pub name: String,
    /// The program.
    pub program: Program,
    /// One value per slot.
    pub slots: Vec<Value>,
    /// The memory before.
    pub memory: Memory,
    /// The memory after, computed by the formula in the builder's documentation.
    pub formula: Option<Memory>,
    /// The region whose contents afterwards do not matter.
    pub scratch: Option<usize>,
}

impl Case {
    /// Whether the memory after a run holds what the formula gives, if there is one.
    pub fn computes(&self, found: &Memory) -> bool {
        self.formula.as_ref().is_none_or(|formula| {
            let mut formula = formula.clone();
            if let Some(scratch) = self.scratch {
                formula.regions[scratch].clone_from(&found.regions[scratch]);
            }
            formula.same(found)
        })
    }
}

/// A generator of numbers (xorshift).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// From `lo` to `hi`, both included.
    pub fn range(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.next() % (hi - lo + 1) as u64) as i64
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.range(0, of.len() as i64 - 1) as usize].clone()
    }

    pub fn chance(&mut self, of: i64) -> bool {
        self.range(1, of) == 1
    }
}

/// A number; now and then a special one.
pub fn number(rng: &mut Rng) -> f32 {
    match rng.range(0, 60) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => -0.0,
        3 => 0.0,
        4 => 1e-41,
        5 => 6.0,
        _ => (rng.range(-1_000_000, 1_000_000) as f32) * 3e-6,
    }
}
