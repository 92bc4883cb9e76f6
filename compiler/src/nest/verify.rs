//! The rules of nests: memory safety and freedom from races of compiled code rest on them.
//!
//! * ids of loops are unique, extents are 1 or more; a buffer is `Dst`, and no other one of a definition; every buffer can be
//!   addressed;
//! * a nest is a perfect nest of one [`definition`], or one `parallel` loop around serial loops, [`calls`] of leaf programs
//!   and definitions;
//! * each keeps the rules in the files of these names.

use std::collections::BTreeMap;
use std::sync::Arc;

use octrt_ops::expr::{BufId, VarId};

use super::Nest;
use crate::leaf::{self, Program};

pub mod apart;
pub mod calls;
pub mod coverage;
pub mod covered;
pub mod definition;
mod elements;
mod table;
#[cfg(test)]
mod tests;
pub mod touch;
pub mod written;

/// A rule that a nest breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nest '{nest}': {violation}")]
pub struct VerifyError {
    /// Name of the nest.
    pub nest: String,
    /// The rule and where it is broken.
    pub violation: Violation,
}

/// What is wrong with a nest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A loop breaks a rule of loops.
    #[error("loop {id}: expected {expected}, found {found}")]
    Loop {
        /// The loop.
        id: VarId,
        /// What the rule asks for.
        expected: String,
        /// What there is.
        found: String,
    },
    /// Reduce loops without a reduction, or the other way round.
    #[error("expected a reduction exactly where there are reduce loops, found {0}")]
    Reduction(&'static str),
    /// There is no written buffer, or several of one definition.
    #[error("expected one written buffer, found {0}")]
    Written(usize),
    /// A buffer breaks a rule of buffers.
    #[error("buffer {buf}: expected {expected}, found {found}")]
    Buffer {
        /// The buffer.
        buf: BufId,
        /// What the rule asks for.
        expected: String,
        /// What there is.
        found: String,
    },
    /// An expression is ill-typed or names what it must not.
    #[error("{place}: expected {expected}, found {found}")]
    Expr {
        /// `index 2`, `body`, `init` or `finish`.
        place: String,
        /// What the rule asks for.
        expected: String,
        /// What there is.
        found: String,
    },
    /// An index is not proven to be in bounds.
    #[error("{place}: index `{index}` of {buf} in dimension {dim} lies in {found}, the extent is {extent}")]
    Bounds {
        /// Where the load or store is, as in [`Violation::Expr`].
        place: String,
        /// The buffer that is read or written.
        buf: BufId,
        /// The dimension.
        dim: usize,
        /// The index expression.
        index: String,
        /// Its interval as `lo..=hi`; `unknown bounds` where nothing is known.
        found: String,
        /// The extent of the dimension.
        extent: usize,
    },
    /// Not every element of `dst` is proven to be defined.
    #[error("not every element of {dst} is proven to be defined: {reason}")]
    Coverage {
        /// The buffer that is written.
        dst: BufId,
        /// The step at which the proof fails.
        reason: String,
    },
    /// A loop whose iterations may write the same element makes it differ, or writes it from several threads.
    #[error("loop {id}: its iterations may write the same elements, but {conflict}")]
    Overlap {
        /// The loop.
        id: VarId,
        /// Why they must not.
        conflict: String,
    },
    /// The statements are neither a perfect nest of a definition nor a loop, parallel or of turns, around several.
    #[error(
        "expected a perfect nest of one definition, or one loop, parallel or of turns, around statements, found {0}"
    )]
    Statements(String),
    /// A call, or what calls do together, breaks a rule.
    #[error("{0}")]
    Calls(String),
}

/// Checks every rule in the header of this file.
///
/// # Errors
/// The first rule that is broken.
pub fn verify(nest: &Nest) -> Result<(), VerifyError> {
    verify_among(nest, &mut Leaves::default())
}

/// As [`verify`], one nest after the other: what is known of their leaf programs is not checked again.
///
/// # Errors
/// The first rule that is broken.
pub fn verify_among(nest: &Nest, leaves: &mut Leaves) -> Result<(), VerifyError> {
    check(nest, leaves).map_err(|violation| VerifyError { nest: nest.name.clone(), violation })
}

/// Leaf programs that keep their rules, by name.
#[derive(Debug, Default)]
pub struct Leaves(BTreeMap<String, Vec<Arc<Program>>>);

impl Leaves {
    fn verify(&mut self, leaf: &Arc<Program>) -> Result<(), leaf::verify::VerifyError> {
        let known = self.0.entry(leaf.name.clone()).or_default();
        if !known.contains(leaf) {
            leaf::verify::verify(leaf)?;
            known.push(leaf.clone());
        }
        Ok(())
    }
}

fn check(nest: &Nest, leaves: &mut Leaves) -> Result<(), Violation> {
    let (written, definition) = (nest.dsts().count(), nest.perfect());
    if written == 0 || written > 1 && definition.is_some() {
        return Err(Violation::Written(written));
    }
    for (i, b) in nest.buffers.iter().enumerate() {
        if let Err(e) = b.ty.shape.checked_bytes(b.ty.dtype) {
            let expected = "a buffer that can be addressed".into();
            return Err(Violation::Buffer { buf: BufId(i as u32), expected, found: e.to_string() });
        }
    }
    let loops = nest.loops();
    for (i, l) in loops.iter().enumerate() {
        let rule = |expected: &str, found: String| {
            Err(Violation::Loop { id: l.id, expected: expected.into(), found })
        };
        if loops[..i].iter().any(|other| other.id == l.id) {
            return rule("an id of its own", "another loop with the same id".into());
        }
        if l.extent == 0 || i64::try_from(l.extent).is_err() {
            return rule("an extent of 1 or more", l.extent.to_string());
        }
    }
    match definition {
        Some(definition) => definition::check(&definition),
        None => calls::check(nest, leaves),
    }
}

/// So that a message is a violation.
impl From<String> for Violation {
    fn from(message: String) -> Violation {
        Violation::Calls(message)
    }
}
