//! What a caller of the compiler may choose.

use crate::precision::Precision;
use crate::target::Target;

/// What a caller may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The machine to compile for.
    pub target: Target,
    /// How exact the algorithms must be.
    pub precision: Precision,
}
