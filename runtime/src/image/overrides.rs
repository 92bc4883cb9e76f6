//! Settings in layers: a preset, then what a side file says, then what the caller says.

use serde::{Deserialize, Serialize};

use super::{ChannelOrder, Crop, Filter, Preprocess, Preset, ResizePolicy};

/// The settings that one layer states; `None` leaves the layer below as it is.
///
/// As JSON, fields that are `None` are absent: `{"preset": "imagenet", "filter": "bicubic"}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PreprocessOverrides {
    /// Replaces all settings of the layers below, before the other fields apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// [`Preprocess::resize`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<ResizePolicy>,
    /// [`Preprocess::resize_size`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize_size: Option<usize>,
    /// [`Preprocess::filter`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// [`Preprocess::crop`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// [`Preprocess::order`]; `mean` and `std` stay as they are, in the order of the planes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<ChannelOrder>,
    /// [`Preprocess::scale`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// [`Preprocess::mean`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<[f32; 3]>,
    /// [`Preprocess::std`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<[f32; 3]>,
}

impl PreprocessOverrides {
    /// This layer, but for what `change` sets: `PreprocessOverrides::default().with(|o| o.scale = Some(0.5))`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// `below` with this layer's settings.
    pub fn apply(&self, below: Preprocess) -> Preprocess {
        let base = self.preset.map_or(below, Preset::settings);
        Preprocess {
            resize: self.resize.unwrap_or(base.resize),
            resize_size: self.resize_size.or(base.resize_size),
            filter: self.filter.unwrap_or(base.filter),
            crop: self.crop.unwrap_or(base.crop),
            order: self.order.unwrap_or(base.order),
            scale: self.scale.unwrap_or(base.scale),
            mean: self.mean.unwrap_or(base.mean),
            std: self.std.unwrap_or(base.std),
        }
    }
}
