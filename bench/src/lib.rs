//! Benchmarks of octrt: `cargo bench -p octrt-bench`.
//!
//! `benches/shapes.rs` measures the model in `shapes/`, which the repository carries.
