//! Tile nests: loops around calls of leaf programs on blocked tensors.
//!
//! ```text
//! tile "conv" {
//!   in b0: f32[1,8,58,58,8]
//!   in b1: f32[36864]
//!   in b2: f32[64]
//!   table b3: i32[3136] = [0, 32, 64, ...]
//!   out b4: f32[1,8,56,56,8]
//!   for L0 in 4 parallel {
//!     for L1 in 523 {
//!       call 0 "conv_6x16" (src = b0, src_offsets = b3 + 24*L1, wei = b1 + 36864*L0, bias = b2 + 64*L0, ic = 8, ...)
//!     }
//!   }
//! }
//! ```
//!
//! Where [`Kernel`](crate::loop_ir::Kernel)s define every element by an expression, a tile nest hands whole register
//! tiles to leaf programs. All distances are in bytes. A *scratch* buffer belongs to the thread that runs a part of the
//! parallel loop: what it holds means nothing to other iterations. [`verify`] proves that no call leaves its buffers, that
//! iterations of the parallel loop write different bytes, and that they read of them only what they wrote.

use std::fmt;

use octrt_ops::{Tensor, TensorType};

use crate::leaf::Program;

pub mod interp;
pub mod text;
pub mod verify;

/// The variable of a loop. Prints as `L3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoopId(pub u32);

impl fmt::Display for LoopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

/// A buffer of a nest: a position in [`TileNest::buffers`]. Prints as `b3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BufferId(pub u32);

impl BufferId {
    /// The position.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for BufferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

/// What a nest does with a buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum BufferRole {
    /// Reads it.
    Src,
    /// Reads distances in bytes from it, which are known now.
    Table(Tensor),
    /// Writes it, and reads what it has written in the same iteration of the parallel loop; exactly one buffer.
    Dst,
    /// Writes and reads it within one iteration of the parallel loop.
    Scratch,
}

impl BufferRole {
    /// The word for it in text forms.
    pub fn word(&self) -> &'static str {
        match self {
            BufferRole::Src => "in",
            BufferRole::Table(_) => "table",
            BufferRole::Dst => "out",
            BufferRole::Scratch => "scratch",
        }
    }
}

/// A tensor that a nest touches.
#[derive(Clone, Debug, PartialEq)]
pub struct TileBuffer {
    /// Element type and shape: dense, row-major, blocks of channels and halos as dimensions and extents.
    pub ty: TensorType,
    /// What the nest does with it.
    pub role: BufferRole,
}

/// `base + sum of factor * loop`, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distance {
    /// The constant part.
    pub base: i64,
    /// Loops and their factors; no loop twice.
    pub terms: Vec<(LoopId, i64)>,
}

impl Distance {
    /// A constant distance.
    pub fn new(base: i64) -> Distance {
        Distance { base, terms: Vec::new() }
    }

    /// The distance with `factor` bytes for each iteration of `l`.
    #[must_use]
    pub fn plus(mut self, l: LoopId, factor: i64) -> Distance {
        match self.terms.iter_mut().find(|(id, _)| *id == l) {
            Some((_, f)) => *f += factor,
            None if factor != 0 => self.terms.push((l, factor)),
            None => {}
        }
        self
    }
}

/// What a slot of a called leaf program gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotValue {
    /// An address.
    Pointer(BufferId, Distance),
    /// A count or a stride.
    Number(i64),
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// Runs the body for each value of the variable from 0 to the extent.
    Loop {
        /// The variable.
        id: LoopId,
        /// Number of iterations; at least 1.
        extent: usize,
        /// What each does.
        body: Vec<Stmt>,
    },
    /// Calls a leaf program.
    Call {
        /// Position in [`TileNest::leaves`].
        leaf: usize,
        /// One value per slot of the program.
        slots: Vec<SlotValue>,
    },
}

/// Loops around calls of leaf programs.
#[derive(Clone, Debug, PartialEq)]
pub struct TileNest {
    /// Name for dumps and symbols: `conv`, `winograd`.
    pub name: String,
    /// All buffers.
    pub buffers: Vec<TileBuffer>,
    /// The leaf programs that are called.
    pub leaves: Vec<Program>,
    /// The outermost loop: its iterations may run on several threads.
    pub parallel: LoopId,
    /// Iterations of the outermost loop; at least 1.
    pub extent: usize,
    /// What each does.
    pub body: Vec<Stmt>,
}

impl TileNest {
    /// The buffer that is written.
    pub fn dst(&self) -> Option<BufferId> {
        let at = self.buffers.iter().position(|b| b.role == BufferRole::Dst)?;
        Some(BufferId(at as u32))
    }
}

/// A call that gives a slot no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leaf program '{program}': slot '{slot}' has no value")]
pub struct MissingSlot {
    /// Name of the leaf program.
    pub program: String,
    /// Name of the slot.
    pub slot: String,
}
