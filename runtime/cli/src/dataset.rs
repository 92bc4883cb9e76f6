//! A set of labelled pictures: a folder, or a tar file, that has a folder for each class.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;

/// A picture of the set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its path inside the set.
    pub path: String,
    /// The name of the folder that it lies in.
    pub class: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    File(PathBuf),
    Tar { offset: u64, bytes: u64 },
}

/// The pictures of a folder or tar file, sorted by path. Nothing of a tar is unpacked: pictures are read from where they
/// lie.
pub struct Dataset {
    /// All pictures.
    pub items: Vec<Item>,
    /// Number of files that lie in no folder of a class.
    pub ignored: usize,
    name: String,
    tar: Option<File>,
}

impl Dataset {
    /// The set at `path`. Files and folders whose names begin with a dot do not count.
    ///
    /// # Errors
    /// [`Failure::File`], [`Failure::Corrupt`]; [`Failure::Usage`] when there is no picture.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let mut set = Dataset { items: Vec::new(), ignored: 0, name: name.clone(), tar: None };
        if fs::metadata(path).map_err(Failure::file(&name))?.is_dir() {
            set.add_folder(path)?;
        } else {
            let file = File::open(path).map_err(Failure::file(&name))?;
            set.add_tar(&file)?;
            set.tar = Some(file);
        }
        if set.items.is_empty() {
            let message =
                format!("{name}: no pictures: expected a folder for each class, with pictures in it");
            return Err(Failure::Usage(message));
        }
        set.items.sort();
        Ok(set)
    }

    /// The names of the folders, sorted.
    pub fn classes(&self) -> BTreeSet<&str> {
        self.items.iter().map(|i| i.class.as_str()).collect()
    }

    /// Keeps `count` of the pictures, evenly spread.
    pub fn limit(&mut self, count: usize) {
        let all = self.items.len();
        if count < all {
            let kept =
                (0..count).map(|i| self.items[(i as u128 * all as u128 / count as u128) as usize].clone());
            self.items = kept.collect();
        }
    }

    /// The bytes of a picture's file, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Failure::File`], [`Failure::Limit`].
    pub fn read(&self, item: &Item, limit: u64) -> Result<Vec<u8>, Failure> {
        let name = self.full_name(item);
        let mut bytes = Vec::new();
        let read = match (&item.place, &self.tar) {
            (Place::Tar { offset, bytes: size }, Some(tar)) => {
                let mut tar: &File = tar;
                let at = tar.seek(SeekFrom::Start(*offset));
                at.and_then(|_| tar.take((*size).min(limit.saturating_add(1))).read_to_end(&mut bytes))
            }
            (Place::Tar { .. }, None) => Err(std::io::Error::other("no tar file")),
            (Place::File(path), _) => {
                File::open(path).and_then(|f| f.take(limit.saturating_add(1)).read_to_end(&mut bytes))
            }
        };
        read.map_err(Failure::file(&name))?;
        if bytes.len() as u64 > limit {
            return Err(Failure::Limit { file: name, message: format!("more than {limit} bytes") });
        }
        Ok(bytes)
    }

    /// The picture's name for messages.
    pub fn full_name(&self, item: &Item) -> String {
        format!("{}/{}", self.name.trim_end_matches('/'), item.path)
    }

    fn add_folder(&mut self, root: &Path) -> Result<(), Failure> {
        for (class, folder) in entries(root)? {
            if !is_dir(&folder)? {
                self.ignored += 1;
                continue;
            }
            for (file, path) in entries(&folder)? {
                if is_dir(&path)? {
                    self.ignored += 1;
                    continue;
                }
                let item =
                    Item { path: format!("{class}/{file}"), class: class.clone(), place: Place::File(path) };
                self.items.push(item);
            }
        }
        Ok(())
    }

    fn add_tar(&mut self, file: &File) -> Result<(), Failure> {
        let corrupt = |e: std::io::Error| Failure::Corrupt {
            file: self.name.clone(),
            message: format!("not a valid tar file: {e}"),
        };
        let length = file.metadata().map_err(Failure::file(&self.name))?.len();
        let mut archive = tar::Archive::new(file);
        let mut items = Vec::new();
        let mut ignored = 0;
        for entry in archive.entries_with_seek().map_err(corrupt)? {
            let entry = entry.map_err(corrupt)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map_err(corrupt)?.into_owned();
            let Some(parts) = parts(&path) else { continue };
            let [.., class, _] = parts.as_slice() else {
                ignored += 1;
                continue;
            };
            let (offset, bytes) = (entry.raw_file_position(), entry.size());
            if offset.checked_add(bytes).is_none_or(|end| end > length) {
                let message = format!("truncated in '{}'", path.display());
                return Err(Failure::Corrupt { file: self.name.clone(), message });
            }
            let place = Place::Tar { offset, bytes };
            items.push(Item { path: parts.join("/"), class: class.clone(), place });
        }
        (self.items, self.ignored) = (items, ignored);
        Ok(())
    }
}

/// The names in a path of a tar, without `.`; none when one begins with a dot.
fn parts(path: &Path) -> Option<Vec<String>> {
    let names = path.components().filter(|c| !matches!(c, Component::CurDir | Component::RootDir));
    let names: Vec<String> = names.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    (!names.iter().any(|n| n.starts_with('.'))).then_some(names)
}

fn is_dir(path: &Path) -> Result<bool, Failure> {
    fs::metadata(path).map(|m| m.is_dir()).map_err(Failure::file(path.display()))
}

/// Names and paths in a folder.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let fail = || Failure::file(folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail())? {
        let entry = entry.map_err(fail())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn open(bytes: &[u8]) -> Result<Dataset, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        Dataset::open(file.path())
    }

    #[test]
    fn a_tar_and_a_folder_give_the_same_pictures_in_order() {
        let files: [(&str, &[u8]); 4] =
            [("b/2.jpg", b"b2"), ("a/1.jpg", b"a1"), ("b/.hidden", b""), ("readme", b"r")];
        let tar = open(&tar_of(&files)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let folder = Dataset::open(dir.path()).unwrap();
        for set in [tar, folder] {
            let found: Vec<(&str, &str, Vec<u8>)> = set
                .items
                .iter()
                .map(|i| (i.path.as_str(), i.class.as_str(), set.read(i, 10).unwrap()))
                .collect();
            let expected = [("a/1.jpg", "a", b"a1".to_vec()), ("b/2.jpg", "b", b"b2".to_vec())];
            assert_eq!(found, expected);
            assert_eq!(set.ignored, 1);
            assert!(matches!(set.read(&set.items[0], 1), Err(Failure::Limit { .. })));
            assert_eq!(set.classes().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        }
    }

    #[test]
    fn the_class_is_the_innermost_folder_of_a_tar() {
        let set = open(&tar_of(&[("./test/cat/1.jpg", b"x")])).unwrap();
        assert_eq!((set.items[0].path.as_str(), set.items[0].class.as_str()), ("test/cat/1.jpg", "cat"));
    }

    #[test]
    fn a_limit_spreads_over_the_set() {
        let names: Vec<String> = (0..10).map(|i| format!("c/{i}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b"x"[..])).collect();
        let mut set = open(&tar_of(&files)).unwrap();
        set.limit(3);
        let kept: Vec<&str> = set.items.iter().map(|i| i.path.as_str()).collect();
        assert_eq!(kept, ["c/0", "c/3", "c/6"]);
        set.limit(5);
        assert_eq!(set.items.len(), 3);
    }

    #[test]
    fn broken_tars_are_refused() {
        let whole = tar_of(&[("a/1.jpg", &[7; 1000])]);
        assert!(matches!(open(&whole[..1000]), Err(Failure::Corrupt { .. })));
        assert!(matches!(open(&[b'x'; 600]), Err(Failure::Corrupt { .. })));
        assert!(matches!(open(b""), Err(Failure::Usage(_))));
        assert!(matches!(Dataset::open(Path::new("/none")), Err(Failure::File { .. })));
    }
}
