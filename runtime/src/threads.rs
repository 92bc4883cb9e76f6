//! Threads that share the work of a run.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// Parts per thread into which a step is cut, so that a thread which is late holds up little.
const PARTS_PER_THREAD: usize = 4;

/// The threads that run a model: the caller alone, or a pool in which the caller waits. Clones are the same threads;
/// several models may share them. A pool carries one run at a time, first come first served.
#[derive(Clone, Debug, Default)]
pub struct Threads(Option<Arc<Pool>>);

#[derive(Debug)]
struct Pool {
    workers: rayon::ThreadPool,
    queue: Queue,
}

impl Threads {
    /// The most threads that [`Threads::new`] starts.
    pub const MAX: usize = 1024;

    /// The calling thread alone.
    pub fn one() -> Self {
        Threads(None)
    }

    /// `count` threads; 1 is [`Threads::one`], 0 stands for as many as the process may use at the same time.
    ///
    /// # Errors
    /// [`Error::Threads`] when there are more than [`Threads::MAX`] or the system does not start them.
    pub fn new(count: usize) -> Result<Self, Error> {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        if count == 1 {
            return Ok(Threads(None));
        }
        if count > Self::MAX {
            return Err(Error::Threads {
                threads: count,
                message: format!("at most {} are possible", Self::MAX),
            });
        }
        let workers = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("octrt-{i}"))
            .build()
            .map_err(|e| Error::Threads { threads: count, message: e.to_string() })?;
        Ok(Threads(Some(Arc::new(Pool { workers, queue: Queue::default() }))))
    }

    /// Number of threads that work on a run.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |p| p.workers.current_num_threads())
    }

    /// Calls `run` where [`Threads::for_parts`] is cheap: here, or inside the pool when its turn has come.
    pub(crate) fn enter<R: Send>(&self, run: impl FnOnce() -> R + Send) -> R {
        let Some(pool) = &self.0 else { return run() };
        if pool.workers.current_thread_index().is_some() {
            // An observer starts a run inside a run, which has the turn.
            return run();
        }
        let _turn = pool.queue.wait();
        if rayon::current_thread_index().is_none() {
            return pool.workers.install(run);
        }
        // A worker of another pool would take up other work of that pool while it waits. If that work is a run too, it
        // would wait for the turn that lies below it on the same stack. A thread that belongs to no pool just sleeps.
        std::thread::scope(|s| match s.spawn(|| pool.workers.install(run)).join() {
            Ok(r) => r,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Calls `part` on ranges that together are `0..extent`, each once, at the same time where there are threads.
    pub(crate) fn for_parts(&self, extent: usize, part: &(impl Fn(Range<usize>) + Sync)) {
        let parts = self.count().saturating_mul(PARTS_PER_THREAD).min(extent);
        if self.0.is_none() || parts <= 1 {
            return part(0..extent);
        }
        split(&Cut { extent, parts }, 0..parts, part);
    }
}

/// A range cut evenly.
struct Cut {
    extent: usize,
    parts: usize,
}

impl Cut {
    /// Where part `i` begins and part `i - 1` ends.
    fn at(&self, i: usize) -> usize {
        (self.extent as u128 * i as u128 / self.parts as u128) as usize
    }
}

fn split(cut: &Cut, parts: Range<usize>, part: &(impl Fn(Range<usize>) + Sync)) {
    if parts.len() == 1 {
        return part(cut.at(parts.start)..cut.at(parts.end));
    }
    let middle = parts.start + parts.len() / 2;
    rayon::join(|| split(cut, parts.start..middle, part), || split(cut, middle..parts.end, part));
}

/// Who comes first is served first.
#[derive(Debug, Default)]
struct Queue {
    tickets: Mutex<Tickets>,
    served: Condvar,
}

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    now: u64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until all who came before are done.
    fn wait(&self) -> Turn<'_> {
        let mut tickets = self.lock();
        let mine = tickets.next;
        tickets.next += 1;
        while tickets.now != mine {
            tickets = self.served.wait(tickets).unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }
}

/// A place at the head of the queue, left on drop.
struct Turn<'a>(&'a Queue);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().now += 1;
        self.0.served.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn parts_cover_the_extent_once() {
        for count in [1, 2, 3] {
            let threads = Threads::new(count).unwrap();
            assert_eq!(threads.count(), count);
            for extent in [1, 2, 7, 100] {
                let hits: Vec<AtomicUsize> = (0..extent).map(|_| AtomicUsize::new(0)).collect();
                threads.enter(|| {
                    threads.for_parts(extent, &|r: Range<usize>| {
                        for i in r {
                            hits[i].fetch_add(1, Ordering::Relaxed);
                        }
                    });
                });
                assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn more_threads_than_any_machine_has_are_refused() {
        assert!(matches!(Threads::new(Threads::MAX + 1), Err(Error::Threads { threads: 1025, .. })));
    }

    #[test]
    fn one_run_at_a_time_even_from_workers_of_another_pool() {
        let threads = Threads::new(2).unwrap();
        let inside = AtomicUsize::new(0);
        let foreign = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let run = || {
            threads.enter(|| {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                threads.for_parts(8, &|_: Range<usize>| std::thread::yield_now());
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        };
        foreign.scope(|s| (0..50).for_each(|_| s.spawn(|_| run())));
        std::thread::scope(|s| (0..4).for_each(|_| drop(s.spawn(run))));
    }

    #[test]
    fn a_run_inside_a_run_does_not_wait_for_it() {
        let threads = Threads::new(2).unwrap();
        assert_eq!(threads.enter(|| threads.enter(|| 1)), 1);
    }

    #[test]
    fn a_panic_gives_the_turn_back() {
        let threads = Threads::new(2).unwrap();
        let panics = std::panic::AssertUnwindSafe(|| threads.enter(|| panic!("expected")));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(threads.enter(|| 1), 1);
    }
}
