//! Sums of a path from the high and a path from the low input of a layer.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::{NodeId, Op};

use super::path::{Head, Heads, Tail, tail};
use super::view::{View, extents, halved};

/// A convolution with what stands between it and the result of a layer.
#[derive(Clone, Debug)]
pub struct Term {
    /// The convolution.
    pub conv: NodeId,
    /// What stands behind it.
    pub tail: Tail,
}

/// Which result of a layer a sum is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The high one.
    High,
    /// The low one.
    Low,
    /// It has the extents of the low input, and its low path is not upsampled: the low result at stride 1, or the high one at
    /// stride 2.
    Either,
}

/// A sum of two paths.
#[derive(Clone, Debug)]
pub struct Sum {
    /// The addition.
    pub add: NodeId,
    /// The path from the high input.
    pub high: Term,
    /// The path from the low input.
    pub low: Term,
    /// Which result it is.
    pub side: Side,
    /// Its spatial extents.
    pub to: Vec<usize>,
}

/// A sum that looks like one of a layer and is none.
pub struct Miss {
    /// The addition.
    pub add: NodeId,
    /// The convolutions that it adds.
    pub convs: [NodeId; 2],
    /// What is different.
    pub reason: String,
}

/// All sums of a graph.
pub fn find(view: &View<'_>, heads: &Heads) -> (Vec<Sum>, Vec<Miss>) {
    let (mut sums, mut misses) = (Vec::new(), Vec::new());
    for add in view.graph.node_ids() {
        let node = view.node(add);
        let (Op::Binary(Binary { kind: BinaryKind::Add }), [Some(a), Some(b)]) = (&node.op, &node.inputs[..])
        else {
            continue;
        };
        let term = |v| tail(view, heads, v).map(|(conv, tail)| Term { conv, tail });
        let (Some(a), Some(b)) = (term(*a), term(*b)) else { continue };
        let convs = [a.conv, b.conv];
        match classify(view, heads, add, a, b) {
            Ok(sum) => sums.push(sum),
            Err(Some(reason)) => misses.push(Miss { add, convs, reason }),
            Err(None) => {}
        }
    }
    (sums, misses)
}

/// The sum that `add` is; otherwise why not, where it looks like one.
fn classify(view: &View<'_>, heads: &Heads, add: NodeId, a: Term, b: Term) -> Result<Sum, Option<String>> {
    let head = |t: &Term| heads.get(t.conv).ok_or(None);
    let up = |t: &Term, h: &Head| t.tail.up.is_some() || h.before.is_some();
    let (ha, hb) = (head(&a)?, head(&b)?);
    let upsampled = up(&a, ha) || up(&b, hb);
    if ha.source == hb.source {
        let source = view.value_title(ha.source);
        let reason = format!("both paths read {source}: there is no tensor at low resolution");
        return Err(upsampled.then_some(reason));
    }
    let (high, low) = if halved(&ha.from, &hb.from) {
        (a, b)
    } else if halved(&hb.from, &ha.from) {
        (b, a)
    } else {
        let (a, b) = (extents(&ha.from), extents(&hb.from));
        let reason = format!("its paths read maps of {a} and {b}: not half as many rows and columns");
        return Err((upsampled && a != b).then_some(reason));
    };
    let (hh, hl) = (head(&high)?, head(&low)?);
    if up(&high, hh) {
        return Err(None);
    }
    let upsampled = up(&low, hl);
    let reads = |t: &Term, h: &Head, other: &Term| {
        let (conv, source, other) = (view.title(t.conv), view.value_title(h.source), view.title(other.conv));
        format!("{conv} reads {source}, which is computed from the input of {other}")
    };
    if view.depends(hl.source, hh.source) {
        return Err(upsampled.then(|| reads(&low, hl, &high)));
    }
    if view.depends(hh.source, hl.source) {
        return Err((upsampled || hh.shrink > 1).then(|| reads(&high, hh, &low)));
    }
    if let Some((pool, term)) = [&high, &low].into_iter().find_map(|t| t.tail.pool.map(|p| (p, t))) {
        let (pool, conv) = (view.title(pool), view.title(term.conv));
        return Err(Some(format!("{pool} stands behind {conv}: the sum is at low resolution")));
    }
    let to = hh.to.clone();
    let side = if upsampled {
        Side::High
    } else if hl.to != to {
        return Err(None);
    } else if to == hl.from {
        Side::Either
    } else if halved(&hl.from, &to) {
        Side::Low
    } else {
        return Err(None);
    };
    Ok(Sum { add, high, low, side, to })
}
