//! What compilation yields: plain data that a runtime can load, run, print or compare byte by byte.
//!
//! Every function has the C signature
//!
//! ```text
//! void kernel(void *const *buffers, int64_t begin, int64_t end)
//! ```
//!
//! `buffers[i]` is the address of the step's buffer `i` (any alignment); the function computes the part
//! `begin..end` of the step's parallel axis, `0 <= begin <= end <= extent`. It reads no other memory than the buffers,
//! writes only the buffers that the step lists as written and scratch, calls nothing, and needs no relocation: its bytes are complete
//! and may be placed at any address that satisfies `alignment`. Parts of one step touch disjoint results and may run
//! at the same time; steps run in order.

use octrt_ops::{Tensor, TensorType};

use crate::pack::{PackError, Packing};
use crate::target::Target;

/// A compiled function. Prints as `f3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// Machine code of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Name for symbol tables and dumps; unique in the artifact.
    pub symbol: String,
    /// Required alignment of the first byte.
    pub alignment: u32,
    /// The code with its constant pool.
    pub bytes: Vec<u8>,
}

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The graph input with this position, read only.
    Input(usize),
    /// The graph output with this position.
    Output(usize),
    /// The constant with this position in [`Artifact::constants`], read only.
    Const(usize),
    /// Bytes of the arena from this offset (a multiple of 64) on.
    Arena(usize),
    /// Bytes from this offset (a multiple of 64) on of memory that the running thread has for itself; they mean nothing
    /// before and after the call.
    Scratch(usize),
}

/// A tensor that steps read and never write.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// As it is.
    Plain(Tensor),
    /// Packed by whoever loads the artifact.
    Packed(Packing, Tensor),
}

impl Constant {
    /// The type of what steps read.
    pub fn ty(&self) -> TensorType {
        match self {
            Constant::Plain(t) => t.ty().clone(),
            Constant::Packed(packing, t) => packing.ty(t.ty()),
        }
    }

    /// The tensor of the model that it is made from.
    pub fn source(&self) -> &Tensor {
        let (Constant::Plain(t) | Constant::Packed(_, t)) = self;
        t
    }

    /// Writes what steps read, little-endian; `out` has the size of [`Constant::ty`] and is zero.
    ///
    /// # Errors
    /// When the tensor is not what the recipe was made for.
    pub fn write(&self, out: &mut [u8]) -> Result<(), PackError> {
        match self {
            Constant::Plain(t) => {
                out.copy_from_slice(t.bytes());
                Ok(())
            }
            Constant::Packed(packing, t) => packing.pack(t, out),
        }
    }
}

/// A buffer of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferRef {
    /// Where it lies.
    pub place: Place,
    /// What it holds: dense, row-major.
    pub ty: TensorType,
}

/// One call of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The function.
    pub function: FunctionId,
    /// Its buffers, in the order of its parameter `buffers`.
    pub buffers: Vec<BufferRef>,
    /// Positions in `buffers` of those that are written, one or more; all others are read only, but for scratch. Steps that
    /// run in turns and those that update a buffer also read what they write.
    pub results: Vec<usize>,
    /// Extent of the parallel axis; at least 1.
    pub extent: usize,
    /// Name of the graph node that the step belongs to.
    pub node: String,
    /// ONNX name of the node's operator.
    pub op: &'static str,
    /// The stage of the node's definition: `pad`, `conv`.
    pub stage: &'static str,
    /// When present, the first result is one `bool`, and the run fails with this message when it is false.
    pub check: Option<String>,
}

/// Steps that run in turns: in turn `t` each of them, in order, is called for the part `t..t + 1`. Some of them may read
/// what they or others of them wrote in earlier turns. Only one thread runs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Positions in [`Artifact::steps`]; at least one.
    pub steps: std::ops::Range<usize>,
    /// Number of turns, the extent of each of the steps.
    pub turns: usize,
}

/// An input or output of the compiled graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name in the model.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
}

/// A graph output that needs no computation.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// Where the bytes are.
    pub from: Place,
    /// The graph output with this position.
    pub output: usize,
}

/// A compiled graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// The machine that it runs on.
    pub target: Target,
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
    /// Functions; a [`FunctionId`] is a position here.
    pub functions: Vec<Function>,
    /// Calls in order.
    pub steps: Vec<Step>,
    /// Steps that run in turns, in order, disjoint.
    pub repeats: Vec<Repeat>,
    /// Outputs to copy after the last step: those that are inputs, constants or another output under a second name.
    pub copies: Vec<Copy>,
    /// Tensors that steps read.
    pub constants: Vec<Constant>,
    /// Size of the arena.
    pub arena_bytes: usize,
    /// Size of the memory that each thread has for itself.
    pub scratch_bytes: usize,
}
