//! The names of the classes.

use std::collections::BTreeMap;
use std::path::Path;

use crate::args::LabelArgs;
use crate::failure::Failure;
use crate::preprocessing::{SideFile, SideLabels};
use crate::tensor_files::read_bytes;

/// The key of a model's metadata that holds the names of its classes, one a line.
const METADATA_KEY: &str = "octrt.labels";
/// Largest file of names in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The names of the classes, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    source: String,
}

impl Labels {
    /// Those of `--labels`, of the side file, or of the model's metadata; none where all are missing.
    ///
    /// # Errors
    /// [`Failure::File`], [`Failure::Corrupt`].
    pub fn find(
        args: &LabelArgs,
        side: Option<&SideFile>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, Failure> {
        if let Some(path) = &args.labels {
            return Self::from_file(path).map(Some);
        }
        match side.and_then(|s| Some((s, s.labels.as_ref()?))) {
            Some((_, SideLabels::File(path))) => return Self::from_file(path).map(Some),
            Some((side, SideLabels::List(names))) => {
                let source = side.path.display().to_string();
                return Ok(Some(Labels { names: names.clone(), source }));
            }
            None => {}
        }
        let from_text =
            |text: &String| Labels { names: lines(text), source: format!("metadata {METADATA_KEY}") };
        Ok(metadata.get(METADATA_KEY).map(from_text))
    }

    fn from_file(path: &Path) -> Result<Self, Failure> {
        let source = path.display().to_string();
        let text = String::from_utf8(read_bytes(path, MAX_FILE_BYTES)?).map_err(|_| Failure::Corrupt {
            file: source.clone(),
            message: "expected text in UTF-8, one name a line".to_string(),
        })?;
        Ok(Labels { names: lines(&text), source })
    }

    /// Checks that there are as many names as classes.
    ///
    /// # Errors
    /// [`Failure::Usage`] naming both counts.
    pub fn check(&self, classes: usize) -> Result<(), Failure> {
        if self.names.len() == classes {
            return Ok(());
        }
        let (source, found) = (&self.source, self.names.len());
        Err(Failure::Usage(format!("{source} has {found} labels, the model's output has {classes} classes")))
    }

    /// The name of a class.
    pub fn name(&self, class: usize) -> Option<&str> {
        self.names.get(class).map(String::as_str)
    }

    /// The class of a name.
    ///
    /// # Errors
    /// [`Failure::Usage`] when no class or more than one has it; `whose` says what bears the name.
    pub fn class(&self, name: &str, whose: &str) -> Result<usize, Failure> {
        let found: Vec<usize> = (0..self.names.len()).filter(|&i| self.names[i] == name).collect();
        match found.as_slice() {
            [class] => Ok(*class),
            [] => Err(Failure::Usage(format!("{whose} '{name}' is no label of {}", self.source))),
            several => Err(Failure::Usage(format!(
                "{whose} '{name}' is the label of several classes of {}: {several:?}",
                self.source
            ))),
        }
    }
}

/// The lines without the white space around them; empty ones at the end do not count.
fn lines(text: &str) -> Vec<String> {
    text.trim_start_matches('\u{feff}').trim_end().lines().map(|l| l.trim().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        let args = LabelArgs { labels: None };
        let metadata = BTreeMap::from([(METADATA_KEY.to_string(), text.to_string())]);
        Labels::find(&args, None, &metadata).unwrap().unwrap()
    }

    #[test]
    fn a_label_is_a_line() {
        let l = labels("\u{feff}one\r\n two words \n\nfour\n\n");
        assert_eq!(l.names, ["one", "two words", "", "four"]);
        assert_eq!(l.name(1), Some("two words"));
        assert_eq!(l.name(4), None);
    }

    #[test]
    fn a_wrong_count_names_both() {
        let l = labels("a\nb\n");
        assert!(l.check(2).is_ok());
        let e = l.check(3).unwrap_err().to_string();
        assert_eq!(e, "metadata octrt.labels has 2 labels, the model's output has 3 classes");
    }

    #[test]
    fn a_class_is_found_by_its_name() {
        let l = labels("cat\ncrane\ncrane");
        assert_eq!(l.class("cat", "folder").unwrap(), 0);
        assert!(l.class("crane", "folder").unwrap_err().to_string().contains("[1, 2]"));
        let e = l.class("dog", "folder").unwrap_err().to_string();
        assert_eq!(e, "folder 'dog' is no label of metadata octrt.labels");
    }
}
