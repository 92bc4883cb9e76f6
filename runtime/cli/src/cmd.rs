//! The commands, one file each.

pub mod bench;
pub mod compare;
pub mod compile;
pub mod completions;
pub mod eval;
pub mod inspect;
pub mod list_ops;
pub mod octavize;
pub mod preprocess;
pub mod profile;
pub mod run;
pub mod tune;
