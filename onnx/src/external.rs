//! Tensors whose bytes lie in files beside the model.

use std::ops::Range;

use octrt_ops::tensor::SharedBytes;

/// Reads the files that a model names. The crate itself does no input or output.
pub trait ExternalData {
    /// Exactly the `length` bytes at `offset` of the file `location`, which is relative to the model's folder and uses
    /// `/`; `length` is not 0. The importer has passed `location` through [`validate_location`].
    ///
    /// An implementation must not follow links out of the model's folder, and checks the range against the file's size
    /// with [`check_range`] before it allocates anything.
    ///
    /// # Errors
    /// A message, without the location, that says why the bytes cannot be had.
    fn read(&self, location: &str, offset: u64, length: u64) -> Result<SharedBytes, String>;
}

/// For models that have all their weights inside: every read fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoExternalData;

impl ExternalData for NoExternalData {
    fn read(&self, _: &str, _: u64, _: u64) -> Result<SharedBytes, String> {
        Err("the model was given without its folder, so files beside it cannot be read".into())
    }
}

/// The file that `location` names, relative to the model's folder, without `.` components.
///
/// # Errors
/// A message when the location is empty, absolute, names a folder, climbs out of the folder with `..`, or uses `\`,
/// a drive letter or a NUL byte.
pub fn validate_location(location: &str) -> Result<String, String> {
    let refuse = |why: &str| Err(format!("the location {why}"));
    if location.contains('\0') {
        return refuse("contains a NUL byte");
    }
    if location.contains('\\') {
        return refuse("contains '\\'; expected '/' between folders");
    }
    if location.starts_with('/') {
        return refuse("is absolute; expected a path relative to the model");
    }
    if location.as_bytes().get(1) == Some(&b':') && location.as_bytes()[0].is_ascii_alphabetic() {
        return refuse("begins with a drive letter; expected a path relative to the model");
    }
    let parts: Vec<&str> = location.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") {
        return refuse("contains '..'; files outside the model's folder are not read");
    }
    if parts.is_empty() || location.ends_with('/') || location.ends_with("/.") {
        return refuse("names no file");
    }
    Ok(parts.join("/"))
}

/// The range of `length` bytes at `offset` of a file of `size` bytes.
///
/// # Errors
/// A message when the file ends before the range does.
pub fn check_range(size: u64, offset: u64, length: u64) -> Result<Range<usize>, String> {
    let short = || format!("{length} bytes at offset {offset} were expected, the file has {size} bytes");
    let end = offset.checked_add(length).filter(|end| *end <= size).ok_or_else(short)?;
    match (usize::try_from(offset), usize::try_from(end)) {
        (Ok(begin), Ok(end)) => Ok(begin..end),
        _ => Err(format!("offset {end} is beyond the address space")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_stay_in_the_folder() {
        assert_eq!(validate_location("w.bin").unwrap(), "w.bin");
        assert_eq!(validate_location("./a//b/./w.bin").unwrap(), "a/b/w.bin");
        assert_eq!(validate_location("a..b/..c").unwrap(), "a..b/..c");
        for bad in
            ["", ".", "a/", "a/.", "/etc/passwd", "../w", "a/../../w", "a\\..\\w", "C:w", "c:/w", "w\0"]
        {
            assert!(validate_location(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ranges_stay_in_the_file() {
        assert_eq!(check_range(10, 2, 8), Ok(2..10));
        assert_eq!(check_range(10, 10, 0), Ok(10..10));
        assert!(check_range(10, 3, 8).is_err());
        assert!(check_range(10, u64::MAX, 8).is_err());
    }
}
