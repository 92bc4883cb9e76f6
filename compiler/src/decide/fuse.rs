//! Which nodes run together with the one before them: what is computed element by element of its result.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::expr::{BufId, Expr};
use octrt_ops::graph::Users;
use octrt_ops::graph::infer::with_args;
use octrt_ops::{DType, Graph, Node, NodeId, Op, Shape, ValueId};

use super::elementwise::{self, Elementwise, Read};
use crate::layout::AXES;
use crate::leaf::Width;
use crate::leaf::programs::{self, Formula, OPERANDS};

/// A node with those that follow it and need no results of their own in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The first node: the one that computes.
    pub root: NodeId,
    /// All nodes, in order; the group runs in the place of the last.
    pub nodes: Vec<NodeId>,
    /// What becomes of the results of the first node, or what is computed where all nodes work element by element.
    pub ending: Ending,
    /// What the group computes.
    pub result: ValueId,
    /// The node that follows and is not in the group though it works element by element, and why.
    pub open: Option<(NodeId, Unfused)>,
}

/// A function of each result of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// An expression of [`Expr::Acc`], the result, and of elements `b0[]`, `b1[]`, .. of the operands.
    pub value: Expr,
    /// The tensors that it reads.
    pub operands: Vec<Operand>,
}

impl Ending {
    /// The results as they are.
    pub const NONE: Ending = Ending { value: Expr::Acc, operands: Vec::new() };
}

/// A tensor that an ending reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// Its elements, by those of the result.
    pub read: Read,
    /// Rows and columns of the result that share one of its pixels: it is upsampled as it is read.
    pub repeat: usize,
}

/// Why a node does not run together with what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfused {
    /// What it follows is wanted in memory.
    #[error("what it follows has other users, or is an output")]
    Users,
    /// It belongs to another group already.
    #[error("it runs with other nodes")]
    Taken,
    /// What is computed ends as it is.
    #[error("the strategy stores what it computes")]
    Strategy,
    /// Not a function that leaf programs compute.
    #[error("it is no function that leaf programs compute, or has too many values at once")]
    Function,
    /// More tensors than a leaf program reads at its end.
    #[error("there is no room for another operand")]
    Operands,
    /// A tensor that the strategy does not read beside its results.
    #[error("an operand has another shape or layout")]
    Layout,
    /// A result of more elements than that of the first node.
    #[error("its result has another shape")]
    Shape,
}

/// What a group may end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Nothing.
    Nothing,
    /// Functions of the result and of tensors in blocks.
    Blocks,
    /// As [`Follow::Blocks`], also of tensors that are upsampled.
    Upsampled,
    /// Functions of the result and of plain tensors.
    Plain,
    /// As [`Follow::Plain`], of tensors that have the result's shape, or an element for each of its columns.
    Product(Columns),
}

/// The columns of products of matrices, of which there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// They are the last axis.
    Last,
    /// They are several axes.
    Others,
}

/// Most users of a value of a group.
const USERS: usize = 16;

/// Most terms of an expression that a group computes.
const TERMS: usize = 300;

/// What groups are made from.
pub(super) struct Fuser<'a> {
    pub(super) users: &'a Users<'a>,
    /// Nodes that belong to a group.
    pub(super) taken: &'a [bool],
    /// Values that lie in blocks.
    pub(super) blocked: &'a [bool],
    /// Of the vectors of the target.
    pub(super) width: Width,
}

impl Fuser<'_> {
    fn graph(&self) -> &Graph {
        self.users.graph()
    }

    /// The group that begins with `root`: as many of the nodes behind it as may follow. `of` is what the root computes where
    /// it works element by element.
    pub(super) fn group(&self, root: NodeId, of: Option<Elementwise>, follow: Follow) -> Group {
        let result = self.graph().node(root).outputs[0];
        let mut growing = Growing::new(self, root, follow);
        let ending = match of {
            None => Ending::NONE,
            Some(of) => growing.first(of),
        };
        growing.values.insert(result, ending.value.clone());
        let mut group = Group { root, nodes: vec![root], ending, result, open: None };
        while let Some(next) = growing.next() {
            let Some(of) = elementwise::of(self.graph(), self.graph().node(next)) else { break };
            match growing.add(next, &of) {
                Ok(value) => {
                    let result = self.graph().node(next).outputs[0];
                    growing.values.insert(result, value.clone());
                    if growing.is_closed(result) {
                        let ending = Ending { value, operands: growing.operands.clone() };
                        group = Group { nodes: growing.nodes.clone(), ending, result, ..group };
                    }
                }
                Err(why) => {
                    group.open = Some((next, why));
                    return group;
                }
            }
        }
        // What could have followed, but for others that want what is between.
        let left = growing.nodes.iter().find(|n| !group.nodes.contains(n));
        group.open = left.map(|n| (*n, Unfused::Users));
        group
    }
}

/// A group that grows.
struct Growing<'a> {
    fuser: &'a Fuser<'a>,
    follow: Follow,
    shape: Shape,
    nodes: Vec<NodeId>,
    /// What the values of the group are.
    values: BTreeMap<ValueId, Expr>,
    operands: Vec<Operand>,
}

impl<'a> Growing<'a> {
    fn new(fuser: &'a Fuser<'a>, root: NodeId, follow: Follow) -> Growing<'a> {
        let graph = fuser.graph();
        let shape = graph.ty(graph.node(root).outputs[0]).map_or(Shape::scalar(), |ty| ty.shape.clone());
        Growing { fuser, follow, shape, nodes: vec![root], values: BTreeMap::new(), operands: Vec::new() }
    }

    /// What the first node is, where it works element by element.
    fn first(&mut self, of: Elementwise) -> Ending {
        self.operands = of.reads.into_iter().map(|read| Operand { read, repeat: 1 }).collect();
        Ending { value: of.value, operands: self.operands.clone() }
    }

    /// The first node behind the group that uses one of its values.
    fn next(&self) -> Option<NodeId> {
        if self.values.keys().any(|v| self.fuser.users.of(*v).len() > USERS) {
            return None;
        }
        let users: BTreeSet<NodeId> =
            self.values.keys().flat_map(|v| self.fuser.users.of(*v)).copied().collect();
        users.into_iter().find(|id| !self.nodes.contains(id))
    }

    /// Whether no value but `result` is used outside of the group.
    fn is_closed(&self, result: ValueId) -> bool {
        let users = self.fuser.users;
        let inside =
            |v: &ValueId| !users.is_output(*v) && users.of(*v).iter().all(|u| self.nodes.contains(u));
        self.values.keys().all(|v| *v == result || inside(v))
    }

    /// Takes a node into the group; gives what it computes.
    fn add(&mut self, next: NodeId, of: &Elementwise) -> Result<Expr, Unfused> {
        let graph = self.fuser.graph();
        let node = graph.node(next);
        if self.follow == Follow::Nothing {
            return Err(Unfused::Strategy);
        }
        if self.fuser.taken[next.index()] {
            return Err(Unfused::Taken);
        }
        if graph.ty(node.outputs[0]).map_or(true, |ty| ty.shape != self.shape) {
            return Err(Unfused::Shape);
        }
        let (mut operands, mut nodes) = (self.operands.clone(), self.nodes.clone());
        let mut elements = Vec::new();
        for read in &of.reads {
            elements.push(match read.value().and_then(|v| self.values.get(&v)) {
                Some(value) => value.clone(),
                None => self.operand(read, &mut operands, &mut nodes)?,
            });
        }
        let value = of.value.map(&mut |e| match e {
            Expr::Load(b, _) => elements.get(b.index()).cloned(),
            _ => None,
        });
        let mut terms = 0;
        value.visit(&mut |_| terms += 1);
        let fits = |f: Formula| programs::Elementwise::fits(f, self.fuser.width);
        if terms > TERMS || !Formula::of_buffers(&value).is_some_and(fits) {
            return Err(Unfused::Function);
        }
        nodes.push(next);
        (self.operands, self.nodes) = (operands, nodes);
        Ok(value)
    }

    /// The element of a tensor that is no value of the group.
    fn operand(
        &self,
        read: &Read,
        operands: &mut Vec<Operand>,
        nodes: &mut Vec<NodeId>,
    ) -> Result<Expr, Unfused> {
        let mut operand = Operand { read: read.clone(), repeat: 1 };
        if let Some((source, resize)) = self.upsampled(read) {
            operand = Operand {
                read: Read { source: elementwise::Source::Value(source), ..read.clone() },
                repeat: 2,
            };
            nodes.push(resize);
        } else if !self.is_read(read) {
            return Err(Unfused::Layout);
        }
        let k = match operands.iter().position(|o| *o == operand) {
            Some(k) => k,
            None => {
                operands.push(operand);
                operands.len() - 1
            }
        };
        // One is kept for what tells the lanes that are channels.
        match operands.len() < OPERANDS {
            true => Ok(Expr::load(BufId(k as u32), [])),
            false => Err(Unfused::Operands),
        }
    }

    /// Whether the strategy reads such a tensor beside its results.
    fn is_read(&self, read: &Read) -> bool {
        match self.follow {
            Follow::Nothing => false,
            Follow::Blocks | Follow::Upsampled => reads_in_blocks(self.fuser.graph(), read, &self.shape),
            Follow::Plain => self.lies_plain(read),
            Follow::Product(columns) => {
                let last = self.shape.rank().saturating_sub(1);
                let per_column = columns == Columns::Last && read.only_along(&[last]) && read.varies[last];
                (read.is_whole(&self.shape) || per_column) && self.lies_plain(read)
            }
        }
    }

    /// Whether a tensor need not be reordered to be read plain.
    fn lies_plain(&self, read: &Read) -> bool {
        read.value().is_none_or(|v| !self.fuser.blocked[v.index()])
    }

    /// What a tensor is upsampled from and the node that does it, where that has no other user.
    fn upsampled(&self, read: &Read) -> Option<(ValueId, NodeId)> {
        let (graph, v) = (self.fuser.graph(), read.value()?);
        let same_axes = graph.ty(v).is_ok_and(|ty| ty.shape == self.shape);
        let id = graph.producer(v).filter(|_| self.follow == Follow::Upsampled && same_axes)?;
        let source = graph.node(id).inputs.first().copied().flatten()?;
        if graph.constant(source).is_some() {
            return None;
        }
        let free = !self.fuser.taken[id.index()] && self.fuser.users.only(v).is_some();
        (free && doubles(graph, graph.node(id))).then_some((source, id))
    }
}

/// Whether an element of blocks of channels is computed with such a tensor beside it: a computed one with an element for
/// each, or with one for each channel of each picture, or constants for each channel.
pub(super) fn reads_in_blocks(graph: &Graph, read: &Read, shape: &Shape) -> bool {
    let constant = read.value().is_none_or(|v| graph.constant(v).is_some());
    if constant {
        return read.only_along(&[1]);
    }
    let rank = read.value().and_then(|v| graph.ty(v).ok()).map(|ty| ty.shape.rank());
    let of_pictures =
        read.only_along(&[0, 1]) && (shape[0] == 1 || read.varies[0]) && (shape[1] == 1 || read.varies[1]);
    rank == Some(shape.rank()) && (read.is_whole(shape) || of_pictures)
}

/// How often a node repeats the planes, rows and columns of maps, which is all that it does: output pixel `i` shows input pixel
/// `i / n` of an axis that it repeats `n` times.
pub fn repeats(graph: &Graph, node: &Node) -> Option<[usize; AXES]> {
    let Op::Resize(resize) = &node.op else { return None };
    let from = node.inputs.first().copied().flatten().and_then(|v| graph.ty(v).ok());
    let from = from.filter(|ty| ty.dtype == DType::F32 && (3..=5).contains(&ty.shape.rank()))?;
    let Ok(Ok(Some(sources))) = with_args(graph, node, |args| resize.sources(args)) else { return None };
    let repeat = |sources: &[usize], extent: usize| {
        let n = sources.len().checked_div(extent).filter(|n| *n > 0 && sources.len() == n * extent)?;
        sources.iter().enumerate().all(|(o, i)| *i == o / n).then_some(n)
    };
    let all = sources.iter().zip(from.shape.iter()).map(|(s, extent)| repeat(s, *extent));
    let all: Vec<usize> = all.collect::<Option<_>>()?;
    let (outer, axes) = all.split_at(2);
    let missing = AXES - axes.len();
    let of = |i: usize| i.checked_sub(missing).map_or(1, |i| axes[i]);
    (outer == [1, 1]).then(|| std::array::from_fn(of))
}

/// Whether a node repeats every row and column of maps twice and does nothing else.
pub fn doubles(graph: &Graph, node: &Node) -> bool {
    let rank = node.outputs.first().and_then(|v| graph.ty(*v).ok()).map(|ty| ty.shape.rank());
    rank == Some(4) && repeats(graph, node) == Some([1, 2, 2])
}

/// Whether what reads the results of a node may be computed with a convolution that comes after it, and they with it.
pub fn awaits_conv(users: &Users<'_>, id: NodeId) -> bool {
    let graph = users.graph();
    let conv = |v: &ValueId| reaches_conv(graph, *v, id, CHAIN);
    let results = &graph.node(id).outputs;
    let reader = results.first().and_then(|v| users.only(*v)).map(|user| graph.node(user));
    let reader = reader.filter(|node| elementwise::of(graph, node).is_some_and(|of| of.reads.len() > 1));
    reader.is_some_and(|node| node.inputs.iter().flatten().filter(|v| !results.contains(v)).any(conv))
}

/// Most nodes between a convolution and what ends its group.
const CHAIN: usize = 8;

/// Whether a value is that of a convolution behind node `id`, or computed of one element by element.
fn reaches_conv(graph: &Graph, v: ValueId, id: NodeId, most: usize) -> bool {
    let Some(producer) = graph.producer(v).filter(|p| *p > id && most > 0) else { return false };
    let node = graph.node(producer);
    matches!(node.op, Op::Conv(_))
        || elementwise::of(graph, node).is_some()
            && node.inputs.iter().flatten().any(|v| reaches_conv(graph, *v, id, most - 1))
}
