//! Why a strategy does not take a problem.

use crate::nest::MissingSlot;
use crate::schedule::ScheduleError;
use crate::target::Target;

/// Why a strategy does not take a problem, which then is computed by its definition on plain tensors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The target has no leaf programs.
    #[error("{0} has no leaf programs")]
    NoLeafPrograms(Target),
    /// A leaf program adds distances of 32 bits.
    #[error("tensors are so large that distances in them have more than 32 bits")]
    Distance,
    /// Not even the smallest tile fits.
    #[error("no tile fits the registers")]
    Registers,
    /// The strategy is not made for the problem.
    #[error("{0}")]
    Unfit(&'static str),
    /// Loops that no leaf program stands for.
    #[error("tensorize: expected {0}")]
    Tensorize(&'static str),
    /// A defect of octrt: what was decided is not what is there.
    #[error("defect: {0}")]
    Defect(&'static str),
    /// A defect of octrt.
    #[error("defect: {0}")]
    Slot(#[from] MissingSlot),
    /// A defect of octrt: a schedule asks for what a primitive refuses.
    #[error("defect: {0}")]
    Schedule(#[from] ScheduleError),
}

/// Why a problem does not fit whose results become what no leaf program computes.
pub const NO_FORMULA: &str = "a function of the results that leaf programs do not compute";

impl Refusal {
    /// Whether it is a defect rather than a property of the problem.
    pub fn is_defect(&self) -> bool {
        matches!(self, Refusal::Defect(_) | Refusal::Slot(_) | Refusal::Schedule(_))
    }
}

/// A distance as leaf programs have it.
///
/// # Errors
/// [`Refusal::Distance`] when it has more than 32 bits.
pub fn distance(bytes: i64) -> Result<i32, Refusal> {
    i32::try_from(bytes).map_err(|_| Refusal::Distance)
}
