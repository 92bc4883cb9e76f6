//! Ending a run from another thread.

use std::sync::Arc;

use crate::canceller::octrt_canceller;
use crate::error::{Failure, octrt_error};
use crate::guard;
use crate::state::octrt_session;
use crate::text;

/// Makes the handle with which other threads end runs of a session.
///
/// session    whose runs; may be at work
/// canceller  gets the handle, which octrt_canceller_release gives back; unchanged on error
///
/// Any thread. Errors: OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid, and the session is not freed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_session_canceller(
    session: *const octrt_session,
    canceller: *mut *mut octrt_canceller,
) -> *mut octrt_error {
    guard::call(None, || {
        // SAFETY: the caller's promise.
        let session = unsafe { text::object(session, "session")? };
        if canceller.is_null() {
            return Err(Failure::null("canceller"));
        }
        let handle = Arc::into_raw(session.canceller.clone()).cast_mut();
        // SAFETY: not NULL, and the caller's promise.
        unsafe { canceller.write(handle) };
        Ok(())
    })
}

/// Ends the run of the session that is going on, which then returns OCTRT_E_CANCELLED, and returns at once. Returns 1 when
/// there was such a run, 0 when there was none: then nothing happens, and later runs are not affected. Also 0 for NULL.
/// A run that is about to return may still succeed. A run that compiles ends when that is done. Any thread; not from a signal handler.
///
/// # Safety
/// `canceller` is NULL or a handle that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_cancel(canceller: *const octrt_canceller) -> i32 {
    // SAFETY: the caller's promise.
    guard::value(0, || unsafe { canceller.as_ref() }.map_or(0, |c| i32::from(c.cancel())))
}

/// One more reference, which octrt_canceller_release gives back. Returns the handle; NULL for NULL. Any thread.
///
/// # Safety
/// `canceller` is NULL or a handle that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_canceller_retain(canceller: *mut octrt_canceller) -> *mut octrt_canceller {
    if !canceller.is_null() {
        // SAFETY: the pointer came from `Arc::into_raw`, and the caller has a reference.
        unsafe { Arc::increment_strong_count(canceller.cast_const()) };
    }
    canceller
}

/// Gives a reference back. NULL is allowed. Any thread.
///
/// # Safety
/// `canceller` is NULL or a handle that the caller has a reference to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_canceller_release(canceller: *mut octrt_canceller) {
    guard::value((), || {
        if !canceller.is_null() {
            // SAFETY: the pointer came from `Arc::into_raw`, and the caller has a reference.
            drop(unsafe { Arc::from_raw(canceller.cast_const()) });
        }
    });
}
