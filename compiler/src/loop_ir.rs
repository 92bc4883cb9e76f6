//! The loop IR: what schedules rewrite and code generation consumes.
//!
//! A [`Kernel`] defines every element of one buffer by one perfect loop nest:
//!
//! ```text
//! kernel "conv" {
//!   in b0: f32[1, 16, 34, 34]
//!   in b1: f32[32, 16, 3, 3]
//!   out b2: f32[1, 32, 32, 32]
//!   for L0 in 32 parallel
//!   for L1 in 32
//!   for L2 in 4
//!   reduce L3 in 16
//!   reduce L4 in 3
//!   reduce L5 in 3
//!   for L6 in 2 unrolled
//!   for L7 in 4 vector
//!   b2[0, L0, L1, add(mul(L2, 8), add(mul(L6, 4), L7))]
//!     init 0.0f32
//!     sum mul(b0[...], b1[...])
//!     finish acc
//! }
//! ```
//!
//! Loops are written outermost first. `for` loops are *data* loops: iterations are independent. `reduce` loops
//! combine. Data loops inside the first reduce loop hold one accumulator per iteration, in registers: they are
//! unrolled or vectorised. Several iterations may define the same element (tails that overlap); they define it alike.
//!
//! Two kinds of kernels may load what they write. An *update* (`update b2[..] = ..`) changes elements of a buffer that
//! is defined already, by serial loops in their order. In a kernel whose outermost loop is a `turn` each iteration of
//! that loop is a call of its own: calls come in order, between them those of other kernels of the same repeat, and each
//! may load what earlier ones defined.

use octrt_ops::TensorType;
use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BufId, Expr, VarId};

pub mod affine;
pub mod interp;
pub mod interval;
pub mod lanes;
pub mod text;
pub mod verify;

/// What the iterations of a loop do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Each defines its own elements.
    Data,
    /// Together they define one element.
    Reduce,
}

/// How a loop is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One iteration after the other.
    Serial,
    /// Split between threads; only the outermost loop, and only a data loop.
    Parallel,
    /// As straight-line code.
    Unrolled,
    /// As the lanes of one vector; only the innermost loop, and only a data loop.
    Vector,
    /// One iteration a call, the calls in order; only the outermost loop, and only a data loop.
    Turn,
}

/// A loop from 0 to its extent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Its variable.
    pub id: VarId,
    /// Number of iterations.
    pub extent: usize,
    /// What its iterations do.
    pub role: Role,
    /// How it is executed.
    pub form: Form,
}

/// The reduction of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduction {
    /// How values are combined.
    pub combine: ReduceFn,
    /// First value of an accumulator, over data loops.
    pub init: Expr,
    /// The stored value, over data loops and [`Expr::Acc`].
    pub finish: Expr,
}

/// A tensor that a kernel reads or writes.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelBuffer {
    /// Element type and shape.
    pub ty: TensorType,
    /// Smallest and largest element, where known (index tables).
    pub range: Option<(i64, i64)>,
}

/// One loop nest that defines one buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Name for dumps and symbols.
    pub name: String,
    /// All buffers; a [`BufId`] is a position here.
    pub buffers: Vec<KernelBuffer>,
    /// The buffer that is written; all others are read.
    pub dst: BufId,
    /// Loops, outermost first.
    pub loops: Vec<Loop>,
    /// The element of `dst` that an iteration of the data loops defines.
    pub index: Vec<Expr>,
    /// The reduction, if there are reduce loops.
    pub reduce: Option<Reduction>,
    /// The element, or the value that is combined.
    pub body: Expr,
    /// Whether elements of a buffer that is defined already are changed, one after the other.
    pub update: bool,
}

impl Kernel {
    /// The type of the buffer that is written.
    pub fn dst_ty(&self) -> &TensorType {
        &self.buffers[self.dst.0 as usize].ty
    }

    /// Position of a loop in the nest.
    pub fn position(&self, id: VarId) -> Option<usize> {
        self.loops.iter().position(|l| l.id == id)
    }

    /// Position of the outermost reduce loop; the number of loops when there is none.
    pub fn first_reduce(&self) -> usize {
        self.loops.iter().position(|l| l.role == Role::Reduce).unwrap_or(self.loops.len())
    }

    /// A variable that no loop uses.
    pub fn fresh(&self) -> VarId {
        VarId(self.loops.iter().map(|l| l.id.0.saturating_add(1)).max().unwrap_or(0))
    }

    /// Extent of the loop of which a call runs a part, parallel or in turns; 1 when there is none.
    pub fn parallel_extent(&self) -> usize {
        let shared = |l: &&Loop| matches!(l.form, Form::Parallel | Form::Turn);
        self.loops.first().filter(shared).map_or(1, |l| l.extent)
    }

    /// Whether calls come in turns.
    pub fn in_turns(&self) -> bool {
        self.loops.first().is_some_and(|l| l.form == Form::Turn)
    }

    /// Whether the kernel may load the buffer that it writes.
    pub fn may_load_dst(&self) -> bool {
        self.update || self.in_turns()
    }

    /// All expressions: index, body, and those of the reduction.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let reduction = self.reduce.iter().flat_map(|r| [&r.init, &r.finish]);
        self.index.iter().chain([&self.body]).chain(reduction)
    }

    /// The kernel with every expression rebuilt by `f`.
    pub fn map_expressions(&self, f: impl Fn(&Expr) -> Expr) -> Kernel {
        Kernel {
            index: self.index.iter().map(&f).collect(),
            reduce: self.reduce.as_ref().map(|r| Reduction {
                combine: r.combine,
                init: f(&r.init),
                finish: f(&r.finish),
            }),
            body: f(&self.body),
            ..self.clone()
        }
    }
}
