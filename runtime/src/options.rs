//! What a caller may choose when a model is loaded.

use std::path::PathBuf;

use octrt_compiler::precision::Precision;
use octrt_compiler::target::Target;

use crate::machine;
use crate::records::Records;
use crate::source::FileAccess;
use crate::threads::Threads;

/// What a caller may choose when a model is loaded:
///
/// ```
/// use octrt::{LoadOptions, Precision, Threads};
///
/// # fn main() -> Result<(), octrt::Error> {
/// let options = LoadOptions::default().with_threads(Threads::new(2)?).with_precision(Precision::Strict);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The machine to compile for; none stands for the one that the program runs on, by [`detect_target`](crate::detect_target),
    /// by what the model computes, or, where [`records`](LoadOptions::records) tell how fast the model is with each, by them.
    /// Code for a newer one can be compiled, but not run.
    pub target: Option<Target>,
    /// How exact the algorithms of compiled code must be.
    pub precision: Precision,
    /// Bytes that a model's file may have, that all tensors of one run may have together, and that the weights and the
    /// arena of a session may take. The default is half of the memory that this process may use.
    pub max_memory: usize,
    /// How the files of the model come into memory.
    pub file_access: FileAccess,
    /// A folder in which compiled models are kept, so that a model that was loaded before for the same shapes and options
    /// starts faster. It is made, for the user alone, when it does not exist. Whoever may write there decides what
    /// models compute, so a folder that others may write to is not used. Whatever goes wrong with the folder is told in
    /// the log and otherwise ignored. Nothing is ever removed from it but what a process left half written; it may be
    /// emptied at any time.
    pub cache_dir: Option<PathBuf>,
    /// The threads of the model's sessions. The default is the calling thread.
    pub threads: Threads,
    /// What was measured on this machine, by which the compiler decides. A model that was compiled before keeps what it was
    /// compiled with.
    pub records: Records,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            target: None,
            precision: Precision::Default,
            max_memory: machine::default_memory_limit(),
            file_access: FileAccess::Map,
            cache_dir: None,
            threads: Threads::one(),
            records: Records::default(),
        }
    }
}

impl LoadOptions {
    /// With this [`target`](LoadOptions::target).
    #[must_use]
    pub fn with_target(mut self, target: impl Into<Option<Target>>) -> Self {
        self.target = target.into();
        self
    }

    /// With this [`precision`](LoadOptions::precision).
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// With this [`max_memory`](LoadOptions::max_memory).
    #[must_use]
    pub fn with_max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = bytes;
        self
    }

    /// With this [`file_access`](LoadOptions::file_access).
    #[must_use]
    pub fn with_file_access(mut self, file_access: FileAccess) -> Self {
        self.file_access = file_access;
        self
    }

    /// With this [`cache_dir`](LoadOptions::cache_dir).
    #[must_use]
    pub fn with_cache_dir(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.cache_dir = folder.into();
        self
    }

    /// With these [`threads`](LoadOptions::threads).
    #[must_use]
    pub fn with_threads(mut self, threads: Threads) -> Self {
        self.threads = threads;
        self
    }

    /// With these [`records`](LoadOptions::records).
    #[must_use]
    pub fn with_records(mut self, records: Records) -> Self {
        self.records = records;
        self
    }
}
