//! What stands before and behind a convolution on its path.

use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{NodeId, Op, ValueId};

use super::upsample::{self, Up};
use super::view::{View, is_activation};
use super::{UpKind, rearrange};

/// A convolution with what stands before it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Position among the convolutions.
    pub ordinal: usize,
    /// The value that the path reads.
    pub source: ValueId,
    /// Spatial extents of the source.
    pub from: Vec<usize>,
    /// Spatial extents of the convolution's result.
    pub to: Vec<usize>,
    /// By how much the source is pooled: 1, 2 or 4.
    pub shrink: usize,
    /// The pooling next to the convolution.
    pub pool: Option<NodeId>,
    /// An upsampling before the convolution.
    pub before: Option<Up>,
    /// Extents of the window.
    pub kernel: Vec<usize>,
    /// Step of the window along rows.
    pub stride: usize,
    /// Number of groups.
    pub groups: usize,
    /// Input channels.
    pub ic: usize,
    /// Output channels.
    pub oc: usize,
}

impl Head {
    /// Whether every channel is convolved by itself.
    pub fn depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.ic && self.groups == self.oc
    }
}

/// What stands between a convolution and a sum, or an upsampling without a sum.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// An upsampling.
    pub up: Option<Up>,
    /// A nonlinear function.
    pub activation: Option<NodeId>,
    /// A pooling.
    pub pool: Option<NodeId>,
    /// What adjusts the map to that of the other path.
    pub cut: Option<NodeId>,
    /// What changes the order of axes.
    pub moved: Option<NodeId>,
    /// Normalisations, factors and summands.
    pub linear: Vec<NodeId>,
}

/// All convolutions of maps with constant weights, by node.
pub struct Heads(Vec<Option<Head>>);

impl Heads {
    /// Of a graph.
    pub fn new(view: &View<'_>) -> Self {
        let mut ordinal = 0;
        let head = |id| {
            let head = head(view, id, ordinal)?;
            ordinal += 1;
            Some(head)
        };
        Heads(view.graph.node_ids().map(head).collect())
    }

    /// That of a node, if it is a convolution.
    pub fn get(&self, id: NodeId) -> Option<&Head> {
        self.0[id.index()].as_ref()
    }

    /// The convolutions in order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().enumerate().filter(|(_, h)| h.is_some()).map(|(i, _)| NodeId(i as u32))
    }
}

/// Windows of a pooling that are as large as their step, in the last two axes only: their size, 2 or 4.
pub fn pooling(view: &View<'_>, id: NodeId) -> Option<usize> {
    let window = match &view.node(id).op {
        Op::MaxPool(p) => &p.window,
        Op::AveragePool(p) => &p.window,
        _ => return None,
    };
    let Window { kernel, strides, dilations, pads, auto_pad } = window;
    let (frames, plane) = kernel.split_at_checked(kernel.len().checked_sub(2)?)?;
    let size = plane[0];
    let fits = [2, 4].contains(&size)
        && plane[1] == size
        && frames.iter().all(|&k| k == 1)
        && kernel == strides
        && dilations.iter().all(|&d| d == 1)
        && (*auto_pad != AutoPad::NotSet || pads.iter().all(|&p| p == 0));
    fits.then_some(size)
}

fn head(view: &View<'_>, id: NodeId, ordinal: usize) -> Option<Head> {
    let node = view.node(id);
    let Op::Conv(op) = &node.op else { return None };
    let wei = view.graph.constant(node.input(1)?)?.shape().dims().to_vec();
    let x = node.input(0)?;
    let to = view.spatial(node.outputs[0])?.to_vec();
    let mut head = Head {
        ordinal,
        source: x,
        from: Vec::new(),
        to,
        shrink: 1,
        pool: None,
        before: None,
        kernel: wei[2..].to_vec(),
        stride: op.window.strides.last().copied().unwrap_or(1),
        groups: op.group,
        ic: wei[1] * op.group,
        oc: wei[0],
    };
    // Zeros that another framework adds for the windows of the convolution.
    if let Some(pad) = view.graph.producer(x)
        && let Op::Pad(Pad { mode: PadMode::Constant }) = view.node(pad).op
    {
        head.source = view.node(pad).input(0)?;
    }
    while let Some((source, step)) = step(view, &head) {
        head.source = source;
        match step {
            Step::Pool(pool, size) => {
                head.shrink *= size;
                head.pool = head.pool.or(Some(pool));
            }
            Step::Up(up) => head.before = Some(up),
            Step::Nothing => {}
        }
    }
    head.from = view.spatial(head.source)?.to_vec();
    Some(head)
}

enum Step {
    Pool(NodeId, usize),
    Up(Up),
    Nothing,
}

/// What stands before the source, and what it is applied to.
fn step(view: &View<'_>, head: &Head) -> Option<(ValueId, Step)> {
    let id = view.graph.producer(head.source)?;
    if let Some(size) = pooling(view, id) {
        // Two poolings of one kind, or one, bring the high input to the extents of a path; a third or another one is
        // that of the network.
        let same = head.pool.is_none_or(|p| view.node(p).op.tag() == view.node(id).op.tag());
        let fits = same && head.shrink * size <= 4 && head.before.is_none();
        return fits.then_some((view.node(id).input(0)?, Step::Pool(id, size)));
    }
    if head.shrink == 1
        && head.before.is_none()
        && let Some((x, up)) = upsample::of(view, id)
    {
        return Some((x, Step::Up(up)));
    }
    let r = rearrange::of(view, head.source)?;
    match (r.repeat, r.cut || r.moved) {
        (1, false) => Some((r.source, Step::Nothing)),
        (2, false) if head.shrink == 1 && head.before.is_none() => {
            let up = spelled(view, &r.nodes);
            Some((r.source, Step::Up(up)))
        }
        _ => None,
    }
}

/// The upsampling that nodes which move elements are.
fn spelled(view: &View<'_>, nodes: &[NodeId]) -> Up {
    let last = nodes.last().map(|n| view.title(*n)).unwrap_or_default();
    let flaw = Some(format!("the upsampling ends with {last} and is no Resize"));
    Up { nodes: nodes.to_vec(), kind: UpKind::Nearest, flaw }
}

/// The convolution whose result reaches `v`, which has one user, by way of nodes whose results have no other user.
pub fn tail(view: &View<'_>, heads: &Heads, mut v: ValueId) -> Option<(NodeId, Tail)> {
    let mut tail = Tail::default();
    loop {
        view.only_user(v)?;
        let id = view.graph.producer(v)?;
        let node = view.node(id);
        if heads.get(id).is_some() {
            return Some((id, tail));
        }
        if let Some(x) = view.affine_input(node) {
            tail.linear.push(id);
            v = x;
        } else if is_activation(node) {
            tail.activation = tail.activation.or(Some(id));
            v = node.input(0)?;
        } else if pooling(view, id).is_some() {
            tail.pool = tail.pool.or(Some(id));
            v = node.input(0)?;
        } else if let Some((x, up)) = upsample::of(view, id) {
            if tail.up.replace(up).is_some() {
                return None;
            }
            v = x;
        } else {
            let r = rearrange::of(view, v)?;
            if r.repeat == 2 && tail.up.replace(spelled(view, &r.nodes)).is_some() {
                return None;
            }
            let last = r.nodes.last().copied();
            tail.cut = tail.cut.or(last.filter(|_| r.cut));
            tail.moved = tail.moved.or(last.filter(|_| r.moved));
            v = r.source;
        }
    }
}

/// The upsampling behind a convolution that has no sum, with what stands between, and its result.
pub fn upsampled(view: &View<'_>, conv: NodeId) -> Option<(Tail, ValueId)> {
    let mut tail = Tail::default();
    let mut v = view.node(conv).outputs[0];
    loop {
        let user = view.only_user(v)?;
        let node = view.node(user);
        v = *node.outputs.first()?;
        if let Some((_, up)) = upsample::of(view, user) {
            tail.up = Some(up);
            return Some((tail, v));
        }
        view.affine_input(node)?;
        tail.linear.push(user);
    }
}
