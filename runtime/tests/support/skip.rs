//! Tests that need data which the repository does not carry.

use std::io::Write;

/// Says that a test skips for want of data; panics where `OCTRT_REQUIRE_DATA` is set, so that no test passes by skipping.
///
/// Straight to stderr: what a test prints otherwise is held back when it passes.
pub fn without(data: &str) {
    assert!(std::env::var_os("OCTRT_REQUIRE_DATA").is_none(), "{data}, and OCTRT_REQUIRE_DATA is set");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {data}");
}
