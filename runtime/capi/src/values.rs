//! Inputs that decide shapes by what they hold.

use std::ffi::c_void;

use octrt::InputError;

use crate::canceller::octrt_canceller;
use crate::error::{Failure, OCTRT_E_STATE, octrt_error};
use crate::guard;
use crate::model::octrt_model;
use crate::sized;
use crate::state::{Held, State, check_shape, octrt_session, with_state};
use crate::tensor::{View, data_type_code, octrt_tensor};

/// Whether an input decides shapes by what it holds, as the second one of Reshape: 1 or 0. The model is compiled for what it
/// holds, as it is for dimensions; a run with another value than the one before may compile. Where dimensions are not known
/// before a run, an input may decide shapes of which this is not known yet: octrt_session_value tells it after the run. 0
/// when there is no input `index`, and for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a model that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_model_input_decides_shapes(model: *const octrt_model, index: usize) -> i32 {
    // SAFETY: the caller's promise.
    let model = unsafe { model.as_ref() };
    guard::value(0, || model.map_or(0, |m| i32::from(m.model.value_inputs().contains(&index))))
}

/// Sets what an input holds, with its shape, for octrt_session_prepare: needed for those that decide shapes. Runs are not
/// concerned, they get all inputs. Nothing is compiled yet. octrt_session_set_shape with another shape takes it back.
///
/// input  by name; without a name the first input; its elements are copied
///
/// One thread at a time. Errors: OCTRT_E_INPUT, OCTRT_E_MEMORY, OCTRT_E_BUSY, OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `session` is NULL or a session that was not freed; `input` is NULL or valid, and its buffer as large as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_set_value(
    session: *mut octrt_session,
    input: *const octrt_tensor,
) -> *mut octrt_error {
    let body = |state: &mut State, _: &octrt_canceller| {
        let model = state.session.model().clone();
        // SAFETY: the caller's promise.
        let mut view = unsafe { View::new(&sized::read(input)?, 0, model.inputs(), "input")? };
        view.shaped(|port| state.input_shape(port))?;
        let port = &model.inputs()[view.port];
        // SAFETY: the caller's promise.
        let tensor = unsafe { view.input()? };
        if tensor.dtype() != port.dtype {
            let (name, expected) = (port.name.clone(), port.to_string());
            let found = format!("{}{}", tensor.dtype(), octrt_ops::Shape::new(tensor.shape()));
            return Err(InputError::WrongType { name, expected, found }.into());
        }
        check_shape(port, tensor.shape())?;
        let tensor = tensor.to_owned()?;
        state.shapes[view.port] = Some(tensor.shape().to_vec());
        state.values[view.port] = Some(tensor);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}

/// Tells what an input held that the session's code was compiled for: for an input that decides shapes the value that was
/// run or prepared last. `value` is filled in; unchanged on error. Its elements belong to the session: read them until its
/// next run or prepare, or until it is freed.
///
/// One thread at a time. Errors: OCTRT_E_STATE before a run, and when the code does not depend on what the input holds;
/// OCTRT_E_BUSY; OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `session` is NULL or a session that was not freed; `value` is NULL or as large as its struct_size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_value(
    session: *mut octrt_session,
    index: usize,
    value: *mut octrt_tensor,
) -> *mut octrt_error {
    let body = |state: &mut State, _: &octrt_canceller| {
        let count = state.session.model().inputs().len();
        if index >= count {
            return Err(Failure::argument(format!("there is no input {index}, the model has {count}")));
        }
        let on = state.session.specialization().unwrap_or_default();
        let none = || Failure::new(OCTRT_E_STATE, "no code was compiled for what this input holds");
        let tensor = on.values().get(&index).ok_or_else(none)?;
        let slot = &mut state.compiled_for[index];
        let held = match slot {
            Some(held) if held.tensor == *tensor => held,
            _ => {
                let dims = tensor.shape().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
                slot.insert(Held { tensor: tensor.clone(), dims })
            }
        };
        let view = octrt_tensor {
            struct_size: size_of::<octrt_tensor>(),
            dtype: data_type_code(held.tensor.dtype()),
            rank: i32::try_from(held.dims.len()).unwrap_or(i32::MAX),
            dims: held.dims.as_ptr(),
            data: held.tensor.bytes().as_ptr().cast_mut().cast::<c_void>(),
            bytes: held.tensor.bytes().len(),
            name: state.about.input_name(index),
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(value, view) }
    };
    // SAFETY: the caller's promise.
    unsafe { with_state(session, body) }
}
