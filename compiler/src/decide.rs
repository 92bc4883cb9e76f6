//! The layout pass: which nodes run as nests of calls on blocked activations, which run together, and how every value lies
//! in memory.
//!
//! Convolutions, poolings, normalisations, concatenations of channels and what is computed element by element between
//! them work on blocks of channels; everything else on plain tensors. Reorders stand only where the two meet.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::def::global_pool::GlobalPoolKind;
use octrt_ops::graph::Users;
use octrt_ops::window::WindowAxis;
use octrt_ops::{Graph, Node, NodeId, Op, ValueId};

use crate::layout::{AXES, Border, Halo, Layout, Map, MapWindow};
use crate::leaf::programs::Winograd;
use crate::options::Options;
use crate::records::{Convolution, Records};
use crate::strategy::conv::{Algorithm, Sharing};
use crate::strategy::decision::Decision;
use crate::strategy::problem::WindowKind;
use crate::strategy::refusal::Refusal;

mod algorithm;
pub(crate) mod concat;
pub mod elementwise;
pub mod fuse;
mod matcher;
pub(crate) mod matrix;
pub mod parts;
pub mod pools;
pub mod reason;

use algorithm::Chooser;
use fuse::{Columns, Follow, Fuser, Group};
use matcher::Matcher;
use parts::Parts;
use pools::Pooled;
pub use reason::Reason;

/// What a group of nodes is computed by.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A convolution.
    Conv(Windows, Decision),
    /// A convolution as several, each of a part of the result.
    Parts(Parts),
    /// Windows over each channel by itself.
    Window(WindowKind, Windows),
    /// A reduction of each channel's map to one number.
    Global(GlobalPoolKind),
    /// Element by element, of tensors in blocks.
    Map,
    /// Element by element, of plain tensors.
    Plain,
    /// Channels of several tensors, one after the other.
    Concat,
    /// Planes, rows and columns repeated so many times, in blocks.
    Nearest([usize; AXES]),
    /// The operator's definition, on the tensors as they lie in memory.
    Physical,
    /// A product of matrices, on plain tensors.
    Matrix,
    /// Reductions of rows of a plain tensor, and functions of them, in one pass.
    Rows,
}

impl Kind {
    /// What reports call it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Conv(_, decision) => match decision.algorithm {
                Algorithm::Direct => "convolution in blocks",
                Algorithm::Winograd(Winograd::F2) => "convolution in blocks, Winograd F(2x2, 3x3)",
                Algorithm::Winograd(Winograd::F4) => "convolution in blocks, Winograd F(4x4, 3x3)",
            },
            Kind::Parts(_) => "convolution in blocks, by parts",
            Kind::Window(WindowKind::Weights, _) => "depthwise convolution in blocks",
            Kind::Window(..) => "pooling in blocks",
            Kind::Global(_) => "global pooling in blocks",
            Kind::Map => "element by element in blocks",
            Kind::Plain => "element by element on plain tensors",
            Kind::Concat => "concatenation in blocks",
            Kind::Nearest(_) => "nearest neighbours in blocks",
            Kind::Physical => "definition on blocks",
            Kind::Matrix => "matrix product",
            Kind::Rows => "rows in one pass",
        }
    }

    /// Whether the result lies in blocks.
    pub fn is_in_blocks(&self) -> bool {
        !matches!(self, Kind::Plain | Kind::Matrix | Kind::Rows)
    }

    /// How what is computed is computed.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Kind::Conv(_, decision) => decision.algorithm,
            _ => Algorithm::Direct,
        }
    }
}

/// The windows of an operator on maps.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Planes, rows and columns; an axis that the maps do not have is one of extent 1.
    pub axes: [WindowAxis; AXES],
    /// Groups of channels.
    pub groups: usize,
    /// How the groups of the model share blocks of channels.
    pub sharing: Sharing,
}

impl Windows {
    fn halo(&self) -> Halo {
        Halo::of(&self.axes)
    }

    /// Whether each covers one pixel of the input.
    fn of_pixels(&self) -> bool {
        self.axes.iter().all(|a| a.kernel == 1) && self.halo().is_none()
    }

    /// One of them.
    pub fn window(&self) -> MapWindow {
        let each = |f: fn(&WindowAxis) -> usize| self.axes.each_ref().map(f);
        MapWindow {
            kernel: each(|a| a.kernel),
            strides: each(|a| a.stride),
            dilations: each(|a| a.dilation),
            pads: each(|a| a.pad_begin),
        }
    }
}

/// A group and how it is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiled {
    /// The nodes.
    pub group: Group,
    /// How.
    pub kind: Kind,
    /// Inputs of the root that are activations, and how they must lie; a halo may be larger.
    pub inputs: Vec<(ValueId, Layout)>,
    /// Of a pooling of what a convolution computes, where it runs.
    pub pooled: Option<Pooled>,
    /// Whether only poolings in its own step read the result.
    pub only_pooled: bool,
}

/// What the pass decides.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// For each node that is the last of a group, the group.
    pub tiled: Vec<Option<Tiled>>,
    /// For each node, whether it belongs to a group.
    pub taken: Vec<bool>,
    /// For each node that belongs to none, why; and for those that work element by element on plain tensors, why not in
    /// blocks, where one of the tensors lies so.
    pub plain: Vec<Option<Reason>>,
    /// For each value, how the node that computes it leaves it.
    pub layouts: Vec<Layout>,
    /// For each value that is written as a part of another one: that one, and the distance in bytes from its beginning.
    pub placed: Vec<Option<(ValueId, usize)>>,
    /// Convolutions in blocks, in the order of their nodes.
    pub convolutions: Vec<Chosen>,
}

impl Choice {
    /// Those of the records that have decided something, with what they have decided.
    pub fn recorded(&self, records: &Records) -> Records {
        let mut out = Records::NONE;
        for Chosen { convolution, decision, .. } in &self.convolutions {
            let decisions = records.get(convolution);
            if decisions.contains(decision) {
                out.insert(*convolution, decisions.iter().copied());
            }
        }
        out
    }
}

/// A convolution in blocks and what was decided for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// The convolution as records know it.
    pub convolution: Convolution,
    /// Channels in each block of the input as it is read, 1 where it lies plain.
    pub src_lanes: usize,
    /// The decision.
    pub decision: Decision,
}

/// A way in which a schedule may refuse to compute a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// By an algorithm.
    By(Algorithm),
    /// In the step of the convolution whose result it pools.
    Pooled,
}

impl From<Algorithm> for Way {
    fn from(algorithm: Algorithm) -> Way {
        Way::By(algorithm)
    }
}

/// First nodes of groups that schedules have refused to compute in a way, and why.
pub type Refused = BTreeMap<(NodeId, Way), Refusal>;

/// Decides for a graph whose types are known. Nodes that are `refused` even directly run on plain tensors.
pub fn choose(graph: &Graph, options: Options, records: &Records, refused: &Refused) -> Choice {
    let mut choice = Choice {
        tiled: vec![None; graph.nodes.len()],
        taken: vec![false; graph.nodes.len()],
        plain: vec![None; graph.nodes.len()],
        layouts: vec![Layout::PLAIN; graph.values.len()],
        placed: vec![None; graph.values.len()],
        convolutions: Vec::new(),
    };
    let Some(width) = options.target.width() else {
        choice.plain.fill(Some(Reason::NoLeafPrograms(options.target)));
        return choice;
    };
    let lanes = width.lanes() as usize;
    let users = Users::new(graph);
    let chooser = Chooser { graph, options, records, refused };
    let mut blocked = vec![false; graph.values.len()];
    for id in graph.node_ids() {
        if choice.taken[id.index()] {
            continue;
        }
        let matcher = Matcher { users: &users, width, lanes, options, blocked: &blocked };
        let found = match refused.get(&(id, Algorithm::Direct.into())) {
            Some(refusal) => Err(Reason::Refused(refusal.clone())),
            None => matcher.kind(graph.node(id)),
        };
        let (mut kind, inputs) = match found {
            Ok(found) => found,
            Err(reason) => {
                choice.plain[id.index()] = Some(reason);
                continue;
            }
        };
        let of = match kind {
            Kind::Map | Kind::Plain => elementwise::of(graph, graph.node(id)),
            _ => None,
        };
        if kind == Kind::Plain {
            let reads = of.iter().flat_map(|of| &of.reads).filter_map(elementwise::Read::value);
            let reorders = reads.into_iter().any(|v| blocked[v.index()]);
            choice.plain[id.index()] = reorders.then_some(Reason::Shapes);
        }
        let fuser = Fuser { users: &users, taken: &choice.taken, blocked: &blocked, width };
        let group = fuser.group(id, of, follow(&kind, graph, graph.node(id)));
        if let (Kind::Conv(windows, decision), Some((src, layout))) = (&mut kind, inputs.first()) {
            let maps = [(*src, layout.lanes), (group.result, lanes)]
                .map(|(v, lanes)| graph.ty(v).ok().and_then(|ty| Map::new(ty, Layout::blocked(lanes))));
            if let [Some(src), Some(dst)] = maps {
                let chosen = chooser.choose(&group, windows, &src, &dst);
                *decision = chosen.decision;
                choice.convolutions.push(chosen);
            }
        }
        group.nodes.iter().for_each(|n| choice.taken[n.index()] = true);
        blocked[group.result.index()] = kind.is_in_blocks();
        let last = group.nodes.iter().max().copied().unwrap_or(id);
        choice.tiled[last.index()] = Some(Tiled { group, kind, inputs, pooled: None, only_pooled: false });
    }
    layouts(graph, &mut choice, &blocked, lanes);
    pools::place(&users, &mut choice, refused, options.target);
    concat::place(graph, &mut choice);
    choice
}

/// What a kind can do at its end.
fn follow(kind: &Kind, graph: &Graph, node: &Node) -> Follow {
    match kind {
        Kind::Conv(..) => Follow::Upsampled,
        Kind::Parts(_) | Kind::Window(..) | Kind::Map => Follow::Blocks,
        Kind::Matrix => match matrix::problem(graph, node) {
            Some(p) if p.problem.n > 1 && matches!(node.op, Op::Conv(_)) => Follow::Product(Columns::Others),
            Some(p) if p.problem.n > 1 => Follow::Product(Columns::Last),
            _ => Follow::Nothing,
        },
        Kind::Plain => Follow::Plain,
        Kind::Global(_) | Kind::Concat | Kind::Nearest(_) | Kind::Physical | Kind::Rows => Follow::Nothing,
    }
}

/// Gives every blocked value the halo that its users want.
fn layouts(graph: &Graph, choice: &mut Choice, blocked: &[bool], lanes: usize) {
    let mut wanted: Vec<[Halo; 2]> = vec![[Halo::default(); 2]; blocked.len()];
    for (value, layout) in choice.tiled.iter().flatten().flat_map(|t| &t.inputs) {
        let halo = &mut wanted[value.index()][usize::from(layout.border == Border::Lowest)];
        *halo = halo.union(layout.halo);
    }
    concat::share_halos(graph, choice, &mut wanted);
    let physical = choice.tiled.iter().flatten().filter(|t| t.kind == Kind::Physical);
    let physical: BTreeSet<ValueId> = physical.map(|t| t.group.result).collect();
    for (i, layout) in choice.layouts.iter_mut().enumerate().filter(|(i, _)| blocked[*i]) {
        *layout = Layout::blocked(lanes);
        let [zero, lowest] = wanted[i];
        if physical.contains(&ValueId(i as u32)) {
            continue;
        }
        // A value that both a convolution and a maximum want with a border gets that of the convolution; the other
        // works on a copy.
        (layout.halo, layout.border) = match zero.is_none() {
            true => (lowest, Border::Lowest),
            false => (zero, Border::Zero),
        };
        if layout.halo.is_none() {
            layout.border = Border::Zero;
        }
    }
}
