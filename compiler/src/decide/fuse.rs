//! Which nodes run together with the one before them: activations and additions that follow a convolution.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::graph::Users;
use octrt_ops::graph::infer::with_args;
use octrt_ops::{DType, Element, Graph, Node, NodeId, Op, ValueId};

use crate::leaf::programs::Activation;

/// A node with those that follow it and need no results of their own in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The first node: the one that computes.
    pub root: NodeId,
    /// All nodes, in order; the group runs in the place of the last.
    pub nodes: Vec<NodeId>,
    /// The function that is applied.
    pub activation: Activation,
    /// A tensor that is added to the arguments of the activation.
    pub base: Option<Addend>,
    /// A tensor that is added then.
    pub addend: Option<Addend>,
    /// What the group computes.
    pub result: ValueId,
    /// The activation or addition that follows and is not in the group, and why.
    pub open: Option<(NodeId, Unfused)>,
}

/// Why an activation or an addition does not run together with what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfused {
    /// What it follows is wanted in memory.
    #[error("what it follows has other users, or is an output")]
    Users,
    /// It belongs to another group already.
    #[error("it runs with other nodes")]
    Taken,
    /// Tiles of this kind store what they compute.
    #[error("the strategy ends with no {0}")]
    Strategy(&'static str),
    /// There is one function at the end of a tile.
    #[error("an activation stands there already")]
    Activation,
    /// There are two additions at most, one directly behind the other.
    #[error("there is no room for another addition")]
    Additions,
    /// What is added is no computed tensor of the same shape.
    #[error("what is added is a constant, or of another shape")]
    Operands,
}

/// A tensor that is added to the results of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Addend {
    /// The tensor.
    pub value: ValueId,
    /// Rows and columns of the result that share one of its pixels: it is upsampled as it is read.
    pub repeat: usize,
    /// Whether it is added to the results of the activation rather than to its arguments.
    pub after: bool,
}

/// What a group may end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    /// An activation.
    pub activation: bool,
    /// An addition.
    pub addend: bool,
    /// An addition of a tensor that is upsampled.
    pub upsampled: bool,
    /// A second addition.
    pub base: bool,
}

impl Follow {
    /// Everything.
    pub const ALL: Follow = Follow { activation: true, addend: true, upsampled: true, base: true };
    /// Nothing.
    pub const NONE: Follow = Follow { activation: false, addend: false, upsampled: false, base: false };
}

/// The group that begins with `root`: as many of the nodes behind it as may follow.
pub fn group(users: &Users<'_>, root: NodeId, taken: &[bool], follow: Follow) -> Group {
    let graph = users.graph();
    let result = graph.node(root).outputs[0];
    let (activation_of_root, nodes) = (activation(graph, graph.node(root)), vec![root]);
    let identity = Activation::Identity;
    let mut g = Group { root, nodes, activation: identity, base: None, addend: None, result, open: None };
    // A root that is an activation itself is the group's.
    if let Some(activation) = activation_of_root {
        g.activation = activation;
        return g;
    }
    let follows = |id: &NodeId| {
        let node = graph.node(*id);
        let adds = matches!(node.op, Op::Binary(Binary { kind: BinaryKind::Add }));
        adds || activation(graph, node).is_some()
    };
    while let Some(next) = users.of(g.result).iter().copied().find(follows) {
        let joined = match users.only(g.result) {
            None => Err(Unfused::Users),
            Some(_) if taken[next.index()] => Err(Unfused::Taken),
            Some(_) => extend(users, &mut g, next, taken, follow),
        };
        if let Err(why) = joined {
            g.open = Some((next, why));
            break;
        }
    }
    g
}

/// Takes an activation or an addition into the group.
fn extend(
    users: &Users<'_>,
    g: &mut Group,
    next: NodeId,
    taken: &[bool],
    follow: Follow,
) -> Result<(), Unfused> {
    let graph = users.graph();
    let node = graph.node(next);
    if let Some(activation) = activation(graph, node) {
        if !follow.activation {
            return Err(Unfused::Strategy("activation"));
        }
        if g.activation != Activation::Identity || g.addend.is_some_and(|a| a.after) {
            return Err(Unfused::Activation);
        }
        g.activation = activation;
    } else {
        // A second addition follows the first at once.
        let second = g.addend.is_some();
        let room = follow.base && g.base.is_none() && g.activation == Activation::Identity;
        if !follow.addend {
            return Err(Unfused::Strategy("addition"));
        }
        if second && !room {
            return Err(Unfused::Additions);
        }
        let (value, upsampling) = addend(users, g, node, taken).ok_or(Unfused::Operands)?;
        let after = g.activation != Activation::Identity;
        let upsampling = upsampling.filter(|_| follow.upsampled);
        if second {
            g.base = g.addend;
        }
        g.addend = Some(match upsampling {
            Some((source, resize)) => {
                g.nodes.push(resize);
                Addend { value: source, repeat: 2, after }
            }
            None => Addend { value, repeat: 1, after },
        });
    }
    g.nodes.push(next);
    g.result = node.outputs[0];
    Ok(())
}

/// The other operand of an addition of equal shapes; with it what it is upsampled from and the node that does it, where
/// that has no other user.
fn addend(
    users: &Users<'_>,
    g: &Group,
    add: &Node,
    taken: &[bool],
) -> Option<(ValueId, Option<(ValueId, NodeId)>)> {
    let graph = users.graph();
    let [Some(a), Some(b)] = add.inputs[..] else { return None };
    let other = if a == g.result { b } else { a };
    if a == b || graph.ty(other).ok()? != graph.ty(g.result).ok()? || graph.constant(other).is_some() {
        return None;
    }
    let upsampled = || {
        let id = graph.producer(other)?;
        let source = graph.node(id).inputs.first().copied().flatten()?;
        let free = !taken[id.index()] && users.only(other).is_some();
        (free && doubles(graph, graph.node(id))).then_some((source, id))
    };
    Some((other, upsampled()))
}

/// Whether a node repeats every row and column of maps twice and does nothing else: output pixel `i` shows input pixel
/// `i / 2`.
pub fn doubles(graph: &Graph, node: &Node) -> bool {
    let Op::Resize(resize) = &node.op else { return false };
    let from = node.inputs.first().copied().flatten().and_then(|v| graph.ty(v).ok());
    let Some(from) = from.filter(|ty| ty.dtype == DType::F32 && ty.shape.rank() == 4) else { return false };
    let Ok(Ok(Some(sources))) = with_args(graph, node, |args| resize.sources(args)) else { return false };
    let repeats = [1, 1, 2, 2];
    sources.iter().zip(from.shape.iter()).zip(repeats).all(|((sources, extent), repeat)| {
        sources.len() == repeat * extent && sources.iter().enumerate().all(|(o, i)| *i == o / repeat)
    })
}

/// The activation that a node is.
pub fn activation(graph: &Graph, node: &Node) -> Option<Activation> {
    match &node.op {
        Op::Unary(Unary { kind: UnaryKind::Relu }) => Some(Activation::Relu),
        Op::Unary(Unary { kind: UnaryKind::HardSwish }) => Some(Activation::HardSwish),
        Op::Clip(_) => {
            let limit = |i: usize, missing: f32| match node.input(i) {
                None => Some(missing),
                Some(v) => {
                    let t = graph.constant(v).filter(|t| t.dtype() == DType::F32 && t.numel() == 1)?;
                    Some(f32::read(t.bytes()))
                }
            };
            let (lo, hi) = (limit(1, f32::NEG_INFINITY)?, limit(2, f32::INFINITY)?);
            // What becomes of a zero in an unused lane must be a number; where `hi < lo` the definition's order counts.
            let usable = lo <= hi && lo < f32::INFINITY && hi > f32::NEG_INFINITY;
            usable.then_some(Activation::Clip { lo, hi })
        }
        _ => None,
    }
    .filter(|_| node.outputs.first().is_some_and(|v| graph.ty(*v).is_ok_and(|t| t.dtype == DType::F32)))
}
