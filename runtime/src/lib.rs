//! octrt: CPU inference runtime for convolutional networks.

mod arena;
mod code;
mod error;
mod execute;
pub mod image;
mod load;
mod machine;
mod model;
mod options;
mod plan;
mod ports;
mod session;
mod source;
mod tensor;
mod threads;
mod trampoline;
mod weights;

pub use error::{Error, ErrorKind, InputError};
pub use execute::{Observer, StepEvent};
pub use machine::{default_memory_limit, detect_target};
pub use model::{About, Model, Stages};
pub use octrt_compiler as compiler;
pub use octrt_onnx as onnx;
pub use octrt_ops as ops;
pub use options::LoadOptions;
pub use ports::PortInfo;
pub use session::Session;
pub use tensor::{DataType, Element, Tensor, TensorMut, TensorRef};
pub use threads::Threads;
