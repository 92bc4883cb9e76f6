//! Concatenations without copies: nodes write their results where a concatenation wants them.

use octrt_ops::{Graph, ValueId};

use super::{Choice, Kind};
use crate::layout::{Halo, Map};
use crate::memory_plan::ALIGNMENT;

/// Lets the inputs and the result of each concatenation want the same halos, so that the inputs can be written where the
/// result is. `wanted` has those with zeros and those with lowest numbers for every value.
pub(super) fn share_halos(graph: &Graph, choice: &Choice, wanted: &mut [[Halo; 2]]) {
    let batch = |v: ValueId| graph.value(v).ty.as_ref().and_then(|ty| ty.shape.first().copied());
    let of_one = |t: &&super::Tiled| t.kind == Kind::Concat && batch(t.group.result) == Some(1);
    loop {
        let mut changed = false;
        for t in choice.tiled.iter().flatten().filter(of_one) {
            let members = || t.inputs.iter().map(|(v, _)| *v).chain([t.group.result]);
            let all = members().fold([Halo::default(); 2], |[zero, lowest], v| {
                let [z, l] = wanted[v.index()];
                [zero.union(z), lowest.union(l)]
            });
            for v in members() {
                changed |= wanted[v.index()] != all;
                wanted[v.index()] = all;
            }
        }
        if !changed {
            return;
        }
    }
}

/// Decides which values are written as parts of others.
///
/// The last concatenation of a value decides. One whose inputs lie in another's result already, one after the other, is
/// a part of it itself.
pub(super) fn place(graph: &Graph, choice: &mut Choice) {
    for i in (0..choice.tiled.len()).rev() {
        let Some(t) = choice.tiled[i].as_ref().filter(|t| t.kind == Kind::Concat) else { continue };
        let result = t.group.result;
        let inputs: Vec<ValueId> = t.inputs.iter().map(|(v, _)| *v).collect();
        let layout = choice.layouts[result.index()];
        let Some(map) = graph.value(result).ty.as_ref().and_then(|ty| Map::new(ty, layout)) else { continue };
        if map.mb != 1 {
            continue;
        }
        let mut at = 0;
        let mut starts = Vec::with_capacity(inputs.len());
        for v in &inputs {
            starts.push(at);
            let channels = graph.value(*v).ty.as_ref().map_or(0, |ty| ty.shape[1]);
            at += channels / layout.lanes * map.block_bytes() as usize;
        }
        if choice.placed[result.index()].is_none()
            && let Some((root, first)) = inputs.first().and_then(|v| choice.placed[v.index()])
        {
            let follows =
                |(v, start): (&ValueId, &usize)| choice.placed[v.index()] == Some((root, first + start));
            if inputs.iter().zip(&starts).all(follows) {
                choice.placed[result.index()] = Some((root, first));
                continue;
            }
        }
        let (root, first) = choice.placed[result.index()].unwrap_or((result, 0));
        for (v, start) in inputs.iter().zip(starts) {
            let made = choice.tiled.iter().flatten().any(|t| t.group.result == *v && t.kind != Kind::Concat);
            let free = choice.placed[v.index()].is_none() && choice.layouts[v.index()] == layout;
            // One that is wanted twice would be copied within the result.
            let once = inputs.iter().filter(|other| *other == v).count() == 1;
            if made && free && once && (first + start) % ALIGNMENT == 0 {
                choice.placed[v.index()] = Some((root, first + start));
            }
        }
    }
}
