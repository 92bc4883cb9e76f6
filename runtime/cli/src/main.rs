//! The `octrt` program.
fn main() {}
