//! Graph to machine code: passes, loop nests, schedules, Cranelift code generation.
//!
//! A pure function: the same graph, options and records give the same bytes. It reads no file, clock or environment.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod codegen;
pub mod decide;
pub mod error;
pub mod layout;
pub mod leaf;
pub mod lower;
pub mod nest;
pub mod options;
pub mod pack;
pub mod passes;
pub mod pipeline;
pub mod place;
pub mod precision;
pub mod records;
pub mod schedule;
pub mod strategy;
pub mod target;
pub(crate) mod text;

/// Changes with every change of this crate's sources.
pub const FINGERPRINT: &str = env!("OCTRT_FINGERPRINT");

pub use artifact::Artifact;
pub use error::CompileError;
pub use options::Options;
pub use pipeline::compile;
pub use precision::Precision;
pub use records::Records;
pub use target::{Isa, Target};
