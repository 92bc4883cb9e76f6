//! octrt: CPU inference runtime for convolutional networks.

mod arena;
mod code;
mod error;
mod execute;
pub mod image;
mod machine;
mod model;
mod options;
mod plan;
mod session;
mod tensor;
mod threads;
mod trampoline;
mod weights;

pub use error::{Error, ErrorKind, InputError};
pub use execute::{Observer, StepEvent};
pub use machine::{default_memory_limit, detect_target};
pub use model::{Model, PortInfo, Stages};
pub use octrt_compiler as compiler;
pub use octrt_ops as ops;
pub use options::LoadOptions;
pub use session::Session;
pub use tensor::{DataType, Element, Tensor, TensorMut, TensorRef};
pub use threads::Threads;
