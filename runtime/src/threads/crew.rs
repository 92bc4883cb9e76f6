//! How the workers of a pool share the steps of a run.
//!
//! One of them, the leader, goes through the steps in order. It opens a step for everybody; each worker carries out the
//! parts of its share, then takes over parts of others', and when every part is done the leader goes on. Nobody waits for a
//! worker that has taken nothing, so one that the system does not let run holds up at most the part that it has. Opening a
//! step costs a few stores, taking a part a compare-and-swap; workers without work look for it a while, then sleep.

use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::part_of;

/// Steps that run one after the other, each cut into parts that may run at the same time.
pub(crate) trait Steps: Sync {
    /// Number of steps.
    fn len(&self) -> usize;

    /// Number of parts of a step; at least 1.
    fn parts(&self, step: usize) -> usize;

    /// Carries out a part, on a thread that runs one at a time and is the only one with the number `worker`.
    fn run(&self, step: usize, part: usize, worker: usize);

    /// Whether to stop before the next part.
    fn is_cancelled(&self) -> bool;
}

/// What the leader does between steps; an error ends the run.
pub(crate) type After<'a, E> = &'a mut (dyn FnMut(usize) -> Result<(), E> + Send);

/// How a run ended.
pub(crate) enum End<E> {
    /// All steps were carried out.
    Complete,
    /// [`Steps::is_cancelled`] said so in this step.
    Cancelled(usize),
    /// A call between steps failed.
    Failed(E),
}

/// Carries out all steps on the calling thread.
pub(super) fn alone<E>(steps: &impl Steps, worker: usize, after: After<'_, E>) -> End<E> {
    for step in 0..steps.len() {
        for part in 0..steps.parts(step) {
            if steps.is_cancelled() {
                return End::Cancelled(step);
            }
            steps.run(step, part, worker);
        }
        if let Err(e) = after(step) {
            return End::Failed(e);
        }
    }
    End::Complete
}

/// How often a worker without work looks for some before it lets others run, and how often it does that before it
/// sleeps: together some ten microseconds, the length of the steps in which a single worker has something to do.
const LOOKS: usize = 2000;
const YIELDS: usize = 4;

/// Steps that no run has: before the first one, and after the last.
const NONE: u32 = Slot::MAX_STEPS;
const OVER: u32 = Slot::MAX_STEPS + 1;

/// The workers of one run.
pub(super) struct Crew<'a, S> {
    steps: &'a S,
    /// The step that is open.
    open: AtomicU32,
    /// A slot for each worker with its share of the open step: neighbouring parts, and in each step the same part of the
    /// whole, so that a worker finds in its caches what it wrote in the step before.
    slots: Vec<Slot>,
    /// Parts of the open step that are done.
    done: AtomicUsize,
    bell: Bell,
}

impl<'a, S: Steps> Crew<'a, S> {
    /// The crew of `workers`, which have the numbers below that.
    pub(super) fn new(steps: &'a S, workers: usize) -> Self {
        Crew {
            steps,
            open: AtomicU32::new(NONE),
            slots: (0..workers).map(|_| Slot::default()).collect(),
            done: AtomicUsize::new(0),
            bell: Bell::default(),
        }
    }

    /// Goes through the steps while others [`help`](Crew::help).
    pub(super) fn lead<E>(&self, worker: usize, after: After<'_, E>) -> End<E> {
        // Also when a step or `after` panics, helpers must learn that nothing comes any more.
        let _over = OnDrop(|| self.announce(OVER));
        for step in 0..self.steps.len() {
            let parts = self.steps.parts(step);
            let complete =
                if parts > 1 && step < Slot::MAX_STEPS as usize && parts <= Slot::MAX_PARTS as usize {
                    self.share(step as u32, parts as u32, worker)
                } else {
                    (0..parts).all(|part| {
                        let go = !self.steps.is_cancelled();
                        if go {
                            self.steps.run(step, part, worker);
                        }
                        go
                    })
                };
            if !complete {
                return End::Cancelled(step);
            }
            if let Err(e) = after(step) {
                return End::Failed(e);
            }
        }
        End::Complete
    }

    /// Carries out parts of steps until the leader is through.
    pub(super) fn help(&self, worker: usize) {
        let mut seen = NONE;
        loop {
            self.bell.wait(|| self.open.load(Ordering::SeqCst) != seen);
            seen = self.open.load(Ordering::SeqCst);
            if seen == OVER {
                return;
            }
            self.work(seen, worker);
        }
    }

    /// Opens a step, works on it, and waits until nobody does; tells whether all parts were carried out.
    fn share(&self, step: u32, parts: u32, worker: usize) -> bool {
        self.done.store(0, Ordering::Relaxed);
        let workers = self.slots.len();
        for (i, slot) in self.slots.iter().enumerate() {
            let share = part_of(parts as usize, workers, i);
            slot.fill(step, share.start as u32..share.end as u32);
        }
        self.announce(step);
        self.work(step, worker);
        // Something is left only when the run was cancelled.
        let left: u32 = self.slots.iter().map(Slot::empty).sum();
        let taken = (parts - left) as usize;
        self.bell.wait(|| self.done.load(Ordering::SeqCst) == taken);
        left == 0
    }

    fn announce(&self, step: u32) {
        self.open.store(step, Ordering::SeqCst);
        self.bell.ring();
    }

    fn work(&self, step: u32, worker: usize) {
        let workers = self.slots.len();
        for victim in (worker..worker + workers).map(|i| &self.slots[i % workers]) {
            let own = std::ptr::eq(victim, &self.slots[worker % workers]);
            while !self.steps.is_cancelled()
                && let Some(part) = if own { victim.take_first(step) } else { victim.take_last(step) }
            {
                // A part that panics is done too, or the leader would wait for it.
                let _done = OnDrop(|| {
                    self.done.fetch_add(1, Ordering::SeqCst);
                    self.bell.ring();
                });
                self.steps.run(step as usize, part as usize, worker);
            }
        }
    }
}

/// The parts of a step that a worker is to carry out and nobody has taken yet: the step in the upper 24 bits, then the
/// first part and the one behind the last, 20 bits each. On a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Slot(AtomicU64);

impl Slot {
    const MAX_STEPS: u32 = (1 << 24) - 2;
    const MAX_PARTS: u32 = (1 << 20) - 1;

    fn pack(step: u32, parts: Range<u32>) -> u64 {
        u64::from(step) << 40 | u64::from(parts.start) << 20 | u64::from(parts.end)
    }

    fn unpack(packed: u64) -> (u32, Range<u32>) {
        let part = |shift: u32| (packed >> shift) as u32 & Slot::MAX_PARTS;
        ((packed >> 40) as u32, part(20)..part(0))
    }

    fn fill(&self, step: u32, parts: Range<u32>) {
        self.0.store(Slot::pack(step, parts), Ordering::Release);
    }

    /// Takes all that is left, and tells how many parts.
    fn empty(&self) -> u32 {
        Slot::unpack(self.0.swap(Slot::pack(NONE, 0..0), Ordering::AcqRel)).1.len() as u32
    }

    fn take_first(&self, step: u32) -> Option<u32> {
        self.take(step, |parts| (parts.start, parts.start + 1..parts.end))
    }

    fn take_last(&self, step: u32) -> Option<u32> {
        self.take(step, |parts| (parts.end - 1, parts.start..parts.end - 1))
    }

    /// Takes a part of `step`, if there is one: `cut` gives it, and what it leaves.
    fn take(&self, step: u32, cut: impl Fn(Range<u32>) -> (u32, Range<u32>)) -> Option<u32> {
        let rest = |packed| {
            let (of, parts) = Slot::unpack(packed);
            (of == step && !parts.is_empty()).then(|| Slot::pack(step, cut(parts).1))
        };
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, rest);
        taken.ok().map(|packed| cut(Slot::unpack(packed).1).0)
    }
}

/// Wakes those who wait for a change of some atomic.
#[derive(Default)]
struct Bell {
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    rung: Condvar,
}

impl Bell {
    /// Returns when `ready` is true. Who makes it true does so by a sequentially consistent operation and rings then;
    /// `ready` reads by one too, so that of a ringer who sees no sleeper the sleeper sees the change.
    fn wait(&self, ready: impl Fn() -> bool) {
        for look in 0..LOOKS + YIELDS {
            if ready() {
                return;
            }
            if look < LOOKS { spin_loop() } else { std::thread::yield_now() }
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !ready() {
            guard = self.rung.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn ring(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.rung.notify_all();
        }
    }
}

/// Calls a function when it goes out of scope.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
