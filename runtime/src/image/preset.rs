//! Ready-made settings for the usual families of networks.

use serde::{Deserialize, Serialize};

use super::names::named;
use super::{ChannelOrder, Crop, Filter, Preprocess, ResizePolicy};

/// Preprocessing by name. Sizes follow the model's input; see [`Preprocess::resize_size`] and [`Crop::ToInput`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Preset {
    /// torchvision's ImageNet classifiers: short side 256 bilinear, centre crop 224, RGB, `(x / 255 - mean) / std`
    /// with means .485 .456 .406 and deviations .229 .224 .225.
    Imagenet,
    /// TensorFlow's Inception and MobileNets: whole picture to the input's size, bilinear, RGB, `(x - 128) / 128`.
    Inception,
    /// Caffe models without a mean: whole picture to the input's size, bilinear, planes B, G, R of 0 to 255.
    CaffeBgr,
    /// The official OctConv networks: short side 256 bicubic, centre crop 224, RGB, `(x - [124, 117, 104]) * 0.0167`.
    /// The factor is held as `std` = 1 / 0.0167: values are within two units in the last place of the product.
    Octconv,
    /// No resize and no crop, RGB planes of 0 to 255; the picture must have the size of the input.
    None,
}

named!(Preset, "preset", {
    Imagenet => "imagenet",
    Inception => "inception",
    CaffeBgr => "caffe-bgr",
    Octconv => "octconv",
    None => "none",
});

impl Preset {
    /// The settings behind the name.
    pub fn settings(self) -> Preprocess {
        let raw = Preprocess::default();
        match self {
            Self::Imagenet => Preprocess {
                resize: ResizePolicy::ShortSide,
                crop: Crop::ToInput,
                scale: 1.0 / 255.0,
                mean: [0.485, 0.456, 0.406],
                std: [0.229, 0.224, 0.225],
                ..raw
            },
            Self::Inception => {
                Preprocess { resize: ResizePolicy::Whole, mean: [128.0; 3], std: [128.0; 3], ..raw }
            }
            Self::CaffeBgr => Preprocess { resize: ResizePolicy::Whole, order: ChannelOrder::Bgr, ..raw },
            Self::Octconv => Preprocess {
                resize: ResizePolicy::ShortSide,
                filter: Filter::Bicubic,
                crop: Crop::ToInput,
                mean: [124.0, 117.0, 104.0],
                std: [1.0 / 0.0167; 3],
                ..raw
            },
            Self::None => raw,
        }
    }

    /// `[height, width]` for a model whose input size is not fixed; `None` when the networks of the preset have
    /// no common one.
    pub fn usual_input(self) -> Option<[usize; 2]> {
        match self {
            Self::Imagenet | Self::Octconv => Some([224, 224]),
            Self::Inception | Self::CaffeBgr | Self::None => None,
        }
    }
}
