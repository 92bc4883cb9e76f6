//! A manifest, a byte 0 and data as the file of a compiled model with right checksums: load, compile, run. A typed error or
//! results, never a panic.
#![no_main]

#[path = "../../tests/support/compiled_file.rs"]
mod compiled_file;
#[path = "../../tests/support/hostile.rs"]
mod hostile;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    hostile::survive(&compiled_file::file_of(bytes), hostile::MEMORY);
});
