//! What a process as a whole must hold: tests that look at its memory map or change its rules, one process each.
#![allow(missing_docs)]

mod common;

use std::process::Command;

use common::{model, scale_twice};
use octrt::{Error, LoadOptions, TensorRef};

/// Tells the child process that it is one.
const CHILD: &str = "OCTRT_TEST_CHILD";

/// Runs the test `name` of this file in a process of its own.
fn in_child(name: &str, body: fn()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let exe = std::env::current_exe().unwrap();
    let out = Command::new(exe).args([name, "--exact", "--nocapture"]).env(CHILD, "1").output().unwrap();
    assert!(
        out.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Bytes of all mappings, and of the executable ones.
fn mapped() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut sums = (0, 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (begin, end) = words.next().unwrap().split_once('-').unwrap();
        let hex = |s| usize::from_str_radix(s, 16).unwrap();
        let bytes = hex(end) - hex(begin);
        sums.0 += bytes;
        if words.next().unwrap().contains('x') {
            sums.1 += bytes;
        }
    }
    sums
}

fn run_once() {
    let model = model(vec![scale_twice(100_000)], &LoadOptions::default()).unwrap();
    let mut session = model.session().unwrap();
    let x = vec![1.0f32; 100_000];
    session.run(&[("x", TensorRef::new(&[100_000], &x).unwrap())]).unwrap();
}

#[test]
fn dropped_models_leave_no_memory_behind() {
    in_child("dropped_models_leave_no_memory_behind", || {
        (0..10).for_each(|_| run_once());
        let before = mapped();
        (0..200).for_each(|_| run_once());
        let after = mapped();
        assert_eq!(after.1, before.1, "executable memory");
        assert!(after.0 <= before.0 + (1 << 20), "{} bytes mapped before, {} after", before.0, after.0);
    });
}

#[test]
fn code_for_shapes_of_long_ago_is_freed() {
    in_child("code_for_shapes_of_long_ago_is_freed", || {
        let model = model((1..=200).map(scale_twice).collect(), &LoadOptions::default()).unwrap();
        let mut session = model.session().unwrap();
        let mut run = |n: usize| {
            session.run(&[("x", TensorRef::new(&[n], &vec![1.0f32; n]).unwrap())]).unwrap();
            mapped().1
        };
        let kept = run(1).max((2..10).map(&mut run).max().unwrap());
        assert_eq!((10..=200).map(run).max(), Some(kept));
    });
}

#[test]
fn refused_executable_memory_is_an_error() {
    in_child("refused_executable_memory_is_an_error", || {
        const PR_SET_MDWE: libc::c_int = 65;
        const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
        // SAFETY: changes a rule of this child process only.
        let refused = unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) };
        if refused != 0 {
            return; // a kernel before 6.3
        }
        let model = model(vec![scale_twice(3)], &LoadOptions::default()).unwrap();
        let e = model.session().unwrap_err();
        assert!(matches!(e, Error::NotExecutable(_)), "{e}");
    });
}
