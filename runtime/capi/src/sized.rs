//! Structs by value: they begin with their size, so that programs and libraries of different versions work together.

use std::mem::MaybeUninit;
use std::ptr;

use crate::error::Failure;

/// Larger than any of the structs: more in `struct_size` is no size.
const MAX_BYTES: usize = 4096;

/// A struct of the C ABI whose first field is `struct_size: usize`.
///
/// # Safety
/// `repr(C)`, begins with a `usize`, any bytes are a valid value, and zero bytes stand for the default of each field
/// after the first `MIN_BYTES`.
pub(crate) unsafe trait CStruct: Copy {
    /// Name in C.
    const NAME: &'static str;
    /// Bytes that the first version of the struct has.
    const MIN_BYTES: usize;
}

/// The size that the caller gives the struct at `at`.
///
/// # Safety
/// `at` is NULL or holds at least a `usize`.
unsafe fn given_size<T: CStruct>(at: *const T) -> Result<usize, Failure> {
    if at.is_null() {
        return Err(Failure::null(T::NAME));
    }
    if !at.is_aligned() {
        return Err(Failure::argument(format!("{} is not aligned", T::NAME)));
    }
    // SAFETY: the caller's promise.
    let size = unsafe { at.cast::<usize>().read() };
    if !(T::MIN_BYTES..=MAX_BYTES).contains(&size) {
        let (name, min) = (T::NAME, T::MIN_BYTES);
        return Err(Failure::argument(format!("struct_size of {name} is {size}: expected at least {min}")));
    }
    Ok(size)
}

/// Reads the struct at `at`. Fields that the caller does not have are zero; fields that this library does not know must
/// be zero.
///
/// # Safety
/// `at` is NULL or holds as many bytes as its `struct_size` says.
pub(crate) unsafe fn read<T: CStruct>(at: *const T) -> Result<T, Failure> {
    // SAFETY: the caller's promise.
    let size = unsafe { given_size(at)? };
    let known = size.min(bytes_of::<T>());
    // SAFETY: the caller's promise.
    let tail = unsafe { std::slice::from_raw_parts(at.cast::<u8>().add(known), size - known) };
    if tail.iter().any(|&b| b != 0) {
        let name = T::NAME;
        return Err(Failure::argument(format!(
            "{name} has fields that this version of the library does not know"
        )));
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: both sides have `known` bytes, and any bytes are a valid value.
    unsafe {
        ptr::copy_nonoverlapping(at.cast::<u8>(), value.as_mut_ptr().cast(), known);
        Ok(value.assume_init())
    }
}

/// Reads `count` structs that lie one after another, all of the size of the first.
///
/// # Safety
/// `at` is NULL or holds `count` structs, each of as many bytes as its `struct_size` says.
pub(crate) unsafe fn read_all<T: CStruct>(at: *const T, count: usize) -> Result<Vec<T>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's promise.
    let stride = unsafe { given_size(at)? };
    if stride % align_of::<T>() != 0 {
        let name = T::NAME;
        return Err(Failure::argument(format!(
            "struct_size of {name} is {stride}: not a multiple of its alignment"
        )));
    }
    let mut all = Vec::new();
    for i in 0..count {
        // SAFETY: the structs before this one have `stride` bytes each.
        let at = unsafe { at.cast::<u8>().add(i * stride).cast::<T>() };
        // SAFETY: the caller's promise.
        let (size, value) = unsafe { (given_size(at)?, read(at)?) };
        if size != stride {
            let name = T::NAME;
            return Err(Failure::argument(format!(
                "struct_size of {name} {i} is {size}, that of the first is {stride}: expected equal ones"
            )));
        }
        all.push(value);
    }
    Ok(all)
}

/// Writes `value` to the struct at `at`: as many fields as the caller has. `struct_size` stays the caller's, fields that
/// this library does not know become zero.
///
/// # Safety
/// As [`read`], and the bytes may be written.
pub(crate) unsafe fn write<T: CStruct>(at: *mut T, value: T) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let size = unsafe { given_size(at)? };
    let known = size.min(bytes_of::<T>());
    let start = bytes_of::<usize>();
    // SAFETY: both sides have `known` bytes, the caller's has `size`.
    unsafe {
        ptr::copy_nonoverlapping(
            (&raw const value).cast::<u8>().add(start),
            at.cast::<u8>().add(start),
            known - start,
        );
        ptr::write_bytes(at.cast::<u8>().add(known), 0, size - known);
    }
    Ok(())
}

/// Whether the struct at `at` can be written, before any work is done.
///
/// # Safety
/// As [`read`].
pub(crate) unsafe fn check<T: CStruct>(at: *const T) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    unsafe { given_size(at) }.map(|_| ())
}

const fn bytes_of<T>() -> usize {
    std::mem::size_of::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    struct Three {
        struct_size: usize,
        a: u64,
        b: u64,
    }

    // SAFETY: integers after a `usize`.
    unsafe impl CStruct for Three {
        const NAME: &'static str = "three";
        const MIN_BYTES: usize = 16;
    }

    fn read_words(words: &[usize]) -> Result<Three, Failure> {
        // SAFETY: the tests give as many words as the first says, and at least one.
        unsafe { read(words.as_ptr().cast()) }
    }

    #[test]
    fn older_structs_get_zeros_and_newer_ones_must_have_them() {
        assert_eq!(read_words(&[16, 5]).unwrap(), Three { struct_size: 16, a: 5, b: 0 });
        assert_eq!(read_words(&[24, 5, 6]).unwrap(), Three { struct_size: 24, a: 5, b: 6 });
        assert!(read_words(&[32, 5, 6, 0]).is_ok());
        assert!(read_words(&[32, 5, 6, 1]).is_err());
        assert!(read_words(&[0]).is_err());
        assert!(read_words(&[8]).is_err());
        assert!(read_words(&[usize::MAX]).is_err());
    }

    #[test]
    fn no_more_is_written_than_the_caller_has() {
        let value = Three { struct_size: 24, a: 1, b: 2 };
        let written = |words: &mut [usize]| {
            // SAFETY: the tests give as many words as the first says.
            unsafe { write(words.as_mut_ptr().cast(), value) }.map(|()| words.to_vec()).ok()
        };
        assert_eq!(written(&mut [16, 9, 9]), Some(vec![16, 1, 9]));
        assert_eq!(written(&mut [32, 9, 9, 9, 9]), Some(vec![32, 1, 2, 0, 9]));
        assert_eq!(written(&mut [8, 9, 9]), None);
    }

    #[test]
    fn structs_in_a_row_have_one_size() {
        // SAFETY: as many words as the sizes say.
        let all = |words: &[usize], n| unsafe { read_all::<Three>(words.as_ptr().cast(), n) };
        assert_eq!(all(&[16, 1, 16, 2], 2).unwrap()[1], Three { struct_size: 16, a: 2, b: 0 });
        assert!(all(&[16, 1, 24, 2, 3], 2).is_err());
        assert!(all(&[20, 1, 0, 2, 3], 1).is_err());
    }
}
