//! Strings and handles of the caller.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::Failure;

/// The text at `at`.
///
/// # Safety
/// `at` is NULL or ends with a zero byte; the text lives as long as `'a`.
pub(crate) unsafe fn text<'a>(at: *const c_char, name: &str) -> Result<&'a str, Failure> {
    if at.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_str().map_err(|_| Failure::argument(format!("{name} is not UTF-8: '{}'", text.to_string_lossy())))
}

/// The path at `at`, in any encoding; none for NULL.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_path<'a>(at: *const c_char) -> Option<&'a Path> {
    if at.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(at) }.to_bytes();
    Some(Path::new(OsStr::from_bytes(bytes)))
}

/// As [`optional_path`], where there must be one.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn path<'a>(at: *const c_char, name: &str) -> Result<&'a Path, Failure> {
    // SAFETY: the caller's promise.
    unsafe { optional_path(at) }.ok_or_else(|| Failure::null(name))
}

/// What a pointer points to.
///
/// # Safety
/// `at` is NULL or points to a value that lives as long as `'a`.
pub(crate) unsafe fn object<'a, T>(at: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { at.as_ref() }.ok_or_else(|| Failure::null(name))
}

/// `len` bytes; NULL is allowed where there are none.
///
/// # Safety
/// `at` is NULL or points to `len` bytes that live as long as `'a`.
pub(crate) unsafe fn bytes<'a>(at: *const u8, len: usize, name: &str) -> Result<&'a [u8], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    check_range(at, len, name)?;
    // SAFETY: the caller's promise, and the range is one that Rust allows.
    Ok(unsafe { std::slice::from_raw_parts(at, len) })
}

/// Checks that `len` bytes can lie at `at`: not NULL, within the address space.
pub(crate) fn check_range(at: *const u8, len: usize, name: &str) -> Result<(), Failure> {
    if at.is_null() {
        return Err(Failure::null(name));
    }
    if isize::try_from(len).is_err() || at.addr().checked_add(len).is_none() {
        return Err(Failure::argument(format!("{name}: {len} bytes are more than the address space has")));
    }
    Ok(())
}
