//! octrt: CPU inference runtime for convolutional networks.

pub mod image;

mod arena;
mod code;
mod error;
mod plan;
mod tensor;
mod threads;
mod trampoline;
mod weights;

pub use error::{Error, ErrorKind, InputError};
pub use tensor::{DataType, Element, Tensor, TensorMut, TensorRef};
pub use threads::Threads;
