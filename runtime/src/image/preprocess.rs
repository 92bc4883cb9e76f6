//! The settings of preprocessing, and their application to a picture.

use serde::{Deserialize, Serialize};

use super::crop::{self, AxisCrop};
use super::names::named;
use super::resize::{Span, resize_window};
use super::{Filter, ImageError, Picture};

/// How the picture is resized before the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ResizePolicy {
    /// Not at all.
    None,
    /// The shorter side to [`Preprocess::resize_size`] pixels, the longer to `floor(size * long / short)`, as
    /// torchvision's `Resize(n)`.
    ShortSide,
    /// Height and width, without regard to the picture's proportions, as torchvision's `Resize((h, w))`. A picture
    /// that already has that size is left as it is.
    Whole,
}

named!(ResizePolicy, "resize policy", { None => "none", ShortSide => "short-side", Whole => "whole" });

/// What is cut out of the middle of the resized picture. Where that is smaller, it is set into zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Crop {
    /// The whole of it.
    None,
    /// As much as the model's input.
    ToInput,
    /// `[height, width]` in pixels, whatever the model says; a model with another input size is an error.
    Size([usize; 2]),
}

/// The order of the planes in the model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

named!(ChannelOrder, "channel order", { Rgb => "rgb", Bgr => "bgr" });

/// How a picture becomes a model's input: resize, centre crop, then per plane `c` of the input
/// `(level * scale - mean[c]) / std[c]`, where `level` is 0 to 255.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preprocess {
    /// How the picture is resized.
    pub resize: ResizePolicy,
    /// Pixels of the short side, or of both sides when the whole picture is resized. `None` follows the model's
    /// input `[h, w]`: `round(max(h, w) * 256 / 224)`, halves up, for the short side; `[h, w]` for the whole.
    pub resize_size: Option<usize>,
    /// The kernel of the resize.
    pub filter: Filter,
    /// The centre crop after the resize.
    pub crop: Crop,
    /// The order of the planes.
    pub order: ChannelOrder,
    /// Factor on levels; the product is rounded to `f32`.
    pub scale: f64,
    /// Subtracted from plane `c` of the model's input, in units of `level * scale`. Indexed in the order of the
    /// planes: with [`ChannelOrder::Bgr`], `mean[0]` is that of blue.
    pub mean: [f32; 3],
    /// Divides plane `c` of the model's input; indexed as `mean`. Finite and not 0.
    pub std: [f32; 3],
}

impl Default for Preprocess {
    /// No resize and no crop, RGB planes of 0 to 255; the picture must have the size of the input.
    fn default() -> Self {
        Preprocess {
            resize: ResizePolicy::None,
            resize_size: None,
            filter: Filter::Bilinear,
            crop: Crop::None,
            order: ChannelOrder::Rgb,
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        }
    }
}

/// A model's input made from one picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PreprocessedImage {
    /// `shape` values, the last dimension contiguous.
    pub data: Vec<f32>,
    /// NCHW: `[1, 3, height, width]`.
    pub shape: [usize; 4],
}

impl Preprocess {
    /// These settings, but for what `change` sets: `Preset::None.settings().with(|s| s.crop = Crop::ToInput)`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The 8-bit RGB pixels after resize and crop, for a model whose input is `target` = `[height, width]`.
    ///
    /// # Errors
    /// [`ImageError::InvalidSettings`]; [`ImageError::WrongSize`] when the result would not have the target's size,
    /// found out before any work; [`ImageError::LimitExceeded`] when the picture is so narrow that the resize
    /// needs too much memory between its passes.
    pub fn pixels(&self, picture: &Picture, target: [usize; 2]) -> Result<Picture, ImageError> {
        self.check()?;
        if target.contains(&0) {
            return Err(invalid("target", "at least 1x1 pixels", format!("{}x{}", target[0], target[1])));
        }
        let resized = self.resized_size(picture.size(), target);
        let cropped = match self.crop {
            Crop::None => resized,
            Crop::ToInput => target,
            Crop::Size(size) => size,
        };
        if cropped != target {
            let name = picture.name().to_owned();
            return Err(ImageError::WrongSize { name, expected: target, found: cropped });
        }
        let [height, width] = resized;
        let axes = [crop::centre(height, target[0]), crop::centre(width, target[1])];
        let window = axes.map(|AxisCrop { start, len, .. }| Span { start, len });
        let rgb = resize_window(picture, resized, self.filter, window)?;
        Picture::new(picture.name(), target, crop::pad(rgb, axes, target))
    }

    /// The model's input `[1, 3, height, width]` for `target` = `[height, width]`.
    ///
    /// With `scale` 1/255 the values are bit for bit those of torchvision's `ToTensor` and `Normalize`: all
    /// operations after the scale are single `f32` operations.
    ///
    /// # Errors
    /// Those of [`Preprocess::pixels`].
    pub fn tensor(&self, picture: &Picture, target: [usize; 2]) -> Result<PreprocessedImage, ImageError> {
        let pixels = self.pixels(picture, target)?;
        let mut data = Vec::with_capacity(pixels.rgb().len());
        for plane in 0..3 {
            let channel = match self.order {
                ChannelOrder::Rgb => plane,
                ChannelOrder::Bgr => 2 - plane,
            };
            let values = self.values(plane);
            let levels = pixels.rgb().iter().skip(channel).step_by(3);
            data.extend(levels.map(|&level| values[usize::from(level)]));
        }
        Ok(PreprocessedImage { data, shape: [1, 3, target[0], target[1]] })
    }

    /// The value in plane `plane` of every level.
    fn values(&self, plane: usize) -> [f32; 256] {
        std::array::from_fn(|level| {
            let scaled = (level as f64 * self.scale) as f32;
            (scaled - self.mean[plane]) / self.std[plane]
        })
    }

    /// `[height, width]` of a picture of `size` after the resize, before the crop.
    fn resized_size(&self, size: [usize; 2], target: [usize; 2]) -> [usize; 2] {
        match self.resize {
            ResizePolicy::None => size,
            ResizePolicy::Whole => self.resize_size.map_or(target, |side| [side, side]),
            ResizePolicy::ShortSide => {
                let short = self.resize_size.unwrap_or_else(|| short_side_for(target));
                let long = |long: usize, of: usize| (short as u128 * long as u128 / of as u128) as usize;
                match size {
                    [height, width] if height < width => [short, long(width, height)],
                    [height, width] => [long(height, width), short],
                }
            }
        }
    }

    /// Checks the fields that types cannot.
    fn check(&self) -> Result<(), ImageError> {
        if self.resize_size == Some(0) {
            return Err(invalid("resize_size", "at least 1 pixel", "0".to_owned()));
        }
        if !self.scale.is_finite() {
            return Err(invalid("scale", "finite", self.scale.to_string()));
        }
        if !self.mean.iter().all(|mean| mean.is_finite()) {
            return Err(invalid("mean", "three finite numbers", format!("{:?}", self.mean)));
        }
        if !self.std.iter().all(|&std| std.is_finite() && std != 0.0) {
            return Err(invalid("std", "three finite numbers other than 0", format!("{:?}", self.std)));
        }
        Ok(())
    }
}

fn invalid(field: &'static str, expected: &'static str, found: String) -> ImageError {
    ImageError::InvalidSettings { field, expected, found }
}

/// The short side before a centre crop of `target`, in the proportion 256 : 224; halves are rounded up.
fn short_side_for(target: [usize; 2]) -> usize {
    let side = target[0].max(target[1]);
    ((side as u128 * 256 + 112) / 224) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Preset;

    #[test]
    fn short_side_follows_the_input() {
        let sides = [[224, 224], [32, 32], [299, 299], [160, 224], [7, 7], [1, 1]].map(short_side_for);
        assert_eq!(sides, [256, 37, 342, 256, 8, 1]);
    }

    #[test]
    fn the_long_side_is_rounded_down() {
        let settings = Preprocess { resize_size: Some(256), ..Preset::Imagenet.settings() };
        let resized = |size| settings.resized_size(size, [224, 224]);
        assert_eq!(resized([606, 517]), [300, 256]);
        assert_eq!(resized([341, 512]), [256, 384]);
        assert_eq!(resized([10, 10]), [256, 256]);
        assert_eq!(resized([1, 1 << 40]), [256, 1 << 48]);
    }
}
