//! What the compiler must know of the machine it compiles for. It never looks for itself: the caller hands it in.

use std::fmt;
use std::str::FromStr;

use crate::leaf::Width;

/// Levels of the x86-64 instruction set, as in the psABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// SSE4.2.
    V2,
    /// AVX2, FMA, BMI.
    V3,
    /// AVX-512 F, BW, CD, DQ, VL.
    V4,
}

/// The machine to compile for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Instruction set.
    pub isa: Isa,
}

/// Sizes of data caches in bytes, of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caches {
    /// Level 1.
    pub l1: usize,
    /// Level 2.
    pub l2: usize,
}

impl Target {
    /// A machine with this instruction set.
    pub fn new(isa: Isa) -> Self {
        Target { isa }
    }

    /// Whether fused multiply-add is one instruction.
    pub fn has_fma(self) -> bool {
        self.isa >= Isa::V3
    }

    /// Width of leaf programs; none below x86-64-v3, where Cranelift's own vectors serve.
    pub fn width(self) -> Option<Width> {
        match self.isa {
            Isa::V2 => None,
            Isa::V3 => Some(Width::W8),
            Isa::V4 => Some(Width::W16),
        }
    }

    /// Sizes of the data caches that schedules reckon with: of Zen for x86-64-v3, of Skylake-SP for x86-64-v4.
    pub fn caches(self) -> Caches {
        match self.isa {
            Isa::V2 => Caches { l1: 32 << 10, l2: 256 << 10 },
            Isa::V3 => Caches { l1: 32 << 10, l2: 512 << 10 },
            Isa::V4 => Caches { l1: 32 << 10, l2: 1 << 20 },
        }
    }

    /// Lanes of f32 in the vectors that Cranelift can emit.
    pub const LANES: usize = 4;
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.isa {
            Isa::V2 => "x86-64-v2",
            Isa::V3 => "x86-64-v3",
            Isa::V4 => "x86-64-v4",
        })
    }
}

impl FromStr for Target {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        [Isa::V2, Isa::V3, Isa::V4]
            .into_iter()
            .map(Target::new)
            .find(|t| t.to_string() == s)
            .ok_or_else(|| format!("unknown target '{s}': expected x86-64-v2, x86-64-v3 or x86-64-v4"))
    }
}
