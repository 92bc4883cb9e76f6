//! Convolutions of a vanilla network replaced by OctConvs (Chen et al. 2019, "Drop an Octave"): graph to graph.
//!
//! The weight of a convolution is cut by channels into the kernels of the four paths; no number changes and none is
//! added, but the network computes something else and has to be trained further. Semantics are those of the reference
//! implementation (`facebookresearch/OctConv`): a stride of 2 is a 2x2 average of the input before stride-1
//! convolutions, and at stride 2 the path from low to high has no upsampling. Odd extents are rounded up: an average of
//! what is left at the border, and a border cut off after upsampling.
//!
//! * The stem, every convolution that reads the picture, stays.
//! * The last stage, at the smallest extent, has one frequency again, as has what only the last stage reads; also what
//!   no further convolution reads.
//! * A depthwise convolution works within each frequency. A grouped one has as many groups in every path.
//! * Activations, normalisations, sums, concatenations, and poolings that fit work on both frequencies; before all
//!   else the low frequency is upsampled and put behind the high one, in the order of the original channels.
//! * A convolution whose input and output have one frequency stays as it is, with its stride.

mod conv;
mod plan;
mod propagate;
mod split;

use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::rewrite::compact;
use octrt_ops::graph::verify;
use octrt_ops::{Graph, GraphError, Node, Op, OpError, TensorType};

use conv::Refusal;
use plan::Plan;
use split::{Repr, Rewriter};

/// A network with OctConvs, and what became of every convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Octavized {
    /// The network, with all types known.
    pub graph: Graph,
    /// Names of the convolutions that are OctConvs now.
    pub replaced: Vec<String>,
    /// The other ones.
    pub kept: Vec<Kept>,
}

/// A convolution that was not replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Name of the node.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// `graph`, whose types are all known (see [`specialize`]), with OctConvs that have `int(alpha * c)` of their `c` output
/// channels at low frequency. Inputs and outputs stay what they are.
///
/// # Errors
/// [`GraphError`] when alpha does not lie between 0 and 1, the graph breaks a rule of [`verify`], or a type is not known.
pub fn octavize(graph: &Graph, alpha: f64) -> Result<Octavized, GraphError> {
    let whole = |e| GraphError::new(&graph.name, "", e);
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(whole(OpError::Invalid(format!("alpha {alpha}: expected a number between 0 and 1"))));
    }
    verify::verify(graph)?;
    let plan = Plan::new(graph).map_err(whole)?;
    let mut rewriter = Rewriter::new(graph);
    let (mut replaced, mut kept) = (Vec::new(), Vec::new());
    for id in graph.node_ids() {
        let node = graph.node(id);
        let at_node = |e| GraphError::new(&node.name, node.op.as_operator().name(), e);
        if let Op::Conv(conv) = &node.op {
            match conv::octave(&mut rewriter, node, conv, plan.role(id), alpha) {
                Ok(()) => {
                    replaced.push(node.name.clone());
                    continue;
                }
                Err(Refusal::Kept(reason)) => kept.push(Kept { node: node.name.clone(), reason }),
                Err(Refusal::Failed(e)) => return Err(at_node(e)),
            }
        } else if reads_split(&rewriter, node)
            && let Some(repr) = propagate::both(&mut rewriter, node).map_err(at_node)?
        {
            rewriter.define(node.outputs[0], repr);
            continue;
        }
        rewriter.copy(node).map_err(at_node)?;
    }
    for output in &graph.outputs {
        let value = rewriter.full(output.value).map_err(whole)?;
        rewriter.graph.add_output(output.name.clone(), value);
    }
    let types: Vec<TensorType> =
        graph.inputs.iter().map(|i| graph.ty(i.value).cloned()).collect::<Result<_, _>>().map_err(whole)?;
    let graph = specialize(&compact(rewriter.graph).graph, &types, Limits::default())?;
    Ok(Octavized { graph, replaced, kept })
}

fn reads_split(rewriter: &Rewriter<'_>, node: &Node) -> bool {
    node.inputs.iter().flatten().any(|&v| matches!(rewriter.repr(v), Repr::Split(_)))
}

/// Height and width of a value of rank 4.
fn extents(graph: &Graph, node: &Node, input: Option<usize>) -> Option<[usize; 2]> {
    let value = match input {
        Some(i) => node.input(i)?,
        None => *node.outputs.first()?,
    };
    match graph.value(value).ty.as_ref()?.shape.dims() {
        [_, _, h, w] => Some([*h, *w]),
        _ => None,
    }
}

/// Whether a value is computed by a node.
fn is_computed(graph: &Graph, value: octrt_ops::ValueId) -> bool {
    graph.producer(value).is_some()
}
