//! Vocabulary and meaning: tensors, operators, the graph, its text form and its reference interpreter.
//!
//! This crate depends on `std` alone. It says what a model *means*; how it becomes fast is the compiler's work.
#![forbid(unsafe_code)]

#[macro_use]
pub mod dtype;

pub mod arg;
pub mod attr;
pub mod axes;
pub mod compute;
pub mod def;
pub mod elements;
pub mod error;
pub mod expr;
pub mod graph;
pub mod index;
pub mod indexing;
pub mod op;
pub mod operator;
mod quant;
mod quoted;
pub mod recurrent;
pub mod shape;
pub mod statistics;
pub mod sums;
pub mod tensor;
#[cfg(test)]
mod testing;
pub mod window;

/// Changes with every change of this crate's sources.
pub const FINGERPRINT: &str = env!("OCTRT_FINGERPRINT");

pub use arg::{Arg, Args};
pub use dtype::DType;
pub use error::{GraphError, OpError};
pub use graph::{Graph, Node, NodeId, ValueId};
pub use op::Op;
pub use operator::Operator;
pub use shape::{Dim, Shape, TensorType};
pub use tensor::{Element, Tensor};
