//! The program `octrt` as its users see it: arguments in; stdout, stderr, files and exit code out.

mod compiled;
mod compiler;
mod eval;
mod exit_codes;
mod help;
mod measure;
mod octavize;
mod photos;
mod pictures;
mod program;
#[path = "../../../tests/support/skip.rs"]
mod skip;
mod tensors;
mod tune;
mod values;
