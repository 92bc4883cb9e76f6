//! Schedule primitives: rewrites of a nest that keep what it computes.
//!
//! What cannot be done is refused with a [`ScheduleError`]. Two sets stand here until there is one nest. Those on
//! [`Kernel`]s ([`split`], [`fuse`], [`reorder`], [`parallel`], [`unroll`], [`vectorize`]) are functions from a kernel that
//! [`verify`]s to one that verifies and defines the same elements with the same bits. Those on trees of loops are steps of a
//! [`Schedule`](script::Schedule): what they make is verified when calls are all that is left; [`start_from`] and
//! [`split_sum`] reassociate sums, [`pack`] changes how weights lie, the others keep every bit. [`drop`](mod@drop) leaves out
//! tables that calls have taken the place of.

use std::fmt::Write;

use octrt_ops::expr::{BufId, Expr, VarId};

use crate::loop_ir::verify::{Violation, verify};
use crate::loop_ir::{Kernel, Loop, Role};
use crate::nest::{Nest, Stmt};

pub mod cut;
pub mod drop;
pub mod fuse;
pub mod pack;
pub mod parallel;
pub mod reorder;
pub mod script;
pub mod split;
pub mod split_sum;
pub mod start_from;
pub mod tensorize;
#[cfg(test)]
mod tests;
pub mod unroll;
pub mod vectorize;

/// Why a primitive refuses, and the nest that it was asked to rewrite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{primitive} of kernel '{kernel}': {rule}{nest}")]
pub struct ScheduleError {
    /// Name of the primitive.
    pub primitive: &'static str,
    /// Name of the kernel.
    pub kernel: String,
    /// The rule that is broken.
    pub rule: Box<Rule>,
    /// The kernel's loops, one per line; `>` marks the one at fault.
    nest: String,
}

/// A rule of a primitive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// A loop of this name is needed.
    #[error("there is no loop {0}")]
    Unknown(VarId),
    /// A loop is not what the primitive takes.
    #[error("loop {id}: expected {expected}, found {found}")]
    Loop {
        /// The loop.
        id: VarId,
        /// What the primitive takes.
        expected: String,
        /// What there is.
        found: String,
    },
    /// A buffer is not what the primitive takes.
    #[error("buffer {id}: expected {expected}, found {found}")]
    Buffer {
        /// The buffer.
        id: BufId,
        /// What the primitive takes.
        expected: &'static str,
        /// What there is.
        found: String,
    },
    /// The new order is not one of the kernel's loops.
    #[error("expected each loop of the kernel once, found {0} loops")]
    Order(usize),
    /// The ids of loops are used up.
    #[error("there is no id left for a new loop")]
    Ids,
    /// The result would break a rule of the loop IR.
    #[error("{0}")]
    Broken(Violation),
    /// What is inside a loop is not what the primitive takes.
    #[error("loop {id}: expected {expected}")]
    Inside {
        /// The loop.
        id: VarId,
        /// What the primitive takes.
        expected: &'static str,
    },
}

impl Rule {
    fn at(&self) -> Option<VarId> {
        match self {
            Rule::Loop { id, .. }
            | Rule::Inside { id, .. }
            | Rule::Broken(Violation::Loop { id, .. } | Violation::Overlap { id, .. }) => Some(*id),
            _ => None,
        }
    }
}

/// A primitive at work on a kernel.
#[derive(Clone, Copy)]
struct Rewrite<'a> {
    primitive: &'static str,
    kernel: &'a Kernel,
}

impl Rewrite<'_> {
    fn refuse(self, rule: Rule) -> ScheduleError {
        let mut nest = String::new();
        for l in &self.kernel.loops {
            let mark = if rule.at() == Some(l.id) { '>' } else { ' ' };
            // Writing into a string does not fail.
            let _ = write!(nest, "\n{mark} {l}");
        }
        let Rewrite { primitive, kernel } = self;
        ScheduleError { primitive, kernel: kernel.name.clone(), rule: Box::new(rule), nest }
    }

    fn refuse_loop(self, id: VarId, expected: impl ToString, found: impl ToString) -> ScheduleError {
        self.refuse(Rule::Loop { id, expected: expected.to_string(), found: found.to_string() })
    }

    /// Position of a loop.
    fn position(self, id: VarId) -> Result<usize, ScheduleError> {
        self.kernel.position(id).ok_or_else(|| self.refuse(Rule::Unknown(id)))
    }

    /// Position of a data loop.
    fn data_loop(self, id: VarId) -> Result<usize, ScheduleError> {
        let at = self.position(id)?;
        match self.kernel.loops[at].role {
            Role::Data => Ok(at),
            Role::Reduce => Err(self.refuse_loop(id, "a data loop", "a reduce loop")),
        }
    }

    /// Two ids that no loop has.
    fn fresh(self) -> Result<[VarId; 2], ScheduleError> {
        let first = self.kernel.loops.iter().map(|l| l.id.0).max().map_or(Some(0), |id| id.checked_add(1));
        let ids = first.and_then(|a| Some([VarId(a), VarId(a.checked_add(1)?)]));
        ids.ok_or_else(|| self.refuse(Rule::Ids))
    }

    /// The kernel with these expressions in place of variables.
    fn substitute(self, with: &[(VarId, Expr)]) -> Kernel {
        let of = |v: VarId| with.iter().find(|(id, _)| *id == v).map_or(Expr::Var(v), |(_, e)| e.clone());
        self.kernel.map_expressions(|e| e.substitute(&of))
    }

    /// The result, if it keeps the rules of the loop IR.
    fn done(self, result: Kernel) -> Result<Kernel, ScheduleError> {
        match verify(&result) {
            Ok(()) => Ok(result),
            Err(e) => Err(self.refuse(Rule::Broken(e.violation))),
        }
    }
}

/// A refusal of a primitive at work on a tree of loops.
fn refused(primitive: &'static str, nest: &Nest, rule: Rule) -> ScheduleError {
    let mut lines = String::new();
    for l in nest.loops() {
        let mark = if rule.at() == Some(l.id) { '>' } else { ' ' };
        // Writing into a string does not fail.
        let _ = write!(lines, "\n{mark} {l}");
    }
    ScheduleError { primitive, kernel: nest.name.clone(), rule: Box::new(rule), nest: lines }
}

/// That no reduce loop is around a loop: accumulators do not outlive the statement that they are in.
fn outside_sums(primitive: &'static str, nest: &Nest, id: VarId) -> Result<(), ScheduleError> {
    match nest.outside(id).iter().find(|l| l.role == Role::Reduce) {
        None => Ok(()),
        Some(l) => {
            let (expected, found) = ("a loop outside sums".into(), format!("it inside {}", l.id));
            Err(refused(primitive, nest, Rule::Loop { id, expected, found }))
        }
    }
}

/// A loop of a tree and what it holds.
fn loop_of<'a>(
    primitive: &'static str,
    nest: &'a Nest,
    id: VarId,
) -> Result<(&'a Loop, &'a [Stmt]), ScheduleError> {
    match nest.find(id) {
        Some(Stmt::Loop(l, body)) => Ok((l, body)),
        _ => Err(refused(primitive, nest, Rule::Unknown(id))),
    }
}
