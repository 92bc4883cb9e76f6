//! Tests that need a process of their own.
#![allow(dead_code)]

use std::process::{Command, Output};

/// Tells the child process that it is one.
const CHILD: &str = "OCTRT_TEST_CHILD";

/// Whether this process was started by [`in_child`] or [`start`].
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// The test `name` of the running test program in a process of its own.
pub fn child(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test program has a path"));
    command.args([name, "--exact", "--nocapture", "--include-ignored"]).env(CHILD, "1");
    command
}

/// Panics with what the process said when it did not end well, or ran no test.
pub fn assert_passed(out: &Output) {
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && stdout.contains("1 passed"), "{}\n{stdout}\n{stderr}", out.status);
    eprint!("{stderr}");
}

/// Runs the test `name` of the running test program in a process of its own.
pub fn in_child(name: &str, body: fn()) {
    if is_child() {
        return body();
    }
    assert_passed(&child(name).output().expect("the test program starts"));
}
