//! What a model says about itself.

use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr;

use crate::about::Port;
use crate::error::{Failure, octrt_error};
use crate::guard;
use crate::model::octrt_model;
use crate::sized::{self, CStruct};
use crate::text;

/// An input or output of a model. Set struct_size before the call that fills it in. What it points to belongs to the
/// model.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct octrt_port {
    /// sizeof(octrt_port).
    pub struct_size: usize,
    /// Its name.
    pub name: *const c_char,
    /// Element type of the tensors handed in or got back, OCTRT_*.
    pub dtype: i32,
    /// Number of dimensions; -1 where the model does not say.
    pub rank: i32,
    /// `rank` extents, outermost first; -1 for those that each run fixes anew.
    pub dims: *const i64,
    /// `rank` names of dimensions: NULL where the extent is fixed, "" where it has no name. Dimensions of one name have
    /// the same extent.
    pub dim_names: *const *const c_char,
}

// SAFETY: integers and pointers.
unsafe impl CStruct for octrt_port {
    const NAME: &'static str = "octrt_port";
    const MIN_BYTES: usize = offset_of!(octrt_port, dim_names);
}

/// Memory that a model takes, in bytes. Set struct_size before the call that fills it in.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct octrt_memory {
    /// sizeof(octrt_memory).
    pub struct_size: usize,
    /// Weights in the form in which compiled code reads them.
    pub weights_bytes: u64,
    /// Files that are mapped; the system may take pages of them back.
    pub mapped_bytes: u64,
    /// Compiled code.
    pub code_bytes: u64,
}

// SAFETY: integers.
unsafe impl CStruct for octrt_memory {
    const NAME: &'static str = "octrt_memory";
    const MIN_BYTES: usize = size_of::<octrt_memory>();
}

/// The value that `of` takes from a model; `otherwise` for NULL.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
unsafe fn of_model<R>(model: *const octrt_model, otherwise: R, of: impl FnOnce(&octrt_model) -> R) -> R {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(otherwise, of)
}

/// The file that a model was loaded from, or "model". The text belongs to the model. "" for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_name(model: *const octrt_model) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { of_model(model, c"".as_ptr(), |m| m.about.name.as_ptr()) }
}

/// The program that wrote the model, "" where it does not say. The text belongs to the model. "" for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_producer(model: *const octrt_model) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { of_model(model, c"".as_ptr(), |m| m.about.producer.as_ptr()) }
}

/// Version of the ONNX operators; 0 for a model that does not come from ONNX and for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_opset(model: *const octrt_model) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { of_model(model, 0, |m| m.model.about().opset.unwrap_or(0)) }
}

/// Number of threads that share the work of a run; 0 for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_threads(model: *const octrt_model) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { of_model(model, 0, |m| i32::try_from(m.model.threads().count()).unwrap_or(i32::MAX)) }
}

/// Number of inputs; 0 for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_input_count(model: *const octrt_model) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of_model(model, 0, |m| m.about.inputs.len()) }
}

/// Number of outputs; 0 for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_output_count(model: *const octrt_model) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of_model(model, 0, |m| m.about.outputs.len()) }
}

/// Describes an input. `port` is filled in; unchanged on error. Any thread.
/// Errors: OCTRT_E_INVALID_ARGUMENT, also when there is no input `index`.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to; `port` is NULL or as large as its struct_size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_input(
    model: *const octrt_model,
    index: usize,
    port: *mut octrt_port,
) -> *mut octrt_error {
    // SAFETY: the caller's promise.
    guard::call(None, || unsafe {
        describe(text::object(model, "model")?.about.inputs.get(index), index, port)
    })
}

/// Describes an output. `port` is filled in; unchanged on error. Any thread.
/// Errors: OCTRT_E_INVALID_ARGUMENT, also when there is no output `index`.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to; `port` is NULL or as large as its struct_size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_output(
    model: *const octrt_model,
    index: usize,
    port: *mut octrt_port,
) -> *mut octrt_error {
    // SAFETY: the caller's promise.
    guard::call(None, || unsafe {
        describe(text::object(model, "model")?.about.outputs.get(index), index, port)
    })
}

fn view(port: &Port) -> octrt_port {
    octrt_port {
        struct_size: size_of::<octrt_port>(),
        name: port.name.as_ptr(),
        dtype: port.dtype,
        rank: port.dims.as_ref().map_or(-1, |d| i32::try_from(d.len()).unwrap_or(i32::MAX)),
        dims: port.dims.as_ref().map_or(ptr::null(), Vec::as_ptr),
        dim_names: port.dim_names.as_ptr(),
    }
}

/// # Safety
/// As [`sized::write`].
unsafe fn describe(found: Option<&Port>, index: usize, port: *mut octrt_port) -> Result<(), Failure> {
    let found =
        found.ok_or_else(|| Failure::argument(format!("the model has no input or output {index}")))?;
    // SAFETY: the caller's promise.
    unsafe { sized::write(port, view(found)) }
}

/// Number of entries in the model's metadata (`metadata_props` in ONNX); 0 for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_metadata_count(model: *const octrt_model) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of_model(model, 0, |m| m.about.metadata.len()) }
}

/// Key of an entry of the metadata, in the order of the keys. The text belongs to the model. NULL where there is no entry
/// `index`, and for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_metadata_key(model: *const octrt_model, index: usize) -> *const c_char {
    let key = |m: &octrt_model| m.about.metadata.get(index).map_or(ptr::null(), |(k, _)| k.as_ptr());
    // SAFETY: the caller's promise.
    unsafe { of_model(model, ptr::null(), key) }
}

/// Value of a key of the metadata. The text belongs to the model. NULL where the key does not exist, and for NULL. Any
/// thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to; `key` is NULL or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_metadata(
    model: *const octrt_model,
    key: *const c_char,
) -> *const c_char {
    // SAFETY: the caller's promise.
    let (Some(model), Ok(key)) = (unsafe { model.as_ref() }, unsafe { text::text(key, "key") }) else {
        return ptr::null();
    };
    let found = model.about.metadata.iter().find(|(k, _)| k.to_bytes() == key.as_bytes());
    found.map_or(ptr::null(), |(_, v)| v.as_ptr())
}

/// What is unusual in the model's file but was read: a sentence for each index from 0 on, then NULL. The text belongs to
/// the model. NULL for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_warning(model: *const octrt_model, index: usize) -> *const c_char {
    let warning = |m: &octrt_model| m.about.warnings.get(index).map_or(ptr::null(), |w| w.as_ptr());
    // SAFETY: the caller's promise.
    unsafe { of_model(model, ptr::null(), warning) }
}

/// Memory that a model takes now. `memory` is filled in; unchanged on error. Any thread.
/// Errors: OCTRT_E_INVALID_ARGUMENT, OCTRT_E_FORKED.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to; `memory` is NULL or as large as its struct_size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_memory(
    model: *const octrt_model,
    memory: *mut octrt_memory,
) -> *mut octrt_error {
    guard::call(None, || {
        // SAFETY: the caller's promise.
        let model = unsafe {
            sized::check(memory)?;
            text::object(model, "model")?
        };
        let found = model.model.memory()?;
        let value = octrt_memory {
            struct_size: size_of::<octrt_memory>(),
            weights_bytes: found.weight_bytes as u64,
            mapped_bytes: found.mapped_weight_bytes as u64,
            code_bytes: found.code_bytes as u64,
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(memory, value) }
    })
}
