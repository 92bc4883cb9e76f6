//! Rewriting of the graph: graph to graph, every step a patch that a rule proposes and the driver carries out.
//!
//! A rule looks at one node and what surrounds it; it never edits. The driver applies the patch, drops what has
//! become dead and, in debug builds, verifies. The passes take turns until none has anything left to do.

mod deduplicate;
mod driver;
mod fold_constants;
mod fuse_batch_norm;
mod query;
mod remove_identity;

use octrt_ops::graph::rewrite::Patch;
use octrt_ops::{Graph, GraphError, NodeId};

pub use deduplicate::deduplicate;
pub use driver::{Blocked, End, PassReport, Report, run};
pub use fold_constants::fold_constants;
pub use fuse_batch_norm::fuse_batch_norm;
pub use remove_identity::remove_identity;

/// Why a rule has no patch for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The node is not what the rule is about.
    NoMatch,
    /// The node is what the rule is about, but the rule does not apply, for this reason.
    Blocked(String),
}

/// Proposes a patch for the surroundings of one node of a graph whose types are known.
pub type Rule = fn(&Graph, NodeId) -> Result<Patch, Skip>;

/// A rule with the name under which reports and tests know it.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Name of the rule's file and function.
    pub name: &'static str,
    /// The rule.
    pub rule: Rule,
}

/// All passes in order. Dead nodes and values are dropped before the first and after every patch.
pub const PASSES: &[Pass] = &[
    // Computed weights, shapes and bounds become constants: the passes below ask for constants.
    Pass { name: "fold_constants", rule: fold_constants },
    // A pattern of two nodes is found only when no identity stands between them.
    Pass { name: "remove_identity", rule: remove_identity },
    // Needs convolutions with one user each, so it goes before the pass that shares convolutions.
    Pass { name: "fuse_batch_norm", rule: fuse_batch_norm },
    // Last: what differed by a constant or an identity only is equal by now.
    Pass { name: "deduplicate", rule: deduplicate },
];

/// The graph after all [`PASSES`], with what they did and what kept them from doing more.
///
/// Types must be known: see [`octrt_ops::graph::infer::specialize`]. Inputs and outputs stay what they are, in name,
/// order and type; an output may come to show an input or a constant.
///
/// # Errors
/// [`GraphError`] when the graph breaks a rule of [`octrt_ops::graph::verify`], or an operator refuses the
/// arguments that a patch gives it (a defect of the pass).
pub fn optimize(graph: &Graph) -> Result<(Graph, Report), GraphError> {
    run(graph, PASSES)
}
