//! What went wrong, as an exit code and a message.

use octrt::image::ImageError;
use octrt::{Error, ErrorKind, LabelError};

/// Exit codes, as `octrt --help` shows them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the system, the machine or a defect of octrt
  2  usage: the arguments do not fit the program or the model
  3  a check failed (--expect, compare)
  4  the model or picture is valid, but octrt does not implement a part of it
  5  a file is corrupt
  6  a limit is exceeded (memory, size of a picture)

Results go to stdout; progress, notes and errors to stderr.";

/// A failure that the program itself finds.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments do not fit the program or the model.
    #[error("{0}")]
    Usage(String),
    /// Results differ from what was expected.
    #[error("{0}")]
    Check(String),
    /// The model is valid, but octrt does not implement a part of it.
    #[error("{0}")]
    Unsupported(String),
    /// A file breaks the rules of its format.
    #[error("{file}: {message}")]
    Corrupt {
        /// The file.
        file: String,
        /// What was expected and what was found.
        message: String,
    },
    /// A file is larger than allowed.
    #[error("{file}: {message}")]
    Limit {
        /// The file.
        file: String,
        /// The size and the limit.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Failure {
    /// The failure to read or write `file`, for `map_err`.
    pub fn file(file: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Failure::File { file: file.to_string(), source }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Failure::File { .. } => 1,
            Failure::Usage(_) => 2,
            Failure::Check(_) => 3,
            Failure::Unsupported(_) => 4,
            Failure::Corrupt { .. } => 5,
            Failure::Limit { .. } => 6,
        }
    }
}

fn of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Input => 2,
        ErrorKind::Unsupported => 4,
        ErrorKind::Corrupt => 5,
        ErrorKind::Limit => 6,
        _ => 1,
    }
}

fn of_image(error: &ImageError) -> u8 {
    match error {
        ImageError::WrongSize { .. }
        | ImageError::InvalidSettings { .. }
        | ImageError::UnknownName { .. }
        | ImageError::NoPictureInput { .. }
        | ImageError::OtherSize { .. }
        | ImageError::OpenSize { .. } => 2,
        ImageError::UnsupportedFormat { .. } => 4,
        ImageError::NoPicture { .. } | ImageError::Corrupt { .. } | ImageError::BrokenSettings { .. } => 5,
        ImageError::LimitExceeded { .. } | ImageError::DecoderMemory { .. } => 6,
        _ => 1,
    }
}

fn of_labels(error: &LabelError) -> u8 {
    match error {
        LabelError::Count { .. } | LabelError::Unknown { .. } | LabelError::Ambiguous { .. } => 2,
        LabelError::NoText { .. } => 5,
        LabelError::TooLarge { .. } => 6,
        _ => 1,
    }
}

/// The exit code of the first error in the chain of causes whose fault is known; 1 when none is.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let code = |cause: &(dyn std::error::Error + 'static)| {
        let own = cause.downcast_ref::<Failure>().map(Failure::exit_code);
        let runtime = || cause.downcast_ref::<Error>().map(|e| of_kind(e.kind()));
        let input = || cause.downcast_ref::<octrt::InputError>().map(|_| of_kind(ErrorKind::Input));
        let image = || cause.downcast_ref::<ImageError>().map(of_image);
        let labels = || cause.downcast_ref::<LabelError>().map(of_labels);
        own.or_else(runtime).or_else(input).or_else(image).or_else(labels)
    };
    error.chain().find_map(code).unwrap_or(1)
}

/// The error and its causes, one a line, without those that the line before already tells.
pub fn message(error: &anyhow::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        if lines.last().is_none_or(|before| !before.contains(&cause)) {
            lines.push(cause);
        }
    }
    lines.join("\n  because: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_first_known_cause_gives_the_code() {
        let code = |e: anyhow::Error| exit_code(&e);
        assert_eq!(code(anyhow::anyhow!("what")), 1);
        assert_eq!(code(Failure::Check("no".into()).into()), 3);
        let corrupt = Failure::Corrupt { file: "f".into(), message: "short".into() };
        assert_eq!(code(anyhow::Error::from(corrupt).context("reading f")), 5);
        let image = ImageError::DecoderMemory { name: "p".into(), allowed: 1 };
        assert_eq!(code(Err::<(), _>(image).context("p").unwrap_err()), 6);
        let unsupported = Error::Unsupported { model: "m".into(), message: "Loop".into() };
        assert_eq!(code(unsupported.into()), 4);
    }

    #[test]
    fn causes_are_told_once() {
        let io = std::io::Error::other("disk");
        let error = anyhow::Error::from(Failure::file("f")(io)).context("saving");
        assert_eq!(message(&error), "saving\n  because: f: disk");
    }
}
