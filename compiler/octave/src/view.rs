//! Questions about the surroundings of nodes and values.

use octrt_ops::graph::Users;
use octrt_ops::{Graph, Node, NodeId, Op, ValueId};

/// A graph with the users of its values.
pub struct View<'a> {
    /// The graph; its types are known.
    pub graph: &'a Graph,
    users: Users<'a>,
}

impl<'a> View<'a> {
    /// Of a graph whose types are known.
    pub fn new(graph: &'a Graph) -> Self {
        View { graph, users: Users::new(graph) }
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &'a Node {
        self.graph.node(id)
    }

    /// The users of a value.
    pub fn users(&self, v: ValueId) -> &[NodeId] {
        self.users.of(v)
    }

    /// The only user of a value that is no output of the graph.
    pub fn only_user(&self, v: ValueId) -> Option<NodeId> {
        self.users.only(v)
    }

    /// Inputs of a node that are no constants.
    pub fn variables(&self, node: &'a Node) -> impl Iterator<Item = ValueId> {
        node.inputs.iter().flatten().copied().filter(|v| self.graph.constant(*v).is_none())
    }

    /// The one input of a node that is no constant.
    pub fn only_variable(&self, node: &'a Node) -> Option<ValueId> {
        let mut all = self.variables(node);
        all.next().filter(|_| all.next().is_none())
    }

    /// Extents of the spatial axes of a value, channels being axis 1; none where it has fewer than two.
    pub fn spatial(&self, v: ValueId) -> Option<&'a [usize]> {
        let dims = self.graph.ty(v).ok()?.shape.dims();
        (dims.len() >= 4).then(|| &dims[2..])
    }

    /// Operator and name of a node, for reasons.
    pub fn title(&self, id: NodeId) -> String {
        let node = self.node(id);
        format!("{} '{}'", node.op.as_operator().name(), node.name)
    }

    /// Name of a value, for reasons.
    pub fn value_title(&self, v: ValueId) -> String {
        format!("'{}'", self.graph.value(v).name)
    }

    /// What `v` is before functions of its elements are applied: a normalisation and an activation stand in front of the
    /// convolution in some networks.
    fn origin(&self, mut v: ValueId) -> ValueId {
        loop {
            let Some(id) = self.graph.producer(v) else { return v };
            let node = self.node(id);
            let x = self.affine_input(node).or_else(|| is_activation(node).then(|| node.input(0)).flatten());
            let Some(x) = x else { return v };
            v = x;
        }
    }

    /// Whether `v` is computed from what `from` is an elementwise function of.
    pub fn depends(&self, v: ValueId, from: ValueId) -> bool {
        let from = self.origin(from);
        let mut seen = vec![false; self.graph.values.len()];
        let mut open = vec![v];
        while let Some(v) = open.pop() {
            if v == from {
                return true;
            }
            if std::mem::replace(&mut seen[v.index()], true) {
                continue;
            }
            open.extend(self.graph.producer(v).iter().flat_map(|n| self.node(*n).inputs.iter().flatten()));
        }
        false
    }

    /// The input of a node that is a factor and a summand per element, both constant.
    pub fn affine_input(&self, node: &'a Node) -> Option<ValueId> {
        match &node.op {
            Op::BatchNormalization(_) => node.input(0),
            Op::Binary(b) => {
                use octrt_ops::def::binary::BinaryKind::{Add, Div, Mul, Sub};
                let v = self.only_variable(node)?;
                let kept = matches!(b.kind, Add | Sub | Mul) || b.kind == Div && node.input(0) == Some(v);
                kept.then_some(v)
            }
            _ => None,
        }
    }
}

/// Whether a node is a nonlinear function of each element.
pub fn is_activation(node: &Node) -> bool {
    matches!(
        node.op,
        Op::Unary(_) | Op::Clip(_) | Op::LeakyRelu(_) | Op::PRelu(_) | Op::Elu(_) | Op::HardSigmoid(_)
    )
}

/// Whether a map of extents `low` has half the rows and columns of `high`, rounded either way, and as many frames.
pub fn halved(high: &[usize], low: &[usize]) -> bool {
    let Some(frames) = high.len().checked_sub(2) else { return false };
    let half = |(h, l): (&usize, &usize)| h > l && (*l == h / 2 || *l == h.div_ceil(2));
    low.len() == high.len()
        && high[..frames] == low[..frames]
        && high[frames..].iter().zip(&low[frames..]).all(half)
}

/// Extents as text: `16x16`.
pub fn extents(map: &[usize]) -> String {
    map.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}
