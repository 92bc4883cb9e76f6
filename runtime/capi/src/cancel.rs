//! Ending a run from another thread.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use octrt::CancelToken;

use crate::error::{Failure, octrt_error};
use crate::guard;
use crate::session::octrt_session;
use crate::text;

/// Ends the runs of one session from other threads. Counts its references, and may outlive its session.
pub struct octrt_canceller {
    /// Whether a run is going on.
    running: Mutex<bool>,
    token: CancelToken,
    process: u32,
}

impl octrt_canceller {
    pub(crate) fn new(token: CancelToken) -> Self {
        octrt_canceller { running: Mutex::new(false), token, process: std::process::id() }
    }

    /// Locks the flag, which others hold for a few instructions only. None in a child of a fork that happened within them.
    fn lock(&self) -> Option<MutexGuard<'_, bool>> {
        loop {
            match self.running.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(e)) => return Some(e.into_inner()),
                Err(TryLockError::WouldBlock) if self.process == std::process::id() => {
                    std::thread::yield_now();
                }
                Err(TryLockError::WouldBlock) => return None,
            }
        }
    }

    /// Begins a run, which can be cancelled until the result is dropped.
    pub(crate) fn start(&self) -> Result<Running<'_>, Failure> {
        let mut running = self.lock().ok_or_else(Failure::forked)?;
        self.token.reset();
        *running = true;
        Ok(Running(self))
    }

    /// Ends the run that is going on, if there is one.
    fn cancel(&self) -> bool {
        let Some(running) = self.lock() else { return false };
        if *running {
            self.token.cancel();
        }
        *running
    }
}

/// A run that is going on.
pub(crate) struct Running<'a>(&'a octrt_canceller);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(mut running) = self.0.lock() {
            *running = false;
        }
    }
}

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
