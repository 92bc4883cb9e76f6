//! Runs: inputs and outputs in the caller's memory.

use octrt::{InputError, PortInfo, Tensor, TensorMut, TensorRef};

use crate::canceller::octrt_canceller;
use crate::error::{Failure, octrt_error};
use crate::sized;
use crate::state::{State, octrt_session, with_state};
use crate::tensor::{View, check_overlaps, octrt_tensor};

/// Runs the model on the caller's buffers.
///
/// inputs, input_count    all inputs, by name or in the model's order; only read
/// outputs, output_count  buffers for some or all outputs, by name or in the model's order; results of the others stay in
///                        the session for octrt_session_output. NULL with 0 for none
///
/// Nothing is copied, except for elements that are converted (f16, bf16) and bool outputs. No output may overlap an
/// input or another output in memory, and no tensor a view of an output of the same session. After an error the buffers of outputs hold unspecified elements. A run for other
/// shapes than the one before, or with another value of an input that decides shapes, may compile.
///
/// One thread at a time. Errors: OCTRT_E_INPUT, OCTRT_E_CHECK, OCTRT_E_CANCELLED, OCTRT_E_BUSY, OCTRT_E_FORKED,
/// OCTRT_E_INVALID_ARGUMENT; those of octrt_session_new.
///
/// # Safety
/// `session` is NULL or a session that was not freed; tensors are NULL or valid, and their buffers as large as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_run(
    session: *mut octrt_session,
    inputs: *const octrt_tensor,
    input_count: usize,
    outputs: *const octrt_tensor,
    output_count: usize,
) -> *mut octrt_error {
    let body = |state: &mut State, canceller: &octrt_canceller| {
        let model = state.session.model();
        // SAFETY: the caller's promise.
        let (inputs, outputs) = unsafe {
            let inputs = View::all(inputs, input_count, model.inputs(), "input")?;
            (inputs, View::all(outputs, output_count, model.outputs(), "output")?)
        };
        // SAFETY: the caller's promise.
        unsafe { run(state, canceller, inputs, outputs) }
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

/// Binds a buffer to an input for octrt_session_run_bound, in place of the one bound before. The struct is copied; the
/// elements stay the caller's, who keeps the buffer until another one is bound, octrt_session_unbind, or the session is
/// freed.
///
/// input  by name; without a name the first input
///
/// One thread at a time. Errors: OCTRT_E_INPUT, OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `session` is NULL or a session that was not freed; `input` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_bind_input(
    session: *mut octrt_session,
    input: *const octrt_tensor,
) -> *mut octrt_error {
    let body = |state: &mut State, _: &octrt_canceller| {
        // SAFETY: the caller's promise.
        let view = unsafe { View::new(&sized::read(input)?, 0, state.session.model().inputs(), "input")? };
        let port = view.port;
        state.bound_inputs[port] = Some(view);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

/// Binds a buffer to an output for octrt_session_run_bound, as octrt_session_bind_input. Outputs to which nothing is bound
/// stay in the session for octrt_session_output.
///
/// # Safety
/// `session` is NULL or a session that was not freed; `output` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_bind_output(
    session: *mut octrt_session,
    output: *const octrt_tensor,
) -> *mut octrt_error {
    let body = |state: &mut State, _: &octrt_canceller| {
        // SAFETY: the caller's promise.
        let view = unsafe { View::new(&sized::read(output)?, 0, state.session.model().outputs(), "output")? };
        let port = view.port;
        state.bound_outputs[port] = Some(view);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

/// Forgets all buffers that were bound. One thread at a time. Errors: OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `session` is NULL or a session that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_unbind(session: *mut octrt_session) -> *mut octrt_error {
    let body = |state: &mut State, _: &octrt_canceller| {
        state.bound_inputs.fill(None);
        state.bound_outputs.fill(None);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

/// Runs the model on the buffers that were bound, as octrt_session_run.
///
/// # Safety
/// `session` is NULL or a session that was not freed; the buffers bound are as large as they were said to be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_run_bound(session: *mut octrt_session) -> *mut octrt_error {
    let body = |state: &mut State, canceller: &octrt_canceller| {
        let bound = |views: &[Option<View>]| views.iter().flatten().cloned().collect::<Vec<View>>();
        let (inputs, outputs) = (bound(&state.bound_inputs), bound(&state.bound_outputs));
        // SAFETY: the caller's promise.
        unsafe { run(state, canceller, inputs, outputs) }
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

/// The inputs with their names, after they got the shapes that they do not have themselves.
///
/// # Safety
/// As [`View::input`].
pub(crate) unsafe fn named<'a>(
    ports: &'a [PortInfo],
    inputs: &'a [View],
) -> Result<Vec<(&'a str, TensorRef<'a>)>, Failure> {
    // SAFETY: the caller's promise.
    inputs.iter().map(|v| Ok((ports[v.port].name.as_str(), unsafe { v.input()? }))).collect()
}

/// # Safety
/// The buffers of inputs may be read during the call, those of outputs are used by nobody else.
unsafe fn run(
    state: &mut State,
    canceller: &octrt_canceller,
    mut inputs: Vec<View>,
    mut outputs: Vec<View>,
) -> Result<(), Failure> {
    let _running = canceller.start()?;
    state.is_current.fill(false);
    let model = state.session.model().clone();
    for input in &mut inputs {
        input.shaped(|port| state.input_shape(port))?;
    }
    check_overlaps(&inputs, &outputs)?;
    let is_held =
        |v: &View| state.held.iter().flatten().any(|t| v.touches(t.bytes().as_ptr().addr(), t.bytes().len()));
    if inputs.iter().chain(&outputs).any(is_held) {
        let message = "a tensor lies in the session's own memory, which the run overwrites: copy it first";
        return Err(Failure::argument(message));
    }
    // SAFETY: the caller's promise.
    let inputs = unsafe { named(model.inputs(), &inputs)? };
    let prepared = state.session.prepare_for(&inputs);
    state.update_outputs();
    prepared?;
    for output in &mut outputs {
        output.shaped(|port| state.outputs().get(port).map(|t| t.shape.clone()))?;
    }
    let mut given = vec![false; model.outputs().len()];
    let mut targets: Vec<(&str, TensorMut<'_>)> = Vec::new();
    for view in &outputs {
        if std::mem::replace(&mut given[view.port], true) {
            return Err(InputError::Duplicate { name: model.outputs()[view.port].name.clone() }.into());
        }
        // SAFETY: the caller's promise, and no output overlaps another.
        targets.push((&model.outputs()[view.port].name, unsafe { view.output()? }));
    }
    make_room(state, model.outputs(), &given)?;
    for ((held, port), given) in state.held.iter_mut().zip(model.outputs()).zip(&given) {
        if let (Some(tensor), false) = (held, *given) {
            targets.push((&port.name, tensor.view_mut()));
        }
    }
    state.session.run_into(&inputs, &mut targets).inspect_err(|e| tracing::error!("run: {e}"))?;
    tracing::trace!("run: done");
    state.is_current = given.iter().map(|given| !given).collect();
    Ok(())
}

/// Makes memory for the outputs that the caller gives none for.
fn make_room(state: &mut State, ports: &[PortInfo], given: &[bool]) -> Result<(), Failure> {
    for (i, (port, given)) in ports.iter().zip(given).enumerate() {
        let Some(shape) = state.outputs().get(i).map(|t| t.shape.clone()) else { continue };
        if !given && state.held[i].as_ref().is_none_or(|t| t.shape() != shape) {
            state.held[i] = Some(Tensor::zeros(port.dtype, &shape)?);
        }
    }
    Ok(())
}
