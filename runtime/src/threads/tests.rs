use std::sync::atomic::AtomicUsize;

use super::*;

/// Steps of so many parts each, which count how often each part is carried out.
struct Counted {
    hits: Vec<Vec<AtomicUsize>>,
    cancel: CancelToken,
    /// Cancels in this step.
    cancel_in: Option<usize>,
}

impl Counted {
    fn new(parts: &[usize]) -> Self {
        let hits = parts.iter().map(|&n| (0..n).map(|_| AtomicUsize::new(0)).collect()).collect();
        Counted { hits, cancel: CancelToken::new(), cancel_in: None }
    }

    fn total(&self, step: usize) -> usize {
        self.hits[step].iter().map(|h| h.load(Ordering::Relaxed)).sum()
    }
}

impl Steps for Counted {
    fn len(&self) -> usize {
        self.hits.len()
    }

    fn parts(&self, step: usize) -> usize {
        self.hits[step].len()
    }

    fn run(&self, step: usize, part: usize, worker: usize) {
        assert!(worker < 16);
        // Steps are in order: all of the one before is done.
        assert!(step == 0 || self.hits[step - 1].iter().all(|h| h.load(Ordering::Relaxed) == 1));
        self.hits[step][part].fetch_add(1, Ordering::Relaxed);
        if self.cancel_in == Some(step) {
            self.cancel.cancel();
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

fn no_error(_: usize) -> Result<(), ()> {
    Ok(())
}

#[test]
fn every_part_of_every_step_is_carried_out_once_and_in_order() {
    for count in [1, 2, 3, 7] {
        let threads = Threads::new(count).unwrap();
        assert_eq!(threads.count(), count);
        for _ in 0..50 {
            let steps = Counted::new(&[1, 16, 3, 1, 1, 64, 2, 200, 1]);
            let mut seen = Vec::new();
            let mut after = |step| {
                assert_eq!(steps.total(step), steps.parts(step));
                seen.push(step);
                Ok::<(), ()>(())
            };
            assert!(matches!(threads.run(&steps, &mut after), Ok(End::Complete)));
            assert_eq!(seen, (0..steps.len()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn workers_that_fell_asleep_are_woken() {
    let threads = Threads::new(3).unwrap();
    let steps = Counted::new(&[4, 4, 1, 4]);
    let mut slow = |_| {
        std::thread::sleep(Duration::from_millis(20));
        Ok::<(), ()>(())
    };
    assert!(matches!(threads.run(&steps, &mut slow), Ok(End::Complete)));
    assert!((0..4).all(|i| steps.total(i) == steps.parts(i)));
}

#[test]
fn a_cancelled_run_ends_in_its_step() {
    for count in [1, 2, 4] {
        let threads = Threads::new(count).unwrap();
        let mut steps = Counted::new(&[8, 1, 100_000, 8]);
        steps.cancel_in = Some(2);
        assert!(matches!(threads.run(&steps, &mut no_error), Ok(End::Cancelled(2))));
        assert!(steps.total(2) < 100_000);
        assert_eq!((steps.total(0), steps.total(3)), (8, 0));
        steps.cancel.reset();
        steps = Counted { cancel: steps.cancel, ..Counted::new(&[8, 8]) };
        assert!(matches!(threads.run(&steps, &mut no_error), Ok(End::Complete)));
    }
}

#[test]
fn an_error_between_steps_ends_the_run() {
    for count in [1, 2] {
        let threads = Threads::new(count).unwrap();
        let steps = Counted::new(&[8, 8, 8]);
        let mut after = |step| if step == 1 { Err("stop") } else { Ok(()) };
        assert!(matches!(threads.run(&steps, &mut after), Ok(End::Failed("stop"))));
        assert_eq!(steps.total(2), 0);
    }
}

#[test]
fn more_threads_than_any_machine_has_are_refused() {
    for start in [Threads::new, Threads::shared] {
        assert!(matches!(start(Threads::MAX + 1), Err(Error::Threads { threads: 1025, .. })));
    }
}

#[test]
fn all_are_those_that_the_caller_may_use() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let pinned = std::thread::spawn(|| {
        let allowed = sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|&core| allowed.is_set(core)).unwrap();
        let mut one = CpuSet::new();
        one.set(first);
        sched_setaffinity(None, &one).unwrap();
        Threads::new(0).unwrap().count()
    });
    assert_eq!(pinned.join().unwrap(), 1);
}

#[test]
fn equal_counts_share_their_threads() {
    let pool = |t: &Threads| t.0.as_ref().map(Arc::as_ptr);
    let (a, b, c) = (Threads::shared(5).unwrap(), Threads::shared(5).unwrap(), Threads::shared(6).unwrap());
    assert_eq!(pool(&a), pool(&b));
    assert_ne!(pool(&a), pool(&c));
    assert_ne!(pool(&a), pool(&Threads::new(5).unwrap()));
    assert_eq!(Threads::shared(1).unwrap().count(), 1);
}

#[test]
fn results_of_a_map_are_in_order() {
    for count in [1, 2, 3] {
        let squares = Threads::new(count).unwrap().map((0..100).collect(), |i: usize| i * i);
        assert!(squares.into_iter().eq((0..100).map(|i| i * i)));
    }
}

#[test]
fn a_map_inside_a_run_does_not_wait_for_it() {
    let threads = Threads::new(2).unwrap();
    let mut inner = |_| {
        let elsewhere = std::thread::scope(|s| s.spawn(|| threads.map(vec![1, 2], |i| i + 1)).join());
        assert_eq!(elsewhere.unwrap(), [2, 3]);
        assert_eq!(threads.map(vec![1, 2], |i| i + 1), [2, 3]);
        Ok::<(), ()>(())
    };
    assert!(matches!(threads.run(&Counted::new(&[1, 8]), &mut inner), Ok(End::Complete)));
}

#[test]
fn one_run_at_a_time_even_from_workers_of_another_pool() {
    let threads = Threads::new(2).unwrap();
    let inside = AtomicUsize::new(0);
    let foreign = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let run = || {
        let mut first = true;
        let mut after = |step| {
            if std::mem::take(&mut first) {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            }
            if step == 2 {
                assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
            }
            Ok::<(), ()>(())
        };
        assert!(matches!(threads.run(&Counted::new(&[1, 8, 8]), &mut after), Ok(End::Complete)));
    };
    foreign.scope(|s| (0..50).for_each(|_| s.spawn(|_| run())));
    std::thread::scope(|s| (0..4).for_each(|_| drop(s.spawn(run))));
}

#[test]
fn a_run_inside_a_run_does_not_wait_for_it() {
    let threads = Threads::new(2).unwrap();
    let mut inner = |_| {
        let steps = Counted::new(&[4, 4]);
        assert!(matches!(threads.run(&steps, &mut no_error), Ok(End::Complete)));
        Ok::<(), ()>(())
    };
    assert!(matches!(threads.run(&Counted::new(&[1, 8]), &mut inner), Ok(End::Complete)));
}

#[test]
fn a_panic_gives_the_turn_back() {
    let threads = Threads::new(2).unwrap();
    let mut after = |_| -> Result<(), ()> { panic!("expected") };
    let steps = Counted::new(&[8, 8]);
    let panics = std::panic::AssertUnwindSafe(|| threads.run(&steps, &mut after).is_ok());
    assert!(std::panic::catch_unwind(panics).is_err());
    assert!(matches!(threads.run(&Counted::new(&[8]), &mut no_error), Ok(End::Complete)));
}

#[test]
fn parts_of_an_axis_cover_it() {
    for (extent, parts) in [(1, 1), (7, 3), (100, 8), (8, 8)] {
        let all: Vec<usize> = (0..parts).flat_map(|i| part_of(extent, parts, i)).collect();
        assert!(all.into_iter().eq(0..extent));
    }
}
