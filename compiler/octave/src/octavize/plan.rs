//! Where a network begins and ends, as its convolutions show it.

use octrt_ops::{Graph, NodeId, Op, OpError};

use super::{extents, is_computed};

/// What a convolution is in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It reads the picture: no convolution stands before it.
    Stem,
    /// Its output may have a low frequency.
    Inner,
    /// Its output has none.
    Last,
    /// Its input is a single pixel, as after global pooling.
    Pixel,
}

/// The role of every node that is a convolution.
pub(super) struct Plan {
    roles: Vec<Role>,
}

/// What the convolutions are that read a value, directly or through other nodes.
#[derive(Clone, Copy)]
struct Readers {
    /// Whether there are any.
    some: bool,
    /// Whether all of them are at the smallest extent.
    at_end: bool,
}

impl Plan {
    /// The roles in `graph`, whose types are known.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when a type is not known.
    pub fn new(graph: &Graph) -> Result<Self, OpError> {
        for node in &graph.nodes {
            for v in node.inputs.iter().flatten().chain(&node.outputs) {
                graph.ty(*v)?;
            }
        }
        let mut roles = vec![Role::Inner; graph.nodes.len()];
        let mut after_conv = vec![false; graph.values.len()];
        for id in graph.node_ids() {
            let node = graph.node(id);
            let mut inputs = node.inputs.iter().flatten();
            let is_conv = matches!(node.op, Op::Conv(_));
            let sees_conv = inputs.any(|v| after_conv[v.index()]);
            if is_conv && extents(graph, node, Some(0)).is_some_and(|e| e == [1, 1]) {
                roles[id.index()] = Role::Pixel;
            } else if is_conv && !sees_conv {
                roles[id.index()] = Role::Stem;
            }
            node.outputs.iter().for_each(|v| after_conv[v.index()] = is_conv || sees_conv);
        }
        let mut plan = Plan { roles };
        plan.find_last(graph);
        Ok(plan)
    }

    /// The role of a convolution.
    pub fn role(&self, id: NodeId) -> Role {
        self.roles[id.index()]
    }

    /// The pixels of the smallest map that a convolution gives; none when all give the same.
    fn smallest(&self, graph: &Graph) -> Option<usize> {
        let pixels = graph.node_ids().filter(|id| self.is_spatial(graph, *id)).filter_map(|id| {
            let [h, w] = extents(graph, graph.node(id), None)?;
            Some(h * w)
        });
        let pixels: Vec<usize> = pixels.collect();
        let (min, max) = (pixels.iter().min()?, pixels.iter().max()?);
        (min < max).then_some(*min)
    }

    fn is_spatial(&self, graph: &Graph, id: NodeId) -> bool {
        matches!(graph.node(id).op, Op::Conv(_)) && self.role(id) != Role::Pixel
    }

    /// Walks against the order of the nodes, with what is known of the readers of every value.
    fn find_last(&mut self, graph: &Graph) {
        let smallest = self.smallest(graph);
        let mut readers = vec![Readers { some: false, at_end: true }; graph.values.len()];
        for id in graph.node_ids().collect::<Vec<_>>().into_iter().rev() {
            let node = graph.node(id);
            let mut own = Readers { some: false, at_end: true };
            for v in &node.outputs {
                own.some |= readers[v.index()].some;
                own.at_end &= readers[v.index()].at_end;
            }
            if self.is_spatial(graph, id) {
                let at_end = extents(graph, node, None).is_some_and(|[h, w]| Some(h * w) == smallest);
                if self.role(id) == Role::Inner && (at_end || !own.some || own.at_end) {
                    self.roles[id.index()] = Role::Last;
                }
                own = Readers { some: true, at_end };
            }
            for v in node.inputs.iter().flatten().filter(|v| is_computed(graph, **v)) {
                let reader = &mut readers[v.index()];
                reader.some |= own.some;
                reader.at_end &= own.at_end || !own.some;
            }
        }
    }
}
