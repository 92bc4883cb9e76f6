//! The border between C and Rust: no panic leaves, and the floating point state that comes in goes out.

use std::arch::asm;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::error::{Failure, OCTRT_E_INTERNAL, octrt_error};
use crate::log::Log;

/// MXCSR as Rust code expects it: round to nearest, all exceptions masked, denormals kept.
const DEFAULT_MXCSR: u32 = 0x1f80;

/// MXCSR and the x87 environment: control, status and tag word and the addresses of the last instruction.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct FloatState {
    x87: [u8; 28],
    mxcsr: u32,
}

impl FloatState {
    /// The state of this thread, which afterwards is the default one.
    fn exchange_for_default() -> Self {
        let mut state = FloatState { x87: [0; 28], mxcsr: 0 };
        let default = DEFAULT_MXCSR;
        // SAFETY: the three addresses are those of memory large enough for what the instructions store and load, and the
        // state after them is the one that Rust code expects.
        unsafe {
            asm!(
                "fnstenv [{x87}]",
                "fninit",
                "stmxcsr [{mxcsr}]",
                "ldmxcsr [{default}]",
                x87 = in(reg) state.x87.as_mut_ptr(),
                mxcsr = in(reg) &raw mut state.mxcsr,
                default = in(reg) &raw const default,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                options(nostack),
            );
        }
        state
    }

    fn restore(&self) {
        // SAFETY: both addresses hold what `exchange_for_default` stored. Rust code that runs with this state until the
        // border is reached computes with integers only.
        unsafe {
            asm!(
                "fldenv [{x87}]",
                "ldmxcsr [{mxcsr}]",
                x87 = in(reg) self.x87.as_ptr(),
                mxcsr = in(reg) &raw const self.mxcsr,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                options(nostack),
            );
        }
    }
}

thread_local! {
    /// The state with which the caller came into the innermost call of this thread; null outside of calls.
    static CALLER: Cell<*const FloatState> = const { Cell::new(ptr::null()) };
}

/// Runs `body` with the default floating point state and restores the caller's, also when `body` panics.
fn with_default_floats<R>(body: impl FnOnce() -> R) -> R {
    struct Restore<'a> {
        state: &'a FloatState,
        outer: *const FloatState,
    }
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            CALLER.set(self.outer);
            self.state.restore();
        }
    }
    let state = FloatState::exchange_for_default();
    let _restore = Restore { state: &state, outer: CALLER.replace(&raw const state) };
    body()
}

/// Calls back into the caller's code, with the caller's floating point state.
pub(crate) fn call_back(callback: impl FnOnce()) {
    let caller = CALLER.get();
    if caller.is_null() {
        return callback();
    }
    // SAFETY: the pointer is to a variable of a `with_default_floats` further up this thread's stack.
    let state = unsafe { *caller };
    let ours = FloatState::exchange_for_default();
    state.restore();
    callback();
    FloatState::exchange_for_default();
    ours.restore();
}

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
    use super::*;
    use crate::error::{octrt_error_code, octrt_error_free};

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
