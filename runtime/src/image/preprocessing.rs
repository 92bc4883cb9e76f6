//! How pictures become a model's input: the layers that say so, and the size that the input has.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{
    Crop, DecodeOptions, ImageError, Orientation, Picture, Preprocess, PreprocessOverrides,
    PreprocessedImage, Preset, SideFile, decode_bytes, decode_file,
};
use crate::ports::PortInfo;

/// The key of a model's metadata that holds its preprocessing: the JSON of [`PreprocessOverrides`].
pub const PREPROCESS_METADATA: &str = "octrt.preprocess";

/// What the caller chooses; it lies above all other layers.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Choice {
    /// What this layer is called in [`Preprocessing::describe`]: `flags`.
    pub name: String,
    /// Settings.
    pub overrides: PreprocessOverrides,
    /// `[height, width]` of an input whose size the model leaves open.
    pub size: Option<[usize; 2]>,
    /// What is done with the EXIF orientation.
    pub orientation: Orientation,
}

/// How pictures become an input: the caller's choice over the side file over the model's metadata over the preset
/// imagenet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preprocessing {
    /// Who said so, the strongest first.
    sources: Vec<String>,
    /// All settings.
    settings: Preprocess,
    /// `[height, width]` of the model's input; none before it is known.
    size: Option<[usize; 2]>,
    /// What is done with the EXIF orientation.
    exif: &'static str,
    #[serde(skip)]
    chosen_size: Option<[usize; 2]>,
    /// The preset below the other settings.
    #[serde(skip)]
    preset: Preset,
    #[serde(skip)]
    decode: DecodeOptions,
}

impl Choice {
    /// A layer of this name that chooses nothing.
    pub fn new(name: impl Into<String>) -> Self {
        Choice { name: name.into(), ..Choice::default() }
    }
}

impl Preprocessing {
    /// Lays the choice over the side file over the metadata over the preset imagenet.
    ///
    /// # Errors
    /// [`ImageError::BrokenSettings`] when the metadata cannot be read.
    pub fn resolve(
        choice: Choice,
        side: Option<&SideFile>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, ImageError> {
        let mut layers = vec![(choice.name, choice.overrides)];
        layers.extend(side.map(|s| (s.path.display().to_string(), s.overrides.clone())));
        if let Some(text) = metadata.get(PREPROCESS_METADATA) {
            let source = format!("metadata {PREPROCESS_METADATA}");
            layers.push((source.clone(), parse_overrides(source, text)?));
        }
        layers.retain(|(_, l)| *l != PreprocessOverrides::default());
        let preset = layers.iter().find_map(|(_, l)| l.preset).unwrap_or(Preset::Imagenet);
        let settings = layers.iter().rev().fold(Preset::Imagenet.settings(), |below, (_, l)| l.apply(below));
        let mut sources: Vec<String> = layers.into_iter().map(|(source, _)| source).collect();
        if sources.is_empty() {
            sources.push("default preset imagenet".to_string());
        }
        let exif = match choice.orientation {
            Orientation::Apply => "apply",
            Orientation::Ignore => "ignore",
        };
        let decode = DecodeOptions { orientation: choice.orientation, ..DecodeOptions::default() };
        let size = choice.size.or_else(|| preset.usual_input());
        Ok(Preprocessing { sources, settings, size, exif, chosen_size: choice.size, preset, decode })
    }

    /// Takes the size from a model's input: f32, f16, bf16 or f64 of `[N,3,H,W]`. `extent` gives the extent of an axis
    /// of the input, where it is known.
    ///
    /// # Errors
    /// [`ImageError::NoPictureInput`] when the input takes no picture, [`ImageError::OtherSize`] when it is not of the
    /// size chosen, [`ImageError::OpenSize`] when its size is open and none is chosen.
    pub fn fit(
        &mut self,
        input: &PortInfo,
        extent: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), ImageError> {
        let name = || format!("'{}' {input}", input.name);
        let is_float = input.dtype.inside().is_float();
        let rank = input.dims.as_ref().map(Vec::len);
        if !is_float || rank != Some(4) || extent(1).is_some_and(|c| c != 3) {
            return Err(ImageError::NoPictureInput { input: name() });
        }
        let model = [extent(2), extent(3)];
        let given = self.chosen_size.or_else(|| self.preset.usual_input());
        if let ([Some(h), Some(w)], Some(size)) = (model, self.chosen_size)
            && size != [h, w]
        {
            return Err(ImageError::OtherSize { input: name(), chosen: size });
        }
        self.size = match (model, given) {
            ([Some(h), Some(w)], _) => Some([h, w]),
            ([h, w], Some(given)) => Some([h.unwrap_or(given[0]), w.unwrap_or(given[1])]),
            _ => return Err(ImageError::OpenSize { input: format!("input {}", name()) }),
        };
        Ok(())
    }

    /// One line: where the settings come from, and what they are.
    pub fn describe(&self) -> String {
        let s = &self.settings;
        let pixels = s.resize_size.map_or(String::new(), |n| format!(":{n}"));
        let crop = match s.crop {
            Crop::None => "none".to_string(),
            Crop::ToInput => "to-input".to_string(),
            Crop::Size([h, w]) => format!("{h}x{w}"),
        };
        let [h, w] = self.size.unwrap_or_default();
        format!(
            "({}): resize {}{pixels}, filter {}, crop {crop}, order {}, scale {:.6}, mean {:?}, std {:?}, \
             size {h}x{w}, exif {}",
            self.sources.join(", over "),
            s.resize,
            s.filter,
            s.order,
            s.scale,
            s.mean,
            s.std,
            self.exif
        )
    }

    /// The values of the picture file at `path`: `[1,3,H,W]`.
    ///
    /// # Errors
    /// As [`super::preprocess_file`]; [`ImageError::OpenSize`] when the size is not known.
    pub fn file(&self, path: &Path) -> Result<PreprocessedImage, ImageError> {
        self.picture(&decode_file(path, &self.decode)?)
    }

    /// As [`Preprocessing::file`], of a picture file in memory; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Preprocessing::file`].
    pub fn bytes(&self, name: &str, bytes: &[u8]) -> Result<PreprocessedImage, ImageError> {
        self.picture(&decode_bytes(name, bytes, &self.decode)?)
    }

    /// As [`Preprocessing::file`], of a decoded picture.
    ///
    /// # Errors
    /// As [`Preprocessing::file`].
    pub fn picture(&self, picture: &Picture) -> Result<PreprocessedImage, ImageError> {
        let open = || ImageError::OpenSize { input: "the model's input".to_string() };
        self.settings.tensor(picture, self.size.ok_or_else(open)?)
    }

    /// All settings.
    pub fn settings(&self) -> &Preprocess {
        &self.settings
    }

    /// `[height, width]` of the input, where it is known.
    pub fn size(&self) -> Option<[usize; 2]> {
        self.size
    }

    /// Largest file of a picture in bytes.
    pub fn max_file_bytes(&self) -> u64 {
        self.decode.limits.file_bytes
    }
}

/// Reads settings as JSON; `origin` says in errors where they come from.
///
/// # Errors
/// [`ImageError::BrokenSettings`].
pub fn parse_overrides(origin: String, text: &str) -> Result<PreprocessOverrides, ImageError> {
    // By way of a map, as a struct may also be read from a list.
    let fields = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text);
    let overrides = fields.and_then(serde_json::to_value).and_then(serde_json::from_value);
    overrides.map_err(|e| {
        let reason = format!("expected preprocessing settings as JSON: {e}");
        ImageError::BrokenSettings { origin, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_type::DataType;
    use crate::image::ChannelOrder;
    use octrt_ops::Dim;

    fn metadata(text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(PREPROCESS_METADATA.to_string(), text.to_string())])
    }

    fn flags(overrides: PreprocessOverrides) -> Choice {
        Choice { name: "flags".to_string(), overrides, ..Choice::default() }
    }

    #[test]
    fn without_a_word_imagenet_is_used() {
        let p = Preprocessing::resolve(Choice::default(), None, &BTreeMap::new()).unwrap();
        assert_eq!(p.settings, Preset::Imagenet.settings());
        assert_eq!(p.sources, ["default preset imagenet"]);
    }

    #[test]
    fn the_choice_lies_over_the_side_file_over_the_metadata() {
        let metadata = metadata(r#"{"mean": [1, 2, 3], "scale": 2.0, "order": "bgr"}"#);
        let side = SideFile::parse(Path::new("dir/m.json"), r#"{"scale": 3.0, "order": "rgb"}"#).unwrap();
        let choice = flags(PreprocessOverrides { scale: Some(0.5), ..PreprocessOverrides::default() });
        let p = Preprocessing::resolve(choice, Some(&side), &metadata).unwrap();
        assert_eq!(p.settings.scale, 0.5);
        assert_eq!(p.settings.order, ChannelOrder::Rgb);
        assert_eq!(p.settings.mean, [1.0, 2.0, 3.0]);
        assert_eq!(p.settings.std, Preset::Imagenet.settings().std);
        assert_eq!(p.sources, ["flags", "dir/m.json", "metadata octrt.preprocess"]);
    }

    #[test]
    fn a_preset_replaces_what_lies_below() {
        let overrides =
            PreprocessOverrides { preset: Some(Preset::CaffeBgr), ..PreprocessOverrides::default() };
        let p = Preprocessing::resolve(flags(overrides), None, &metadata(r#"{"mean": [1, 2, 3]}"#)).unwrap();
        assert_eq!(p.settings.mean, [0.0; 3]);
        assert_eq!(p.preset, Preset::CaffeBgr);
        for broken in ["{", "[]", "[\"none\"]"] {
            assert!(Preprocessing::resolve(Choice::default(), None, &metadata(broken)).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_size_is_the_inputs_or_the_one_chosen() {
        let dims = vec![Dim::Fixed(1), Dim::Fixed(3), Dim::Fixed(32), Dim::Dynamic("w".to_string())];
        let mut port = PortInfo { name: "x".to_string(), dtype: DataType::F16, dims: Some(dims) };
        let extents = [Some(1), Some(3), Some(32), None];
        let fit = |port: &PortInfo, overrides: &str, size, width| {
            let overrides = parse_overrides(String::new(), overrides).unwrap();
            let choice = Choice { size, ..flags(overrides) };
            let mut p = Preprocessing::resolve(choice, None, &BTreeMap::new()).unwrap();
            p.fit(port, |axis| extents[axis].or(width)).map(|()| p.size().unwrap())
        };
        assert_eq!(fit(&port, "{}", None, None).unwrap(), [32, 224]);
        assert_eq!(fit(&port, "{}", Some([8, 9]), None).unwrap(), [32, 9]);
        let open = fit(&port, r#"{"preset": "none"}"#, None, None);
        assert!(matches!(open, Err(ImageError::OpenSize { .. })));
        let other = fit(&port, "{}", Some([32, 9]), Some(32));
        assert!(matches!(other, Err(ImageError::OtherSize { .. })));
        port.dtype = DataType::I64;
        assert!(matches!(fit(&port, "{}", None, None), Err(ImageError::NoPictureInput { .. })));
    }
}
