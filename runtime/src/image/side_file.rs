//! The file beside a model that says how pictures become its input, and what its classes are called.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{ImageError, PreprocessOverrides};

/// The names of the classes in a side file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct SideFile {
    /// Where it is.
    pub path: PathBuf,
    /// How pictures are prepared.
    pub overrides: PreprocessOverrides,
    /// The names of the classes.
    pub labels: Option<SideLabels>,
}

impl SideFile {
    /// The side file of the model at `model`: the one chosen, or the one beside it; none where there is none, or where
    /// the word `none` is chosen.
    ///
    /// # Errors
    /// [`ImageError::Io`], [`ImageError::BrokenSettings`].
    pub fn find(model: &Path, chosen: Option<&Path>) -> Result<Option<Self>, ImageError> {
        let path = match chosen {
            Some(path) if path == Path::new("none") => return Ok(None),
            Some(path) => path.to_path_buf(),
            None => model.with_extension("json"),
        };
        if chosen.is_none() && (path == model || !path.is_file()) {
            return Ok(None);
        }
        let io = |source| ImageError::Io { name: path.display().to_string(), source };
        let text = fs::read_to_string(&path).map_err(io)?;
        Self::parse(&path, &text).map(Some)
    }

    /// Reads the text of the side file at `path`.
    ///
    /// # Errors
    /// [`ImageError::BrokenSettings`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ImageError> {
        let broken =
            |reason: String| ImageError::BrokenSettings { origin: path.display().to_string(), reason };
        let json = |e: serde_json::Error| broken(format!("settings of the model: {e}"));
        let mut fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).map_err(json)?;
        let labels = match fields.remove("labels") {
            None => None,
            Some(serde_json::Value::String(file)) => {
                Some(SideLabels::File(path.parent().unwrap_or(Path::new("")).join(file)))
            }
            Some(list @ serde_json::Value::Array(_)) => {
                Some(SideLabels::List(serde_json::from_value(list).map_err(json)?))
            }
            Some(other) => return Err(broken(format!("labels: expected a file or a list, found {other}"))),
        };
        let overrides = serde_json::to_value(fields).and_then(serde_json::from_value).map_err(json)?;
        Ok(SideFile { path: path.to_path_buf(), overrides, labels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Preset;

    fn side(text: &str) -> Result<SideFile, ImageError> {
        SideFile::parse(Path::new("dir/m.json"), text)
    }

    #[test]
    fn side_files_name_labels_as_a_list_or_a_file() {
        let list = side(r#"{"labels": ["a", "b"]}"#).unwrap();
        assert_eq!(list.labels, Some(SideLabels::List(vec!["a".into(), "b".into()])));
        let file = side(r#"{"labels": "l.txt", "preset": "none"}"#).unwrap();
        assert_eq!(file.labels, Some(SideLabels::File("dir/l.txt".into())));
        assert_eq!(file.overrides.preset, Some(Preset::None));
    }

    #[test]
    fn broken_settings_are_refused() {
        for text in
            ["", "[]", "{", r#"{"labels": 3}"#, r#"{"labels": [3]}"#, r#"{"preset": "what"}"#, r#"{"x": 1}"#]
        {
            let e = side(text).unwrap_err();
            let is_broken = matches!(e, ImageError::BrokenSettings { .. });
            assert!(is_broken && e.to_string().contains("m.json"), "{text}: {e}");
        }
    }
}
