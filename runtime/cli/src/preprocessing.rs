//! How pictures become a model's input: the layers that say so, and the picture's tensor.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use octrt::PortInfo;
use octrt::image::{
    self, Crop, DecodeOptions, Orientation, Picture, Preprocess, PreprocessOverrides, Preset, ResizePolicy,
};
use serde::Serialize;

use crate::args::{Exif, ImageArgs};
use crate::failure::Failure;
use crate::model::Dims;
use crate::output;
use crate::sizes::Size;

/// The key of a model's metadata that holds its preprocessing: the JSON of [`PreprocessOverrides`].
const METADATA_KEY: &str = "octrt.preprocess";

/// `--resize`: a policy and to how many pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    policy: ResizePolicy,
    pixels: Option<usize>,
}

/// `none`, `whole`, `short-side:256`.
pub fn parse_resize(text: &str) -> Result<Resize, String> {
    let (policy, pixels) = match text.split_once(':') {
        None => (text, None),
        Some((policy, n)) => {
            let n = n.parse().map_err(|_| format!("'{n}': expected a number of pixels"))?;
            (policy, Some(n))
        }
    };
    Ok(Resize { policy: policy.parse().map_err(|e: image::ImageError| e.to_string())?, pixels })
}

/// `none`, `to-input`, `224`, `224x320`.
pub fn parse_crop(text: &str) -> Result<Crop, String> {
    match text {
        "none" => Ok(Crop::None),
        "to-input" => Ok(Crop::ToInput),
        size => size.parse().map(|Size(s)| Crop::Size(s)).map_err(|e| format!("{e}, none or to-input")),
    }
}

/// The names of the classes in a side file.
#[derive(Clone, Debug, PartialEq)]
pub enum SideLabels {
    /// In this file.
    File(PathBuf),
    /// These.
    List(Vec<String>),
}

/// The file `MODEL.json` beside `MODEL.onnx`: an object with the fields of [`PreprocessOverrides`] and `labels`, which
/// is a list of names, or the path of a file with one name a line, relative to the side file. All may be missing.
///
/// ```text
/// {"preset": "inception", "filter": "bicubic", "labels": "labels.txt"}
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SideFile {
    /// Where it is.
    pub path: PathBuf,
    /// How pictures are prepared.
    pub overrides: PreprocessOverrides,
    /// The names of the classes.
    pub labels: Option<SideLabels>,
}

impl SideFile {
    /// The side file of the model at `model`: the one chosen, or the one beside it; none where there is none.
    ///
    /// # Errors
    /// [`Failure::File`], [`Failure::Corrupt`].
    pub fn find(model: &Path, chosen: Option<&Path>) -> Result<Option<Self>, Failure> {
        let path = match chosen {
            Some(path) if path == Path::new("none") => return Ok(None),
            Some(path) => path.to_path_buf(),
            None => model.with_extension("json"),
        };
        if chosen.is_none() && (path == model || !path.is_file()) {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(Failure::file(path.display()))?;
        Self::parse(&path, &text).map(Some)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let corrupt = |message: String| Failure::Corrupt { file: path.display().to_string(), message };
        let json = |e: serde_json::Error| corrupt(format!("settings of the model: {e}"));
        let mut fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).map_err(json)?;
        let labels = match fields.remove("labels") {
            None => None,
            Some(serde_json::Value::String(file)) => {
                Some(SideLabels::File(path.parent().unwrap_or(Path::new("")).join(file)))
            }
            Some(list @ serde_json::Value::Array(_)) => {
                Some(SideLabels::List(serde_json::from_value(list).map_err(json)?))
            }
            Some(other) => return Err(corrupt(format!("labels: expected a file or a list, found {other}"))),
        };
        let overrides = serde_json::to_value(fields).and_then(serde_json::from_value).map_err(json)?;
        Ok(SideFile { path: path.to_path_buf(), overrides, labels })
    }
}

/// The preprocessing that was chosen.
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
    /// `--size`.
    #[serde(skip)]
    chosen_size: Option<[usize; 2]>,
    /// The preset below the other settings.
    #[serde(skip)]
    preset: Preset,
    #[serde(skip)]
    decode: DecodeOptions,
}

impl Preprocessing {
    /// Lays the flags over the side file over the metadata over the preset imagenet.
    ///
    /// # Errors
    /// [`Failure::Corrupt`] when the metadata cannot be read.
    pub fn resolve(
        args: &ImageArgs,
        side: Option<&SideFile>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let mut layers = vec![("flags".to_string(), from_flags(args))];
        layers.extend(side.map(|s| (s.path.display().to_string(), s.overrides.clone())));
        if let Some(text) = metadata.get(METADATA_KEY) {
            let overrides = serde_json::from_str(text).map_err(|e| {
                let message = format!("expected preprocessing settings as JSON: {e}");
                Failure::Corrupt { file: format!("metadata {METADATA_KEY}"), message }
            })?;
            layers.push((format!("metadata {METADATA_KEY}"), overrides));
        }
        layers.retain(|(_, l)| *l != PreprocessOverrides::default());
        let preset = layers.iter().find_map(|(_, l)| l.preset).unwrap_or(Preset::Imagenet);
        let settings = layers.iter().rev().fold(Preset::Imagenet.settings(), |below, (_, l)| l.apply(below));
        let mut sources: Vec<String> = layers.into_iter().map(|(source, _)| source).collect();
        if sources.is_empty() {
            sources.push("default preset imagenet".to_string());
        }
        let (exif, orientation) = match args.exif {
            Exif::Apply => ("apply", Orientation::Apply),
            Exif::Ignore => ("ignore", Orientation::Ignore),
        };
        let decode = DecodeOptions { orientation, ..DecodeOptions::default() };
        let chosen_size = args.size.map(|s| s.0);
        let size = chosen_size.or_else(|| preset.usual_input());
        Ok(Preprocessing { sources, settings, size, exif, chosen_size, preset, decode })
    }

    /// Takes the size from a model's input: f32, f16, bf16 or f64 of `[N,3,H,W]`.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the input takes no picture, is of another size than `--size`, or its size is open.
    pub fn fit(&mut self, input: &PortInfo, dims: &Dims<'_>) -> Result<(), Failure> {
        let refuse = |why: &str| Failure::Usage(format!("input '{}' {input}: {why}", input.name));
        let is_float = input.dtype.inside() == octrt::ops::DType::F32;
        let rank = input.dims.as_ref().map(Vec::len);
        if !is_float || rank != Some(4) || dims.extent(input, 1).is_some_and(|c| c != 3) {
            return Err(refuse("a picture needs an input of floats [N,3,H,W]"));
        }
        let model = [dims.extent(input, 2), dims.extent(input, 3)];
        let given = self.chosen_size.or_else(|| self.preset.usual_input());
        if let ([Some(h), Some(w)], Some(size)) = (model, self.chosen_size)
            && size != [h, w]
        {
            return Err(refuse(&format!("--size is {}x{}", size[0], size[1])));
        }
        self.size = match (model, given) {
            ([Some(h), Some(w)], _) => Some([h, w]),
            ([h, w], Some(given)) => Some([h.unwrap_or(given[0]), w.unwrap_or(given[1])]),
            _ => return Err(refuse("give the size of the picture as --size N or HEIGHTxWIDTH")),
        };
        Ok(())
    }

    /// Tells on stderr what is used.
    pub fn announce(&self) {
        output::note(&format!("preprocessing ({}): {}", self.sources.join(", over "), self.describe()));
    }

    fn describe(&self) -> String {
        let s = &self.settings;
        let pixels = s.resize_size.map_or(String::new(), |n| format!(":{n}"));
        let crop = match s.crop {
            Crop::None => "none".to_string(),
            Crop::ToInput => "to-input".to_string(),
            Crop::Size([h, w]) => format!("{h}x{w}"),
        };
        let [h, w] = self.size.unwrap_or_default();
        format!(
            "resize {}{pixels}, filter {}, crop {crop}, order {}, scale {:.6}, mean {:?}, std {:?}, size {h}x{w}, exif {}",
            s.resize, s.filter, s.order, s.scale, s.mean, s.std, self.exif
        )
    }

    /// The values of the picture file at `path`: `[1,3,H,W]`.
    ///
    /// # Errors
    /// As [`image::preprocess_file`]; [`Failure::Usage`] when the size is not known.
    pub fn file(&self, path: &Path) -> anyhow::Result<image::PreprocessedImage> {
        self.picture(&image::decode_file(path, &self.decode)?)
    }

    /// As [`Preprocessing::file`], of a picture file in memory.
    ///
    /// # Errors
    /// As [`Preprocessing::file`].
    pub fn bytes(&self, name: &str, bytes: &[u8]) -> anyhow::Result<image::PreprocessedImage> {
        self.picture(&image::decode_bytes(name, bytes, &self.decode)?)
    }

    fn picture(&self, picture: &Picture) -> anyhow::Result<image::PreprocessedImage> {
        let size =
            self.size.ok_or_else(|| Failure::Usage("give the size as --size or --model".to_string()))?;
        Ok(self.settings.tensor(picture, size)?)
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

fn from_flags(args: &ImageArgs) -> PreprocessOverrides {
    PreprocessOverrides {
        preset: args.preset,
        resize: args.resize.map(|r| r.policy),
        resize_size: args.resize.and_then(|r| r.pixels),
        filter: args.filter,
        crop: args.crop,
        order: args.order,
        scale: args.scale.map(|f| f.0),
        mean: args.mean.map(|t| t.0),
        std: args.std.map(|t| t.0),
    }
}

#[cfg(test)]
mod tests;
