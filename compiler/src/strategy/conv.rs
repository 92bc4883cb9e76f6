//! A convolution on blocked activations, as the strategies see it.

use std::fmt;

use octrt_ops::TensorType;

use crate::layout::{AXES, Layout, Map, MapWindow};
use crate::leaf::Width;
use crate::leaf::programs::Winograd;
use crate::pack::{ConvPacking, GroupedPacking};
use crate::schedule::script::Scheduled;

use super::tail::Tail;
use super::tiles;

/// A convolution with what follows it. Buffers of its nests, in order: src, wei, bias, what is added; then
/// tables, dst and scratch.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvProblem {
    /// The input; its halo is at least the padding.
    pub src: Map,
    /// The output.
    pub dst: Map,
    /// Groups, after merging of small ones.
    pub groups: usize,
    /// How the groups of the model share blocks of channels.
    pub sharing: Sharing,
    /// Input channels of a group.
    pub ic: usize,
    /// Output channels of a group.
    pub oc: usize,
    /// The window.
    pub window: MapWindow,
    /// What follows.
    pub tail: Tail,
}

/// How the groups of a convolution lie in blocks of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Each group of the problem is so many groups of the model, which fill blocks.
    Merged(usize),
    /// Blocks have parts of several groups.
    Mixed,
}

/// How the sums of a convolution are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// As they are defined.
    Direct,
    /// Winograd's minimal filtering.
    Winograd(Winograd),
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 3] =
        [Algorithm::Direct, Algorithm::Winograd(Winograd::F2), Algorithm::Winograd(Winograd::F4)];
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Direct => "direct",
            Algorithm::Winograd(Winograd::F2) => "f2",
            Algorithm::Winograd(Winograd::F4) => "f4",
        })
    }
}

/// How a convolution is carried out.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One nest; buffers: src, wei, bias, what is added, dst, scratch.
    Whole(Scheduled),
    /// Three nests, with the types of Winograd's V and M between them. Buffers: src, V; V, wei, M; M, bias, what is added,
    /// dst.
    Parts(Box<[Scheduled; 3]>, [TensorType; 2]),
}

impl ConvProblem {
    /// The convolution of a map as it is read: one of single pixels in steps reads those pixels only, which then lie side by
    /// side, see [`ConvProblem::subsampled`].
    pub fn new(
        (groups, sharing): (usize, Sharing),
        window: MapWindow,
        (src, dst): (Map, Map),
        tail: Tail,
    ) -> ConvProblem {
        let (src, window) = match ConvProblem::subsampled(&window, &src, &dst) {
            Some(compact) => (compact, MapWindow::pixels([1; AXES])),
            None => (src, window),
        };
        ConvProblem { src, dst, groups, sharing, ic: src.c / groups, oc: dst.c / groups, window, tail }
    }

    /// The pixels that a pointwise convolution with a stride reads, where it reads some of them only.
    pub fn subsampled(window: &MapWindow, src: &Map, dst: &Map) -> Option<Map> {
        let sparse = window.is_pixel() && window.strides != [1; AXES] && src.layout.lanes > 1;
        let layout = Layout::blocked(src.layout.lanes);
        sparse.then_some(Map { layout, ..src.with_extents(dst.extents()) })
    }

    /// Blocks of input channels of a group.
    pub fn src_blocks(&self) -> usize {
        self.ic.div_ceil(self.src.layout.lanes)
    }

    /// Blocks of output channels of a group.
    pub fn dst_blocks(&self) -> usize {
        self.oc.div_ceil(self.dst.layout.lanes)
    }

    /// Elements of the bias, with those of lanes that are no channels.
    pub fn bias_elements(&self) -> usize {
        let blocks = match self.sharing {
            Sharing::Mixed => self.dst.blocks(),
            Sharing::Merged(_) => self.groups * self.dst_blocks(),
        };
        blocks * self.dst.layout.lanes
    }

    /// Groups of the model in each group.
    pub fn merged(&self) -> usize {
        match self.sharing {
            Sharing::Merged(n) => n,
            Sharing::Mixed => 1,
        }
    }

    /// How the weights are cut, of groups that fill blocks.
    pub fn packing(&self) -> ConvPacking {
        ConvPacking {
            lanes: self.dst.layout.lanes,
            src_lanes: self.src.layout.lanes,
            groups: self.groups,
            merged: self.merged(),
            tiles: tiles::vectors(self.dst_blocks()),
        }
    }

    /// How the weights are cut, of groups that share blocks.
    pub fn grouped_packing(&self) -> GroupedPacking {
        GroupedPacking { lanes: self.dst.layout.lanes, groups: self.groups }
    }

    /// Bytes of the packed weights of a vector of output channels.
    pub fn vector_bytes(&self, width: Width) -> usize {
        self.src_blocks() * self.src.layout.lanes * self.taps() * width.bytes() as usize
    }

    /// Elements of a window.
    pub fn taps(&self) -> usize {
        self.window.taps()
    }

    /// Whether Winograd's algorithm serves it.
    pub fn is_winograd(&self) -> bool {
        self.src.axes > 1
            && self.window.is_3x3_planes()
            && self.groups == 1
            && self.sharing == Sharing::Merged(1)
    }
}
