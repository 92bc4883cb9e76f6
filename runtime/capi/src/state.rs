//! What a session holds, and how calls come to it: one at a time.

use std::ptr;
use std::sync::{Arc, Mutex, TryLockError};

use octrt::{InputError, PortInfo, Session, Specialization, Tensor};
use octrt_ops::{Dim, TensorType};

use crate::about::About;
use crate::canceller::octrt_canceller;
use crate::error::{Failure, OCTRT_E_BUSY, OCTRT_E_STATE, octrt_error};
use crate::guard;
use crate::log::Log;
use crate::tensor::{View, data_type_code, octrt_tensor};

/// The memory in which a model runs, for one caller at a time: a call while another thread is inside a call on the same
/// session returns OCTRT_E_BUSY. Use a session for each thread; they share the model's code and weights.
pub struct octrt_session {
    state: Mutex<State>,
    pub(crate) canceller: Arc<octrt_canceller>,
    log: Log,
    process: u32,
}

impl octrt_session {
    pub(crate) fn new(session: Session, about: Arc<About>, log: Log) -> Self {
        octrt_session {
            canceller: Arc::new(octrt_canceller::new(session.cancel_token().clone())),
            state: Mutex::new(State::new(session, about)),
            log,
            process: std::process::id(),
        }
    }
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

    pub(crate) fn prepare(&mut self) -> Result<(), Failure> {
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
    pub(crate) fn describe(&self, output: usize) -> Result<octrt_tensor, Failure> {
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

/// What an input holds, as callers see it.
pub(crate) struct Held {
    pub(crate) tensor: Tensor,
    pub(crate) dims: Vec<i64>,
}

/// `on` with what was set of inputs that still have that shape.
fn with_values(on: Specialization, values: &[Option<Tensor>]) -> Specialization {
    let shapes: Vec<Vec<usize>> = on.types().iter().map(|t| t.shape.to_vec()).collect();
    let set = values.iter().zip(shapes).enumerate();
    set.fold(on, |on, (i, (value, shape))| match value {
        Some(value) if value.shape() == shape => on.with_value(i, value.clone()),
        _ => on,
    })
}

/// Whether the shape is one that the port declares.
pub(crate) fn check_shape(port: &PortInfo, shape: &[usize]) -> Result<(), InputError> {
    let fits = |(dim, &n): (&Dim, &usize)| !matches!(dim, Dim::Fixed(fixed) if *fixed != n);
    let Some(dims) = &port.dims else { return Ok(()) };
    if dims.len() == shape.len() && dims.iter().zip(shape).all(fits) {
        return Ok(());
    }
    let (name, expected, found) = (port.name.clone(), port.to_string(), format!("{shape:?}"));
    Err(InputError::WrongShape { name, expected, found })
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
