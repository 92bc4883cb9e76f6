//! What a report says of a layer.

use octrt_ops::{NodeId, Op};

use super::pair::Draft;
use super::path::{Head, Heads};
use super::sums::Term;
use super::view::View;
use super::{Down, Groups, Layer, Order, Route, StrideKind, UpKind};

/// The description of a layer.
pub fn layer(view: &View<'_>, heads: &Heads, draft: &Draft) -> Layer {
    let d = Described { view, heads, draft };
    let stride = d.stride();
    let convs: Vec<(Route, String)> =
        draft.paths.iter().map(|(r, t)| (*r, view.node(t.conv).name.clone())).collect();
    let first = draft.paths.values().min_by_key(|t| heads.get(t.conv).map(|h| h.ordinal));
    let channels =
        |routes: [Route; 2], of: fn(&Head) -> usize| routes.into_iter().find_map(|r| d.head(r)).map_or(0, of);
    let up = d.up();
    Layer {
        name: first.map(|t| view.node(t.conv).name.clone()).unwrap_or_default(),
        convs,
        stride,
        stride_kind: (stride > 1).then(|| d.stride_kind()),
        in_ch: [channels([Route::Hh, Route::Hl], |h| h.ic), channels([Route::Lh, Route::Ll], |h| h.ic)],
        out_ch: [channels([Route::Hh, Route::Lh], |h| h.oc), channels([Route::Hl, Route::Ll], |h| h.oc)],
        kernel: d.any().map(|h| h.kernel.clone()).unwrap_or_default(),
        groups: d.groups(),
        down: d.down(stride),
        up: up.map(|(kind, _)| kind),
        order: up.map(|(_, order)| order),
        unfused: d.unfused(),
        inner: d.inner(),
    }
}

struct Described<'a> {
    view: &'a View<'a>,
    heads: &'a Heads,
    draft: &'a Draft,
}

impl Described<'_> {
    fn term(&self, route: Route) -> Option<&Term> {
        self.draft.paths.get(&route)
    }

    fn head(&self, route: Route) -> Option<&Head> {
        self.heads.get(self.term(route)?.conv)
    }

    fn any(&self) -> Option<&Head> {
        Route::ALL.into_iter().find_map(|r| self.head(r))
    }

    fn stride(&self) -> usize {
        let step = |h: &Head| h.shrink * h.stride;
        let same = [Route::Hh, Route::Ll, Route::Lh].into_iter().find_map(|r| self.head(r)).map(step);
        same.or_else(|| self.head(Route::Hl).map(|h| step(h) / 2)).unwrap_or(1).max(1)
    }

    fn stride_kind(&self) -> StrideKind {
        if Route::ALL.into_iter().filter_map(|r| self.head(r)).any(|h| h.stride > 1) {
            return StrideKind::Strided;
        }
        match self.head(Route::Lh) {
            Some(lh) if lh.shrink > 1 => StrideKind::PoolBoth,
            _ => StrideKind::Pool,
        }
    }

    fn groups(&self) -> Groups {
        let heads = || Route::ALL.into_iter().filter_map(|r| self.head(r));
        if heads().all(Head::depthwise) {
            return Groups::Depthwise;
        }
        Groups::Of(Route::ALL.map(|r| self.head(r).map_or(1, |h| h.groups)))
    }

    fn down(&self, stride: usize) -> Down {
        let Some(hl) = self.head(Route::Hl) else { return Down::None };
        match hl.pool.map(|p| &self.view.node(p).op) {
            Some(Op::MaxPool(_)) => Down::Max,
            Some(_) => Down::Avg,
            None if hl.stride > stride => Down::Stride,
            None => Down::None,
        }
    }

    fn up(&self) -> Option<(UpKind, Order)> {
        let before = self.head(Route::Lh)?.before.as_ref().map(|up| (up.kind, Order::UpConv));
        before.or_else(|| Some((self.term(Route::Lh)?.tail.up.as_ref()?.kind, Order::ConvUp)))
    }

    /// The first thing that keeps a part of the layer from happening in its convolutions.
    fn unfused(&self) -> Option<String> {
        self.draft.paths.iter().find_map(|(route, term)| self.flaw(*route, term))
    }

    fn flaw(&self, route: Route, term: &Term) -> Option<String> {
        let (tail, head) = (&term.tail, self.heads.get(term.conv)?);
        let title = |id: NodeId| self.view.title(id);
        let conv = title(term.conv);
        // Pixels are repeated before or after a pointwise convolution: that is the same.
        let pointwise = head.kernel.iter().all(|&k| k == 1) && head.stride == 1;
        let up = head.before.as_ref().filter(|up| !pointwise || up.flaw.is_some());
        if let Some(up) = up {
            let up = up.nodes.last().map(|n| title(*n)).unwrap_or_default();
            return Some(format!("{up} upsamples before {conv}, which runs at high resolution"));
        }
        if self.draft.sums.is_empty() {
            let up = tail.up.as_ref()?.nodes.last().copied()?;
            return Some(format!("{} is not added to anything: it writes an upsampled tensor", title(up)));
        }
        if let Some(f) = tail.activation {
            return Some(format!("{} is applied to {} before the sum", title(f), route.name()));
        }
        if let Some(flaw) = tail.up.as_ref().and_then(|up| up.flaw.clone()) {
            return Some(flaw);
        }
        if let Some(cut) = tail.cut {
            return Some(format!("{} stands between {conv} and the sum", title(cut)));
        }
        if let Some(moved) = tail.moved {
            return Some(format!("{} stands between {conv} and the sum", title(moved)));
        }
        (head.from.len() != 2)
            .then(|| format!("{conv} works on {} axes, and only rows and columns are fused", head.from.len()))
    }

    /// What a fused layer computes along with its convolutions.
    fn inner(&self) -> Vec<String> {
        let mut nodes = self.draft.sums.clone();
        for term in self.draft.paths.values() {
            nodes.extend(&term.tail.linear);
            nodes.extend(term.tail.up.iter().flat_map(|up| &up.nodes));
        }
        for v in self.draft.results.iter().flatten() {
            let follower = self.view.only_user(*v);
            let norm = |id: &NodeId| matches!(self.view.node(*id).op, Op::BatchNormalization(_));
            nodes.extend(follower.filter(norm));
        }
        nodes.sort();
        nodes.into_iter().map(|id| self.view.node(id).name.clone()).collect()
    }
}
