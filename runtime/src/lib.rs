//! octrt: CPU inference runtime for convolutional networks, made for Octave Convolution.
//!
//! A [`Model`] is loaded from an ONNX file and compiled to machine code for the shapes of its inputs. A [`Session`] is
//! the memory in which it runs: one session for each thread that calls, all sessions of a model share code and weights.
//!
//! ```no_run
//! use octrt::{LoadOptions, Model, TensorRef};
//!
//! # fn main() -> Result<(), octrt::Error> {
//! let model = Model::load("resnet50.onnx", &LoadOptions::default())?;
//! for input in model.inputs() {
//!     println!("{}: {input}", input.name); // data: f32[1,3,224,224]
//! }
//! let pixels = vec![0.0f32; 3 * 224 * 224];
//! let mut session = model.session()?;
//! let outputs = session.run(&[("data", TensorRef::new(&[1, 3, 224, 224], &pixels)?)])?;
//! let scores: &[f32] = outputs[0].1.elements()?;
//! # let _ = scores;
//! # Ok(())
//! # }
//! ```
//!
//! * Dimensions may be dynamic: run with other shapes, and the model is compiled for them. It keeps the code for the last
//!   four.
//! * What an input holds may decide shapes, as the second input of Reshape: [`Model::value_inputs`]. The model is compiled
//!   for these values as it is for dimensions; [`Session::specialization`] says for which.
//! * [`Model::save`] writes what a model was compiled to for some shapes, without machine code; [`Model::load`] loads that
//!   faster, and shares its weights with other processes. [`LoadOptions::cache_dir`] does both by itself.
//! * What `octrt tune` has measured on this machine are [`Records`], which [`LoadOptions::with_records`] lets the compiler use.
//! * Results are the same bit by bit for any number of [`Threads`] and from run to run. The default is one thread, the
//!   caller's.
//! * Compiled code flushes denormals to zero. The floating point mode of the caller is not changed.
//! * [`Error::kind`] says whose fault an error is.
//! * Pictures become inputs in [`image`], scores become classes in [`classify`]; the [`Graph`] and its interpreter are in
//!   the crate `octrt_ops`, the compiler's stages, for what [`Model::specialized`] gives, in `octrt_compiler`.
//!
//! Linux on x86-64 from x86-64-v2 on. Only this crate and the C ABI have `unsafe` code; here it is calls of compiled code,
//! mapped files, views of elements as bytes, and threads lost in a fork, in `code`, `execute`, `source`, `tensor` and
//! `threads`.

mod about;
mod arena;
mod cache;
pub mod classify;
mod code;
mod compiled;
mod data_type;
mod error;
mod execute;
mod fingerprint;
pub mod image;
mod labels;
mod load;
mod machine;
mod model;
mod options;
pub mod peak;
mod plan;
mod ports;
mod processor;
pub mod records;
mod session;
mod source;
mod specialization;
mod tensor;
mod threads;
mod trampoline;
mod weights;

pub use about::About;
pub use data_type::DataType;
pub use error::{Error, ErrorKind, InputError};
pub use execute::{Observer, StepEvent};
pub use fingerprint::fingerprint;
pub use labels::{LABELS_METADATA, LabelError, Labels};
pub use machine::{default_memory_limit, detect_isa, detect_target, native_target};
pub use model::{Model, ModelMemory};
pub use octrt_compiler::{CompileError, Isa, Precision, Target};
pub use octrt_ops::{DType, Dim, Graph, Shape, TensorType};
pub use options::LoadOptions;
pub use ports::PortInfo;
pub use records::Records;
pub use session::Session;
pub use source::FileAccess;
pub use specialization::Specialization;
pub use tensor::{Element, Tensor, TensorMut, TensorRef};
pub use threads::{CancelToken, Threads};

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
