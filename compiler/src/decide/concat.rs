//! Concatenations without copies: nodes write their results where a concatenation wants them.

use std::collections::{BTreeMap, BTreeSet};

use octrt_ops::{Graph, NodeId, ValueId};

use super::pools::Pooled;
use super::{Choice, Kind};
use crate::layout::{Halo, Map};
use crate::place::memory_plan::ALIGNMENT;

/// Lets the inputs and the result of each concatenation want the same halos, so that the inputs can be written where the
/// result is. `wanted` has those with zeros and those with lowest numbers for every value.
pub(crate) fn share_halos(graph: &Graph, choice: &Choice, wanted: &mut [[Halo; 2]]) {
    let batch = |v: ValueId| graph.value(v).ty.as_ref().and_then(|ty| ty.shape.first().copied());
    let of_one = |t: &&super::Tiled| t.kind == Kind::Concat && batch(t.group.result) == Some(1);
    let mut sets = Sets((0..wanted.len()).collect());
    for t in choice.tiled.iter().flatten().filter(of_one) {
        t.inputs.iter().for_each(|(v, _)| sets.join(v.index(), t.group.result.index()));
    }
    let mut all = vec![[Halo::default(); 2]; wanted.len()];
    for (v, [zero, lowest]) in wanted.iter().enumerate() {
        let [z, l] = &mut all[sets.of(v)];
        (*z, *l) = (z.union(*zero), l.union(*lowest));
    }
    wanted.iter_mut().enumerate().for_each(|(v, halos)| *halos = all[sets.of(v)]);
}

/// Disjoint sets of numbers: for each number another one of its set, or itself, towards the one that stands for all.
struct Sets(Vec<usize>);

impl Sets {
    /// The number that stands for the set of `i`.
    fn of(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Decides which values are written as parts of others.
///
/// The last concatenation of a value decides. One whose inputs lie in another's result, one after the other, is a part of
/// it itself. Inputs whose channels begin within a block are copied, into lanes that no other reader of the value before
/// them may still take for its unused ones.
pub(crate) fn place(graph: &Graph, choice: &mut Choice) {
    let order = Order::new(graph, choice);
    let mut made = vec![false; graph.values.len()];
    let others = choice.tiled.iter().flatten().filter(|t| t.kind != Kind::Concat);
    others.for_each(|t| made[t.group.result.index()] = true);
    // What lies in each result, by its first channel.
    let mut parts: BTreeMap<(ValueId, usize), ValueId> = BTreeMap::new();
    for i in (0..choice.tiled.len()).rev() {
        let Some(t) = choice.tiled[i].as_ref().filter(|t| t.kind == Kind::Concat) else { continue };
        let result = t.group.result;
        let inputs: Vec<ValueId> = t.inputs.iter().map(|(v, _)| *v).collect();
        let layout = choice.layouts[result.index()];
        let Some(map) = graph.value(result).ty.as_ref().and_then(|ty| Map::new(ty, layout)) else { continue };
        if map.mb != 1 {
            continue;
        }
        let channels = |v: &ValueId| graph.value(*v).ty.as_ref().map_or(0, |ty| ty.shape[1]);
        let starts: Vec<usize> = inputs
            .iter()
            .scan(0, |next, v| {
                let start = *next;
                *next += channels(v);
                Some(start)
            })
            .collect();
        if choice.placed[result.index()].is_none()
            && let Some((root, bytes)) = inputs.first().and_then(|v| choice.placed[v.index()])
        {
            let first = first_channel(bytes, &map);
            let follows = |(v, start): (&ValueId, &usize)| parts.get(&(root, first + start)) == Some(v);
            let fills = map.c.is_multiple_of(layout.lanes) || order.read_before_next(result, &inputs, i);
            // Where the other result has it in another place too, it would be copied within that.
            let mut in_root = parts.range((root, 0)..=(root, usize::MAX));
            let elsewhere = in_root.any(|((_, at), v)| *v == result && *at != first);
            let fits = choice.layouts[root.index()] == layout && fills && !elsewhere;
            if fits && inputs.iter().zip(&starts).all(follows) {
                choice.placed[result.index()] = Some((root, bytes));
                continue;
            }
        }
        let (root, bytes) = choice.placed[result.index()].unwrap_or((result, 0));
        let mut counts: BTreeMap<ValueId, usize> = BTreeMap::new();
        inputs.iter().for_each(|v| *counts.entry(*v).or_default() += 1);
        for (v, start) in inputs.iter().zip(starts) {
            parts.insert((root, first_channel(bytes, &map) + start), *v);
            let free = choice.placed[v.index()].is_none() && choice.layouts[v.index()] == layout;
            // One that is wanted twice would be copied within the result.
            let once = counts.get(v) == Some(&1);
            let fills = channels(v).is_multiple_of(layout.lanes) || order.read_before_joined(*v);
            let at = bytes + start / layout.lanes * map.block_bytes() as usize;
            if made[v.index()]
                && free
                && once
                && fills
                && start.is_multiple_of(layout.lanes)
                && at.is_multiple_of(ALIGNMENT)
            {
                choice.placed[v.index()] = Some((root, at));
            }
        }
    }
}

/// When values are read.
struct Order {
    /// Of each value, the nodes that read it.
    users: Vec<Vec<NodeId>>,
    /// For each node, the one in whose place it runs.
    runs_at: Vec<usize>,
    /// The nodes that are concatenations in blocks.
    concats: BTreeSet<usize>,
}

impl Order {
    fn new(graph: &Graph, choice: &Choice) -> Self {
        let mut runs_at: Vec<usize> = (0..graph.nodes.len()).collect();
        let mut concats = BTreeSet::new();
        for (last, t) in choice.tiled.iter().enumerate().filter_map(|(i, t)| Some((i, t.as_ref()?))) {
            let at = if let Some(Pooled::In(step)) = t.pooled { step.index() } else { last };
            t.group.nodes.iter().for_each(|n| runs_at[n.index()] = at);
            if t.kind == Kind::Concat {
                concats.insert(last);
            }
        }
        Order { users: graph.users(), runs_at, concats }
    }

    /// Whether whoever reads a value but to concatenate it does so before the first concatenation of it.
    fn read_before_joined(&self, v: ValueId) -> bool {
        let runs = || self.users[v.index()].iter().map(|u| self.runs_at[u.index()]);
        let first = runs().filter(|at| self.concats.contains(at)).min();
        runs().all(|at| self.concats.contains(&at) || first.is_none_or(|first| at < first))
    }

    /// Whether everybody reads the concatenation of `inputs` at node `i` before the next one, and none before has put
    /// something behind the last of them.
    fn read_before_next(&self, v: ValueId, inputs: &[ValueId], i: usize) -> bool {
        let next = self.concats.range(i + 1..).next().copied();
        let reads = |v: &ValueId| self.users[v.index()].iter().map(|u| self.runs_at[u.index()]);
        let earlier =
            inputs.last().is_some_and(|last| reads(last).any(|at| at < i && self.concats.contains(&at)));
        !earlier && reads(&v).all(|at| next.is_none_or(|next| at < next))
    }
}

/// The channel at a distance from the beginning of a result with such blocks.
pub(crate) fn first_channel(bytes: usize, map: &Map) -> usize {
    bytes / (map.block_bytes() as usize).max(1) * map.layout.lanes
}
