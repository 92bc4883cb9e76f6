//! ONNX bytes: load, compile, run. A typed error or results, never a panic.
#![no_main]

#[path = "../../tests/support/hostile.rs"]
mod hostile;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    hostile::survive(bytes, hostile::MEMORY);
});
