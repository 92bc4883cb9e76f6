//! Rewriting of the graph: graph to graph, every step a patch that a rule proposes and the driver carries out.
//!
//! A rule looks at one node and what surrounds it; it never edits. The driver applies the patch, drops what has
//! become dead and, in debug builds, verifies after each pass. The passes take turns until none has anything left to do.
//! A rule takes no longer in a larger graph: it asks for users, producers and nodes alike, and walks over no list of all.

mod deduplicate;
mod driver;
mod einsum_as_matmul;
mod exact_products;
mod fold_constants;
mod fold_pad;
mod fuse_batch_norm;
mod linear;
mod merge_convs;
mod pool_before_pointwise;
mod query;
mod remove_identity;
mod shuffle_conv_transpose;
mod upsample_after_pointwise;

use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::{Graph, GraphError, Node, NodeId};

pub use deduplicate::deduplicate;
pub use driver::{Blocked, End, PassReport, Report, run};
pub use einsum_as_matmul::einsum_as_matmul;
pub use exact_products::exact_products;
pub use fold_constants::fold_constants;
pub use fold_pad::fold_pad;
pub use fuse_batch_norm::fuse_batch_norm;
pub use merge_convs::merge_convs;
pub use pool_before_pointwise::pool_before_pointwise;
pub(crate) use query::is_whole;
pub use remove_identity::remove_identity;
pub use shuffle_conv_transpose::shuffle_conv_transpose;
pub use upsample_after_pointwise::upsample_after_pointwise;

use crate::options::Options;

/// Why a rule has no patch for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The node is not what the rule is about.
    NoMatch,
    /// The node is what the rule is about, but the rule does not apply, for this reason.
    Blocked(String),
}

/// Proposes a patch for the surroundings of one node of a graph whose types are known.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Looks at the node and what surrounds it.
    Local(fn(&Editor, NodeId) -> Result<Patch, Skip>),
    /// Looks at what the caller has chosen too: the machine, how exact results must be.
    OnTarget(fn(&Editor, NodeId, Options) -> Result<Patch, Skip>),
    /// Looks at the node and at those before it that have its key, in order.
    Alike(fn(&Graph, &Node) -> u64, fn(&Editor, NodeId, &[NodeId]) -> Result<Patch, Skip>),
}

/// A rule with the name under which reports and tests know it.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Name of the rule's file and function.
    pub name: &'static str,
    /// The rule.
    pub rule: Rule,
}

/// `a = f(x); b = f(x) -> a = f(x); b = a`.
pub const DEDUPLICATE: Pass = Pass { name: "deduplicate", rule: Rule::Alike(deduplicate::key, deduplicate) };

/// All passes in order, but for [`LAST`]. Dead nodes and values are dropped before the first and after every patch.
pub const PASSES: &[Pass] = &[
    // Computed weights, shapes and bounds become constants: the passes below ask for constants.
    Pass { name: "fold_constants", rule: Rule::Local(fold_constants) },
    // Leaves transpositions and reshapes for the next passes.
    Pass { name: "einsum_as_matmul", rule: Rule::Local(einsum_as_matmul) },
    // Looks at constants; leaves convolutions and matrix products that no pass below is about.
    Pass { name: "exact_products", rule: Rule::Local(exact_products) },
    // A pattern of two nodes is found only when no identity stands between them.
    Pass { name: "remove_identity", rule: Rule::Local(remove_identity) },
    // Looks at constants; pads with an activation between them and the window stay.
    Pass { name: "fold_pad", rule: Rule::Local(fold_pad) },
    // Needs convolutions with one user each, so it goes before the pass that shares convolutions.
    Pass { name: "fuse_batch_norm", rule: Rule::Local(fuse_batch_norm) },
    // Normalisations are out of the way, so that these see convolutions side by side with pooling and upsampling.
    Pass { name: "pool_before_pointwise", rule: Rule::Local(pool_before_pointwise) },
    Pass { name: "upsample_after_pointwise", rule: Rule::Local(upsample_after_pointwise) },
    // Last: what differed by a constant or an identity only is equal by now.
    DEDUPLICATE,
];

/// Passes for what [`PASSES`] have left: nothing before them would find its patterns behind them.
pub const LAST: &[Pass] = &[
    Pass { name: "shuffle_conv_transpose", rule: Rule::OnTarget(shuffle_conv_transpose) },
    Pass { name: "merge_convs", rule: Rule::OnTarget(merge_convs) },
    DEDUPLICATE,
];

/// The graph after all [`PASSES`] and [`LAST`] ones, with what they did and what kept them from doing more.
///
/// Types must be known: see [`octrt_ops::graph::infer::specialize`]. Inputs and outputs stay what they are, in name,
/// order and type; an output may come to show an input or a constant.
///
/// # Errors
/// [`GraphError`] when the graph breaks a rule of [`octrt_ops::graph::verify`], or an operator refuses the
/// arguments that a patch gives it (a defect of the pass).
pub fn optimize(graph: &Graph, options: Options) -> Result<(Graph, Report), GraphError> {
    let (graph, mut report) = run(graph, PASSES, options)?;
    let (graph, last) = run(&graph, LAST, options)?;
    report.passes.extend(last.passes);
    report.end = if last.end == End::Bound { End::Bound } else { report.end };
    Ok((graph, report))
}
