//! Sessions: the memory in which a model runs.

use std::ffi::c_char;
use std::ptr;
use std::sync::{Arc, Mutex, TryLockError};

use octrt::{Error, InputError, PortInfo, Session, Specialization, Tensor};
use octrt_ops::{Dim, TensorType};

use crate::cancel::octrt_canceller;
use crate::error::{Failure, OCTRT_E_BUSY, OCTRT_E_STATE, octrt_error};
use crate::guard;
use crate::info::About;
use crate::log::Log;
use crate::model::octrt_model;
use crate::sized;
use crate::tensor::{self, View, data_type_code, octrt_tensor};
use crate::text;
use crate::values::{Held, with_values};

/// The memory in which a model runs, for one caller at a time: a call while another thread is inside a call on the same
/// session returns OCTRT_E_BUSY. Use a session for each thread; they share the model's code and weights.
pub struct octrt_session {
    state: Mutex<State>,
    pub(crate) canceller: Arc<octrt_canceller>,
    log: Log,
    process: u32,
}

/// What one caller at a time works on.
pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) about: Arc<About>,
    /// Shapes set by the caller, by input.
    pub(crate) shapes: Vec<Option<Vec<usize>>>,
    /// What inputs hold, set by the caller, by input.
    pub(crate) values: Vec<Option<Tensor>>,
    /// What was told of what code was compiled for, by input.
    pub(crate) compiled_for: Vec<Option<Held>>,
    /// Types of the outputs for the shapes that were prepared last; none before.
    outputs: Vec<OutputType>,
    /// Memory for outputs that the caller gives none for, by output.
    pub(crate) held: Vec<Option<Tensor>>,
    /// Whether the last run has written to the held tensor, by output.
    pub(crate) is_current: Vec<bool>,
    pub(crate) bound_inputs: Vec<Option<View>>,
    pub(crate) bound_outputs: Vec<Option<View>>,
}

/// An output for one set of input shapes.
#[derive(PartialEq)]
pub(crate) struct OutputType {
    pub(crate) shape: Vec<usize>,
    dims: Vec<i64>,
}

impl State {
    fn new(session: Session, about: Arc<About>) -> Self {
        let (inputs, outputs) = (session.model().inputs().len(), session.model().outputs().len());
        let mut state = State {
            session,
            about,
            shapes: vec![None; inputs],
            values: vec![None; inputs],
            compiled_for: (0..inputs).map(|_| None).collect(),
            outputs: Vec::new(),
            held: (0..outputs).map(|_| None).collect(),
            is_current: vec![false; outputs],
            bound_inputs: vec![None; inputs],
            bound_outputs: vec![None; outputs],
        };
        state.update_outputs();
        state
    }

    /// The shape of an input that was set, or that the model fixes.
    pub(crate) fn input_shape(&self, input: usize) -> Option<Vec<usize>> {
        let fixed = |d: &Dim| match d {
            Dim::Fixed(n) => Some(*n),
            Dim::Dynamic(_) => None,
        };
        let of_model =
            || self.session.model().inputs().get(input)?.dims.as_ref()?.iter().map(fixed).collect();
        self.shapes.get(input).cloned().flatten().or_else(of_model)
    }

    /// Takes over the types of the outputs. Those that stay the same stay where they are.
    pub(crate) fn update_outputs(&mut self) {
        let shapes = self.session.output_shapes().unwrap_or_default();
        let dims = |shape: &[usize]| shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
        let types: Vec<OutputType> =
            shapes.iter().map(|s| OutputType { shape: s.to_vec(), dims: dims(s) }).collect();
        if self.outputs != types {
            let dims: Vec<&[i64]> = types.iter().map(|t| t.dims.as_slice()).collect();
            tracing::debug!("{}: prepared, outputs {dims:?}", self.session.model().name());
            self.outputs = types;
        }
    }

    /// The outputs' types; empty before shapes were prepared.
    pub(crate) fn outputs(&self) -> &[OutputType] {
        &self.outputs
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        self.is_current.fill(false);
        let mut types = Vec::new();
        for (i, port) in self.session.model().inputs().iter().enumerate() {
            let missing =
                || InputError::Elements(format!("the shape of input '{}' {port} is not set", port.name));
            let shape = self.input_shape(i).ok_or_else(missing)?;
            types.push(TensorType::new(port.dtype.inside(), shape));
        }
        let on = with_values(Specialization::new(types), &self.values);
        let prepared = self.session.prepare_on(&on);
        self.update_outputs();
        Ok(prepared?)
    }

    /// A tensor that describes an output, without elements.
    fn describe(&self, output: usize) -> Result<octrt_tensor, Failure> {
        let ports = self.session.model().outputs();
        let Some(port) = ports.get(output) else {
            let count = ports.len();
            return Err(Failure::argument(format!("there is no output {output}, the model has {count}")));
        };
        let Some(ty) = self.outputs.get(output) else {
            let message = "the shapes of the inputs are not known yet: run, or set and prepare them";
            return Err(Failure::new(OCTRT_E_STATE, message));
        };
        Ok(octrt_tensor {
            struct_size: size_of::<octrt_tensor>(),
            dtype: data_type_code(port.dtype),
            rank: i32::try_from(ty.dims.len()).unwrap_or(i32::MAX),
            dims: ty.dims.as_ptr(),
            data: ptr::null_mut(),
            bytes: ty.shape.iter().product::<usize>() * port.dtype.size(),
            name: self.about.output_name(output),
        })
    }
}

/// Runs `body` on the state of a session, alone.
///
/// # Safety
/// `session` is NULL or a session that was not freed before the call.
pub(crate) unsafe fn with_state(
    session: *const octrt_session,
    body: impl FnOnce(&mut State, &octrt_canceller) -> Result<(), Failure>,
) -> *mut octrt_error {
    if session.is_null() {
        return guard::call(None, || Err(Failure::null("session")));
    }
    // One reference more, so that the session stays when another thread frees it during this call.
    // SAFETY: the pointer came from `Arc::into_raw`, and the caller promises that its reference is still there.
    let session = unsafe {
        Arc::increment_strong_count(session);
        Arc::from_raw(session)
    };
    let error = guard::call(Some(&session.log), || {
        let mut state = match session.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) if session.process != std::process::id() => {
                return Err(Failure::forked());
            }
            Err(TryLockError::WouldBlock) => {
                let message =
                    "another call on this session is at work: a session is for one caller at a time";
                return Err(Failure::new(OCTRT_E_BUSY, message));
            }
        };
        body(&mut state, &session.canceller)
    });
    guard::value((), || drop(session));
    error
}

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
        let handle = octrt_session {
            canceller: Arc::new(octrt_canceller::new(inner.cancel_token().clone())),
            state: Mutex::new(State::new(inner, model.about.clone())),
            log: model.log.clone(),
            process: std::process::id(),
        };
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

pub(crate) fn check_shape(port: &PortInfo, shape: &[usize]) -> Result<(), InputError> {
    let fits = |(dim, &n): (&Dim, &usize)| !matches!(dim, Dim::Fixed(fixed) if *fixed != n);
    let Some(dims) = &port.dims else { return Ok(()) };
    if dims.len() == shape.len() && dims.iter().zip(shape).all(fits) {
        return Ok(());
    }
    let (name, expected, found) = (port.name.clone(), port.to_string(), format!("{shape:?}"));
    Err(InputError::WrongShape { name, expected, found })
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
