//! The names of the classes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::image::{SideFile, SideLabels};

/// The key of a model's metadata that holds the names of its classes, one a line.
pub const LABELS_METADATA: &str = "octrt.labels";
/// Largest file of names in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Why there are no names, or not the right ones.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is no text.
    #[error("{file}: expected text in UTF-8, one name a line")]
    NoText {
        /// The file.
        file: String,
    },
    /// The file is larger than any list of names.
    #[error("{file}: more than {limit} bytes")]
    TooLarge {
        /// The file.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// There are not as many names as classes.
    #[error("{origin} has {found} labels, the model's output has {expected} classes")]
    Count {
        /// Where the names come from.
        origin: String,
        /// Number of classes.
        expected: usize,
        /// Number of names.
        found: usize,
    },
    /// No class has this name.
    #[error("'{name}' is no label of {origin}")]
    Unknown {
        /// The name.
        name: String,
        /// Where the names come from.
        origin: String,
    },
    /// Several classes have this name.
    #[error("'{name}' is the label of several classes of {origin}: {classes:?}")]
    Ambiguous {
        /// The name.
        name: String,
        /// Where the names come from.
        origin: String,
        /// The classes.
        classes: Vec<usize>,
    },
}

/// The names of the classes, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    origin: String,
}

impl Labels {
    /// Those of the file chosen, of the side file, or of the model's metadata; none where all are missing.
    ///
    /// # Errors
    /// [`LabelError::Io`], [`LabelError::NoText`], [`LabelError::TooLarge`].
    pub fn find(
        chosen: Option<&Path>,
        side: Option<&SideFile>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, LabelError> {
        if let Some(path) = chosen {
            return Self::from_file(path).map(Some);
        }
        match side.and_then(|s| Some((s, s.labels.as_ref()?))) {
            Some((_, SideLabels::File(path))) => return Self::from_file(path).map(Some),
            Some((side, SideLabels::List(names))) => {
                let origin = side.path.display().to_string();
                return Ok(Some(Labels { names: names.clone(), origin }));
            }
            None => {}
        }
        let from_text =
            |text: &String| Labels { names: lines(text), origin: format!("metadata {LABELS_METADATA}") };
        Ok(metadata.get(LABELS_METADATA).map(from_text))
    }

    fn from_file(path: &Path) -> Result<Self, LabelError> {
        let file = path.display().to_string();
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|f| f.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
        if let Err(source) = read {
            return Err(LabelError::Io { file, source });
        }
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(LabelError::TooLarge { file, limit: MAX_FILE_BYTES });
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Labels { names: lines(&text), origin: file }),
            Err(_) => Err(LabelError::NoText { file }),
        }
    }

    /// Checks that there are as many names as classes.
    ///
    /// # Errors
    /// [`LabelError::Count`].
    pub fn check(&self, classes: usize) -> Result<(), LabelError> {
        if self.names.len() == classes {
            return Ok(());
        }
        let (origin, found) = (self.origin.clone(), self.names.len());
        Err(LabelError::Count { origin, expected: classes, found })
    }

    /// All names, by index.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of a class.
    pub fn name(&self, class: usize) -> Option<&str> {
        self.names.get(class).map(String::as_str)
    }

    /// The class of a name.
    ///
    /// # Errors
    /// [`LabelError::Unknown`], [`LabelError::Ambiguous`].
    pub fn class(&self, name: &str) -> Result<usize, LabelError> {
        let classes: Vec<usize> = (0..self.names.len()).filter(|&i| self.names[i] == name).collect();
        let (name, origin) = (name.to_string(), self.origin.clone());
        match classes.as_slice() {
            [class] => Ok(*class),
            [] => Err(LabelError::Unknown { name, origin }),
            _ => Err(LabelError::Ambiguous { name, origin, classes }),
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
        let metadata = BTreeMap::from([(LABELS_METADATA.to_string(), text.to_string())]);
        Labels::find(None, None, &metadata).unwrap().unwrap()
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
        assert_eq!(l.class("cat").unwrap(), 0);
        assert!(l.class("crane").unwrap_err().to_string().contains("[1, 2]"));
        assert_eq!(l.class("dog").unwrap_err().to_string(), "'dog' is no label of metadata octrt.labels");
    }
}
