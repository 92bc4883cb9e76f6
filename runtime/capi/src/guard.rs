//! The border between C and Rust: no panic leaves, and the floating point state that comes in goes out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::error::{Failure, OCTRT_E_INTERNAL, octrt_error};
use crate::floats::with_default_floats;
use crate::log::Log;

/// Runs the body of a function that can fail; `log` gets what it has to tell.
pub(crate) fn call(log: Option<&Log>, body: impl FnOnce() -> Result<(), Failure>) -> *mut octrt_error {
    let run = || match log {
        Some(log) => log.during(body),
        None => body(),
    };
    with_default_floats(|| {
        let result = catch_unwind(AssertUnwindSafe(run));
        let result = result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Failure::new(OCTRT_E_INTERNAL, format!("internal error: panic: {text}; please report it")))
        });
        match result {
            Ok(()) => ptr::null_mut(),
            Err(failure) => failure.into_raw(),
        }
    })
}

/// Runs the body of a function that cannot fail; a panic gives `otherwise`.
pub(crate) fn value<R>(otherwise: R, body: impl FnOnce() -> R) -> R {
    with_default_floats(|| catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise))
}

#[cfg(test)]
mod tests {
    use std::arch::asm;

    use super::*;
    use crate::error::{octrt_error_code, octrt_error_free};
    use crate::floats::DEFAULT_MXCSR;

    #[test]
    fn a_panic_is_an_error_and_the_state_comes_back() {
        let odd: u32 = 0x9f80 | 0x4000;
        // SAFETY: flush to zero and rounding up change no result of this test, and are undone at its end.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const odd) };
        let mut inside = 0u32;
        let error = call(None, || {
            // SAFETY: stores four bytes.
            unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut inside) };
            panic!("expected");
        });
        let mut after = 0u32;
        let default = DEFAULT_MXCSR;
        // SAFETY: stores four bytes and goes back to the default.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) &raw mut after);
            asm!("ldmxcsr [{}]", in(reg) &raw const default);
        }
        assert_eq!((inside & 0xffc0, after), (DEFAULT_MXCSR, odd));
        // SAFETY: the error is ours.
        unsafe {
            assert_eq!(octrt_error_code(error), OCTRT_E_INTERNAL);
            octrt_error_free(error);
        }
    }

    #[test]
    fn a_panic_gives_the_value_of_nothing() {
        assert_eq!(value(7, || panic!("expected")), 7);
    }
}
