//! Poolings of what a convolution writes, in the step of the convolution: `compute_at` of a pooling in the parallel loop of its
//! producer.
//!
//! ```text
//! for chunk parallel { convolution of 4 rows  average_pool of these rows }           windows that keep within rows
//! for tile of channels parallel { border  convolution of these maps  max_pool of them }   others
//! ```
//!
//! The two are scheduled each by itself, so that their parallel loops have the same share of the map, and
//! [joined](Nest::join). What nobody else reads lies in scratch where it can: maps of the channels that an iteration has.

use std::sync::Arc;

use crate::layout::{AXES, Map};
use crate::leaf::Width;
#[cfg(doc)]
use crate::nest::Nest;
use crate::nest::join;
use crate::schedule::script::Scheduled;
use crate::target::Target;
use octrt_ops::expr::BufId;

use super::conv::{Algorithm, ConvProblem};
use super::conv_plan::share;
use super::conv_tiling::chunks;
use super::decision::{Decision, Order, Tiling, can_share_channels};
use super::problem::{WindowKind, WindowProblem};
use super::refusal::Refusal;
use super::share::Share;
use super::{global_pool, rows, window};

/// Most vectors that a convolution writes and poolings read of it in one step: the [verifier](crate::nest::verify) looks at
/// them one by one, at twice as many at most.
const VECTORS: usize = 1 << 23;

/// A convolution's maps of an iteration stay in scratch where they take one of so many parts of the level-2 cache.
const NEAR: usize = 4;

/// Tiles of channels that threads find to share, where there are as many vectors.
const TILES: usize = 4;

/// A pooling; beside its input it reads constants only.
#[derive(Clone, Debug, PartialEq)]
pub enum Pooling {
    /// Of windows.
    Windows(WindowProblem),
    /// Of whole maps.
    Maps {
        /// What becomes of a map.
        kind: WindowKind,
        /// The input.
        src: Map,
        /// The result, of one pixel.
        dst: Map,
    },
}

/// Why a pooling is a step of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Apart {
    /// More than the verifier looks at.
    #[error("the map is too large")]
    Large,
    /// Windows that reach over the rows that an iteration of the convolution makes, or over the map's edge, where whole maps
    /// at once cost more.
    #[error("its windows need rows that the convolution makes in several parts")]
    Rows,
}

impl Pooling {
    /// The input.
    pub fn src(&self) -> &Map {
        match self {
            Pooling::Windows(p) => &p.src,
            Pooling::Maps { src, .. } => src,
        }
    }

    /// The steps between windows down the map, where every window keeps within a run of so many rows, and in the map.
    fn run_of_rows(&self) -> Option<usize> {
        let Pooling::Windows(p) = self else { return None };
        let w = &p.window;
        let reach = (w.kernel[1] - 1) * w.dilations[1] + 1;
        let step = w.strides[1];
        let even = p.src.h.is_multiple_of(step) && p.dst.h == p.src.h / step;
        (p.src.axes == 2 && even && reach <= step && !self.reads_halo()).then_some(step)
    }

    /// Whether a window hangs over the map.
    fn reads_halo(&self) -> bool {
        let Pooling::Windows(p) = self else { return false };
        let (w, src, dst) = (&p.window, p.src.extents(), p.dst.extents());
        (0..AXES).any(|i| {
            let end = dst[i].saturating_sub(1) * w.strides[i] + (w.kernel[i] - 1) * w.dilations[i] + 1;
            w.pads[i] > 0 || end > src[i]
        })
    }

    /// Whether it can be computed of shares of its input.
    fn fits(&self, share: Share) -> bool {
        match share {
            Share::Images | Share::Blocks(_) | Share::Rows(1) => true,
            Share::Rows(n) => {
                let rows = self.src().h / n;
                self.run_of_rows()
                    .is_some_and(|step| self.src().h.is_multiple_of(n) && rows.is_multiple_of(step))
            }
        }
    }

    fn nest(&self, share: Share, target: Target) -> Result<Scheduled, Refusal> {
        match self {
            Pooling::Windows(p) => window::schedule_in(p, share, target)?.finish(),
            Pooling::Maps { kind, src, dst } => {
                Ok(global_pool::nest_in(*kind, (src, dst), share, target)?.into())
            }
        }
    }
}

/// That the verifier can look at all that is written, and read of it.
///
/// # Errors
/// [`Apart::Large`] where it cannot.
pub fn is_verified(poolings: &[Pooling]) -> Result<(), Apart> {
    let vectors = |map: &Map| map.mb.saturating_mul(map.pixels()).saturating_mul(map.blocks());
    let read = poolings.iter().map(|pooling| match pooling {
        Pooling::Windows(p) => vectors(&p.dst).saturating_mul(p.window.taps()),
        Pooling::Maps { src, .. } => vectors(src),
    });
    let written = poolings.first().map_or(0, |pooling| vectors(pooling.src()));
    let all = read.fold(written, usize::saturating_add);
    if all > VECTORS { Err(Apart::Large) } else { Ok(()) }
}

/// How a convolution is carried out so that its result can be pooled where it is made: as was decided, but for how its loops
/// are cut where that would not do.
///
/// # Errors
/// [`Apart`] where it cannot, or had better not.
pub fn decision(
    p: &ConvProblem,
    decision: Decision,
    poolings: &[Pooling],
    target: Target,
) -> Result<Decision, Apart> {
    is_verified(poolings)?;
    let fits = |share: Share| poolings.iter().all(|pooling| pooling.fits(share));
    if share(p, decision, target).is_some_and(fits) {
        return Ok(decision);
    }
    let Some(width) = target.width() else { return Err(Apart::Rows) };
    let Decision { algorithm: Algorithm::Direct, tiling } = decision.on(p, target) else {
        return Err(Apart::Rows);
    };
    // One run of pixels, where it was cut for threads only.
    let whole = Decision { tiling: Tiling { chunks: Some(1), ..tiling }, ..decision };
    if tiling.chunks.is_none() && share(p, whole, target).is_some_and(fits) {
        return Ok(whole);
    }
    let cut = if poolings.iter().all(|pooling| pooling.run_of_rows().is_some()) {
        let rows = |n: usize| p.dst.h.is_multiple_of(n) && fits(Share::Rows(n));
        Tiling { chunks: Some(chunks(p, width, target, rows)), ..tiling }
    } else {
        by_channels(p, tiling, (width, target)).ok_or(Apart::Rows)?
    };
    let decision = Decision { tiling: cut, ..decision };
    match share(p, decision, target) {
        Some(share) if fits(share) => Ok(decision),
        _ => Err(Apart::Rows),
    }
}

/// A tiling whose outermost loop is tiles of channels, which threads share: more than a few, where the level-2 cache holds the
/// whole input, or all tiles together read no more of it than a pooling by itself would read.
fn by_channels(p: &ConvProblem, tiling: Tiling, (width, target): (Width, Target)) -> Option<Tiling> {
    let (src, blocks) = (p.src.image_bytes() as usize, p.dst_blocks());
    let own = tiling.or_own(p, target).vectors(p).into_iter().max()?;
    let most = (1..=own).rev().find(|n| blocks.is_multiple_of(*n) && (*n == 1 || blocks / n >= TILES))?;
    let tiling = Tiling { vectors: Some(most), order: Some(Order::Channels), ..tiling };
    let is_near = src + 2 * p.vector_bytes(width) <= target.caches().l2 / 4 * 3;
    let is_less = src * blocks.div_ceil(most) <= p.dst.image_bytes() as usize;
    ((is_near || is_less) && can_share_channels(p, &tiling.vectors(p))).then_some(tiling)
}

/// Adds poolings of its result to the nest of a convolution, whose border they write themselves where they read it. `alone`
/// says that nobody else reads the result, which then is no result any more where it can be kept in scratch: see
/// [`Joined::kept`]. Buffers: those of the convolution; then the results of the poolings.
///
/// # Errors
/// [`Refusal`] where a pooling cannot be computed of such shares.
pub fn join(
    conv: &Scheduled,
    (dst, share): (&Map, Share),
    poolings: &[Pooling],
    alone: bool,
    target: Target,
) -> Result<Joined, Refusal> {
    const UNEQUAL: Refusal = Refusal::Unfit("a pooling whose parallel loop is not that of the convolution");
    if !poolings.iter().all(|pooling| pooling.fits(share)) {
        return Err(Refusal::Unfit("a pooling of what several iterations of the convolution make"));
    }
    let mut nest = (*conv.nest).clone();
    let result = nest.dst().ok_or(Refusal::Defect("a convolution without a result"))?;
    let bordered = poolings.iter().any(Pooling::reads_halo);
    let mut parts = conv.parts.clone();
    parts.extend(conv.schedule.clone());
    let is = |own: BufId| move |b: BufId| (b == own).then_some(result);
    if bordered {
        nest.join(&rows::border_in(dst, share, target)?, join::Order::First, &is(BufId(0))).ok_or(UNEQUAL)?;
    }
    for pooling in poolings {
        let made = pooling.nest(share, target)?;
        nest.join(&made.nest, join::Order::Last, &is(BufId(0))).ok_or(UNEQUAL)?;
        nest.name = format!("{}_{}", nest.name, made.nest.name);
        parts.extend(made.schedule);
    }
    // What the level-2 cache does not hold is as well in the arena, where other steps use the same lines.
    let is_near = dst.ty().bytes() / share.extent(dst).max(1) <= target.caches().l2 / NEAR;
    let kept = alone
        && is_near
        && match share {
            Share::Images => nest.keep(result, (0, 1)),
            Share::Blocks(n) => nest.keep(result, (1, n)),
            Share::Rows(_) => false,
        };
    Ok(Joined { nest: Scheduled { nest: Arc::new(nest), schedule: None, parts }, bordered, kept })
}

/// A convolution with poolings of its result.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The nest.
    pub nest: Scheduled,
    /// Whether it writes the border of the convolution's result.
    pub bordered: bool,
    /// Whether the convolution's result lies in scratch.
    pub kept: bool,
}
