//! Errors: whose fault, where, what was expected, what was found.

use std::fmt;

/// What is wrong with one operator and its arguments. [`GraphError`] adds the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpError {
    /// The model breaks a rule of the operator: shapes that do not fit, attributes out of range, wrong types.
    Invalid(String),
    /// The model is valid, but octrt does not implement this.
    Unsupported(String),
    /// A shape would depend on values known only while the model runs.
    DataDependent(String),
    /// A tensor is larger than can be addressed or than the limit allows.
    TooLarge(String),
}

impl OpError {
    /// The message without the kind.
    pub fn message(&self) -> &str {
        match self {
            OpError::Invalid(m)
            | OpError::Unsupported(m)
            | OpError::DataDependent(m)
            | OpError::TooLarge(m) => m,
        }
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpError::Invalid(m) | OpError::TooLarge(m) => f.write_str(m),
            OpError::Unsupported(m) => write!(f, "not supported: {m}"),
            OpError::DataDependent(m) => write!(f, "not supported: shape depends on data: {m}"),
        }
    }
}

impl std::error::Error for OpError {}

/// An [`OpError`] with the node at which it arose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphError {
    /// Name of the node, or of the value or graph where no node is to blame.
    pub node: String,
    /// Operator of the node; empty where no node is to blame.
    pub op: String,
    /// What is wrong.
    pub source: OpError,
}

impl GraphError {
    /// An error at node `node` of operator `op`.
    pub fn new(node: impl Into<String>, op: impl Into<String>, source: OpError) -> Self {
        GraphError { node: node.into(), op: op.into(), source }
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.op.is_empty() {
            write!(f, "'{}': {}", self.node, self.source)
        } else {
            write!(f, "node '{}' ({}): {}", self.node, self.op, self.source)
        }
    }
}

impl std::error::Error for GraphError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// `Err(OpError::Invalid(format!(...)))`.
#[macro_export]
macro_rules! invalid {
    ($($arg:tt)*) => { Err($crate::OpError::Invalid(format!($($arg)*))) };
}

/// `Err(OpError::Unsupported(format!(...)))`.
#[macro_export]
macro_rules! unsupported {
    ($($arg:tt)*) => { Err($crate::OpError::Unsupported(format!($($arg)*))) };
}
