//! The tables of the OctConv paper (Chen et al. 2019, "Drop an Octave") on this machine, with the networks of the zoo.
//!
//! | table | what it says | measured |
//! |---|---|---|
//! | 1 | multiply-accumulates and bytes of an OctConv; the arena of Oct-ResNet-50 | no |
//! | 2 | ResNet-50 by alpha | yes |
//! | 3 | Oct-ResNet-50 without paths between the frequencies, with strided convolutions for averages | yes |
//! | 4 | ResNet-50 by size of the picture | yes |
//! | 5 | MobileNets | yes |
//!
//! [`theory`] counts table 1, [`plan`] lists what the others measure, [`case`] builds and runs it, [`report`] puts it side
//! by side with the paper ([`paper`]) and other runtimes ([`peers`]), [`render`] and [`html`] print it.
//!
//! # How it is measured
//!
//! All cases are built, and then visited in turn in every round, which starts with another case each: some runs of
//! warm-up, then the timed ones. Windows of the fused multiply-add peak are taken in between. A speed-up is the median over
//! the rounds of (vanilla's median in the round / the case's), with a 95 % bootstrap interval. A thread has a core of its
//! own: the last ones that the process may use.
//!
//! # JSON
//!
//! ```text
//! schema      "octrt-bench.tables/1"
//! date        start of the measurement, RFC 3339, UTC
//! version     of octrt
//! isa         what networks are compiled for, as "x86-64-v3"
//! machine     {cpu, isa, cores, peak_gflops: of one core, GFLOP/s or null}; null when nothing is measured
//! schedule    {rounds, runs: in a round, warmup: before them}; null when nothing is measured
//! table1      [{alpha, macs_theory, macs, bytes_theory, bytes: all relative to alpha 0,
//!               arena_bytes: of Oct-ResNet-50, arena: relative to ResNet-50}]
//! tables      [{table: 2 to 5, rows: [row]}]
//!   row       {network, alpha: or null, style: "v1", "v2" or null for the network's own, ablation: {exchange, down},
//!              size: pixels, precision, threads, macs, parameters,
//!              samples_ms: [round][run], median_ms, min_ms: of all runs,
//!              gflops: 2 * macs / median, peak_fraction: of threads * peak, or null,
//!              against: null for vanilla, or
//!                  {speedup: {median, low, high}, speedup_min: of the fastest runs,
//!                   macs: vanilla's / the row's, attained: speedup.median / macs},
//!              paper: null, or {ms, speedup: or null, peak_fraction: or null}}
//! peers       null, or what a file of bench/peers says of ResNet-50, with the date of its own measurement:
//!             {date, rows: [{alpha, runtime, version, median_ms, min_ms,
//!               ratio: {median, low, high} of octrt's time to its, in that measurement; null for octrt}]}
//! ```

pub mod case;
pub mod html;
pub mod paper;
pub mod peers;
pub mod plan;
pub mod plot;
pub mod render;
pub mod report;
pub mod theory;

use std::path::PathBuf;

pub use case::{Case, Schedule, Subjects};

use crate::cores::CoresError;
use crate::zoo::ZooError;

/// Why a table cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// A network that cannot be built.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// A network that cannot be compiled or run.
    #[error("{case}: {source}")]
    Octrt {
        /// The network and how it runs.
        case: String,
        /// What octrt says.
        source: Box<octrt::Error>,
    },
    /// A machine that cannot be measured on.
    #[error(transparent)]
    Machine(#[from] Box<octrt::Error>),
    /// A graph whose types cannot be found.
    #[error(transparent)]
    Graph(#[from] octrt_ops::GraphError),
    /// Threads without cores.
    #[error(transparent)]
    Cores(#[from] CoresError),
    /// A file of bench/peers that cannot be read.
    #[error("{}: {message}", path.display())]
    Peers {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A page that cannot be written.
    #[error(transparent)]
    Page(#[from] askama::Error),
}
