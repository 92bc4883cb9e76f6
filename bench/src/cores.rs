//! Threads pinned to cores.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Why threads cannot be pinned.
#[derive(Debug, thiserror::Error)]
pub enum CoresError {
    /// More threads than cores.
    #[error("{wanted} threads need a core each, and this process may use {allowed}")]
    TooFew {
        /// Threads.
        wanted: usize,
        /// Cores that the process may use.
        allowed: usize,
    },
    /// The system refuses.
    #[error("threads cannot be pinned to cores: {0}")]
    System(#[from] rustix::io::Errno),
}

/// The cores that this thread could use when this was made, in ascending order; `taskset` takes some away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// Those of the calling thread.
    ///
    /// # Errors
    /// [`CoresError::System`].
    pub fn allowed() -> Result<Self, CoresError> {
        let set = sched_getaffinity(None)?;
        Ok(Cores((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect()))
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Pins the calling thread, and those that it starts from now on, to the last `count` of these cores.
    ///
    /// # Errors
    /// [`CoresError`]
    pub fn pin(&self, count: usize) -> Result<(), CoresError> {
        let allowed = self.count();
        let from = allowed.checked_sub(count).ok_or(CoresError::TooFew { wanted: count, allowed })?;
        let mut set = CpuSet::new();
        self.0[from..].iter().for_each(|&core| set.set(core));
        Ok(sched_setaffinity(None, &set)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_pinned_to_the_last_cores() {
        let pinned = std::thread::spawn(|| {
            let cores = Cores::allowed().unwrap();
            cores.pin(1).unwrap();
            let one = std::thread::spawn(Cores::allowed).join().unwrap().unwrap();
            assert_eq!(one.0, [*cores.0.last().unwrap()]);
            let error = one.pin(2).unwrap_err().to_string();
            assert_eq!(error, "2 threads need a core each, and this process may use 1");
            cores.pin(cores.count()).unwrap();
            assert_eq!(Cores::allowed().unwrap(), cores);
        });
        pinned.join().unwrap();
    }
}
