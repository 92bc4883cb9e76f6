//! Which poolings run in the step of the convolution that computes what they pool.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::graph::Users;
use octrt_ops::{Graph, NodeId, ValueId};

use super::elementwise::Source;
use super::fuse::Operand;
use super::{Choice, Kind, Refused, Tiled, Way};
use crate::layout::{AXES, Layout, Map};
use crate::strategy::conv::ConvProblem;
use crate::strategy::pooled::{self, Apart, Pooling};
use crate::strategy::problem::{WindowKind, WindowProblem};
use crate::strategy::refusal::Refusal;
use crate::strategy::tail::Tail;
use crate::target::Target;

/// Why a pooling is a step of its own though a convolution computes what it pools.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpooled {
    /// What it pools is read in another layout than it is written.
    #[error("it reads another layout")]
    Layout,
    /// It ends with something that reads further tensors.
    #[error("it ends with what reads further tensors")]
    Ending,
    /// The convolution does not make what its windows need.
    #[error(transparent)]
    Apart(#[from] Apart),
    /// A schedule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Where a pooling runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Pooled {
    /// In the step of the group whose last node is this one.
    In(NodeId),
    /// By itself, behind the group that begins with this convolution, and why.
    Behind(NodeId, Unpooled),
}

/// How a pooling is computed; `None` for other kinds.
pub(crate) fn pooling(kind: &Kind, (src, dst): (Map, Map), tail: Tail) -> Option<Pooling> {
    match kind {
        Kind::Window(kind @ (WindowKind::Max | WindowKind::Sum(_)), w) => {
            Some(Pooling::Windows(WindowProblem { kind: *kind, src, dst, window: w.window(), tail }))
        }
        Kind::Global(kind) => Some(Pooling::Maps { kind: WindowKind::of_maps(*kind, &src), src, dst }),
        _ => None,
    }
}

/// Decides for every pooling of what a convolution computes.
pub(super) fn place(users: &Users<'_>, choice: &mut Choice, refused: &Refused, target: Target) {
    let graph = users.graph();
    let mut computed: BTreeMap<ValueId, usize> = BTreeMap::new();
    for (last, t) in choice.tiled.iter().enumerate() {
        if let Some(t) = t
            && matches!(t.kind, Kind::Conv(..) | Kind::Window(WindowKind::Weights, _))
        {
            computed.insert(t.group.result, last);
        }
    }
    let mut poolings: BTreeMap<usize, Vec<Pooling>> = BTreeMap::new();
    for i in 0..choice.tiled.len() {
        let Some(t) = choice.tiled[i].clone() else { continue };
        let pools = matches!(t.kind, Kind::Window(WindowKind::Max | WindowKind::Sum(_), _) | Kind::Global(_));
        let Some(&(v, want)) = t.inputs.first().filter(|_| pools) else { continue };
        let Some(&last) = computed.get(&v) else { continue };
        let found = match refused.get(&(t.group.root, Way::Pooled)) {
            Some(refusal) => Err(Unpooled::Refused(refusal.clone())),
            None => {
                let all = poolings.entry(last).or_default();
                together(graph, choice, (last, &t, want), (all, target))
            }
        };
        let Some(producer) = choice.tiled[last].as_mut() else { continue };
        let pooled = match found {
            Ok(kind) => {
                producer.kind = kind;
                Pooled::In(NodeId(last as u32))
            }
            Err(why) => Pooled::Behind(producer.group.root, why),
        };
        if let Some(t) = &mut choice.tiled[i] {
            t.pooled = Some(pooled);
        }
    }
    let mut within: BTreeSet<(NodeId, NodeId)> = BTreeSet::new();
    for t in choice.tiled.iter().flatten() {
        if let Some(Pooled::In(step)) = t.pooled {
            within.insert((step, t.group.root));
        }
    }
    for (v, last) in computed {
        let users = (users.is_output(v), users.of(v));
        let alone = !users.0 && !users.1.is_empty();
        let step = NodeId(last as u32);
        if let Some(t) = &mut choice.tiled[last] {
            t.only_pooled = alone && users.1.iter().all(|user| within.contains(&(step, *user)));
        }
    }
}

/// How the convolution whose group ends at `last` is computed with this pooling in its step.
fn together(
    graph: &Graph,
    choice: &Choice,
    (last, t, want): (usize, &Tiled, Layout),
    (all, target): (&mut Vec<Pooling>, Target),
) -> Result<Kind, Unpooled> {
    let layout = Unpooled::Layout;
    let producer = choice.tiled[last].as_ref().ok_or(layout.clone())?;
    let map = |v: ValueId, layout: Layout| graph.ty(v).ok().and_then(|ty| Map::new(ty, layout));
    // How a value lies that is wanted in a layout: the halo that others want may be larger.
    let read = |v: ValueId, want: Layout| {
        let have = choice.layouts[v.index()];
        let serves = have.lanes == want.lanes
            && have.halo.union(want.halo) == have.halo
            && (want.halo.is_none() || have.border == want.border);
        if serves { have } else { want }
    };
    let v = producer.group.result;
    let have = choice.layouts[v.index()];
    let src = map(v, have).filter(|_| read(v, want) == have).ok_or(layout.clone())?;
    let known = |o: &Operand| match &o.read.source {
        Source::Made(_) => true,
        Source::Value(v) => graph.constant(*v).is_some(),
    };
    if !t.group.ending.operands.iter().all(known) {
        return Err(Unpooled::Ending);
    }
    let result = t.group.result;
    let dst = map(result, choice.layouts[result.index()])
        .unwrap_or(Map { layout: want, ..src.with_extents([1; AXES]) });
    let pooling = pooling(&t.kind, (src, dst), Tail::NONE).ok_or(layout.clone())?;
    all.push(pooling);
    let found = match (&producer.kind, producer.inputs.first()) {
        (Kind::Conv(w, decision), Some((x, from))) => map(*x, read(*x, *from)).ok_or(layout).and_then(|x| {
            let problem = ConvProblem::new((w.groups, w.sharing), w.window(), (x, src), Tail::NONE);
            let decision = pooled::decision(&problem, *decision, all, target)?;
            Ok(Kind::Conv(w.clone(), decision))
        }),
        (kind, _) => pooled::is_verified(all).map(|()| kind.clone()).map_err(Unpooled::Apart),
    };
    if found.is_err() {
        all.pop();
    }
    found
}
