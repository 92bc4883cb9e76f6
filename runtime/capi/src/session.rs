//! Sessions: the memory in which a model runs.

use std::ffi::c_char;
use std::sync::Arc;

use octrt::Error;

use crate::canceller::octrt_canceller;
use crate::error::{Failure, OCTRT_E_STATE, octrt_error};
use crate::guard;
use crate::model::octrt_model;
use crate::sized;
use crate::state::{State, check_shape, octrt_session, with_state};
use crate::tensor::{self, octrt_tensor};
use crate::text;

/// Makes a session on a model.
///
/// model    stays needed by nobody: the session keeps what it uses
/// session  gets the session, which octrt_session_free frees; unchanged on error
///
/// Compiles the model if all its shapes are fixed, no input decides others by what it holds, and no session did so before.
/// Any thread.
/// Errors: OCTRT_E_MEMORY, OCTRT_E_LIMIT, OCTRT_E_UNSUPPORTED, OCTRT_E_CORRUPT, OCTRT_E_TARGET, OCTRT_E_NOT_EXECUTABLE,
/// OCTRT_E_FORKED, OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to; `session` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_new(
    model: *const octrt_model,
    session: *mut *mut octrt_session,
) -> *mut octrt_error {
    // SAFETY: the caller's promise.
    let found = unsafe { text::object(model, "model") };
    guard::call(found.as_ref().ok().map(|m| &m.log), || {
        let model = found?;
        if session.is_null() {
            return Err(Failure::null("session"));
        }
        let inner = model.model.session().inspect_err(|e: &Error| tracing::error!("no session: {e}"))?;
        tracing::info!("{}: session of {} bytes", model.model.name(), inner.memory_bytes());
        let handle = octrt_session::new(inner, model.about.clone(), model.log.clone());
        // SAFETY: not NULL, and the caller's promise.
        unsafe { session.write(Arc::into_raw(Arc::new(handle)).cast_mut()) };
        Ok(())
    })
}

/// Frees a session, with its views of outputs. When another thread is inside a call on it, that call ends as it would,
/// and the session is freed then. NULL is allowed. Any thread.
///
/// # Safety
/// `session` is NULL or a session that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_free(session: *mut octrt_session) {
    guard::value((), || {
        if !session.is_null() {
            // SAFETY: the pointer came from `Arc::into_raw`, and the caller gives its reference up.
            drop(unsafe { Arc::from_raw(session.cast_const()) });
        }
    });
}

/// Sets the shape of an input for octrt_session_prepare and for tensors of OCTRT_RANK_OF_MODEL. Nothing is compiled yet.
///
/// name        of the input; NULL for the only one
/// dims, rank  extents, outermost first; copied
///
/// One thread at a time. Errors: OCTRT_E_INPUT, OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `session` is NULL or a session that was not freed; the other pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_set_shape(
    session: *mut octrt_session,
    name: *const c_char,
    dims: *const i64,
    rank: i32,
) -> *mut octrt_error {
    let body = |state: &mut State, _: &octrt_canceller| {
        // SAFETY: the caller's promise.
        let shape = unsafe { tensor::shape(dims, rank)? };
        let ports = state.session.model().inputs();
        let input = if name.is_null() {
            let many =
                || Failure::argument(format!("name is NULL, and the model has {} inputs", ports.len()));
            (ports.len() == 1).then_some(0).ok_or_else(many)?
        } else {
            // SAFETY: the caller's promise.
            let name = unsafe { text::text(name, "name")? };
            tensor::position(name, ports, "input")?
        };
        check_shape(&ports[input], &shape)?;
        state.shapes[input] = Some(shape);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

/// Compiles for the shapes that were set or that the model fixes, and makes the memory of a run, so that the next run need
/// not. Views of outputs end.
///
/// One thread at a time. Errors: OCTRT_E_INPUT, also when a shape is not set, or what an input holds that decides shapes
/// (octrt_session_set_value); OCTRT_E_BUSY; those of octrt_session_new.
///
/// # Safety
/// `session` is NULL or a session that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_prepare(session: *mut octrt_session) -> *mut octrt_error {
    // SAFETY: the caller's promise.
    unsafe { with_state(session, |state, _| state.prepare()) }
}

/// Tells type, shape and size of an output, for the shapes that were run or prepared last; for a model of fixed shapes at
/// any time. `output` is filled in, with data NULL; unchanged on error. With data set it can be handed to
/// octrt_session_run. Its dims belong to the session and stay until other shapes are prepared or run.
///
/// One thread at a time. Errors: OCTRT_E_STATE when no shapes are known, OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `session` is NULL or a session that was not freed; `output` is NULL or as large as its struct_size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_output_type(
    session: *mut octrt_session,
    index: usize,
    output: *mut octrt_tensor,
) -> *mut octrt_error {
    // SAFETY: the caller's promise.
    unsafe { with_state(session, |state, _| sized::write(output, state.describe(index)?)) }
}

/// A view of an output of the last run, for which that run got no buffer of the caller. `output` is filled in; unchanged
/// on error. The elements belong to the session: read them until its next run or prepare, or until it is freed.
///
/// One thread at a time. Errors: OCTRT_E_STATE when the last run failed, was none, or wrote this output to the caller's
/// buffer; OCTRT_E_BUSY; OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `session` is NULL or a session that was not freed; `output` is NULL or as large as its struct_size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_output(
    session: *mut octrt_session,
    index: usize,
    output: *mut octrt_tensor,
) -> *mut octrt_error {
    let body = |state: &mut State, _: &octrt_canceller| {
        let mut view = state.describe(index)?;
        let held = state.held[index].as_ref().filter(|_| state.is_current[index]);
        let none =
            || Failure::new(OCTRT_E_STATE, "the last run left no elements of this output in the session");
        view.data = held.ok_or_else(none)?.bytes().as_ptr().cast_mut().cast();
        // SAFETY: the caller's promise.
        unsafe { sized::write(output, view) }
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

/// Bytes of memory that belong to this session alone. `bytes` is filled in; unchanged on error.
///
/// One thread at a time. Errors: OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `session` is NULL or a session that was not freed; `bytes` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_memory(
    session: *mut octrt_session,
    bytes: *mut u64,
) -> *mut octrt_error {
    let body = |state: &mut State, _: &octrt_canceller| {
        if bytes.is_null() {
            return Err(Failure::null("bytes"));
        }
        let held: usize = state.held.iter().flatten().map(|t| t.bytes().len()).sum();
        // SAFETY: not NULL, and the caller's promise.
        unsafe { bytes.write((state.session.memory_bytes() + held) as u64) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}
