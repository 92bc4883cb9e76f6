//! What measurements of octrt share: `octrt bench`, `octrt profile`, the program `octrt-bench` and the criterion benches.
//!
//! * [`problem`]: a convolution as a line of text, and those of well-known networks.
//! * [`measure`]: what is run, how often, in which order.
//! * [`stats`]: quantiles, paired ratios.
//! * [`machine`]: the machine, and the fused multiply-add peak that speeds are held against.
//! * [`limits`]: what bytes and steps take at least.
//! * [`cores`]: threads pinned to cores.
//! * [`predict`]: times on processors that are not here.
//! * [`table`]: how results are printed.
//! * [`zoo`]: the networks of the OctConv paper as graphs.
//! * [`tables`]: the paper's tables with them.
//!
//! `cargo bench -p octrt-bench` runs `benches/shapes.rs`, the model in `shapes/` that the repository carries, and
//! `benches/conv.rs`, the convolutions of the networks one by one, and `benches/octave.rs`, ResNet-50 vanilla and octave.
#![forbid(unsafe_code)]

pub mod cores;
pub mod limits;
pub mod machine;
pub mod measure;
pub mod predict;
pub mod problem;
pub mod stats;
pub mod table;
pub mod tables;
pub mod zoo;
