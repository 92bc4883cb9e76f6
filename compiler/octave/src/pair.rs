//! Which sums and convolutions are the two results of one layer.

use std::collections::BTreeMap;

use octrt_ops::{NodeId, Op, ValueId};

use super::Route;
use super::path::{Head, Heads, Tail, upsampled};
use super::sums::{Miss, Side, Sum, Term};
use super::upsample;
use super::view::{View, halved, is_activation};

/// The paths of a layer and their sums.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The paths that exist.
    pub paths: BTreeMap<Route, Term>,
    /// The sums.
    pub sums: Vec<NodeId>,
    /// The high and the low result.
    pub results: [Option<ValueId>; 2],
    /// Position of the first convolution.
    first: usize,
}

impl Draft {
    /// Position of the first convolution among those of the graph.
    pub fn first(&self) -> usize {
        self.first
    }

    /// A layer of these results.
    pub fn new(view: &View<'_>, heads: &Heads, high: Option<Part>, low: Option<Part>) -> Self {
        let mut draft = Draft::default();
        let routes = [[Route::Hh, Route::Lh], [Route::Hl, Route::Ll]];
        for ((k, part), routes) in [high, low].into_iter().enumerate().zip(routes) {
            let Some(part) = part else { continue };
            let end = part.sum.map_or(part.end, |sum| view.node(sum).outputs.first().copied());
            draft.results[k] = end;
            draft.sums.extend(part.sum);
            let terms = routes.into_iter().zip(part.terms);
            draft.paths.extend(terms.filter_map(|(route, term)| Some((route, term?))));
        }
        let ordinals = draft.paths.values().filter_map(|t| heads.get(t.conv)).map(|h| h.ordinal);
        draft.first = ordinals.min().unwrap_or(0);
        draft
    }
}

/// One result of a layer: the paths from the high and from the low input.
pub struct Part {
    terms: [Option<Term>; 2],
    sum: Option<NodeId>,
    end: Option<ValueId>,
}

impl Part {
    fn of(sum: Sum) -> Self {
        Part { terms: [Some(sum.high), Some(sum.low)], sum: Some(sum.add), end: None }
    }

    /// A convolution that is a path by itself, from the low input or the high one.
    pub fn lone(view: &View<'_>, conv: NodeId, low: bool) -> Self {
        let term = Term { conv, tail: Tail::default() };
        let terms = if low { [None, Some(term)] } else { [Some(term), None] };
        Part { terms, sum: None, end: view.node(conv).outputs.first().copied() }
    }

    /// A convolution of the low input whose result is upsampled and not added to anything.
    pub fn upsampled(view: &View<'_>, conv: NodeId) -> Option<Self> {
        let (tail, end) = upsampled(view, conv)?;
        Some(Part { terms: [None, Some(Term { conv, tail })], sum: None, end: Some(end) })
    }
}

/// Layers of two results or of a sum. `sums` may be mistaken about their side, which this decides.
pub fn layers(view: &View<'_>, heads: &Heads, sums: Vec<Sum>, misses: &[Miss]) -> Vec<Draft> {
    let inputs: Vec<[Vec<bool>; 2]> = sums
        .iter()
        .filter_map(|s| Some([heads.get(s.high.conv)?.source, heads.get(s.low.conv)?.source]))
        .map(|sources| sources.map(|v| near(view, heads, v)))
        .collect();
    let added: Vec<NodeId> = sums
        .iter()
        .flat_map(|s| [s.high.conv, s.low.conv])
        .chain(misses.iter().flat_map(|m| m.convs))
        .collect();
    let lone: Vec<NodeId> = heads.ids().filter(|c| !added.contains(c)).collect();
    let sums = sums.into_iter().map(Some).collect();
    let mut pool = Pool { view, heads, sums, lone, inputs, drafts: Vec::new() };
    pool.sums_with_sums();
    pool.sums_with_convs();
    pool.convs_with_convs();
    pool.single_sums();
    pool.drafts
}

/// The convolutions, by node, whose results a value is made of without another convolution but depthwise ones.
fn near(view: &View<'_>, heads: &Heads, v: ValueId) -> Vec<bool> {
    let mut seen = vec![false; view.graph.nodes.len()];
    let mut open = vec![v];
    while let Some(v) = open.pop() {
        let Some(id) = view.graph.producer(v) else { continue };
        if std::mem::replace(&mut seen[id.index()], true) {
            continue;
        }
        if heads.get(id).is_none_or(Head::depthwise) {
            open.extend(view.node(id).inputs.iter().flatten());
        }
    }
    seen
}

/// What has not found its layer yet, and the layers.
struct Pool<'a> {
    view: &'a View<'a>,
    heads: &'a Heads,
    sums: Vec<Option<Sum>>,
    lone: Vec<NodeId>,
    /// For each sum, the convolutions that its high and its low input are made of.
    inputs: Vec<[Vec<bool>; 2]>,
    drafts: Vec<Draft>,
}

impl Pool<'_> {
    fn head(&self, conv: NodeId) -> Option<&Head> {
        self.heads.get(conv)
    }

    fn open(&self) -> impl Iterator<Item = (usize, &Sum)> {
        self.sums.iter().enumerate().filter_map(|(i, s)| Some((i, s.as_ref()?)))
    }

    fn push(&mut self, high: Option<Part>, low: Option<Part>) {
        self.drafts.push(Draft::new(self.view, self.heads, high, low));
    }

    fn ordinal(&self, conv: NodeId) -> usize {
        self.head(conv).map_or(0, |h| h.ordinal)
    }

    /// Number of convolutions from the first to the last of these.
    fn span(&self, convs: &[NodeId]) -> usize {
        let ordinals = convs.iter().map(|c| self.ordinal(*c));
        ordinals.clone().max().unwrap_or(0) - ordinals.min().unwrap_or(0)
    }

    /// Whether a later layer reads both results, of which these are convolutions.
    fn read_together(&self, high: NodeId, low: NodeId) -> bool {
        self.inputs.iter().any(|[h, l]| h[high.index()] && l[low.index()])
    }

    /// Whether two results are those of one layer, so far as what reads them or the order of the graph tells: other layers
    /// may read the same inputs.
    fn belong(&self, high: NodeId, low: NodeId, convs: &[NodeId]) -> bool {
        self.read_together(high, low) || self.span(convs) < convs.len()
    }

    fn like(&self, a: NodeId, b: NodeId) -> bool {
        self.head(a).zip(self.head(b)).is_some_and(|(a, b)| a.kernel == b.kernel)
    }

    /// Whether two sums add paths from the same inputs, and the second has half the extents.
    fn fit(&self, high: &Sum, low: &Sum) -> bool {
        let sources = |s: &Sum| Some([self.head(s.high.conv)?.source, self.head(s.low.conv)?.source]);
        sources(high) == sources(low) && self.like(high.high.conv, low.high.conv) && halved(&high.to, &low.to)
    }

    /// `hh + lh` with `hl + ll`.
    fn sums_with_sums(&mut self) {
        // A sum that can be either result is the low one where there is a high one for it.
        for side in [Side::High, Side::Either] {
            for i in 0..self.sums.len() {
                let Some(high) = self.sums[i].as_ref().filter(|s| s.side == side) else { continue };
                let convs = |low: &Sum| [high.high.conv, high.low.conv, low.high.conv, low.low.conv];
                let fits = |low: &Sum| {
                    let belong = || self.belong(high.high.conv, low.high.conv, &convs(low));
                    low.side != Side::High && self.fit(high, low) && belong()
                };
                let candidates = self.open().filter(|(_, s)| fits(s));
                let Some((j, _)) = candidates.min_by_key(|(_, s)| self.span(&convs(s))) else { continue };
                let (high, low) = (self.sums[i].take().map(Part::of), self.sums[j].take().map(Part::of));
                self.push(high, low);
            }
        }
    }

    /// `hh + lh` with `ll` alone, `hh` alone with `hl + ll`.
    fn sums_with_convs(&mut self) {
        for i in 0..self.sums.len() {
            let Some((conv, is_high)) = self.partner(i) else { continue };
            self.lone.retain(|c| *c != conv);
            let sum = self.sums[i].take().map(Part::of);
            let other = Some(Part::lone(self.view, conv, !is_high));
            if is_high { self.push(other, sum) } else { self.push(sum, other) }
        }
    }

    /// The convolution that is the other result of the layer of a sum, and whether it is the high one.
    fn partner(&self, i: usize) -> Option<(NodeId, bool)> {
        let sum = self.sums[i].as_ref()?;
        let (high, low) = (self.head(sum.high.conv)?, self.head(sum.low.conv)?);
        let convs = |c: NodeId| [c, sum.high.conv, sum.low.conv];
        let nearest = |is_high: bool, other: &dyn Fn(&Head) -> bool| {
            let belong = |c: NodeId| {
                let (high, low) = if is_high { (c, sum.low.conv) } else { (sum.high.conv, c) };
                self.belong(high, low, &convs(c))
            };
            let like = |c: NodeId| self.like(c, sum.high.conv) && self.head(c).is_some_and(other);
            let fitting = self.lone.iter().copied().filter(|c| like(*c) && belong(*c));
            fitting.min_by_key(|c| self.span(&convs(*c))).map(|c| (c, is_high))
        };
        let low_result = |h: &Head| h.source == low.source && h.before.is_none() && halved(&sum.to, &h.to);
        let high_result = |h: &Head| h.source == high.source && h.before.is_none() && halved(&h.to, &sum.to);
        let as_high = || nearest(false, &low_result);
        let as_low = || nearest(true, &high_result);
        match sum.side {
            Side::High => as_high(),
            Side::Low => as_low(),
            Side::Either => as_low().or_else(as_high),
        }
    }

    /// `hh` with `hl` of one input, and `hh` with `ll` of two where every channel is convolved by itself. Only a later layer
    /// tells these from two convolutions of a usual network: there must be one that reads both results.
    fn convs_with_convs(&mut self) {
        for high in self.lone.clone() {
            let fits = |low: &&NodeId| self.pair(high, **low).is_some() && self.read_together(high, **low);
            if !self.lone.contains(&high) {
                continue;
            }
            let nearest = self.lone.iter().filter(fits).min_by_key(|low| self.span(&[high, **low]));
            let Some((low, from_low)) = nearest.and_then(|low| Some((*low, self.pair(high, *low)?))) else {
                continue;
            };
            self.lone.retain(|c| ![high, low].contains(c));
            let low = Part::lone(self.view, low, from_low);
            self.push(Some(Part::lone(self.view, high, false)), Some(low));
        }
    }

    /// Whether two convolutions can be the two results of a layer; if so, whether the second reads another input.
    fn pair(&self, high: NodeId, low: NodeId) -> Option<bool> {
        let (h, l) = (self.head(high)?, self.head(low)?);
        let plain = h.before.is_none() && l.before.is_none();
        if !plain || h.kernel != l.kernel || h.stride != l.stride || !halved(&h.to, &l.to) {
            return None;
        }
        if h.source == l.source {
            return (l.shrink == 2 * h.shrink).then_some(false);
        }
        let mates = h.depthwise() && l.depthwise() && h.shrink == l.shrink && halved(&h.from, &l.from);
        let apart = || !self.view.depends(h.source, l.source) && !self.view.depends(l.source, h.source);
        (mates && apart()).then_some(true)
    }

    /// Layers with one result, which is a sum.
    fn single_sums(&mut self) {
        for i in 0..self.sums.len() {
            let Some(sum) = self.sums[i].take() else { continue };
            // A stride in the path from the larger map only: the shortcut of a usual network.
            let stride = |t: &Term| self.head(t.conv).map_or(1, |h| h.stride);
            if sum.side == Side::Either && stride(&sum.high) > stride(&sum.low) {
                continue;
            }
            let low = match sum.side {
                Side::High => false,
                Side::Low => true,
                Side::Either => self.is_upsampled_later(sum.add),
            };
            let part = Some(Part::of(sum));
            if low { self.push(None, part) } else { self.push(part, None) }
        }
    }

    /// Whether a result is upsampled behind convolutions that belong to no layer yet: then it is a low one.
    fn is_upsampled_later(&self, sum: NodeId) -> bool {
        let mut open = vec![sum];
        let mut seen = vec![false; self.view.graph.nodes.len()];
        while let Some(id) = open.pop() {
            let node = self.view.node(id);
            for user in node.outputs.iter().flat_map(|v| self.view.users(*v)).copied() {
                if std::mem::replace(&mut seen[user.index()], true) {
                    continue;
                }
                let next = self.view.node(user);
                if upsample::of(self.view, user).is_some() {
                    return true;
                }
                let passes = is_activation(next)
                    || matches!(next.op, Op::BatchNormalization(_) | Op::Binary(_))
                    || self.lone.contains(&user);
                if passes {
                    open.push(user);
                }
            }
        }
        false
    }
}
