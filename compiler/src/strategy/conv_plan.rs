//! The nests of a convolution, how its weights are packed, and what of its result threads share.

use crate::pack::{ConvPacking, Packing};
use crate::target::Target;

use super::conv::{Algorithm, ConvProblem, Plan, Sharing};
use super::decision::Decision;
use super::refusal::Refusal;
use super::share::Share;
use super::{conv_direct, conv_grouped, conv_winograd};

/// A convolution as it is carried out.
#[derive(Clone, Debug)]
pub struct ConvPlan {
    /// Its nests.
    pub nests: Plan,
    /// How its weights are packed.
    pub packing: Packing,
    /// What of the result the iterations of the parallel loop have for their own that is made last; `None` for runs of pixels
    /// that are no rows.
    pub share: Option<Share>,
}

/// How a convolution is carried out as was decided. What of a decision does not serve the problem is passed over.
///
/// # Errors
/// [`Refusal`] where the schedule does not take it.
pub fn plan(p: &ConvProblem, decision: Decision, target: Target) -> Result<ConvPlan, Refusal> {
    let own = Decision::from(decision.algorithm);
    match decision.on(p, target) {
        decision if decision == own => exactly(p, own, target),
        // A way to cut loops never keeps a convolution from being computed.
        decision => exactly(p, decision, target).or_else(|_| exactly(p, own, target)),
    }
}

fn exactly(p: &ConvProblem, decision: Decision, target: Target) -> Result<ConvPlan, Refusal> {
    let tiling = decision.tiling;
    let share = share(p, decision, target);
    let (nests, packing) = match (decision.algorithm, p.sharing) {
        (Algorithm::Winograd(size), _) => {
            (conv_winograd::plan(p, (size, tiling), target)?, Packing::Winograd(size, p.packing()))
        }
        (Algorithm::Direct, Sharing::Mixed) => {
            let packing = conv_grouped::packing(p)?;
            let nest = conv_grouped::schedule(p, target)?.finish()?;
            (Plan::Whole(nest), Packing::Grouped(packing))
        }
        (Algorithm::Direct, Sharing::Merged(_)) => {
            let tiling = tiling.or_own(p, target);
            let nest = conv_direct::schedule(p, tiling, target)?.finish()?;
            let packing = ConvPacking { tiles: tiling.vectors(p), ..p.packing() };
            (Plan::Whole(nest), Packing::Conv(packing))
        }
    };
    Ok(ConvPlan { nests, packing, share })
}

/// [`ConvPlan::share`] of what [`plan`] makes, where the schedule takes the decision.
pub fn share(p: &ConvProblem, decision: Decision, target: Target) -> Option<Share> {
    let Decision { algorithm, tiling } = decision.on(p, target);
    match (algorithm, p.sharing) {
        (Algorithm::Winograd(size), _) => Some(conv_winograd::share(p, (size, tiling), target)),
        (Algorithm::Direct, Sharing::Mixed) => Some(conv_grouped::share(p)),
        (Algorithm::Direct, Sharing::Merged(_)) => conv_direct::share(p, tiling.or_own(p, target), target),
    }
}
