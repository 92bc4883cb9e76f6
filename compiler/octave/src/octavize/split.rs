//! Values of the old network in the new one, in one frequency or two, and the way from one to the other.

use std::collections::BTreeMap;

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::gather::Gather;
use octrt_ops::def::resize::Resize;
use octrt_ops::def::slice::Slice;
use octrt_ops::graph::ValueDef;
use octrt_ops::window::Window;
use octrt_ops::{Graph, Node, Op, OpError, Tensor, ValueId};

/// One frequency of a value.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// The value in the new graph.
    pub value: ValueId,
    /// The channels of the old value that it holds, in order.
    pub channels: Vec<usize>,
}

/// A value in two frequencies; the extents of the low one are half of the high one's, rounded up.
#[derive(Clone, Debug)]
pub(super) struct Split {
    pub high: Side,
    pub low: Side,
    /// Height and width at high frequency.
    pub extents: [usize; 2],
}

/// What stands for a value of the old graph.
#[derive(Clone, Debug)]
pub(super) enum Repr {
    /// The same value.
    Full(ValueId),
    /// Its channels in two frequencies.
    Split(Split),
}

/// The new graph while it is made from the old one, node by node.
pub(super) struct Rewriter<'a> {
    pub old: &'a Graph,
    pub graph: Graph,
    reprs: Vec<Repr>,
    /// Values that were halved, and what came of it: convolutions that read the same share it.
    halves: BTreeMap<ValueId, ValueId>,
    /// Old values that were merged.
    merged: BTreeMap<ValueId, ValueId>,
}

/// Half of an extent, rounded up.
pub(super) fn half(extents: [usize; 2]) -> [usize; 2] {
    extents.map(|e| e.div_ceil(2))
}

/// `name` for a part of what has this name: `layer1.conv.weight` becomes `layer1.conv.h2h.weight`.
pub(super) fn part(name: &str, suffix: &str) -> String {
    match name.rsplit_once('.') {
        Some((owner, last)) if !last.contains('/') => format!("{owner}.{suffix}.{last}"),
        _ => format!("{name}.{suffix}"),
    }
}

impl<'a> Rewriter<'a> {
    /// A graph with the inputs and constants of `old`.
    pub fn new(old: &'a Graph) -> Self {
        let mut graph = Graph::new(old.name.clone());
        // Nodes define theirs when it is their turn; they stand in topological order.
        let mut reprs = vec![Repr::Full(ValueId(0)); old.values.len()];
        for input in &old.inputs {
            let name = old.value(input.value).name.clone();
            reprs[input.value.index()] = Repr::Full(graph.add_input(name, input.dtype, input.dims.clone()));
        }
        for (repr, value) in reprs.iter_mut().zip(&old.values) {
            if let ValueDef::Const(t) = &value.def {
                *repr = Repr::Full(graph.add_const(value.name.clone(), t.clone()));
            }
        }
        Rewriter { old, graph, reprs, halves: BTreeMap::new(), merged: BTreeMap::new() }
    }

    /// What stands for an old value.
    pub fn repr(&self, old: ValueId) -> &Repr {
        &self.reprs[old.index()]
    }

    /// Says what stands for an old value.
    pub fn define(&mut self, old: ValueId, repr: Repr) {
        self.reprs[old.index()] = repr;
    }

    /// Copies a node, which reads its inputs in one frequency.
    pub fn copy(&mut self, node: &Node) -> Result<(), OpError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(input.map(|v| self.full(v)).transpose()?);
        }
        let names: Vec<&str> = node.outputs.iter().map(|v| self.old.value(*v).name.as_str()).collect();
        let outputs = self.graph.add_node(node.name.clone(), node.op.clone(), inputs, &names);
        for (old, new) in node.outputs.iter().zip(outputs) {
            self.define(*old, Repr::Full(new));
        }
        Ok(())
    }

    /// Adds a node with one output.
    pub fn add(&mut self, name: &str, op: impl Into<Op>, inputs: Vec<Option<ValueId>>) -> ValueId {
        self.graph.add_node(name, op, inputs, &[name])[0]
    }

    /// Adds a node with these inputs.
    pub fn add_of(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        self.add(name, op, inputs.iter().copied().map(Some).collect())
    }

    /// Adds a list of integers.
    fn ints(&mut self, name: &str, list: &[usize]) -> Result<ValueId, OpError> {
        let list: Vec<i64> = list.iter().map(|&i| i as i64).collect();
        Ok(self.graph.add_const(name, Tensor::new([list.len()], &list)?))
    }

    /// An old value in one frequency, its channels in the old order.
    pub fn full(&mut self, old: ValueId) -> Result<ValueId, OpError> {
        let split = match self.repr(old) {
            Repr::Full(value) => return Ok(*value),
            Repr::Split(split) => split.clone(),
        };
        if let Some(value) = self.merged.get(&old) {
            return Ok(*value);
        }
        let name = format!("{}.merge", self.old.value(old).name);
        let low = self.double(&name, split.low.value, split.extents)?;
        let value = self.joined(&name, &split.high, &Side { value: low, ..split.low })?;
        self.merged.insert(old, value);
        Ok(value)
    }

    /// Two parts along the channels, in the old order.
    pub fn joined(&mut self, name: &str, high: &Side, low: &Side) -> Result<ValueId, OpError> {
        let value = self.add_of(&format!("{name}.concat"), Concat { axis: 1 }, &[high.value, low.value]);
        let channels = [&high.channels[..], &low.channels].concat();
        let mut places = vec![0; channels.len()];
        for (place, &channel) in channels.iter().enumerate() {
            places[channel] = place;
        }
        if places.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(value);
        }
        self.select(name, value, &places)
    }

    /// These channels of a value, in this order.
    pub fn select(&mut self, name: &str, value: ValueId, channels: &[usize]) -> Result<ValueId, OpError> {
        let indices = self.ints(&format!("{name}.channels"), channels)?;
        Ok(self.add_of(&format!("{name}.gather"), Gather { axis: 1 }, &[value, indices]))
    }

    /// The 2x2 average of a value of these extents; where they are odd, of what is left at the border.
    pub fn halve(&mut self, name: &str, value: ValueId, extents: [usize; 2]) -> ValueId {
        if let Some(halved) = self.halves.get(&value) {
            return *halved;
        }
        let is_odd = extents.iter().any(|e| e % 2 == 1);
        let pool = AveragePool {
            window: Window { kernel: vec![2; 2], strides: vec![2; 2], pads: vec![0; 4], ..Window::default() },
            ceil_mode: is_odd,
            count_include_pad: !is_odd,
        };
        let halved = self.add_of(&format!("{name}.pool"), pool, &[value]);
        self.halves.insert(value, halved);
        halved
    }

    /// Every element of a value twice along height and width, up to these extents.
    pub fn double(&mut self, name: &str, value: ValueId, to: [usize; 2]) -> Result<ValueId, OpError> {
        let scales = Tensor::new([4], &[1.0f32, 1.0, 2.0, 2.0])?;
        let scales = self.graph.add_const(format!("{name}.scales"), scales);
        let resize = Resize::nearest();
        let doubled = self.add(&format!("{name}.up"), resize, vec![Some(value), None, Some(scales)]);
        if to.iter().all(|e| e % 2 == 0) {
            return Ok(doubled);
        }
        let starts = self.ints(&format!("{name}.crop.starts"), &[0, 0])?;
        let ends = self.ints(&format!("{name}.crop.ends"), &to)?;
        let axes = self.ints(&format!("{name}.crop.axes"), &[2, 3])?;
        Ok(self.add_of(&format!("{name}.crop"), Slice {}, &[doubled, starts, ends, axes]))
    }
}
