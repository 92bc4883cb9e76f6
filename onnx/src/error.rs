//! Errors: what kind of fault, where in the model, what was expected and what was found.

use std::fmt;

/// Why a model cannot be imported or exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// The bytes are not an ONNX model, or contradict themselves (a tensor with fewer elements than its shape).
    #[error("not a valid ONNX file: {place}: {message}")]
    Corrupt {
        /// What is broken: `initializer 'conv1.weight'`, `model`.
        place: String,
        /// Expected and found.
        message: String,
    },
    /// The model breaks a rule of ONNX: an undefined value, a cycle, an attribute out of range.
    #[error("invalid model: {place}: {message}")]
    Invalid {
        /// What is wrong: `node 'layer2.0.conv1' (Conv)`, `output 'y'`.
        place: String,
        /// Expected and found.
        message: String,
    },
    /// The model is valid as far as could be read, but uses what octrt does not implement.
    #[error("the model uses what is not supported:{}", list(.0))]
    Unsupported(
        /// Everything that is not supported, in the order of the model.
        Vec<Unsupported>,
    ),
    /// Weights outside the model file cannot be read.
    #[error("external data of {place} in '{location}': {message}")]
    ExternalData {
        /// The tensor: `initializer 'conv1.weight'`.
        place: String,
        /// The file as the model names it; empty when it does not.
        location: String,
        /// What went wrong.
        message: String,
    },
    /// A size is beyond what can be addressed or written.
    #[error("{place} is too large: {message}")]
    TooLarge {
        /// What is too large.
        place: String,
        /// The size and the limit.
        message: String,
    },
}

/// Something that octrt does not implement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// An operator, or a use of it.
    Op {
        /// Its ONNX name.
        op: String,
        /// Its domain; empty for the standard operators.
        domain: String,
        /// The opset by which the nodes are to be read; 0 when the model declares none for the domain.
        opset: i64,
        /// Names of the nodes, in the order of the model.
        nodes: Vec<String>,
        /// What is not supported.
        reason: String,
    },
    /// Another part of the model.
    Feature {
        /// Where: `input 'tokens'`, `initializer 'w'`, `model`.
        place: String,
        /// What is not supported.
        reason: String,
    },
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsupported::Op { op, domain, opset, nodes, reason } => {
                let domain = if domain.is_empty() { "ai.onnx" } else { domain };
                write!(f, "{op} ({domain}, opset {opset}): {reason}; ")?;
                let shown: Vec<String> = nodes.iter().take(5).map(|n| format!("'{n}'")).collect();
                write!(f, "{} {}", if nodes.len() == 1 { "node" } else { "nodes" }, shown.join(", "))?;
                match nodes.len().saturating_sub(shown.len()) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Unsupported::Feature { place, reason } => write!(f, "{place}: {reason}"),
        }
    }
}

fn list(items: &[Unsupported]) -> String {
    items.iter().map(|i| format!("\n  {i}")).collect()
}

/// What is wrong with one part of the model; [`Fault::at`] adds which part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// See [`OnnxError::Corrupt`].
    Corrupt(String),
    /// See [`OnnxError::Invalid`].
    Invalid(String),
    /// See [`OnnxError::Unsupported`].
    Unsupported(String),
    /// See [`OnnxError::ExternalData`].
    ExternalData { location: String, message: String },
    /// See [`OnnxError::TooLarge`].
    TooLarge(String),
    /// An error that names its place itself: that of a node in a branch.
    Of(OnnxError),
}

impl Fault {
    /// The fault as an error of `place`.
    pub(crate) fn at(self, place: impl Into<String>) -> OnnxError {
        let place = place.into();
        match self {
            Fault::Corrupt(message) => OnnxError::Corrupt { place, message },
            Fault::Invalid(message) => OnnxError::Invalid { place, message },
            Fault::Unsupported(reason) => {
                OnnxError::Unsupported(vec![Unsupported::Feature { place, reason }])
            }
            Fault::ExternalData { location, message } => OnnxError::ExternalData { place, location, message },
            Fault::TooLarge(message) => OnnxError::TooLarge { place, message },
            Fault::Of(error) => error,
        }
    }
}

/// `Err(Fault::Invalid(format!(...)))`, for any result type with a [`Fault`].
macro_rules! invalid {
    ($($arg:tt)*) => { Err($crate::error::Fault::Invalid(format!($($arg)*))) };
}
/// `Err(Fault::Unsupported(format!(...)))`.
macro_rules! unsupported {
    ($($arg:tt)*) => { Err($crate::error::Fault::Unsupported(format!($($arg)*))) };
}
/// `Err(Fault::Corrupt(format!(...)))`.
macro_rules! corrupt {
    ($($arg:tt)*) => { Err($crate::error::Fault::Corrupt(format!($($arg)*))) };
}
pub(crate) use {corrupt, invalid, unsupported};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_lists_everything() {
        let nodes = (0..7).map(|i| format!("n{i}")).collect();
        let error = OnnxError::Unsupported(vec![
            Unsupported::Op {
                op: "Loop".into(),
                domain: "".into(),
                opset: 13,
                nodes,
                reason: "unknown".into(),
            },
            Unsupported::Feature { place: "input 'x'".into(), reason: "it is a sequence".into() },
        ]);
        expect_test::expect![[r#"
            the model uses what is not supported:
              Loop (ai.onnx, opset 13): unknown; nodes 'n0', 'n1', 'n2', 'n3', 'n4' and 2 more
              input 'x': it is a sequence"#]]
        .assert_eq(&error.to_string());
    }
}
