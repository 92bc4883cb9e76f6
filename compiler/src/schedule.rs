//! Schedule primitives: rewrites of a nest that keep what it computes.
//!
//! What cannot be done is refused with a [`ScheduleError`]. Primitives are functions that change
//! a nest, or leave it as it is where they refuse, and steps of a [`Schedule`](script::Schedule). What they make is
//! [verified](crate::nest::verify) when the schedule is done; [`start_from`] and [`split_sum`] reassociate sums, [`pack`]
//! changes how weights lie, the others keep every bit. [`drop`](mod@drop) leaves out tables that calls have taken the place of.

use std::fmt::Write;

use octrt_ops::expr::{BufId, VarId};

use crate::nest::{Loop, Nest, Role, Stmt};

pub mod compute_at;
pub mod cut;
pub mod drop;
pub mod fuse;
pub mod pack;
pub mod parallel;
pub mod relayout;
pub mod reorder;
pub mod script;
pub mod split;
pub mod split_sum;
pub mod stage;
pub mod start_from;
pub mod tensorize;
#[cfg(test)]
mod tests;
pub mod unroll;
pub mod vectorize;

/// Why a primitive refuses, and the nest that it was asked to rewrite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{primitive} of nest '{of}': {rule}{nest}")]
pub struct ScheduleError {
    /// Name of the primitive.
    pub primitive: &'static str,
    /// Name of the nest.
    pub of: String,
    /// The rule that is broken.
    pub rule: Box<Rule>,
    /// The nest's loops, one per line; `>` marks the one at fault.
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
    /// The new order is not one of these loops.
    #[error("expected loops directly inside each other, each once, found {0} loops")]
    Order(usize),
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
            Rule::Loop { id, .. } | Rule::Inside { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// A refusal of a primitive.
fn refused(primitive: &'static str, nest: &Nest, rule: Rule) -> ScheduleError {
    let mut lines = String::new();
    for l in nest.loops() {
        let mark = if rule.at() == Some(l.id) { '>' } else { ' ' };
        // Writing into a string does not fail.
        let _ = write!(lines, "\n{mark} {l}");
    }
    ScheduleError { primitive, of: nest.name.clone(), rule: Box::new(rule), nest: lines }
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

/// The first `count` of a loop and those that stand directly inside each other, and what the last of them holds.
fn unwrapped(l: Loop, body: Vec<Stmt>, count: usize) -> (Vec<Loop>, Vec<Stmt>) {
    let (mut loops, mut inner) = (vec![l], body);
    while loops.len() < count
        && let [Stmt::Loop(..)] = inner[..]
        && let Some(Stmt::Loop(l, body)) = inner.pop()
    {
        loops.push(l);
        inner = body;
    }
    (loops, inner)
}
