//! What can go wrong from a file to its results, and whose fault it is.

use std::path::PathBuf;

use octrt_compiler::CompileError;
use octrt_ops::{GraphError, OpError};

/// Whose fault an [`Error`] is. Programs map it onto exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What the caller handed in does not fit the model.
    Input,
    /// The system, the machine or a defect of octrt.
    Runtime,
    /// The model is valid, but octrt does not implement a part of it.
    Unsupported,
    /// The model's file breaks the rules of its format.
    Corrupt,
    /// The model needs more memory than allowed.
    Limit,
}

/// Why a tensor that the caller handed in was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// No input has this name.
    #[error("no input is named '{name}'; the model has {known}")]
    UnknownInput {
        /// The name given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// No output has this name.
    #[error("no output is named '{name}'; the model has {known}")]
    UnknownOutput {
        /// The name given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// An input was not given.
    #[error("input '{name}' is missing: expected {expected}")]
    Missing {
        /// The input.
        name: String,
        /// Its type.
        expected: String,
    },
    /// A name was given twice.
    #[error("'{name}' is given twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The element type differs.
    #[error("'{name}': expected elements of {expected}, found {found}")]
    WrongType {
        /// The input or output.
        name: String,
        /// Its type in the model.
        expected: String,
        /// The type of the tensor given.
        found: String,
    },
    /// The shape differs.
    #[error("'{name}': expected {expected}, found {found}")]
    WrongShape {
        /// The input or output.
        name: String,
        /// Its type in the model.
        expected: String,
        /// The type of the tensor given.
        found: String,
    },
    /// Two dimensions of one name differ.
    #[error("'{name}': dimension '{dim}' is {expected} in another input, found {found}")]
    DimsDiffer {
        /// The input.
        name: String,
        /// The dynamic dimension.
        dim: String,
        /// Its extent in an earlier input.
        expected: usize,
        /// The type of the tensor given.
        found: String,
    },
    /// The model does not work for the shapes given.
    #[error("the inputs {given} do not fit the model: {message}")]
    Shapes {
        /// The inputs.
        given: String,
        /// What is wrong, and at which node.
        message: String,
    },
    /// What an input holds decides a shape, and only its type is given.
    #[error("input '{name}' {ty} decides a shape, and what it holds is not given: {message}")]
    ValueNeeded {
        /// The input.
        name: String,
        /// Its type.
        ty: String,
        /// Which node asks for it.
        message: String,
    },
    /// An input that decides a shape holds something else than what the model was compiled for.
    #[error(
        "'{name}' decides a shape, and the model was compiled for {expected}: found {found}; compile it again"
    )]
    OtherValue {
        /// The input.
        name: String,
        /// The elements that it must hold.
        expected: String,
        /// The elements given.
        found: String,
    },
    /// A slice does not have as many elements as its shape, or is a `bool` other than 0 and 1.
    #[error("{0}")]
    Elements(String),
}

/// Why a model could not be loaded, compiled or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The model's file is broken.
    #[error("{model}: {message}")]
    Corrupt {
        /// File or name of the model.
        model: String,
        /// What is wrong.
        message: String,
    },
    /// The model is valid, but octrt does not implement a part of it.
    #[error("{model}: {message}")]
    Unsupported {
        /// File or name of the model.
        model: String,
        /// What is not implemented.
        message: String,
    },
    /// The model is larger than allowed.
    #[error("{model}: {message}")]
    TooLarge {
        /// File or name of the model.
        model: String,
        /// The size and the limit.
        message: String,
    },
    /// The model does not compile for the shapes of the inputs.
    #[error("{model}: {source}")]
    Compile {
        /// File or name of the model.
        model: String,
        /// What is wrong, and at which node.
        source: CompileError,
    },
    /// More memory is needed than allowed or available.
    #[error("{what} needs {bytes} bytes: {why}")]
    Memory {
        /// What needs it.
        what: String,
        /// How much.
        bytes: usize,
        /// The limit passed, or the system's answer.
        why: String,
    },
    /// A tensor that the caller handed in does not fit.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A value computed in the run breaks a rule that the model relies on.
    #[error("node '{node}' ({op}): {message}")]
    Check {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What was found.
        message: String,
    },
    /// Compiled code that breaks the contract of [`octrt_compiler::artifact`].
    #[error("compiled code refused: {0}")]
    Artifact(String),
    /// The kernel does not let this process run generated code.
    #[error("this process may not run generated code ({0}); lift the write-xor-execute rule that forbids it")]
    NotExecutable(std::io::Error),
    /// The processor is too old, or older than the target that was chosen.
    #[error("{0}")]
    Target(String),
    /// The worker threads could not be started.
    #[error("{threads} threads could not be started: {message}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The system's answer.
        message: String,
    },
    /// The process is a fork of another one, in which threads run that this one does not have.
    #[error("{0} was forked after the model was loaded; load the model after the fork")]
    Forked(String),
    /// A compiled model that another octrt made, or one with other options.
    #[error("{model}: {message}; compile it again")]
    Stale {
        /// The file.
        model: String,
        /// What is expected and what was found.
        message: String,
    },
    /// The observer of the run asked for its end, or its token was cancelled.
    #[error("the run was cancelled at node '{node}'")]
    Cancelled {
        /// The last node that ran, as a whole or in part.
        node: String,
    },
    /// A defect of octrt.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Input(_) => ErrorKind::Input,
            Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::Unsupported { .. } | Error::Stale { .. } => ErrorKind::Unsupported,
            Error::Memory { .. } | Error::TooLarge { .. } => ErrorKind::Limit,
            Error::Compile { source: CompileError::Graph(e), .. } => match e.source {
                OpError::Invalid(_) => ErrorKind::Corrupt,
                OpError::Unsupported(_) | OpError::DataDependent(_) => ErrorKind::Unsupported,
                OpError::TooLarge(_) => ErrorKind::Limit,
            },
            Error::Io { .. }
            | Error::Compile { .. }
            | Error::Check { .. }
            | Error::Artifact(_)
            | Error::NotExecutable(_)
            | Error::Target(_)
            | Error::Threads { .. }
            | Error::Forked(_)
            | Error::Cancelled { .. }
            | Error::Internal(_) => ErrorKind::Runtime,
        }
    }

    pub(crate) fn graph(model: &str, source: GraphError) -> Self {
        Error::Compile { model: model.to_string(), source: source.into() }
    }
}
