//! Convolutions for which no blocks are made.

use octrt_ops::graph::Users;
use octrt_ops::window::WindowAxis;
use octrt_ops::{NodeId, ValueId};

use super::{Kind, Matcher, Tiled, Windows, follow, fuse};
use crate::layout::{AXES, Layout, Map};
use crate::leaf::programs::Activation;
use crate::strategy::conv::Sharing;
use crate::strategy::problem::PlainConvProblem;

impl Windows {
    /// The convolution on plain maps.
    pub fn plain_conv(&self, src: Map, dst: Map, activation: Activation) -> PlainConvProblem {
        let [.., WindowAxis { kernel, dilation, pad_begin: pad, .. }] = self.axes;
        PlainConvProblem { src, dst, kernel, dilation, pad, activation }
    }
}

impl Matcher<'_> {
    /// A convolution of a plain map, when nothing of the graph reads its result: blocks would have to be made and unmade
    /// for it.
    pub(super) fn plain_conv(
        &self,
        users: &Users<'_>,
        id: NodeId,
        kind: &Kind,
        taken: &[bool],
    ) -> Option<Tiled> {
        let Kind::Conv(w) = kind else { return None };
        let (x, src): (ValueId, Map) = self.input(self.graph.node(id), 0).ok()?;
        let steps = w.each(|a| a.stride) == [1; AXES];
        let is_row = src.d * src.h == 1 && w.axes[..AXES - 1].iter().all(|a| a.kernel == 1 && a.output == 1);
        let is_dense = w.groups == 1 && w.sharing == Sharing::Merged(1);
        if self.blocked[x.index()] || !is_dense || !steps || !(is_row || w.of_pixels()) {
            return None;
        }
        let kind = Kind::PlainConv(w.clone());
        let group = fuse::group(users, id, taken, follow(&kind));
        let dst = Map::new(self.graph.ty(group.result).ok()?, Layout::PLAIN)?;
        let layout = Layout { halo: w.halo(), ..Layout::PLAIN };
        let problem = w.plain_conv(Map { layout, ..src }, dst, group.activation);
        let fits = users.of(group.result).is_empty() && problem.pays(self.lanes);
        fits.then(|| Tiled { group, kind, inputs: vec![(x, layout)] })
    }
}
