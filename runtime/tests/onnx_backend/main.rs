//! The ONNX backend's tests: `OCTRT_ONNX_TESTS` = the folder `onnx/backend/test/data` of the wheel of onnx 1.22.0.
//!
//! Every test gives the stored outputs, in the interpreter (but for the whole networks of `light`) and as machine code, with
//! the backend's own tolerances. Tests that do not are named in `exclusions` with the reason, and one that is named there
//! but passes is a failure too.
//!
//! Models that get shapes, axes and the like as inputs are compiled for what these inputs hold; they are counted.
#![allow(missing_docs)]

mod case;
mod exclusions;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::{Case, Outcome};

/// Folders of the backend's data, and how many tests each holds.
const KINDS: [(&str, usize); 5] =
    [("node", 1765), ("simple", 23), ("pytorch-converted", 82), ("pytorch-operator", 35), ("light", 9)];

/// Counts by reason.
#[derive(Default)]
struct Summary {
    /// By the number of inputs that decided shapes by what they held.
    passed: BTreeMap<usize, usize>,
    excluded: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Summary {
    fn add(&mut self, case: &Case, outcome: Outcome) {
        match (exclusions::of(case), outcome) {
            (None, Outcome::Passed(values)) => *self.passed.entry(values).or_default() += 1,
            (None, Outcome::Failed(why)) => self.failures.push(format!("{}: {why}", case.name)),
            (Some(reason), Outcome::Failed(_)) => *self.excluded.entry(reason).or_default() += 1,
            (Some(reason), Outcome::Passed(_)) => {
                self.failures.push(format!("{}: passes, but is excluded: {reason}", case.name));
            }
        }
    }
}

/// The outcomes of all tests, on all cores.
fn run(cases: &[Case]) -> Summary {
    let (next, summary) = (AtomicUsize::new(0), Mutex::new(Summary::default()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = case.run();
            summary.lock().unwrap().add(case, outcome);
        }
    };
    std::thread::scope(|s| {
        (0..std::thread::available_parallelism().map_or(1, |n| n.get())).for_each(|_| {
            s.spawn(work);
        });
    });
    summary.into_inner().unwrap()
}

#[test]
fn backend_tests_pass() {
    let Some(data) = std::env::var_os("OCTRT_ONNX_TESTS").map(PathBuf::from) else {
        return support::skip::without("OCTRT_ONNX_TESTS is not set");
    };
    let data = support::root().join(data);
    let mut cases = Vec::new();
    for (kind, count) in KINDS {
        let of_kind = case::cases(&data.join(kind));
        assert_eq!(of_kind.len(), count, "tests in {}", data.join(kind).display());
        cases.extend(of_kind);
    }
    let mut summary = run(&cases);
    let passed: usize = summary.passed.values().sum();
    println!("{} tests, {passed} pass", cases.len());
    for (values, n) in &summary.passed {
        println!("  passed, {values} inputs decide shapes: {n}");
    }
    for (reason, n) in &summary.excluded {
        println!("  excluded, {reason}: {n}");
    }
    let unknown = exclusions::unknown(&cases);
    summary.failures.extend(unknown.map(|name| format!("{name}: is excluded, but does not exist")));
    summary.failures.sort();
    let failures = &summary.failures;
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let with_values: usize = summary.passed.range(1..).map(|(_, n)| n).sum();
    assert!(with_values >= 175, "{with_values} tests have inputs that decide shapes");
}
