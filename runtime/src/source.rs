//! Files of a model in memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{Advice, Mmap, UncheckedAdvice};
use octrt_onnx::{ExternalData, check_range, validate_location};
use octrt_ops::tensor::SharedBytes;

use crate::arena::Arena;

/// A multiple of the size of a page on the machines that octrt compiles for.
const PAGE_BYTES: usize = 4096;

/// How the bytes of a model's files come into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileAccess {
    /// They are mapped: read when they are used, and shared by all processes that map the file. Nobody may change the
    /// file while the model exists. Shortened, it ends the process with a bus error.
    #[default]
    Map,
    /// They are read: what happens to the file afterwards does not matter.
    Read,
}

/// A file of a model, to be read from its memory.
#[derive(Debug)]
pub(crate) enum ModelFile {
    /// Pages are read when they are first used, and may be given back in between.
    Mapped(Mmap),
    /// A copy.
    Read(Arena),
}

impl ModelFile {
    /// The regular file at `path`.
    ///
    /// # Errors
    /// Those of the system; of the kind `FileTooLarge` when it has more than `max_bytes`.
    pub(crate) fn open(path: &Path, access: FileAccess, max_bytes: usize) -> io::Result<Self> {
        let not_regular = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        // Opening a pipe would wait for its writer, so look before.
        if !fs::metadata(path)?.is_file() {
            return Err(not_regular());
        }
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(not_regular());
        }
        let len = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if len > max_bytes {
            let message = format!("the file has {len} bytes, the limit is {max_bytes}");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        if access == FileAccess::Read {
            let mut bytes = Arena::new(len, "the file").map_err(io::Error::other)?;
            file.read_exact(bytes.bytes_mut())?;
            return Ok(ModelFile::Read(bytes));
        }
        // SAFETY: the mapping is read-only and its bytes are used as bytes only; that nobody changes the file is the
        // rule told in the documentation of everything that maps files.
        let map = unsafe { Mmap::map(&file) }?;
        // All of it is about to be read. Systems that refuse the advice read pages one by one.
        let _ = map.advise(Advice::PopulateRead);
        Ok(ModelFile::Mapped(map))
    }

    /// Whether the bytes are those of the file itself.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self, ModelFile::Mapped(_))
    }

    /// Gives the memory of the pages that `bytes` lies in back to the system, if it is a part of this file; pages are
    /// read again when used.
    pub(crate) fn release(&self, bytes: &[u8]) {
        let ModelFile::Mapped(map) = self else { return };
        let start = (bytes.as_ptr() as usize).wrapping_sub(map.as_ptr() as usize);
        if start >= map.len() || bytes.len() > map.len() - start {
            return;
        }
        // The system wants the first byte of a page.
        let offset = start / PAGE_BYTES * PAGE_BYTES;
        let len = start + bytes.len() - offset;
        // SAFETY: the mapping is of a file and read-only, so that pages read again have the same bytes.
        // A refusal leaves the pages where they are, which is as correct.
        let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, len) };
    }
}

impl AsRef<[u8]> for ModelFile {
    fn as_ref(&self) -> &[u8] {
        match self {
            ModelFile::Mapped(map) => map,
            ModelFile::Read(bytes) => bytes.bytes(),
        }
    }
}

/// A part of a file.
struct Part {
    file: Arc<ModelFile>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &(*self.file).as_ref()[self.range.clone()]
    }
}

/// The same file as bytes that own it.
pub(crate) struct Shared(pub(crate) Arc<ModelFile>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// The files beside a model, each opened once.
#[derive(Debug)]
pub(crate) struct ExternalFiles {
    folder: PathBuf,
    access: FileAccess,
    max_bytes: usize,
    files: Mutex<BTreeMap<String, Arc<ModelFile>>>,
}

impl ExternalFiles {
    /// The files in the folder of the model at `model`, and in folders inside it.
    pub(crate) fn beside(model: &Path, access: FileAccess, max_bytes: usize) -> Self {
        let folder = model.parent().unwrap_or(Path::new("")).to_path_buf();
        ExternalFiles { folder, access, max_bytes, files: Mutex::default() }
    }

    /// The files opened so far.
    pub(crate) fn into_files(self) -> Vec<Arc<ModelFile>> {
        let files = self.files.into_inner().unwrap_or_else(PoisonError::into_inner);
        files.into_values().collect()
    }

    /// The file at `location`, to which no part of the way is a symbolic link.
    fn open(&self, location: &str) -> Result<ModelFile, String> {
        let mut path = self.folder.clone();
        for part in location.split('/') {
            path.push(part);
            let metadata = fs::symlink_metadata(&path).map_err(|e| format!("'{part}': {e}"))?;
            if metadata.is_symlink() {
                return Err(format!("'{part}' is a symbolic link, which is not followed"));
            }
        }
        ModelFile::open(&path, self.access, self.max_bytes).map_err(|e| e.to_string())
    }
}

impl ExternalData for ExternalFiles {
    fn read(&self, location: &str, offset: u64, length: u64) -> Result<SharedBytes, String> {
        let location = validate_location(location)?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match files.get(&location) {
            Some(file) => file.clone(),
            None => {
                let file = Arc::new(self.open(&location)?);
                files.insert(location, file.clone());
                file
            }
        };
        let range = check_range((*file).as_ref().len() as u64, offset, length)?;
        Ok(Arc::new(Part { file, range }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beside_the_model_are_read_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("m/sub")).unwrap();
        fs::write(at("m/w.bin"), b"0123456789").unwrap();
        fs::write(at("m/sub/v.bin"), b"abc").unwrap();
        fs::write(at("secret"), b"secret").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("m/link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), at("m/up")).unwrap();
        let files = ExternalFiles::beside(&at("m/model.onnx"), FileAccess::Map, usize::MAX);
        let read = |location: &str, offset, length| {
            files.read(location, offset, length).map(|b| (*b).as_ref().to_vec())
        };
        assert_eq!(read("w.bin", 2, 3).unwrap(), b"234");
        assert_eq!(read("./w.bin", 9, 1).unwrap(), b"9");
        assert_eq!(read("sub/v.bin", 0, 3).unwrap(), b"abc");
        assert!(read("w.bin", 8, 3).unwrap_err().contains("10 bytes"));
        assert!(read("w.bin", u64::MAX, 1).is_err());
        assert!(read("link", 0, 1).unwrap_err().contains("symbolic link"));
        assert!(read("up/secret", 0, 1).unwrap_err().contains("symbolic link"));
        assert!(read("../secret", 0, 1).unwrap_err().contains(".."));
        assert!(read("sub", 0, 1).unwrap_err().contains("not a regular file"));
        assert!(read("none", 0, 1).is_err());
        let mapped = files.into_files();
        assert_eq!(mapped.len(), 2);
        mapped.iter().for_each(|f| f.release((**f).as_ref()));
    }

    #[test]
    fn released_pages_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, vec![7u8; 100_000]).unwrap();
        for access in [FileAccess::Map, FileAccess::Read] {
            let file = ModelFile::open(&path, access, 100_000).unwrap();
            assert_eq!(file.is_mapped(), access == FileAccess::Map);
            for bytes in [file.as_ref(), &file.as_ref()[5000..70_001], &[], &[7; 10]] {
                file.release(bytes);
                assert!(file.as_ref().iter().all(|&b| b == 7));
            }
        }
        for access in [FileAccess::Map, FileAccess::Read] {
            let e = ModelFile::open(&path, access, 99_999).unwrap_err();
            assert_eq!(e.kind(), io::ErrorKind::FileTooLarge);
            assert!(e.to_string().contains("100000 bytes"), "{e}");
        }
    }
}
