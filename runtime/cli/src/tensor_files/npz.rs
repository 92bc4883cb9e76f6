//! The `.npz` format: a zip of `.npy` files, each the array of its name.

use std::io::{Read, Seek};

use super::{NamedTensor, corrupt, npy};
use crate::failure::Failure;

/// Most arrays in one file.
const MAX_ARRAYS: usize = 10_000;

/// The arrays in an `.npz` file by their names, in the order of the file. Together they have at most `limit` bytes.
///
/// # Errors
/// As [`npy::read`]; [`Failure::Limit`].
pub fn read(file: &str, reader: impl Read + Seek, limit: u64) -> Result<Vec<NamedTensor>, Failure> {
    let broken = |e: &dyn std::fmt::Display| corrupt(file, format!("not a valid .npz file: {e}"));
    let mut archive = zip::ZipArchive::new(reader).map_err(|e| broken(&e))?;
    let too_large = |message: String| Failure::Limit { file: file.to_string(), message };
    if archive.len() > MAX_ARRAYS {
        return Err(too_large(format!("{} arrays, at most {MAX_ARRAYS} are read", archive.len())));
    }
    let mut left = limit;
    let mut tensors = Vec::new();
    for i in 0..archive.len() {
        let entry = archive.by_index(i).map_err(|e| broken(&e))?;
        let path = entry.name().map_err(|e| broken(&e))?.to_string();
        let Some(name) = path.strip_suffix(".npy").map(str::to_string) else {
            return Err(corrupt(file, format!("'{path}' in the file is no array")));
        };
        // The size that the zip declares may be a lie: what is unpacked counts.
        let mut bytes = Vec::new();
        entry.take(left.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| broken(&e))?;
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| too_large(format!("more than {limit} bytes when unpacked")))?;
        let tensor = npy::read(&format!("{file}: '{name}'"), &bytes)?;
        tensors.push(NamedTensor { name, ..tensor });
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use octrt::DataType;
    use std::io::{Cursor, Write};
    use zip::CompressionMethod;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn tensor(name: &str, bytes: Vec<u8>) -> NamedTensor {
        NamedTensor { name: name.into(), dtype: DataType::U8, shape: vec![bytes.len()], bytes }
    }

    fn zipped(method: CompressionMethod, arrays: &[NamedTensor]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for t in arrays {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("{}.npy", t.name), options).unwrap();
            npy::write(&mut zip, t.view().unwrap()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn arrays_come_by_name() {
        let arrays = [tensor("x", vec![1, 2, 3]), tensor("arr_0", vec![0; 1000])];
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let bytes = zipped(method, &arrays);
            assert_eq!(read("f.npz", Cursor::new(bytes), 1 << 20).unwrap(), arrays);
        }
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let bytes = zipped(CompressionMethod::Deflated, &[tensor("x", vec![0; 100_000])]);
        assert!(bytes.len() < 2000);
        let e = read("f.npz", Cursor::new(bytes), 50_000).unwrap_err();
        assert!(matches!(e, Failure::Limit { .. }), "{e}");
    }

    #[test]
    fn broken_files_are_refused() {
        let whole = zipped(CompressionMethod::Deflated, &[tensor("x", vec![1, 2, 3])]);
        for len in 0..whole.len() {
            assert!(read("f.npz", Cursor::new(&whole[..len]), 1 << 20).is_err(), "{len}");
        }
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("readme.txt", SimpleFileOptions::default()).unwrap();
        zip.write_all(b"hello").unwrap();
        let other = zip.finish().unwrap().into_inner();
        let e = read("f.npz", Cursor::new(other), 1 << 20).unwrap_err();
        assert!(e.to_string().contains("'readme.txt'"), "{e}");
    }
}
