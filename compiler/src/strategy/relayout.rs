//! Windows over what lies plain: each iteration of the parallel loop brings a block of channels into the layout of the windows
//! first.
//!
//! ```text
//! for block parallel { border  to_blocks  max_pool }
//! ```
//!
//! The maps of a block lie in scratch, the same for all blocks of a thread: no other tensor in blocks is written and read.

use std::sync::Arc;

use crate::layout::Map;
use crate::nest::join::Order;
use crate::schedule::script::Scheduled;
use crate::target::Target;
use octrt_ops::expr::BufId;

use super::pooled::{self, Pooling};
use super::problem::WindowProblem;
use super::refusal::Refusal;
use super::share::Share;
use super::{reorder, rows};

/// Parts of the level-2 cache that the maps of a block may take at most: what it does not hold of them is still fewer lines
/// than those of all blocks.
const MOST: usize = 2;

/// Adds to the nest of windows, which shares blocks of channels, that a block of their input, its first buffer, comes from the
/// plain `from`. Buffers: `from`; then those of the windows, but for the first.
///
/// # Errors
/// [`Refusal`] where channels do not fill blocks, there are several pictures, or the maps of a block are too large.
pub fn join(
    from: &Map,
    p: &WindowProblem,
    windows: &Scheduled,
    target: Target,
) -> Result<Scheduled, Refusal> {
    const UNEQUAL: Refusal = Refusal::Unfit("windows whose parallel loop is not over blocks of channels");
    let to = &p.src;
    let is_large = to.block_bytes() as usize > target.caches().l2 * MOST;
    if is_large || pooled::is_verified(&[Pooling::Windows(p.clone())]).is_err() {
        return Err(Refusal::Unfit("maps of a block of channels that are too large"));
    }
    let mut nest = reorder::nest_by_blocks(from, to, target)?;
    let blocks = nest.dst().ok_or(Refusal::Defect("a reorder without a result"))?;
    let is_first = |b: BufId| (b == BufId(0)).then_some(blocks);
    if !to.layout.halo.is_none() {
        let border = rows::border_in(to, Share::Blocks(1), target)?;
        nest.join(&border, Order::First, &is_first).ok_or(UNEQUAL)?;
    }
    nest.join(&windows.nest, Order::Last, &is_first).ok_or(UNEQUAL)?;
    nest.name = format!("{}_{}", nest.name, windows.nest.name);
    if !nest.keep(blocks, (1, 1)) {
        return Err(Refusal::Unfit("a block that does not lie where an iteration writes it"));
    }
    let mut parts = windows.parts.clone();
    parts.extend(windows.schedule.clone());
    Ok(Scheduled { nest: Arc::new(nest), schedule: None, parts })
}
