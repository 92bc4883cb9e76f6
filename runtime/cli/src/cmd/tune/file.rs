//! The file of records, to which is appended.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use octrt::records::Record;

use crate::failure::Failure;

/// A file that lines are appended to.
pub struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// Opens the file at `path`, which is made where there is none. A line whose end was not written is ended.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let fail = || Failure::file(path.display());
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path).map_err(fail())?;
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0)).map_err(fail())? > 0 {
            file.seek(SeekFrom::End(-1)).map_err(fail())?;
            file.read_exact(&mut last).map_err(fail())?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n").map_err(fail())?;
        }
        Ok(Log { file, path: path.to_path_buf() })
    }

    /// Appends records, all in one write.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn append(&mut self, records: &[Record]) -> Result<(), Failure> {
        let text: String = records.iter().map(Record::line).collect();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(Failure::file(self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use octrt::Isa;
    use octrt::records::Subject;

    #[test]
    fn a_line_that_was_not_ended_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let record = Record { isa: Isa::V3, subject: Subject::Model("k".to_string()), ns: 7 };
        let line = record.line();
        Log::open(&path).unwrap().append(&[record.clone(), record.clone()]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{line}{line}"));
        std::fs::write(&path, "{\"version\":").unwrap();
        Log::open(&path).unwrap().append(&[record]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{{\"version\":\n{line}"));
        assert!(Log::open(folder.path()).is_err());
    }
}
