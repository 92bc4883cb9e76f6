//! Models: loading them, and counting who uses them.

use std::ffi::{c_char, c_void};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use octrt::{Error, Model};

use crate::about::About;
use crate::error::{Failure, OCTRT_E_LIMIT, octrt_error};
use crate::floats;
use crate::guard;
use crate::log::Log;
use crate::options::{self, Chosen, octrt_options};
use crate::text;

/// A model: its weights and the code compiled from it. Never changes; may be used by any number of threads and sessions
/// at a time. Counts its references: whoever loads it has one.
pub struct octrt_model {
    pub(crate) model: Model,
    pub(crate) log: Log,
    pub(crate) about: Arc<About>,
    /// Where it was loaded from.
    pub(crate) path: Option<PathBuf>,
}

/// Called once when a model no longer needs the bytes that it was loaded from, on the thread that is inside the octrt call
/// that made it so, with that thread's own floating point state. It must not throw or jump out.
pub type octrt_free_fn = Option<unsafe extern "C" fn(data: *mut c_void)>;

/// Loads the model in a file: ONNX, with weights in files beside it, or compiled by octrt.
///
/// path     the file; copied
/// options  how; NULL for OCTRT_OPTIONS_INIT
/// model    gets the model with one reference, which octrt_model_release gives back; unchanged on error
///
/// Any thread. A model with fixed shapes may be compiled when its first session is made.
/// Errors: OCTRT_E_IO, OCTRT_E_CORRUPT, OCTRT_E_UNSUPPORTED, OCTRT_E_LIMIT, OCTRT_E_MEMORY, OCTRT_E_THREADS,
/// OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid; `path` ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_load(
    path: *const c_char,
    options: *const octrt_options,
    model: *mut *mut octrt_model,
) -> *mut octrt_error {
    guard::call(None, || {
        if model.is_null() {
            return Err(Failure::null("model"));
        }
        // SAFETY: the caller's promise.
        let (path, chosen) = unsafe { (text::path(path, "path")?, options::read(options)?) };
        let loaded = load(&chosen, Some(path.to_path_buf()), || Model::load(path, &chosen.load))?;
        // SAFETY: not NULL, and the caller's promise.
        unsafe { model.write(loaded) };
        Ok(())
    })
}

/// Loads a model from memory. It must have all its weights inside.
///
/// bytes, len  the file's content
/// free_bytes  NULL: the bytes are copied, and not used after the call. Else they are borrowed: they must stay as they are
///             until free_bytes(data) is called, once, which may be before this call returns
/// data        handed to free_bytes
/// options     how; NULL for OCTRT_OPTIONS_INIT
/// model       gets the model with one reference, which octrt_model_release gives back; unchanged on error
///
/// After an error the bytes belong to the caller as before, and free_bytes is not called.
/// Any thread. Errors: as octrt_model_load, without OCTRT_E_IO.
///
/// # Safety
/// Pointers are NULL or valid; `bytes` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_load_memory(
    bytes: *const c_void,
    len: usize,
    free_bytes: octrt_free_fn,
    data: *mut c_void,
    options: *const octrt_options,
    model: *mut *mut octrt_model,
) -> *mut octrt_error {
    guard::call(None, || {
        if model.is_null() {
            return Err(Failure::null("model"));
        }
        text::check_range(bytes.cast(), len, "bytes")?;
        // SAFETY: the caller's promise.
        let (given, chosen) = unsafe { (text::bytes(bytes.cast(), len, "bytes")?, options::read(options)?) };
        if len > chosen.load.max_memory {
            let message = format!("the model has {len} bytes, the limit is {}", chosen.load.max_memory);
            return Err(Failure::new(OCTRT_E_LIMIT, message));
        }
        let loaded = match free_bytes {
            None => load(&chosen, None, || {
                let mut copy = Vec::new();
                let memory = |why: std::collections::TryReserveError| {
                    let what = "a copy of the model".to_string();
                    Error::Memory { what, bytes: len, why: why.to_string() }
                };
                copy.try_reserve_exact(len).map_err(memory)?;
                copy.extend_from_slice(given);
                Model::from_bytes(copy, &chosen.load)
            })?,
            Some(free) => {
                let state = Arc::new(AtomicU8::new(LOADING));
                let lent = Lent { bytes: bytes.cast(), len, free, data, state: state.clone() };
                let owner = octrt_onnx::Bytes::from_owner(lent);
                let loaded = load(&chosen, None, || Model::from_bytes(owner, &chosen.load))?;
                if state.swap(LOADED, Ordering::AcqRel) == DROPPED {
                    // SAFETY: the caller gave function and data for this use.
                    floats::call_back(|| unsafe { free(data) });
                }
                loaded
            }
        };
        // SAFETY: not NULL, and the caller's promise.
        unsafe { model.write(loaded) };
        Ok(())
    })
}

/// Loads, and tells about it.
fn load(
    chosen: &Chosen,
    path: Option<PathBuf>,
    load: impl FnOnce() -> Result<Model, Error>,
) -> Result<*mut octrt_model, Failure> {
    chosen.log.during(|| {
        let model = load().inspect_err(|e| tracing::error!("not loaded: {e}"))?;
        for warning in model.warnings() {
            tracing::warn!("{}: {warning}", model.name());
        }
        let about = Arc::new(About::new(&model));
        tracing::info!("{}: loaded, threads {}", model.name(), model.threads().count());
        let handle = octrt_model { model, log: chosen.log.clone(), about, path };
        Ok(Arc::into_raw(Arc::new(handle)).cast_mut())
    })
}

/// The model is being loaded.
const LOADING: u8 = 0;
/// The model is loaded: the bytes are given back when they are dropped.
const LOADED: u8 = 1;
/// The bytes were dropped.
const DROPPED: u8 = 2;

/// Bytes that the caller lends.
struct Lent {
    bytes: *const u8,
    len: usize,
    free: unsafe extern "C" fn(*mut c_void),
    data: *mut c_void,
    state: Arc<AtomicU8>,
}

// SAFETY: the bytes are only read, and the header says that the function is called on any thread.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the caller promises that the bytes stay as they are until they are given back, and `check_range` has
        // looked at the range.
        unsafe { std::slice::from_raw_parts(self.bytes, self.len) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.state.swap(DROPPED, Ordering::AcqRel) == LOADED {
            // SAFETY: the caller gave function and data for this use.
            floats::call_back(|| unsafe { (self.free)(self.data) });
        }
    }
}

/// One more reference to a model, which octrt_model_release gives back. Returns the model; NULL for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_retain(model: *mut octrt_model) -> *mut octrt_model {
    if !model.is_null() {
        // SAFETY: the pointer came from `Arc::into_raw`, and the caller has a reference.
        unsafe { Arc::increment_strong_count(model.cast_const()) };
    }
    model
}

/// Gives a reference back. The model is freed with the last one; sessions keep what they need of it. NULL is allowed. Any
/// thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_release(model: *mut octrt_model) {
    guard::value((), || {
        if !model.is_null() {
            // SAFETY: the pointer came from `Arc::into_raw`, and the caller has a reference.
            drop(unsafe { Arc::from_raw(model.cast_const()) });
        }
    });
}
