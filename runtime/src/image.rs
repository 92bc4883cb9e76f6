//! Pictures: file in, the model's `f32` input out.
//!
//! Three steps, each a function of its own:
//!
//! 1. [`decode_file`] / [`decode_bytes`]: JPEG, PNG, BMP or WebP to a [`Picture`] of 8-bit RGB, with the size
//!    checked before any pixel is decoded.
//! 2. [`Preprocess::pixels`]: antialiased resize and centre crop, level for level those of Pillow and torchvision.
//! 3. [`Preprocess::tensor`]: step 2, then scale, mean and standard deviation; NCHW `f32`.
//!
//! [`preprocess_file`] and [`preprocess_bytes`] do all three. What a network expects is a [`Preset`], or a
//! [`Preprocess`] of one's own, or a preset with [`PreprocessOverrides`] on top. [`Preprocessing`] finds out what a model
//! says itself, in its metadata and in the [`SideFile`] beside it.
//!
//! Absent on purpose: colour management (ICC profiles are ignored, as Pillow's `convert('RGB')` does), compositing
//! of transparent pictures, frames of an animation after the first.

mod container;
mod crop;
mod decode;
mod error;
mod names;
mod overrides;
mod picture;
mod preprocess;
mod preprocessing;
mod preset;
mod resize;
mod side_file;

use std::path::Path;

pub use decode::{DecodeOptions, Limits, Orientation, decode_bytes, decode_file};
pub use error::{ImageError, LimitKind};
pub use overrides::PreprocessOverrides;
pub use picture::Picture;
pub use preprocess::{ChannelOrder, Crop, Preprocess, PreprocessedImage, ResizePolicy};
pub use preprocessing::{Choice, PREPROCESS_METADATA, Preprocessing, parse_overrides};
pub use preset::Preset;
pub use resize::Filter;
pub use side_file::{SideFile, SideLabels};

/// Decodes the picture at `path` and prepares it for a model whose input is `target` = `[height, width]`.
///
/// # Errors
/// Those of [`decode_file`] and [`Preprocess::tensor`].
pub fn preprocess_file(
    path: &Path,
    settings: &Preprocess,
    target: [usize; 2],
    options: &DecodeOptions,
) -> Result<PreprocessedImage, ImageError> {
    settings.tensor(&decode_file(path, options)?, target)
}

/// As [`preprocess_file`] for the bytes of a picture file; `name` stands for the file in errors.
///
/// # Errors
/// Those of [`decode_bytes`] and [`Preprocess::tensor`].
pub fn preprocess_bytes(
    name: &str,
    bytes: &[u8],
    settings: &Preprocess,
    target: [usize; 2],
    options: &DecodeOptions,
) -> Result<PreprocessedImage, ImageError> {
    settings.tensor(&decode_bytes(name, bytes, options)?, target)
}
