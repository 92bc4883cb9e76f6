//! The algorithm of a convolution.

use crate::pack::Packing;
use crate::pipeline::Options;
use crate::tile::TileNest;

use super::conv::ConvProblem;
use super::conv_direct;

/// The nest of a convolution and how its weights are packed; `None` where no schedule takes it.
pub fn choose(p: &ConvProblem, options: Options) -> Option<(TileNest, Packing)> {
    Some((conv_direct::nest(p, options.target)?, Packing::Conv(p.packing())))
}
