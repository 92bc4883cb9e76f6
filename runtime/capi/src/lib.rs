//! The C ABI of octrt: `liboctrt`.
//!
//! The header `include/octrt.h` is generated from these files and is the documentation for callers; README.md says how to
//! install and link. One file per noun:
//!
//! | file | functions |
//! |---|---|
//! | `version` | which library this is |
//! | `error` | codes and messages |
//! | `options`, `log` | how a model is loaded, what the library tells |
//! | `model`, `info` | loading, counting references; what a model says about itself |
//! | `tensor` | tensors in the caller's memory |
//! | `session`, `run`, `cancel`, `profile` | memory of runs, runs, their end, their time; they work on `state` and `canceller` |
//! | `values` | inputs that decide shapes |
//! | `picture`, `classes` | pictures to inputs, scores to classes |
//!
//! Every function goes through `guard`: no panic leaves it, and the caller's floating point state (`floats`) is the same
//! after it. Structs by value begin with their size and are read and written by `sized`.

#![allow(non_camel_case_types, reason = "the names are those of C")]

mod about;
mod cancel;
mod canceller;
mod classes;
mod error;
mod floats;
mod guard;
mod info;
mod log;
mod model;
mod options;
mod picture;
mod profile;
mod run;
mod session;
mod sized;
mod state;
mod tensor;
mod text;
mod values;
mod version;

pub use cancel::*;
pub use canceller::*;
pub use classes::*;
pub use error::*;
pub use info::*;
pub use log::*;
pub use model::*;
pub use options::*;
pub use picture::*;
pub use profile::*;
pub use run::*;
pub use session::*;
pub use state::*;
pub use tensor::*;
pub use values::*;
pub use version::*;

/// Handles go from thread to thread behind the compiler's back: here it checks that they may.
const _: fn() = || {
    fn may_be_shared<T: Send + Sync>() {}
    may_be_shared::<octrt_error>();
    may_be_shared::<octrt_model>();
    may_be_shared::<octrt_session>();
    may_be_shared::<octrt_canceller>();
    may_be_shared::<octrt_preprocessor>();
    may_be_shared::<octrt_labels>();
};
