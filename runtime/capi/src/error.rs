//! Errors: what a call returns when it could not do its work.

use std::ffi::{CString, c_char};

use octrt::image::ImageError;
use octrt::{Error, InputError, LabelError};
use octrt_compiler::CompileError;
use octrt_ops::OpError;

/// Success: the code of no error.
pub const OCTRT_OK: i32 = 0;
/// An argument breaks the rules of the function: NULL, a wrong `struct_size`, an unknown constant, buffers that overlap.
pub const OCTRT_E_INVALID_ARGUMENT: i32 = 1;
/// A tensor, shape, name or setting does not fit the model.
pub const OCTRT_E_INPUT: i32 = 2;
/// A file cannot be read or written.
pub const OCTRT_E_IO: i32 = 3;
/// A model, picture or file of settings breaks the rules of its format.
pub const OCTRT_E_CORRUPT: i32 = 4;
/// The model or picture is valid, but octrt does not implement a part of it.
pub const OCTRT_E_UNSUPPORTED: i32 = 5;
/// A model or picture is larger than allowed.
pub const OCTRT_E_LIMIT: i32 = 6;
/// More memory is needed than allowed or available.
pub const OCTRT_E_MEMORY: i32 = 7;
/// A value computed in the run breaks a rule that the model relies on.
pub const OCTRT_E_CHECK: i32 = 8;
/// The processor is too old, or older than the one that code was compiled for.
pub const OCTRT_E_TARGET: i32 = 9;
/// The system does not let this process run generated code.
pub const OCTRT_E_NOT_EXECUTABLE: i32 = 10;
/// The worker threads could not be started.
pub const OCTRT_E_THREADS: i32 = 11;
/// Another thread is inside a call on the same session.
pub const OCTRT_E_BUSY: i32 = 12;
/// The run was cancelled.
pub const OCTRT_E_CANCELLED: i32 = 13;
/// The process was forked, and what the call needs stayed with the parent: worker threads, or a call in progress.
pub const OCTRT_E_FORKED: i32 = 14;
/// The call comes before another one that it needs: a view of an output before a run.
pub const OCTRT_E_STATE: i32 = 15;
/// A defect of octrt. Please report it.
pub const OCTRT_E_INTERNAL: i32 = 16;

/// Why a call failed: a code and a message. Belongs to the caller, who frees it with octrt_error_free. It may be read by
/// several threads at a time, and outlives everything it tells about.
#[derive(Debug)]
pub struct octrt_error {
    code: i32,
    message: CString,
}

/// A failure on its way to the caller.
#[derive(Debug)]
pub(crate) struct Failure {
    code: i32,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Failure { code, message: message.into() }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Failure::new(OCTRT_E_INVALID_ARGUMENT, message)
    }

    pub(crate) fn null(name: &str) -> Self {
        Failure::argument(format!("{name} is NULL"))
    }

    pub(crate) fn forked() -> Self {
        let message = "the process was forked while another thread was inside a call on this object";
        Failure::new(OCTRT_E_FORKED, message)
    }

    pub(crate) fn into_raw(self) -> *mut octrt_error {
        Box::into_raw(Box::new(octrt_error { code: self.code, message: c_string(&self.message) }))
    }
}

/// `text` for C, each zero byte replaced by a question mark.
pub(crate) fn c_string(text: &str) -> CString {
    let bytes = text.bytes().map(|b| if b == 0 { b'?' } else { b }).collect::<Vec<u8>>();
    CString::new(bytes).unwrap_or_default()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Io { .. } => OCTRT_E_IO,
            Error::Corrupt { .. } => OCTRT_E_CORRUPT,
            Error::Unsupported { .. } => OCTRT_E_UNSUPPORTED,
            Error::TooLarge { .. } => OCTRT_E_LIMIT,
            Error::Memory { .. } => OCTRT_E_MEMORY,
            Error::Input(_) => OCTRT_E_INPUT,
            Error::Check { .. } => OCTRT_E_CHECK,
            Error::NotExecutable(_) => OCTRT_E_NOT_EXECUTABLE,
            Error::Target(_) => OCTRT_E_TARGET,
            Error::Threads { .. } => OCTRT_E_THREADS,
            Error::Cancelled { .. } => OCTRT_E_CANCELLED,
            Error::Forked { .. } => OCTRT_E_FORKED,
            Error::Compile { source: CompileError::Graph(e), .. } => match e.source {
                OpError::Invalid(_) => OCTRT_E_CORRUPT,
                OpError::Unsupported(_) | OpError::DataDependent(_) => OCTRT_E_UNSUPPORTED,
                OpError::TooLarge(_) => OCTRT_E_LIMIT,
            },
            _ => OCTRT_E_INTERNAL,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Error::from(error).into()
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        let code = match &error {
            ImageError::Io { .. } => OCTRT_E_IO,
            ImageError::UnsupportedFormat { .. } => OCTRT_E_UNSUPPORTED,
            ImageError::NoPicture { .. } | ImageError::Corrupt { .. } | ImageError::BrokenSettings { .. } => {
                OCTRT_E_CORRUPT
            }
            ImageError::LimitExceeded { .. } | ImageError::DecoderMemory { .. } => OCTRT_E_LIMIT,
            _ => OCTRT_E_INPUT,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<LabelError> for Failure {
    fn from(error: LabelError) -> Self {
        let code = match &error {
            LabelError::Io { .. } => OCTRT_E_IO,
            LabelError::NoText { .. } => OCTRT_E_CORRUPT,
            LabelError::TooLarge { .. } => OCTRT_E_LIMIT,
            _ => OCTRT_E_INPUT,
        };
        Failure::new(code, error.to_string())
    }
}

/// The code of an error, one of OCTRT_E_*; OCTRT_OK for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_error_code(error: *const octrt_error) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { error.as_ref() }.map_or(OCTRT_OK, |e| e.code)
}

/// What went wrong, in one or a few sentences of UTF-8, with the names of what was expected and found. The text belongs
/// to the error. Empty for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_error_message(error: *const octrt_error) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |e| e.message.as_ptr())
}

/// Frees an error. NULL is allowed.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_error_free(error: *mut octrt_error) {
    if !error.is_null() {
        // SAFETY: the error was made by `into_raw`, and the caller promises that it was not freed.
        drop(unsafe { Box::from_raw(error) });
    }
}

/// The name of a code, such as "OCTRT_E_BUSY"; "OCTRT_E_?" for numbers that are no code. The text lives forever.
#[unsafe(no_mangle)]
pub extern "C" fn octrt_code_name(code: i32) -> *const c_char {
    let name = match code {
        OCTRT_OK => c"OCTRT_OK",
        OCTRT_E_INVALID_ARGUMENT => c"OCTRT_E_INVALID_ARGUMENT",
        OCTRT_E_INPUT => c"OCTRT_E_INPUT",
        OCTRT_E_IO => c"OCTRT_E_IO",
        OCTRT_E_CORRUPT => c"OCTRT_E_CORRUPT",
        OCTRT_E_UNSUPPORTED => c"OCTRT_E_UNSUPPORTED",
        OCTRT_E_LIMIT => c"OCTRT_E_LIMIT",
        OCTRT_E_MEMORY => c"OCTRT_E_MEMORY",
        OCTRT_E_CHECK => c"OCTRT_E_CHECK",
        OCTRT_E_TARGET => c"OCTRT_E_TARGET",
        OCTRT_E_NOT_EXECUTABLE => c"OCTRT_E_NOT_EXECUTABLE",
        OCTRT_E_THREADS => c"OCTRT_E_THREADS",
        OCTRT_E_BUSY => c"OCTRT_E_BUSY",
        OCTRT_E_CANCELLED => c"OCTRT_E_CANCELLED",
        OCTRT_E_FORKED => c"OCTRT_E_FORKED",
        OCTRT_E_STATE => c"OCTRT_E_STATE",
        OCTRT_E_INTERNAL => c"OCTRT_E_INTERNAL",
        _ => c"OCTRT_E_?",
    };
    name.as_ptr()
}
