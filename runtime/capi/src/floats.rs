//! The floating point state of a thread: the caller's, and the one that Rust code expects.

use std::arch::asm;
use std::cell::Cell;
use std::ptr;

/// MXCSR as Rust code expects it: round to nearest, all exceptions masked, denormals kept.
pub(crate) const DEFAULT_MXCSR: u32 = 0x1f80;

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
pub(crate) fn with_default_floats<R>(body: impl FnOnce() -> R) -> R {
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
