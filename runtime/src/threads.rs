//! Threads that share the work of a run.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
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

/// The threads that run a model: the caller alone, or the caller and a pool that helps it. Clones are the same threads;
/// several models may share them. A pool helps one run at a time, first come first served.
#[derive(Clone, Debug, Default)]
pub struct Threads(Option<Arc<Pool>>);

#[derive(Debug)]
struct Pool {
    /// One fewer than the threads of a run.
    helpers: ManuallyDrop<rayon::ThreadPool>,
    queue: Queue,
    /// The process that has the helpers: a fork of it has none.
    process: u32,
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // SAFETY: the pool is not used after its drop.
            unsafe { ManuallyDrop::drop(&mut self.helpers) }
        }
        // Without its helpers, a lock that one of them held would never be free: the memory is given up.
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
        let helpers = rayon::ThreadPoolBuilder::new()
            .num_threads(count - 1)
            .thread_name(|i| format!("octrt-{}", i + 1))
            .build()
            .map_err(|e| Error::Threads { threads: count, message: e.to_string() })?;
        let (helpers, process) = (ManuallyDrop::new(helpers), std::process::id());
        Ok(Threads(Some(Arc::new(Pool { helpers, queue: Queue::default(), process }))))
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
        let fits = |p: &Arc<Pool>| p.process == std::process::id() && p.threads() == count;
        if let Some(pool) = pools.iter().filter_map(Weak::upgrade).find(fits) {
            return Ok(Threads(Some(pool)));
        }
        let threads = Threads::new(count)?;
        pools.extend(threads.0.as_ref().map(Arc::downgrade));
        Ok(threads)
    }

    /// Number of threads that work on a run.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |p| p.threads())
    }

    /// Into how many parts an axis of this extent is cut.
    pub(crate) fn parts(&self, extent: usize) -> usize {
        self.count().saturating_mul(PARTS_PER_THREAD).clamp(1, extent.max(1))
    }

    /// Carries out `steps`, calling `after` between them, when the pool's turn has come. The caller leads: it waits for no
    /// other thread to begin, and finds in its caches what it left there in the run before.
    ///
    /// # Errors
    /// [`Error::Forked`] in a process that has the pool from its parent, but not its helpers.
    pub(crate) fn run<E: Send>(&self, steps: &impl Steps, after: After<'_, E>) -> Result<End<E>, Error> {
        let Some(pool) = &self.0 else { return Ok(alone(steps, 0, after)) };
        if pool.process != std::process::id() {
            let message = format!("the {} worker threads are not in this process, which", self.count());
            return Err(Error::Forked(message));
        }
        if pool.is_running_here() {
            // An observer starts a run inside a run, which has the turn, and the helpers: those that it waits for.
            return Ok(alone(steps, 0, after));
        }
        let _turn = pool.queue.wait();
        Ok(pool.on_a_thread_of_its_own(|| {
            let crew = Crew::new(steps, pool.threads());
            pool.helpers.in_place_scope(|s| {
                for worker in 1..pool.threads() {
                    let crew = &crew;
                    s.spawn(move |_| crew.help(worker));
                }
                let _running = Running::begin(pool);
                crew.lead(0, after)
            })
        }))
    }

    /// Calls `job` on every item, at the same time where there are threads that have nothing else to do, and gives the
    /// results in order. Never waits for a run, which may wait for what the caller has locked.
    pub(crate) fn map<T: Send, R: Send>(&self, items: Vec<T>, job: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
        let alone = |items: Vec<T>, job: &dyn Fn(T) -> R| items.into_iter().map(job).collect();
        let Some(pool) = self.0.as_ref().filter(|p| p.process == std::process::id()) else {
            return alone(items, &job);
        };
        let Some(_turn) = pool.queue.try_now().filter(|_| rayon::current_thread_index().is_none()) else {
            return alone(items, &job);
        };
        let count = items.len();
        let (next, done) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::with_capacity(count)));
        let work = || {
            loop {
                let item = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((i, item)) = item else { return };
                let result = job(item);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((i, result));
            }
        };
        pool.helpers.in_place_scope(|s| {
            (1..pool.threads()).for_each(|_| s.spawn(|_| work()));
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(i, _)| *i);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

thread_local! {
    /// The pools whose runs this thread leads, the innermost last.
    static LEADS: RefCell<Vec<*const Pool>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, this thread leads a run of a pool.
struct Running;

impl Running {
    fn begin(pool: &Pool) -> Running {
        LEADS.with_borrow_mut(|leads| leads.push(pool));
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        LEADS.with_borrow_mut(Vec::pop);
    }
}

impl Pool {
    /// Threads of a run.
    fn threads(&self) -> usize {
        self.helpers.current_num_threads() + 1
    }

    /// Whether this thread works on a run of this pool.
    fn is_running_here(&self) -> bool {
        self.helpers.current_thread_index().is_some()
            || LEADS.with_borrow(|leads| leads.iter().any(|p| std::ptr::eq(*p, self)))
    }

    /// Calls `run` on this thread or, where it is a worker of some pool, on another one.
    fn on_a_thread_of_its_own<R: Send>(&self, run: impl FnOnce() -> R + Send) -> R {
        if rayon::current_thread_index().is_none() {
            return run();
        }
        // A worker of another pool would take up other work of that pool while it waits. If that work is a run too, it
        // would wait for the turn that lies below it on the same stack. A thread that belongs to no pool just sleeps.
        std::thread::scope(|s| match s.spawn(run).join() {
            Ok(r) => r,
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
