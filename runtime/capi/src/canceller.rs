//! What ends the runs of a session.

use std::sync::{Mutex, MutexGuard, TryLockError};

use octrt::CancelToken;

use crate::error::Failure;

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
    pub(crate) fn cancel(&self) -> bool {
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
