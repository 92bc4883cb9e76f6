//! Threads that share the work of a run.

use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};
use std::time::Duration;

mod crew;
mod queue;

use crew::{After, Crew, alone};
pub(crate) use crew::{End, Steps};
use queue::Queue;

use crate::error::Error;

/// Parts per thread into which a step is cut, so that a thread which is late holds up little, and a single one asks often
/// enough whether its run was cancelled.
const PARTS_PER_THREAD: usize = 8;

/// The threads that run a model: the caller alone, or a pool in which the caller waits. Clones are the same threads;
/// several models may share them. A pool carries one run at a time, first come first served.
#[derive(Clone, Debug, Default)]
pub struct Threads(Option<Arc<Pool>>);

#[derive(Debug)]
struct Pool {
    workers: ManuallyDrop<rayon::ThreadPool>,
    queue: Queue,
    /// The process that has the workers: a fork of it has none.
    process: u32,
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // SAFETY: the pool is not used after its drop.
            unsafe { ManuallyDrop::drop(&mut self.workers) }
        }
        // Without its workers, a lock that one of them held would never be free: the memory is given up.
    }
}

/// Pools that [`Threads::shared`] has made.
static SHARED: Mutex<Vec<Weak<Pool>>> = Mutex::new(Vec::new());

impl Threads {
    /// The most threads that [`Threads::new`] starts.
    pub const MAX: usize = 1024;

    /// The calling thread alone.
    pub const fn one() -> Self {
        Threads(None)
    }

    /// `count` threads; 1 is [`Threads::one`], 0 stands for as many as the process may use at the same time: those of its
    /// processor set, or fewer where a control group gives it less time.
    ///
    /// # Errors
    /// [`Error::Threads`] when there are more than [`Threads::MAX`] or the system does not start them.
    pub fn new(count: usize) -> Result<Self, Error> {
        let count = resolve(count)?;
        if count == 1 {
            return Ok(Threads(None));
        }
        let workers = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("octrt-{i}"))
            .build()
            .map_err(|e| Error::Threads { threads: count, message: e.to_string() })?;
        let (workers, process) = (ManuallyDrop::new(workers), std::process::id());
        Ok(Threads(Some(Arc::new(Pool { workers, queue: Queue::default(), process }))))
    }

    /// As [`Threads::new`], but the same threads for all who ask for as many, as long as somebody has them: programs in
    /// which several parts load models do not start more threads than they have use for.
    ///
    /// # Errors
    /// As [`Threads::new`].
    pub fn shared(count: usize) -> Result<Self, Error> {
        let count = resolve(count)?;
        if count == 1 {
            return Ok(Threads(None));
        }
        // After a fork, a lock that another thread held stays locked: then these threads are not shared.
        let Some(mut pools) = lock_for(&SHARED, Duration::from_secs(1)) else { return Threads::new(count) };
        pools.retain(|p| p.strong_count() > 0);
        let fits =
            |p: &Arc<Pool>| p.process == std::process::id() && p.workers.current_num_threads() == count;
        if let Some(pool) = pools.iter().filter_map(Weak::upgrade).find(fits) {
            return Ok(Threads(Some(pool)));
        }
        let threads = Threads::new(count)?;
        pools.extend(threads.0.as_ref().map(Arc::downgrade));
        Ok(threads)
    }

    /// Number of threads that work on a run.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |p| p.workers.current_num_threads())
    }

    /// Into how many parts an axis of this extent is cut.
    pub(crate) fn parts(&self, extent: usize) -> usize {
        self.count().saturating_mul(PARTS_PER_THREAD).clamp(1, extent.max(1))
    }

    /// Carries out `steps`, calling `after` between them: here, or in the pool when its turn has come.
    ///
    /// # Errors
    /// [`Error::Forked`] in a process that has the pool from its parent, but not its workers.
    pub(crate) fn run<E: Send>(&self, steps: &impl Steps, after: After<'_, E>) -> Result<End<E>, Error> {
        let Some(pool) = &self.0 else { return Ok(alone(steps, 0, after)) };
        self.in_pool(pool, || {
            let worker = || rayon::current_thread_index().unwrap_or(0);
            let workers = pool.workers.current_num_threads();
            let crew = Crew::new(steps, workers);
            rayon::in_place_scope(|s| {
                for _ in 1..workers {
                    s.spawn(|_| crew.help(worker()));
                }
                crew.lead(worker(), after)
            })
        })
    }

    /// Calls `job` on every item, at the same time where there are threads that have nothing else to do, and gives the
    /// results in order. Never waits for a run, which may wait for what the caller has locked.
    pub(crate) fn map<T: Send, R: Send>(&self, items: Vec<T>, job: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
        use rayon::prelude::*;
        let alone = |items: Vec<T>, job: &dyn Fn(T) -> R| items.into_iter().map(job).collect();
        let Some(pool) = self.0.as_ref().filter(|p| p.process == std::process::id()) else {
            return alone(items, &job);
        };
        match pool.queue.try_now().filter(|_| rayon::current_thread_index().is_none()) {
            Some(_turn) => pool.workers.install(|| items.into_par_iter().with_max_len(1).map(job).collect()),
            None => alone(items, &job),
        }
    }

    fn in_pool<R: Send>(&self, pool: &Pool, run: impl FnOnce() -> R + Send) -> Result<R, Error> {
        if pool.process != std::process::id() {
            let message = format!("the {} worker threads are not in this process, which", self.count());
            return Err(Error::Forked(message));
        }
        if pool.workers.current_thread_index().is_some() {
            // An observer starts a run inside a run, which has the turn.
            return Ok(run());
        }
        let _turn = pool.queue.wait();
        if rayon::current_thread_index().is_none() {
            return Ok(pool.workers.install(run));
        }
        // A worker of another pool would take up other work of that pool while it waits. If that work is a run too, it
        // would wait for the turn that lies below it on the same stack. A thread that belongs to no pool just sleeps.
        std::thread::scope(|s| match s.spawn(|| pool.workers.install(run)).join() {
            Ok(r) => Ok(r),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

fn resolve(count: usize) -> Result<usize, Error> {
    match count {
        0 => Ok(std::thread::available_parallelism().map_or(1, usize::from).min(Threads::MAX)),
        n if n > Threads::MAX => {
            Err(Error::Threads { threads: n, message: format!("at most {} are possible", Threads::MAX) })
        }
        n => Ok(n),
    }
}

/// Locks `mutex`, unless that takes longer than `patience`.
pub(crate) fn lock_for<T>(mutex: &Mutex<T>, patience: Duration) -> Option<MutexGuard<'_, T>> {
    let pause = Duration::from_millis(1);
    for _ in 0..=patience.as_millis() {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(e)) => return Some(e.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
        }
    }
    None
}

/// Part `i` of an axis that is cut into `parts` of about the same length.
pub(crate) fn part_of(extent: usize, parts: usize, i: usize) -> Range<usize> {
    let at = |i: usize| (extent as u128 * i as u128 / parts as u128) as usize;
    at(i)..at(i + 1)
}

/// Ends a run from another thread: the run fails with [`Error::Cancelled`], and so does every later one until
/// [`CancelToken::reset`]. Clones are the same token.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that has not been cancelled.
    pub fn new() -> Self {
        CancelToken::default()
    }

    /// Asks for the end of the run that has this token, and returns at once. The run ends before the next part of a
    /// step, of which a step has at least eight where it can be cut at all.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Allows runs again.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether it was cancelled, and not reset since.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
