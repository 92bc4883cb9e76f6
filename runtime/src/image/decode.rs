//! Picture file to 8-bit RGB.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::container::{check_complete, declared_size};
use super::{ImageError, LimitKind, Picture};

/// How pictures are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// What to do with the EXIF orientation.
    pub orientation: Orientation,
    /// Sizes above which a picture is refused.
    pub limits: Limits,
}

/// What to do with the EXIF orientation of a picture (tag 0x0112, values 1 to 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Orientation {
    /// Turn and mirror the pixels so that the picture stands upright, as Pillow's `ImageOps.exif_transpose`.
    #[default]
    Apply,
    /// Take the pixels as stored, as Pillow's `Image.open` and torchvision's `default_loader`.
    Ignore,
}

/// Sizes above which a picture is refused before its pixels are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of a file. Default 256 MiB.
    pub file_bytes: u64,
    /// Most pixels, width times height. Default 89,478,485 (256 MiB of RGB), above which Pillow warns.
    pub pixels: u64,
}

impl DecodeOptions {
    /// With this [`orientation`](DecodeOptions::orientation).
    #[must_use]
    pub fn with_orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// With these [`limits`](DecodeOptions::limits).
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 256 << 20, pixels: (256 << 20) / 3 }
    }
}

impl Limits {
    /// With this limit of [`file_bytes`](Limits::file_bytes).
    #[must_use]
    pub fn with_file_bytes(mut self, bytes: u64) -> Self {
        self.file_bytes = bytes;
        self
    }

    /// With this limit of [`pixels`](Limits::pixels).
    #[must_use]
    pub fn with_pixels(mut self, pixels: u64) -> Self {
        self.pixels = pixels;
        self
    }

    /// Working memory for a decoder in bytes: eight per allowed pixel, and 64 MiB for tables and metadata.
    fn decoder_bytes(self) -> u64 {
        self.pixels.saturating_mul(8).saturating_add(64 << 20)
    }
}

/// Reads and decodes the picture at `path`; see [`decode_bytes`]. The file's extension is not looked at.
///
/// # Errors
/// [`ImageError::Io`] when the file cannot be read, [`ImageError::LimitExceeded`] when it has more than
/// [`Limits::file_bytes`]; those of [`decode_bytes`].
pub fn decode_file(path: &Path, options: &DecodeOptions) -> Result<Picture, ImageError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(options.limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|source| ImageError::Io { name: name.clone(), source })?;
    decode_bytes(&name, &bytes, options)
}

/// Decodes the bytes of a JPEG, PNG, BMP or WebP file, told apart by content; `name` stands for it in errors.
///
/// The pixels are those of Pillow's `Image.open(p).convert('RGB')`: grey is replicated, palettes are looked up,
/// alpha is dropped without compositing, ICC profiles are ignored, of an animation the first frame is taken.
/// PNGs with 16 bits per channel keep the high byte; Pillow does so for colour, but clips 16-bit grey at 255.
/// JPEG levels depend on a decoder's IDCT and chroma upsampling: expect differences of a few levels from Pillow,
/// more at colour edges of pictures whose chroma is sampled vertically only. BMPs of 16 bits per pixel can differ
/// by one level.
///
/// A picture must be complete. Damage within a complete JPEG's compressed data is decoded as far as it goes.
///
/// # Errors
/// [`ImageError::NoPicture`], [`ImageError::UnsupportedFormat`], [`ImageError::LimitExceeded`] before anything of the
/// declared size is allocated, [`ImageError::DecoderMemory`], [`ImageError::Corrupt`].
pub fn decode_bytes(name: &str, bytes: &[u8], options: &DecodeOptions) -> Result<Picture, ImageError> {
    let limits = options.limits;
    check_limit(name, LimitKind::FileBytes, bytes.len() as u64, limits.file_bytes)?;
    let format = recognise(name, bytes)?;
    if let Some(size) = declared_size(format, bytes) {
        check_size(name, format, size, limits)?;
    }
    check_complete(format, bytes).map_err(|reason| corrupt(name, format, reason))?;

    let failed = |error| decoder_error(name, format, limits, error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder_limits = image::Limits::no_limits();
    decoder_limits.max_alloc = Some(limits.decoder_bytes());
    reader.limits(decoder_limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(name, format, [height.into(), width.into()], limits)?;
    let turn = match options.orientation {
        Orientation::Apply => exif_orientation(&mut decoder).map_err(failed)?,
        Orientation::Ignore => image::metadata::Orientation::NoTransforms,
    };
    let color = decoder.color_type();
    let mut stored = vec![0; width as usize * height as usize * usize::from(color.bytes_per_pixel())];
    decoder.read_image(&mut stored).map_err(failed)?;
    let rgb = to_rgb(stored, color)
        .and_then(|rgb| RgbImage::from_raw(width, height, rgb))
        .ok_or_else(|| unsupported(name, format!("{} pixels of type {color:?}", format_name(format))))?;
    let mut upright = DynamicImage::ImageRgb8(rgb);
    upright.apply_orientation(turn);
    let size = [upright.height() as usize, upright.width() as usize];
    Picture::new(name, size, upright.into_bytes())
}

fn check_limit(name: &str, kind: LimitKind, found: u64, allowed: u64) -> Result<(), ImageError> {
    if found > allowed {
        return Err(ImageError::LimitExceeded { name: name.to_owned(), kind, found, allowed });
    }
    Ok(())
}

/// Checks `[height, width]` in pixels as a header declares them.
fn check_size(
    name: &str,
    format: ImageFormat,
    [height, width]: [u64; 2],
    limits: Limits,
) -> Result<(), ImageError> {
    if height == 0 || width == 0 {
        return Err(corrupt(
            name,
            format,
            format!("the header declares {width}x{height} pixels (width x height)"),
        ));
    }
    check_limit(name, LimitKind::Pixels, height.saturating_mul(width), limits.pixels)
}

/// The format by content.
fn recognise(name: &str, bytes: &[u8]) -> Result<ImageFormat, ImageError> {
    use ImageFormat::{Bmp, Jpeg, Png, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | Bmp | WebP)) => Ok(format),
        Ok(other) => Err(unsupported(name, format!("a {} file", format_name(other)))),
        Err(_) => {
            let start = &bytes[..bytes.len().min(8)];
            let found = match bytes {
                [] => "an empty file".to_owned(),
                _ => format!("unknown content starting with bytes {start:02x?}"),
            };
            Err(ImageError::NoPicture { name: name.to_owned(), found })
        }
    }
}

fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::Bmp => "BMP",
        ImageFormat::WebP => "WebP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Avif => "AVIF",
        _ => "different picture",
    }
}

fn unsupported(name: &str, found: String) -> ImageError {
    ImageError::UnsupportedFormat { name: name.to_owned(), found }
}

fn corrupt(name: &str, format: ImageFormat, reason: String) -> ImageError {
    ImageError::Corrupt { name: name.to_owned(), format: format_name(format), reason }
}

/// The decoder's error as one of ours.
fn decoder_error(name: &str, format: ImageFormat, limits: Limits, error: image::ImageError) -> ImageError {
    match error {
        image::ImageError::Unsupported(error) => {
            unsupported(name, format!("one with an unusual feature: {error}"))
        }
        image::ImageError::Limits(_) => {
            ImageError::DecoderMemory { name: name.to_owned(), allowed: limits.decoder_bytes() }
        }
        // Bytes are read from memory: the only I/O error is their end.
        error => corrupt(name, format, error.to_string()),
    }
}

/// The orientation in the EXIF chunk, none when there is no valid one.
fn exif_orientation(decoder: &mut impl ImageDecoder) -> image::ImageResult<image::metadata::Orientation> {
    // The TIFF structure comes with or without the prefix that JPEG puts before it.
    let chunk = decoder.exif_metadata()?;
    let tiff = chunk.as_deref().map(|chunk| chunk.strip_prefix(b"Exif\0\0").unwrap_or(chunk));
    Ok(tiff
        .and_then(image::metadata::Orientation::from_exif_chunk)
        .unwrap_or(image::metadata::Orientation::NoTransforms))
}

/// Pixels of type `color`, 16-bit channels in the machine's byte order, as RGB; `None` for floating point.
fn to_rgb(stored: Vec<u8>, color: ColorType) -> Option<Vec<u8>> {
    let channels = usize::from(color.channel_count());
    let levels = match color {
        ColorType::Rgb8 => return Some(stored),
        ColorType::L8 | ColorType::La8 | ColorType::Rgba8 => stored,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let (pairs, _) = stored.as_chunks::<2>();
            pairs.iter().map(|&pair| (u16::from_ne_bytes(pair) >> 8) as u8).collect()
        }
        _ => return None,
    };
    let pixels = levels.chunks_exact(channels);
    Some(match channels {
        1 | 2 => pixels.flat_map(|pixel| [pixel[0]; 3]).collect(),
        _ => pixels.flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
    })
}
