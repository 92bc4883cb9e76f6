//! Why a graph could not be compiled.

use octrt_ops::GraphError;

/// Why a graph could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The graph is at fault.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A stage of the compiler made or met something it must not: a defect of octrt.
    #[error("internal error in {stage} for '{what}': {message}; please report it")]
    Internal {
        /// Stage of the pipeline.
        stage: &'static str,
        /// Node or kernel.
        what: String,
        /// What is wrong.
        message: String,
    },
}

impl CompileError {
    /// A defect found in `stage` while working on `what`.
    pub fn internal(stage: &'static str, what: impl Into<String>, message: impl ToString) -> Self {
        CompileError::Internal { stage, what: what.into(), message: message.to_string() }
    }
}
