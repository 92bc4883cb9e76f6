//! The nests of a convolution, and how its weights are packed.

use octrt_ops::TensorType;

use crate::pack::Packing;
use crate::schedule::script::Scheduled;
use crate::target::Target;

use super::conv::{Algorithm, ConvProblem, Sharing};
use super::refusal::Refusal;
use super::{conv_direct, conv_grouped, conv_winograd};

/// How a convolution is carried out.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One nest; buffers: src, wei, bias, what is added, dst, scratch.
    Whole(Scheduled),
    /// Three nests, with the types of Winograd's V and M between them. Buffers: src, V; V, wei, M; M, bias, what is added,
    /// dst.
    Parts(Box<[Scheduled; 3]>, [TensorType; 2]),
}

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
