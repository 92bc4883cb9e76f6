//! The nests of a convolution, and how its weights are packed.

use crate::pack::{ConvPacking, Packing};
use crate::target::Target;

use super::conv::{Algorithm, ConvProblem, Plan, Sharing};
use super::decision::Decision;
use super::refusal::Refusal;
use super::{conv_direct, conv_grouped, conv_winograd};

/// The nests of a convolution as was decided, and how its weights are packed. What of a decision does not serve the problem
/// is passed over.
///
/// # Errors
/// [`Refusal`] where the schedule does not take it.
pub fn plan(p: &ConvProblem, decision: Decision, target: Target) -> Result<(Plan, Packing), Refusal> {
    let own = Decision::from(decision.algorithm);
    match decision.on(p, target) {
        decision if decision == own => exactly(p, own, target),
        // A way to cut loops never keeps a convolution from being computed.
        decision => exactly(p, decision, target).or_else(|_| exactly(p, own, target)),
    }
}

fn exactly(p: &ConvProblem, decision: Decision, target: Target) -> Result<(Plan, Packing), Refusal> {
    let tiling = decision.tiling;
    match (decision.algorithm, p.sharing) {
        (Algorithm::Winograd(size), _) => {
            Ok((conv_winograd::plan(p, (size, tiling), target)?, Packing::Winograd(size, p.packing())))
        }
        (Algorithm::Direct, Sharing::Mixed) => {
            let packing = conv_grouped::packing(p)?;
            let nest = conv_grouped::schedule(p, target)?.finish()?;
            Ok((Plan::Whole(nest), Packing::Grouped(packing)))
        }
        (Algorithm::Direct, Sharing::Merged(_)) => {
            let tiling = tiling.or_own(p, target);
            let nest = conv_direct::schedule(p, tiling, target)?.finish()?;
            let packing = ConvPacking { tiles: tiling.vectors(p), ..p.packing() };
            Ok((Plan::Whole(nest), Packing::Conv(packing)))
        }
    }
}
