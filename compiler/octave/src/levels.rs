//! Convolutions behind a layer that have one path only: all channels are at one resolution.

use octrt_ops::{NodeId, Op};

use super::Route;
use super::pair::{Draft, Part};
use super::path::Heads;
use super::sums::Miss;
use super::upsample;
use super::view::{View, is_activation};

/// Resolution of a tensor that a layer has computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    High,
    Low,
}

/// Adds the layers of one path. A convolution before the first layer is none, nor is one behind a pooling of whole maps.
pub fn single(view: &View<'_>, heads: &Heads, misses: &[Miss], drafts: &mut Vec<Draft>) {
    let mut levels: Vec<Option<Level>> = vec![None; view.graph.values.len()];
    let mut given = levels.clone();
    let mut taken = vec![false; view.graph.nodes.len()];
    misses.iter().flat_map(|m| m.convs).for_each(|c| taken[c.index()] = true);
    for draft in drafts.iter() {
        draft.paths.values().for_each(|t| taken[t.conv.index()] = true);
        for (v, level) in draft.results.iter().zip([Level::High, Level::Low]) {
            v.iter().for_each(|v| given[v.index()] = Some(level));
        }
    }
    for id in view.graph.node_ids() {
        let node = view.node(id);
        let level = if heads.get(id).is_some() {
            let read = node.input(0).and_then(|v| levels[v.index()]);
            let layer = read.filter(|_| !taken[id.index()]).map(|level| layer(view, heads, id, level));
            if let Some((draft, results)) = layer {
                let [high, low] = draft.results;
                high.iter().for_each(|v| given[v.index()] = Some(Level::High));
                low.iter().for_each(|v| given[v.index()] = Some(Level::Low));
                drafts.push(draft);
                Some(results)
            } else {
                None
            }
        } else {
            level(view, id, &levels)
        };
        for v in &node.outputs {
            levels[v.index()] = given[v.index()].or(level);
        }
    }
}

/// The layer of one convolution of a tensor of this level, and the level of the convolution's result.
fn layer(view: &View<'_>, heads: &Heads, conv: NodeId, level: Level) -> (Draft, Level) {
    let part = |low| Some(Part::lone(view, conv, low));
    let draft = match level {
        Level::High => Draft::new(view, heads, part(false), None),
        Level::Low => match Part::upsampled(view, conv) {
            Some(up) => Draft::new(view, heads, Some(up), None),
            None => Draft::new(view, heads, None, part(true)),
        },
    };
    debug_assert!(level == Level::Low || draft.paths.contains_key(&Route::Hh), "a high layer is hh");
    (draft, level)
}

/// The level of what a node makes of its inputs: theirs where they agree.
fn level(view: &View<'_>, id: NodeId, levels: &[Option<Level>]) -> Option<Level> {
    let node = view.node(id);
    let keeps = is_activation(node)
        || matches!(
            node.op,
            Op::BatchNormalization(_)
                | Op::Binary(_)
                | Op::AveragePool(_)
                | Op::MaxPool(_)
                | Op::Concat(_)
                | Op::Pad(_)
                | Op::Slice(_)
                | Op::Split(_)
                | Op::Transpose(_)
                | Op::Identity(_)
        );
    let mut known = node.inputs.iter().flatten().filter_map(|v| levels[v.index()]);
    let first = known.next()?;
    if upsample::of(view, id).is_some() {
        return Some(Level::High);
    }
    (keeps && known.all(|l| l == first)).then_some(first)
}
