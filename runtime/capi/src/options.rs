//! How a model is loaded.

use std::ffi::{c_char, c_void};
use std::mem::{MaybeUninit, offset_of};
use std::path::PathBuf;

use octrt::{FileAccess, LoadOptions, Records, Threads};
use octrt_compiler::precision::Precision;

use crate::error::{Failure, OCTRT_E_THREADS};
use crate::log::{Log, OCTRT_LOG_OFF, octrt_log_fn};
use crate::sized::{self, CStruct};
use crate::text;

/// Direct convolution, and Winograd's algorithm where it is faster: where the inputs of a convolution are of about one size,
/// no result is off by more than 1e-5 of the root mean square of all.
pub const OCTRT_PRECISION_DEFAULT: i32 = 0;
/// Direct convolution only.
pub const OCTRT_PRECISION_STRICT: i32 = 1;

/// How a model is loaded. Start with OCTRT_OPTIONS_INIT, then change fields. The struct and its strings belong to the
/// caller and are not used after the call that they are handed to; `log` and `log_data` are, until the model and all of
/// its sessions are freed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct octrt_options {
    /// sizeof(octrt_options).
    pub struct_size: usize,
    /// Threads that share the work of a run: 1 for the caller's thread alone, 0 for as many as the process may use.
    pub threads: i32,
    /// OCTRT_PRECISION_*.
    pub precision: i32,
    /// Bytes that the model's file may have, that all tensors of a run may have together, and that the weights and the
    /// arena of a session may take; 0 for half of the memory that the process may use.
    pub max_memory: u64,
    /// Folder in which compiled models are kept, so that they load faster the next time; NULL for none. Made when it does
    /// not exist; not used when others than the user may write to it.
    pub cache_dir: *const c_char,
    /// OCTRT_LOG_*: what `log` gets.
    pub log_level: i32,
    /// 0 maps the files of the model, which nobody may change then while it exists; 1 reads them.
    pub copy_file: i32,
    /// Gets what calls on the model and its sessions tell; NULL for nothing. See octrt_log_fn.
    pub log: octrt_log_fn,
    /// Handed to `log`, from every thread that uses the model.
    pub log_data: *mut c_void,
    /// File of what `octrt tune` has measured on this machine, by which the compiler decides; NULL for none. What of it is
    /// of another machine or of another version is not used, and told as OCTRT_LOG_WARN.
    pub records: *const c_char,
}

// SAFETY: integers, pointers and a nullable function, the defaults of which are 0 from `cache_dir` on.
unsafe impl CStruct for octrt_options {
    const NAME: &'static str = "octrt_options";
    const MIN_BYTES: usize = offset_of!(octrt_options, cache_dir);
}

/// Options as the runtime has them.
pub(crate) struct Chosen {
    pub(crate) load: LoadOptions,
    pub(crate) log: Log,
}

/// # Safety
/// As [`sized::read`]; strings end with a zero byte. NULL stands for the defaults.
pub(crate) unsafe fn read(options: *const octrt_options) -> Result<Chosen, Failure> {
    let defaults = LoadOptions::default();
    if options.is_null() {
        return Ok(Chosen { load: defaults, log: Log::off() });
    }
    // SAFETY: the caller's promise.
    let o = unsafe { sized::read(options)? };
    let precision = match o.precision {
        OCTRT_PRECISION_DEFAULT => Precision::Default,
        OCTRT_PRECISION_STRICT => Precision::Strict,
        other => {
            return Err(Failure::argument(format!("precision is {other}: expected OCTRT_PRECISION_*")));
        }
    };
    let file_access = match o.copy_file {
        0 => FileAccess::Map,
        1 => FileAccess::Read,
        other => return Err(Failure::argument(format!("copy_file is {other}: expected 0 or 1"))),
    };
    let max_memory = match o.max_memory {
        0 => defaults.max_memory,
        bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
    };
    // SAFETY: the caller's promise.
    let cache_dir = unsafe { text::optional_path(o.cache_dir) }.map(PathBuf::from);
    let log = Log::new(if o.log.is_some() { o.log_level } else { OCTRT_LOG_OFF }, o.log, o.log_data)?;
    // SAFETY: the caller's promise.
    let records = unsafe { text::optional_path(o.records) };
    let records = log.during(|| records.map_or_else(|| Ok(Records::default()), Records::read))?;
    let threads = threads(o.threads)?;
    let load = defaults
        .with_records(records)
        .with_precision(precision)
        .with_max_memory(max_memory)
        .with_threads(threads)
        .with_cache_dir(cache_dir)
        .with_file_access(file_access);
    Ok(Chosen { load, log })
}

fn threads(count: i32) -> Result<Threads, Failure> {
    let bad = |_| Failure::argument(format!("threads is {count}: expected 0 or more"));
    let count = usize::try_from(count).map_err(bad)?;
    Ok(without_signals(|| Threads::shared(count))??)
}

/// Calls `start` with all signals blocked that a program may handle, so that threads started in it handle none.
fn without_signals<R>(start: impl FnOnce() -> R) -> Result<R, Failure> {
    /// Puts the mask back, also when `start` panics.
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the mask is the one that this thread had.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
    let mut blocked = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are large enough; a set of zeros is a valid one.
    let failed = unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        // Faults of a thread's own, and the signal of profilers.
        for own in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGPROF] {
            libc::sigdelset(blocked.as_mut_ptr(), own);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), before.as_mut_ptr())
    };
    if failed != 0 {
        return Err(Failure::new(OCTRT_E_THREADS, "the signal mask cannot be set"));
    }
    // SAFETY: the call above has filled the set in.
    let _restore = Restore(unsafe { before.assume_init() });
    Ok(start())
}
