//! Loops: what their iterations do, and how they are executed.

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{Expr, VarId};

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

impl Loop {
    /// A serial loop.
    pub fn serial(id: VarId, extent: usize, role: Role) -> Loop {
        Loop { id, extent, role, form: Form::Serial }
    }
}

/// How the iterations of the reduce loops around a definition are combined.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduction {
    /// How values are combined.
    pub combine: ReduceFn,
    /// First value of an accumulator, over data loops.
    pub init: Expr,
    /// The stored value, over data loops and [`Expr::Acc`].
    pub finish: Expr,
}
