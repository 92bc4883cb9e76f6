//! What the compiler must know of the machine it compiles for. It never looks for itself: the caller hands it in.

use std::fmt;
use std::str::FromStr;

use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::{Graph, Op};

use crate::leaf::Width;

/// Convolutions whose loss by wide vectors on Zen 4 one product of matrices or function makes up for: set by the times of 42
/// networks with either width.
const GAINING: usize = 4;

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
    /// What is known of the processor.
    pub cpu: Cpu,
}

/// What is known of a processor beside its instruction set, as far as it changes what is fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cpu {
    /// Nothing: two fused multiply-adds start in a cycle, of any width.
    #[default]
    Generic,
    /// AMD's Zen 4: those of 512 bits take two cycles.
    Zen4,
    /// Intel's Golden Cove and those after it in servers: large caches.
    GoldenCove,
}

impl Cpu {
    const ALL: [Cpu; 3] = [Cpu::Generic, Cpu::Zen4, Cpu::GoldenCove];

    fn name(self) -> &'static str {
        match self {
            Cpu::Generic => "",
            Cpu::Zen4 => "zen4",
            Cpu::GoldenCove => "golden-cove",
        }
    }
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
    /// A machine with this instruction set, of whose processor nothing else is known.
    pub const fn new(isa: Isa) -> Self {
        Target { isa, cpu: Cpu::Generic }
    }

    /// A machine with this processor, by the instruction set that is the best for it: where wide vectors do as much in a
    /// cycle as narrow ones, those of 256 bits.
    pub fn native(isa: Isa, cpu: Cpu) -> Self {
        match (isa, cpu) {
            (Isa::V4, Cpu::Zen4) => Target::new(Isa::V3),
            _ => Target { isa, cpu },
        }
    }

    /// As [`Target::native`], for a graph: products of matrices and functions that are polynomials gain by wide vectors
    /// even where these do no more in a cycle, by tiles of more columns and by their instructions for exponents.
    pub fn native_for(isa: Isa, cpu: Cpu, graph: &Graph) -> Self {
        let count = |of: fn(&Op) -> bool| graph.nodes.iter().filter(|n| of(&n.op)).count();
        let convolutions = count(|op| matches!(op, Op::Conv(_)));
        let gaining = count(|op| match op {
            Op::MatMul(_) | Op::Softmax(_) | Op::LayerNormalization(_) | Op::Attention(_) => true,
            Op::Gelu(_) | Op::Swish(_) | Op::Elu(_) => true,
            Op::Unary(Unary { kind }) => {
                use UnaryKind::{Erf, Exp, Sigmoid, Softplus, Tanh};
                matches!(kind, Erf | Exp | Sigmoid | Softplus | Tanh)
            }
            _ => false,
        });
        match cpu {
            Cpu::Zen4 if gaining * GAINING >= convolutions.max(GAINING) => Target { isa, cpu },
            _ => Target::native(isa, cpu),
        }
    }

    /// What vectors of leaf programs do in a cycle, against two instructions.
    pub fn vector_rate(self) -> f64 {
        match (self.isa, self.cpu) {
            (Isa::V4, Cpu::Zen4) => 0.5,
            _ => 1.0,
        }
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

    /// Sizes of the data caches that schedules reckon with: where nothing is known of the processor, of Zen for x86-64-v3, of
    /// Skylake-SP for x86-64-v4.
    pub fn caches(self) -> Caches {
        if self.cpu == Cpu::GoldenCove {
            return Caches { l1: 48 << 10, l2: 2 << 20 };
        }
        match self.isa {
            Isa::V2 => Caches { l1: 32 << 10, l2: 256 << 10 },
            Isa::V3 => Caches { l1: 32 << 10, l2: 512 << 10 },
            Isa::V4 => Caches { l1: 32 << 10, l2: 1 << 20 },
        }
    }

    /// Bytes of weights from which on they are taken to come from beyond the level-2 cache. A run of a network reads all
    /// weights once, so that those of a layer are there only where all of the network's fit; what is measured counts.
    pub fn cold_from(self) -> usize {
        match self.cpu {
            Cpu::GoldenCove => 128 << 10,
            Cpu::Generic | Cpu::Zen4 => self.caches().l2 / 2,
        }
    }

    /// Bytes of such weights that come near in a cycle.
    pub fn cold_bytes(self) -> f64 {
        match self.cpu {
            Cpu::GoldenCove => 8.0,
            Cpu::Generic | Cpu::Zen4 => 5.0,
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
        })?;
        match self.cpu {
            Cpu::Generic => Ok(()),
            cpu => write!(f, ":{}", cpu.name()),
        }
    }
}

impl FromStr for Target {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let isas = [Isa::V2, Isa::V3, Isa::V4];
        let mut targets = isas.into_iter().flat_map(|isa| Cpu::ALL.map(|cpu| Target { isa, cpu }));
        targets
            .find(|t| t.to_string() == s)
            .ok_or_else(|| format!("unknown target '{s}': expected x86-64-v2, x86-64-v3 or x86-64-v4"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for isa in [Isa::V2, Isa::V3, Isa::V4] {
            for cpu in Cpu::ALL {
                let target = Target { isa, cpu };
                assert_eq!(target.to_string().parse(), Ok(target));
            }
        }
        assert_eq!(Target::new(Isa::V4).to_string(), "x86-64-v4");
        assert_eq!("x86-64-v4:zen4".parse(), Ok(Target { isa: Isa::V4, cpu: Cpu::Zen4 }));
        for text in ["", "x86-64-v5", "x86-64-v4:", "x86-64-v4:zen", "zen4"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn products_and_functions_make_wide_vectors_native() {
        let attributes = "kernel = [], strides = [], dilations = [], pads = [], auto_pad = notset, group = 1";
        let conv = |i: usize| format!("%{} = \"c{i}\" Conv {{ {attributes} }} (%{}, %0)", i + 2, i + 1);
        let graph = |convolutions: usize, products: usize| {
            let mut lines = vec!["graph \"g\" { const %0: f32[8,8,1,1] = random(1)".to_string()];
            lines.push("input %1 \"x\": f32[1,8,8,8]".into());
            lines.extend((0..convolutions).map(conv));
            let first = convolutions + 1;
            let product = |i: usize| format!("%{} = \"p{i}\" MatMul (%{}, %1)", first + i + 1, first + i);
            lines.extend((0..products).map(product));
            lines.push(format!("output \"y\" = %{} }}", first + products));
            octrt_ops::graph::text::parse(&lines.join("\n"), &[]).unwrap()
        };
        let native = |convolutions, products| {
            Target::native_for(Isa::V4, Cpu::Zen4, &graph(convolutions, products)).isa
        };
        assert_eq!(
            [native(8, 0), native(8, 1), native(8, 2), native(0, 1)],
            [Isa::V3, Isa::V3, Isa::V4, Isa::V4]
        );
        let other = |isa, cpu| Target::native_for(isa, cpu, &graph(2, 4));
        assert_eq!(other(Isa::V3, Cpu::Zen4), Target::native(Isa::V3, Cpu::Zen4));
        assert_eq!(other(Isa::V4, Cpu::GoldenCove), Target::native(Isa::V4, Cpu::GoldenCove));
    }

    #[test]
    fn wide_vectors_that_gain_nothing_are_not_native() {
        assert_eq!(Target::native(Isa::V4, Cpu::Generic), Target::new(Isa::V4));
        assert_eq!(Target::native(Isa::V4, Cpu::Zen4), Target::new(Isa::V3));
        assert_eq!(Target::native(Isa::V3, Cpu::Zen4), Target { isa: Isa::V3, cpu: Cpu::Zen4 });
        let golden = Target { isa: Isa::V4, cpu: Cpu::GoldenCove };
        assert_eq!(Target::native(Isa::V4, Cpu::GoldenCove), golden);
        assert_eq!(golden.vector_rate(), 1.0);
        assert_eq!(golden.to_string(), "x86-64-v4:golden-cove");
        assert!(golden.caches().l2 > Target::new(Isa::V4).caches().l2);
        assert!(golden.cold_from() < Target::new(Isa::V4).cold_from());
        assert!(golden.cold_bytes() > Target::new(Isa::V4).cold_bytes());
        let rate = |isa, cpu| Target { isa, cpu }.vector_rate();
        assert_eq!((rate(Isa::V4, Cpu::Zen4), rate(Isa::V3, Cpu::Zen4)), (0.5, 1.0));
        assert_eq!((rate(Isa::V4, Cpu::Generic), rate(Isa::V3, Cpu::Generic)), (1.0, 1.0));
    }
}
