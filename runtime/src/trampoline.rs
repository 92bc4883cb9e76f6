//! The only door from Rust into compiled code: an assembled function that sets and restores the floating point mode.
//!
//! Compiled code runs with denormals flushed to zero on both sides (FTZ, DAZ), rounding to nearest and all exceptions
//! masked. Rust code must never run like that, so the mode is set after Rust's last and restored before its next
//! instruction.

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use octrt_compiler::target::{Isa, Target};

/// FTZ (bit 15), DAZ (bit 6), all six exceptions masked (bits 7 to 12), rounding to nearest (bits 13 and 14 clear).
pub(crate) const MXCSR_IN_KERNELS: u32 = 1 << 15 | 1 << 6 | 0x3f << 7;

/// A function of an artifact.
pub(crate) type Kernel = unsafe extern "sysv64" fn(buffers: *const *mut u8, begin: i64, end: i64);

/// `trampoline(kernel, buffers, begin, end)` calls `kernel(buffers, begin, end)`.
pub(crate) type Trampoline =
    unsafe extern "sysv64" fn(kernel: Kernel, buffers: *const *mut u8, begin: i64, end: i64);

/// The bytes of a [`Trampoline`]; position independent.
///
/// The stack is a multiple of 16 at the inner call, as the System V ABI asks. MXCSR comes back bit by bit, its sticky
/// flags included; x87 and the direction flag are not touched. From x86-64-v3 on, the upper halves of the vector
/// registers are cleared, so that kernels need not do it one by one.
pub(crate) fn assemble(target: Target) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(64)?;
    a.push(rbp)?;
    a.mov(rbp, rsp)?;
    a.sub(rsp, 16)?;
    a.stmxcsr(dword_ptr(rsp))?;
    a.mov(dword_ptr(rsp + 4), MXCSR_IN_KERNELS)?;
    a.ldmxcsr(dword_ptr(rsp + 4))?;
    a.mov(rax, rdi)?;
    a.mov(rdi, rsi)?;
    a.mov(rsi, rdx)?;
    a.mov(rdx, rcx)?;
    a.call(rax)?;
    if target.isa >= Isa::V3 {
        a.vzeroupper()?;
    }
    a.ldmxcsr(dword_ptr(rsp))?;
    a.leave()?;
    a.ret()?;
    a.assemble(0)
}
