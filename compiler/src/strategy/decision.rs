//! How a convolution is carried out, as far as measurements may decide it: the algorithm, and how its loops are cut.
//!
//! What a decision leaves open, and what of it does not serve the problem at hand, is the strategy's own choice.

use std::fmt;

use crate::leaf::Width;
use crate::leaf::programs::Winograd;
use crate::target::{Cpu, Target};

use super::conv::{Algorithm, ConvProblem, Sharing};
use super::conv_direct;
use super::conv_tiling::{self, TERMS};
use super::conv_winograd::planes;
use super::tiles::{self, EvenSplit};

/// Most runs of pixels and most parts of a sum that are taken from a decision.
const MOST: usize = 1024;

/// Pixels of maps of 7x7 and a little more, see [`Tiling::or_own`].
const FEW_PIXELS: usize = 64;

/// Most vectors of channels of a tile.
const VECTORS: usize = 4;

/// What a convolution is carried out by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision {
    /// How the sums are computed.
    pub algorithm: Algorithm,
    /// How the loops are cut.
    pub tiling: Tiling,
}

/// How the loops of a convolution are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tiling {
    /// Runs of output pixels, or of rows of Winograd's tiles, that are computed one after the other.
    pub chunks: Option<usize>,
    /// Parts of the input channels of a direct convolution.
    pub parts: Option<usize>,
    /// Vectors of output channels of a tile of a direct convolution.
    pub vectors: Option<usize>,
    /// Most pixels of a tile of a direct convolution.
    pub pixels: Option<usize>,
    /// The outermost loop of a direct convolution.
    pub order: Option<Order>,
}

/// The outermost loop of a direct convolution, which threads share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Runs of pixels, or pictures.
    Pixels,
    /// Tiles of output channels.
    Channels,
}

impl Decision {
    /// A direct convolution as its strategy cuts it.
    pub const DIRECT: Decision = Decision { algorithm: Algorithm::Direct, tiling: Tiling::NONE };

    /// What of it serves a problem.
    #[must_use]
    pub fn on(self, p: &ConvProblem, target: Target) -> Decision {
        Decision { tiling: self.tiling.on(p, self.algorithm, target), ..self }
    }
}

impl From<Algorithm> for Decision {
    fn from(algorithm: Algorithm) -> Self {
        Decision { algorithm, tiling: Tiling::NONE }
    }
}

impl Tiling {
    /// Everything is the strategy's choice.
    pub const NONE: Tiling = Tiling { chunks: None, parts: None, vectors: None, pixels: None, order: None };

    /// What of it serves a problem that is computed by an algorithm. No sum becomes longer than the strategies let sums
    /// become.
    #[must_use]
    pub fn on(self, p: &ConvProblem, algorithm: Algorithm, target: Target) -> Tiling {
        let Some(width) = target.width() else { return Tiling::NONE };
        let Tiling { chunks, parts, vectors, pixels, order } = self;
        match (algorithm, p.sharing) {
            (Algorithm::Direct, Sharing::Mixed) => Tiling::NONE,
            (Algorithm::Direct, Sharing::Merged(merged)) => {
                let vectors =
                    vectors.filter(|v| merged == 1 && (1..=VECTORS.min(p.dst_blocks())).contains(v));
                let cut = Tiling { vectors, ..Tiling::NONE }.vectors(p);
                Tiling {
                    chunks: chunks.filter(|n| (1..=MOST).contains(n) && p.dst.pixels().is_multiple_of(*n)),
                    parts: parts.filter(|n| merged == 1 && *n <= MOST && can_part(p, *n)),
                    vectors,
                    pixels: pixels.filter(|n| (1..=tiles::pixels(width, 1)).contains(n)),
                    order: order.filter(|o| *o == Order::Pixels || can_share_channels(p, &cut)),
                }
            }
            (Algorithm::Winograd(size), _) => {
                let rows = |n: &usize| *n == 1 || planes::divides(p, size, *n);
                Tiling { chunks: chunks.filter(|n| *n > 0 && rows(n)), ..Tiling::NONE }
            }
        }
    }

    /// With the number of vectors that is the strategy's own where none is named and it is not the usual one: a few pixels,
    /// each a sum over channels alone, use a weight so seldom that tiles of one vector, whose weights come near in time, are
    /// faster by a sixth on processors that this was measured on.
    #[must_use]
    pub fn or_own(self, p: &ConvProblem, target: Target) -> Tiling {
        let few = p.taps() == 1 && p.dst.pixels() <= FEW_PIXELS && p.sharing == Sharing::Merged(1);
        let is_cold = |width| p.groups * p.dst_blocks() * p.vector_bytes(width) > target.cold_from();
        let one = target.cpu == Cpu::GoldenCove && few && target.width().is_some_and(is_cold);
        Tiling { vectors: self.vectors.or(one.then_some(1)), ..self }
    }

    /// Vectors of each tile of output channels of a direct convolution.
    pub fn vectors(self, p: &ConvProblem) -> Vec<usize> {
        let blocks = p.dst_blocks();
        match self.vectors {
            None => tiles::vectors(blocks),
            Some(most) => {
                let runs = EvenSplit::new(blocks, most).runs();
                runs.flat_map(|(_, size, n)| std::iter::repeat_n(size, n)).collect()
            }
        }
    }
}

/// Whether the sums of so many parts are short enough.
fn can_part(p: &ConvProblem, parts: usize) -> bool {
    let (blocks, terms) = (p.src_blocks(), p.taps() * p.src.layout.lanes);
    (1..=blocks).contains(&parts) && (blocks.div_ceil(parts) * terms < 2 * TERMS || parts == blocks)
}

/// Whether tiles of output channels, of so many vectors each, can be the outermost loop.
pub fn can_share_channels(p: &ConvProblem, vectors: &[usize]) -> bool {
    let same = p.oc.is_multiple_of(p.dst.layout.lanes) && vectors.windows(2).all(|w| w[0] == w[1]);
    p.src.mb == 1 && p.groups == 1 && same
}

/// What is worth measuring for a problem: what strategies choose by themselves, for each algorithm, and what lies around
/// it, one choice changed in each. Decisions that strategies refuse or that are not exact enough may be among them.
pub fn candidates(p: &ConvProblem, target: Target) -> Vec<Decision> {
    let Some(width) = target.width() else { return vec![Decision::DIRECT] };
    let mut found = Vec::new();
    let mut add = |algorithm: Algorithm, tiling: Tiling| {
        let decision = Decision { algorithm, tiling };
        if decision.on(p, target) == decision && !found.contains(&decision) {
            found.push(decision);
        }
    };
    add(Algorithm::Direct, Tiling::NONE);
    direct(p, width, target).into_iter().for_each(|tiling| add(Algorithm::Direct, tiling));
    if p.is_winograd() {
        for size in [Winograd::F2, Winograd::F4] {
            let algorithm = Algorithm::Winograd(size);
            add(algorithm, Tiling::NONE);
            let own = planes::chunks(p, size, target);
            let around = [1, own / 2, own * 2, own * 4].into_iter().filter(|n| *n != own);
            around.for_each(|n| add(algorithm, Tiling { chunks: Some(n), ..Tiling::NONE }));
        }
    }
    found
}

/// What lies around a direct convolution as its strategy cuts it.
fn direct(p: &ConvProblem, width: Width, target: Target) -> Vec<Tiling> {
    let pixels = p.dst.pixels();
    let vectors = Tiling::NONE.or_own(p, target).vectors(p);
    let own = conv_direct::chunks_of(p, Tiling::NONE, width, target);
    let parts = conv_tiling::parts(p, (pixels / own, &vectors), width, target).len();
    let divisors: Vec<usize> = (1..=pixels.min(256)).filter(|n| pixels.is_multiple_of(*n)).collect();
    let near = |wanted: usize| divisors.iter().copied().min_by_key(|n| n.abs_diff(wanted));
    let chunks = [Some(1), near(own / 2), near(own * 2), near(own * 4), near(own * 8)];
    let chunks = chunks.into_iter().flatten().filter(|n| *n != own && pixels / n >= 8);
    let mut found: Vec<Tiling> = chunks.map(|n| Tiling { chunks: Some(n), ..Tiling::NONE }).collect();
    let sums = [1, parts / 2, parts * 2, parts * 4].into_iter().filter(|n| *n != parts);
    found.extend(sums.map(|n| Tiling { parts: Some(n), ..Tiling::NONE }));
    let widest = vectors.iter().max().copied().unwrap_or(1);
    let widths = (1..=VECTORS).filter(|n| *n != widest);
    found.extend(widths.map(|n| Tiling { vectors: Some(n), ..Tiling::NONE }));
    let order = if own > 1 { Order::Channels } else { Order::Pixels };
    found.extend((own > 1).then_some(Tiling { order: Some(order), ..Tiling::NONE }));
    found
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.algorithm, self.tiling)
    }
}

impl fmt::Display for Tiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tiling { chunks, parts, vectors, pixels, order } = *self;
        for (word, n) in [("chunks", chunks), ("parts", parts), ("vectors", vectors), ("pixels", pixels)] {
            if let Some(n) = n {
                write!(f, ", {word} {n}")?;
            }
        }
        order.map_or(Ok(()), |order| write!(f, ", {order} outermost"))
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Pixels => "pixels",
            Order::Channels => "channels",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{AXES, Layout, Map, MapWindow};
    use crate::strategy::tail::Tail;
    use crate::target::Isa;

    fn pixels(ic: usize, oc: usize, extent: usize) -> ConvProblem {
        let layout = Layout::blocked(16);
        let map = |c| Map { mb: 1, c, d: 1, h: extent, w: extent, axes: 2, layout };
        ConvProblem {
            src: map(ic),
            dst: map(oc),
            groups: 1,
            sharing: Sharing::Merged(1),
            ic,
            oc,
            window: MapWindow::pixels([1; AXES]),
            tail: Tail::NONE,
        }
    }

    #[test]
    fn few_pixels_with_cold_weights_have_tiles_of_one_vector() {
        let golden = Target { isa: Isa::V4, cpu: Cpu::GoldenCove };
        let vectors = |p: &ConvProblem, target| Tiling::NONE.or_own(p, target).vectors;
        assert_eq!(vectors(&pixels(512, 2048, 7), golden), Some(1));
        assert_eq!(vectors(&pixels(512, 2048, 14), golden), None);
        assert_eq!(vectors(&pixels(64, 64, 7), golden), None);
        assert_eq!(vectors(&pixels(512, 2048, 7), Target::new(Isa::V4)), None);
        let named = Tiling { vectors: Some(2), ..Tiling::NONE };
        assert_eq!(named.or_own(&pixels(512, 2048, 7), golden), named);
        // What is usual is a candidate then.
        let all = candidates(&pixels(512, 2048, 7), golden);
        assert!(all.iter().any(|d| d.tiling == named), "{all:?}");
        assert!(all.iter().all(|d| d.tiling.vectors != Some(1)), "{all:?}");
    }
}
