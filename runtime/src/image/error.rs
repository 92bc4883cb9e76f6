//! Errors of decoding and preprocessing. Every message names the picture, what was expected and what was found.

use std::fmt;
use std::io;

/// Why a picture could not be turned into a model's input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file could not be opened or read.
    #[error("{name}: cannot read the file: {source}")]
    Io {
        /// Path of the picture.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A picture of a kind that is not decoded.
    #[error("{name}: expected a JPEG, PNG, BMP or WebP picture, found {found}")]
    UnsupportedFormat {
        /// Path or name of the picture.
        name: String,
        /// What kind it is.
        found: String,
    },
    /// The bytes are no picture.
    #[error("{name}: expected a JPEG, PNG, BMP or WebP picture, found {found}")]
    NoPicture {
        /// Path or name of the picture.
        name: String,
        /// What the content looks like.
        found: String,
    },
    /// The picture is truncated or damaged.
    #[error("{name}: corrupt or truncated {format} picture: {reason}")]
    Corrupt {
        /// Path or name of the picture.
        name: String,
        /// `JPEG`, `PNG`, `BMP` or `WebP`.
        format: &'static str,
        /// What is wrong, and where if known.
        reason: String,
    },
    /// The picture is larger than the limits allow. Nothing of that size was allocated.
    #[error("{name}: too large: {found} {kind}, at most {allowed} allowed")]
    LimitExceeded {
        /// Path or name of the picture.
        name: String,
        /// The quantity that is limited.
        kind: LimitKind,
        /// What the picture needs; for a file read from disk, a lower bound.
        found: u64,
        /// The limit.
        allowed: u64,
    },
    /// The decoder of the format asked for more working memory than allowed.
    #[error("{name}: decoding needs more than the allowed {allowed} bytes of working memory")]
    DecoderMemory {
        /// Path or name of the picture.
        name: String,
        /// The limit in bytes.
        allowed: u64,
    },
    /// After resize and crop the picture does not have the size of the model's input.
    #[error(
        "{name}: the model's input is {}x{} (height x width), the picture is {}x{} after preprocessing",
        .expected[0], .expected[1], .found[0], .found[1]
    )]
    WrongSize {
        /// Path or name of the picture.
        name: String,
        /// `[height, width]` of the model's input, in pixels.
        expected: [usize; 2],
        /// `[height, width]` of the picture after resize and crop, in pixels.
        found: [usize; 2],
    },
    /// A buffer handed in as a picture has the wrong number of bytes.
    #[error(
        "{name}: {}x{} RGB pixels (height x width, neither 0) are 3 bytes each, found {found} bytes",
        .size[0], .size[1]
    )]
    WrongBuffer {
        /// Name of the picture.
        name: String,
        /// `[height, width]` in pixels.
        size: [usize; 2],
        /// Length of the buffer in bytes.
        found: usize,
    },
    /// A field of the settings has a value that cannot be used.
    #[error("preprocessing settings: {field} must be {expected}, found {found}")]
    InvalidSettings {
        /// Name of the field, or `target` for the model's input size.
        field: &'static str,
        /// The values that can be used.
        expected: &'static str,
        /// The value found.
        found: String,
    },
    /// A word that names no preset, filter, channel order or policy.
    #[error("unknown {what} {found:?}: expected one of {expected}")]
    UnknownName {
        /// What the word should name.
        what: &'static str,
        /// The word.
        found: String,
        /// The names that exist, separated by commas.
        expected: String,
    },
    /// Settings that cannot be read.
    #[error("{origin}: {reason}")]
    BrokenSettings {
        /// The file, or the name of the metadata.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// An input that is no picture was asked to be one.
    #[error("input {input}: a picture needs an input of floats [N,3,H,W]")]
    NoPictureInput {
        /// Its name and type.
        input: String,
    },
    /// The input has another size than the one chosen.
    #[error("input {input}: the size chosen is {}x{} (height x width)", .chosen[0], .chosen[1])]
    OtherSize {
        /// Its name and type.
        input: String,
        /// `[height, width]`.
        chosen: [usize; 2],
    },
    /// The model leaves the size of the picture open, and no size is chosen.
    #[error("{input}: give the size of the picture as height and width")]
    OpenSize {
        /// Its name and type, where it is known.
        input: String,
    },
}

/// The quantity in [`ImageError::LimitExceeded`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitKind {
    /// Bytes of the picture's file.
    FileBytes,
    /// Pixels (width times height) that the header declares.
    Pixels,
    /// Pixels between the horizontal and the vertical pass of a resize.
    ResizePixels,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FileBytes => "bytes of file",
            Self::Pixels => "pixels",
            Self::ResizePixels => "pixels between the two passes of the resize",
        })
    }
}
