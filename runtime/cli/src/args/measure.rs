//! Arguments of the commands that measure.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{DimArgs, FormatArgs, MachineArgs, ValueArgs, positive};
use crate::sizes::Budget;

/// `octrt bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The models, ONNX files
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<PathBuf>,
    /// Run the models in turn, one run each, and show how many times as long each takes as the first: the median of
    /// the ratios of a turn, and the interval that holds it with 95 %
    #[arg(long, action = ArgAction::SetTrue)]
    pub interleave: bool,
    #[command(flatten)]
    pub repeat: RepeatArgs,
    #[command(flatten)]
    pub dims: DimArgs,
    #[command(flatten)]
    pub values: ValueArgs,
    /// How the result is printed on stdout
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Results")]
    pub format: BenchFormat,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// How measurements are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchFormat {
    /// For people
    Text,
    /// A table in Markdown
    Md,
    /// For programs
    Json,
}

/// How often a model runs.
#[derive(Clone, Copy, Debug, Args)]
pub struct RepeatArgs {
    /// Runs of each model that are timed
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = positive)]
    pub runs: usize,
    /// Runs of each model before, whose times are dropped
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub warmup: usize,
}

/// `octrt tune`
#[derive(Debug, Args)]
#[command(mut_arg("records", |a| a.required(true).help("The file that records are appended to; it is made if there is none")))]
pub struct TuneArgs {
    /// The model, an ONNX file
    pub model: PathBuf,
    /// About how long measuring may take, as 90s, 10m or 1h; what the last convolution takes is not cut short
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub budget: Budget,
    #[command(flatten)]
    pub dims: DimArgs,
    #[command(flatten)]
    pub values: ValueArgs,
    #[command(flatten)]
    pub format: FormatArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// `octrt profile`
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// The model: an ONNX file, or one that `octrt compile` has written
    pub model: PathBuf,
    /// What the times are summed up by
    #[arg(long, value_name = "WHAT", default_value = "node")]
    pub by: By,
    #[command(flatten)]
    pub repeat: RepeatArgs,
    #[command(flatten)]
    pub dims: DimArgs,
    #[command(flatten)]
    pub values: ValueArgs,
    #[command(flatten)]
    pub format: FormatArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// What times are summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The node that a step belongs to
    Node,
    /// The operator of the node
    Op,
}
