//! Scores to classes, classes to names.

use std::ffi::{CString, c_char};
use std::ptr;

use octrt::classify::{self, Scores};
use octrt::{InputError, Labels};

use crate::error::{Failure, c_string, octrt_error};
use crate::guard;
use crate::model::octrt_model;
use crate::picture::side_file_of;
use crate::sized;
use crate::tensor::{View, octrt_tensor};
use crate::text;

/// The names of the classes of a model. Never changes; may be used by any number of threads at a time.
pub struct octrt_labels {
    names: Vec<CString>,
}

/// Finds the names of the classes: in a file, in the side file, or in the model's metadata "octrt.labels", as `octrt run`
/// does.
///
/// model      needed during the call only
/// path       a file with a name a line; NULL for none
/// side_file  as in octrt_picture_options
/// labels     gets the names, which octrt_labels_free frees, or NULL when there are none; unchanged on error
///
/// Any thread. Errors: OCTRT_E_IO, OCTRT_E_CORRUPT, OCTRT_E_LIMIT, OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid; texts end with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_labels_find(
    model: *const octrt_model,
    path: *const c_char,
    side_file: *const c_char,
    labels: *mut *mut octrt_labels,
) -> *mut octrt_error {
    guard::call(None, || {
        // SAFETY: the caller's promise.
        let (model, path, side_file) = unsafe {
            (text::object(model, "model")?, text::optional_path(path), text::optional_path(side_file))
        };
        if labels.is_null() {
            return Err(Failure::null("labels"));
        }
        let side = side_file_of(model, side_file)?;
        let found = Labels::find(path, side.as_ref(), model.model.metadata())?;
        let made = found.map_or(ptr::null_mut(), |l| {
            Box::into_raw(Box::new(octrt_labels { names: l.names().iter().map(|n| c_string(n)).collect() }))
        });
        // SAFETY: not NULL, and the caller's promise.
        unsafe { labels.write(made) };
        Ok(())
    })
}

/// Number of names; 0 for NULL. Any thread.
///
/// # Safety
/// `labels` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_labels_count(labels: *const octrt_labels) -> usize {
    // SAFETY: the caller's promise.
    unsafe { labels.as_ref() }.map_or(0, |l| l.names.len())
}

/// The name of a class. The text belongs to the labels. NULL when the class has none, and for NULL. Any thread.
///
/// # Safety
/// `labels` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_labels_name(labels: *const octrt_labels, class_index: i64) -> *const c_char {
    // SAFETY: the caller's promise.
    let labels = unsafe { labels.as_ref() };
    let name = labels.zip(usize::try_from(class_index).ok()).and_then(|(l, i)| l.names.get(i));
    name.map_or(ptr::null(), |n| n.as_ptr())
}

/// Frees labels. NULL is allowed. Any thread.
///
/// # Safety
/// `labels` is NULL or was not freed, and no call uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_labels_free(labels: *mut octrt_labels) {
    guard::value((), || {
        if !labels.is_null() {
            // SAFETY: the pointer came from `Box::into_raw`, and the caller gives it up.
            drop(unsafe { Box::from_raw(labels) });
        }
    });
}

/// The best classes of one picture.
///
/// model          which says whether the scores are probabilities, their logarithms, or any numbers: those go through
///                softmax
/// output         which output of the model the scores are
/// scores         floats of shape (C), (1, C) or (1, C, 1, 1), as octrt_session_output fills them in
/// k              room in the arrays
/// classes        gets min(k, C) indices of classes, best first; of equals the smaller index first; unchanged on error
/// probabilities  gets as many numbers from 0 to 1; may be NULL
/// count          gets min(k, C); may be NULL
///
/// Any thread. Errors: OCTRT_E_INPUT when the scores have another shape or type; OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid, the arrays have room for `k` elements, and the scores are as large as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_top_k(
    model: *const octrt_model,
    output: usize,
    scores: *const octrt_tensor,
    k: usize,
    classes: *mut i64,
    probabilities: *mut f64,
    count: *mut usize,
) -> *mut octrt_error {
    guard::call(None, || {
        // SAFETY: the caller's promise.
        let model = &unsafe { text::object(model, "model")? }.model;
        if classes.is_null() && k > 0 {
            return Err(Failure::null("classes"));
        }
        let outputs = model.outputs();
        let Some(port) = outputs.get(output) else {
            return Err(Failure::argument(format!(
                "there is no output {output}, the model has {}",
                outputs.len()
            )));
        };
        // SAFETY: the caller's promise.
        let mut view = unsafe { View::new(&sized::read(scores)?, output, outputs, "output")? };
        view.shaped(|_| fixed_shape(port))?;
        // SAFETY: the caller's promise.
        let tensor = unsafe { view.input()? };
        let no_scores = || {
            let message =
                format!("output '{}': expected scores of classes, floats [1,C], [1,C,1,1] or [C]", port.name);
            InputError::Elements(message)
        };
        let all = classify::probabilities(tensor, 1, Scores::of(model, output)).ok_or_else(no_scores)?;
        let best = classify::top(all.first().ok_or_else(no_scores)?, k, None);
        for (i, class) in best.iter().enumerate() {
            // SAFETY: there are at most `k`, for which the caller has room.
            unsafe {
                classes.add(i).write(i64::try_from(class.index).unwrap_or(i64::MAX));
                if !probabilities.is_null() {
                    probabilities.add(i).write(class.probability);
                }
            }
        }
        if !count.is_null() {
            // SAFETY: not NULL, and the caller's promise.
            unsafe { count.write(best.len()) };
        }
        Ok(())
    })
}

/// The shape of an output, where the model fixes it.
fn fixed_shape(port: &octrt::PortInfo) -> Option<Vec<usize>> {
    let fixed = |d: &octrt_ops::Dim| match d {
        octrt_ops::Dim::Fixed(n) => Some(*n),
        octrt_ops::Dim::Dynamic(_) => None,
    };
    port.dims.as_ref()?.iter().map(fixed).collect()
}
