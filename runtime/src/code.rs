//! Compiled functions in executable memory.

use std::io;
use std::sync::Mutex;

use cranelift_codegen::isa::CallConv;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_jit::{BranchProtection, JITBuilder, JITMemoryKind, JITMemoryProvider, JITModule};
use cranelift_module::{FuncId, Linkage, Module, ModuleError, ModuleResult};
use memmap2::{Mmap, MmapMut};
use octrt_compiler::artifact::{Function, FunctionId};
use octrt_compiler::target::Target;

use crate::error::Error;
use crate::trampoline::{self, Kernel, Trampoline};

/// Largest alignment of a function, in bytes.
const MAX_ALIGN: u32 = 4096;

/// Name of the trampoline among the symbols; no function of an artifact may bear it.
const TRAMPOLINE: &str = "octrt_trampoline";

/// Functions of one artifact, ready to be called. The memory goes back to the system on drop.
pub(crate) struct Code {
    /// Owns the memory of the functions. The lock is never taken: it tells that nothing uses the module any more.
    _module: Mutex<JITModule>,
    trampoline: Trampoline,
    kernels: Vec<Kernel>,
    bytes: usize,
}

impl Code {
    /// Places the functions, with the trampoline for `target`, into one block of executable memory.
    ///
    /// # Errors
    /// [`Error::Artifact`] for an empty function, an impossible alignment or a repeated symbol,
    /// [`Error::NotExecutable`] when the kernel refuses executable memory, [`Error::Memory`] when there is none.
    pub(crate) fn load(functions: &[Function], target: Target) -> Result<Self, Error> {
        let internal = |e: iced_x86::IcedError| Error::Internal(format!("trampoline: {e}"));
        let trampoline = Function {
            symbol: TRAMPOLINE.to_string(),
            alignment: 16,
            bytes: trampoline::assemble(target).map_err(internal)?,
        };
        let all = || functions.iter().chain([&trampoline]);
        let mut total = 0usize;
        for f in all() {
            if f.bytes.is_empty() || !f.alignment.is_power_of_two() || f.alignment > MAX_ALIGN {
                let (bytes, align) = (f.bytes.len(), f.alignment);
                let message = format!("function '{}' has {bytes} bytes and the alignment {align}", f.symbol);
                return Err(Error::Artifact(message));
            }
            // Cranelift may raise the alignment to that of its own functions, which is at most 64.
            total += f.bytes.len() + f.alignment.max(64) as usize;
        }
        let mut module = jit_module(total)?;
        let mut ids = Vec::with_capacity(functions.len() + 1);
        for f in all() {
            ids.push(define(&mut module, f)?);
        }
        module.finalize_definitions().map_err(refused)?;
        let mut addresses: Vec<*const u8> = ids.iter().map(|&id| module.get_finalized_function(id)).collect();
        let last = addresses.pop().ok_or_else(|| Error::Internal("no trampoline".to_string()))?;
        // SAFETY: the last function is the trampoline, whose code has exactly this signature and calling convention;
        // its memory is executable now and lives as long as `module`, which is stored beside the pointer.
        let trampoline = unsafe { std::mem::transmute::<*const u8, Trampoline>(last) };
        // SAFETY: a kernel is not null, and is called only where the caller of `call` vouches for its code; the
        // memory lives as long as `module`.
        let kernel = |p| unsafe { std::mem::transmute::<*const u8, Kernel>(p) };
        let kernels = addresses.into_iter().map(kernel).collect();
        Ok(Code { _module: Mutex::new(module), trampoline, kernels, bytes: total })
    }

    /// Size of the executable memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Runs part `begin..end` of a function on `buffers`.
    ///
    /// # Safety
    /// * The function's code keeps the contract of [`octrt_compiler::artifact`], and the processor has its target.
    /// * `buffers` holds the addresses of all buffers that it expects, each readable, and writable where it writes, in
    ///   the size that it was compiled for.
    /// * Nothing else writes what it reads or touches what it writes during the call.
    /// * `begin <= end <= extent` of the step that it was compiled for.
    pub(crate) unsafe fn call(&self, f: FunctionId, buffers: &[*mut u8], begin: usize, end: usize) {
        let kernel = self.kernels[f.0 as usize];
        // SAFETY: the kernel and the trampoline are complete functions in memory that `self` keeps; the rest is
        // promised by the caller. Extents are at most `isize::MAX`, so they survive the casts.
        unsafe { (self.trampoline)(kernel, buffers.as_ptr(), begin as i64, end as i64) }
    }
}

fn jit_module(code_bytes: usize) -> Result<JITModule, Error> {
    let internal = |e: String| Error::Internal(format!("just-in-time module: {e}"));
    let mut flags = settings::builder();
    for (name, value) in [("use_colocated_libcalls", "false"), ("is_pic", "false")] {
        flags.set(name, value).map_err(|e| internal(e.to_string()))?;
    }
    let isa = cranelift_native::builder()
        .map_err(|e| Error::Target(e.to_string()))?
        .finish(settings::Flags::new(flags))
        .map_err(|e| internal(e.to_string()))?;
    let mut builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    builder.memory_provider(Box::new(CodeMemory::new(code_bytes)?));
    Ok(JITModule::new(builder))
}

fn define(module: &mut JITModule, f: &Function) -> Result<FuncId, Error> {
    let refuse = |e: ModuleError| Error::Artifact(format!("{}: {e}", f.symbol));
    let signature = cranelift_codegen::ir::Signature::new(CallConv::SystemV);
    let id = module.declare_function(&f.symbol, Linkage::Local, &signature).map_err(refuse)?;
    module.define_function_bytes(id, u64::from(f.alignment), &f.bytes, &[]).map_err(refuse)?;
    Ok(id)
}

fn refused(e: ModuleError) -> Error {
    match e {
        ModuleError::Allocation { err } => Error::NotExecutable(err),
        e => Error::Internal(format!("just-in-time module: {e}")),
    }
}

/// One mapping for all functions of a module: written first, then executable and never writable again. Unlike
/// cranelift's own providers it reports a refusal instead of panicking, and frees itself on drop.
struct CodeMemory {
    map: Mapping,
    used: usize,
}

enum Mapping {
    Writable(MmapMut),
    /// Held for its drop, which unmaps it.
    Executable {
        _map: Mmap,
    },
    Freed,
}

impl CodeMemory {
    fn new(bytes: usize) -> Result<Self, Error> {
        let map = MmapMut::map_anon(bytes.max(1)).map_err(|e| Error::Memory {
            what: "compiled code".to_string(),
            bytes,
            why: e.to_string(),
        })?;
        Ok(CodeMemory { map: Mapping::Writable(map), used: 0 })
    }
}

impl JITMemoryProvider for CodeMemory {
    fn allocate(&mut self, size: usize, align: u64, _kind: JITMemoryKind) -> io::Result<*mut u8> {
        let full = || io::Error::other("the block for compiled code is full");
        let Mapping::Writable(map) = &mut self.map else { return Err(full()) };
        let align = usize::try_from(align).map_err(io::Error::other)?;
        if align > MAX_ALIGN as usize {
            return Err(io::Error::other("alignment above one page"));
        }
        let begin = self.used.checked_next_multiple_of(align).ok_or_else(full)?;
        let end = begin.checked_add(size).ok_or_else(full)?;
        self.used = end;
        Ok(map.get_mut(begin..end).ok_or_else(full)?.as_mut_ptr())
    }

    /// # Safety
    /// As [`JITMemoryProvider::free_memory`].
    unsafe fn free_memory(&mut self) {
        self.map = Mapping::Freed;
    }

    fn finalize(&mut self, _protection: BranchProtection) -> ModuleResult<()> {
        self.map = match std::mem::replace(&mut self.map, Mapping::Freed) {
            Mapping::Writable(map) => {
                Mapping::Executable { _map: map.make_exec().map_err(|err| ModuleError::Allocation { err })? }
            }
            other => other,
        };
        Ok(())
    }
}
