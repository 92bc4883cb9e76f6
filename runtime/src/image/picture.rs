//! A decoded picture.

use super::ImageError;

/// 8-bit RGB pixels, row by row from the top, three bytes R, G, B per pixel, no padding.
///
/// Never empty: height and width are at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    name: String,
    height: usize,
    width: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture of `size` = `[height, width]` pixels; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`ImageError::WrongBuffer`] when `rgb` has not `height * width * 3` bytes or the picture has no pixel.
    pub fn new(name: impl Into<String>, size: [usize; 2], rgb: Vec<u8>) -> Result<Self, ImageError> {
        let name = name.into();
        let [height, width] = size;
        let bytes = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(3));
        if bytes == Some(rgb.len()) && !rgb.is_empty() {
            Ok(Self { name, height, width, rgb })
        } else {
            Err(ImageError::WrongBuffer { name, size, found: rgb.len() })
        }
    }

    /// Path or name of the file the picture came from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `[height, width]` in pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// The pixels: `height * width * 3` bytes, R, G, B interleaved.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}
