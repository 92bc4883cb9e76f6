//! The nests of a convolution, and how its weights are packed.

use crate::pack::Packing;
use crate::target::Target;

use super::conv::{Algorithm, ConvProblem, Plan, Sharing};
use super::refusal::Refusal;
use super::{conv_direct, conv_grouped, conv_winograd};

/// The nests of a convolution by an algorithm, and how its weights are packed.
///
/// # Errors
/// [`Refusal`] where the schedule does not take it.
pub fn plan(p: &ConvProblem, algorithm: Algorithm, target: Target) -> Result<(Plan, Packing), Refusal> {
    match (algorithm, p.sharing) {
        (Algorithm::Winograd(size), _) => {
            Ok((conv_winograd::plan(p, size, target)?, Packing::Winograd(size, p.packing())))
        }
        (Algorithm::Direct, Sharing::Mixed) => {
            let packing = conv_grouped::packing(p)?;
            let nest = conv_grouped::schedule(p, target)?.finish()?;
            Ok((Plan::Whole(nest), Packing::Grouped(packing)))
        }
        (Algorithm::Direct, Sharing::Merged(_)) => {
            let nest = conv_direct::schedule(p, target)?.finish()?;
            Ok((Plan::Whole(nest), Packing::Conv(p.packing())))
        }
    }
}
