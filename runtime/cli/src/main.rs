//! The program `octrt`: loads, runs, measures, inspects, compiles, compares and evaluates ONNX models.
//!
//! `args` says what the command line is, `cmd/<command>.rs` does it. Results go to stdout (`output`), progress, notes and
//! errors to stderr; `failure` turns errors into exit codes.

mod args;
mod cmd;
mod dataset;
mod difference;
mod failure;
mod inputs;
mod measured;
mod model;
mod output;
mod preprocessing;
mod sizes;
mod tensor_files;
mod values;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Cli, Color, Command};
use failure::Failure;
use output::Style;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let color = cli.global.color;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&failure::message(&error), style(color));
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    start_log(cli.global.log.as_deref(), cli.global.color)?;
    match &cli.command {
        Command::Run(args) => cmd::run::run(args),
        Command::Preprocess(args) => cmd::preprocess::run(args),
        Command::Inspect(args) => cmd::inspect::run(args),
        Command::Eval(args) => cmd::eval::run(args),
        Command::Bench(args) => cmd::bench::run(args),
        Command::Profile(args) => cmd::profile::run(args),
        Command::Tune(args) => cmd::tune::run(args),
        Command::Compile(args) => cmd::compile::run(args),
        Command::Compare(args) => cmd::compare::run(args),
        Command::Octavize(args) => cmd::octavize::run(args),
        Command::ListOps(args) => cmd::list_ops::run(args),
        Command::Completions(args) => cmd::completions::run(args),
    }
}

fn style(color: Color) -> Style {
    match color {
        Color::Always => Style::Colored,
        Color::Auto if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() => {
            Style::Colored
        }
        Color::Auto | Color::Never => Style::Plain,
    }
}

/// Sends the libraries' messages to stderr: those that `--log` asks for, else those of `RUST_LOG`, else warnings.
fn start_log(filter: Option<&str>, color: Color) -> anyhow::Result<()> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let text = filter.or(from_environment.as_deref()).filter(|t| !t.is_empty()).unwrap_or("warn");
    let filter = EnvFilter::try_new(text).map_err(|e| {
        Failure::Usage(format!("log filter '{text}': {e}; expected a level or a RUST_LOG filter"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(style(color) == Style::Colored)
        .init();
    Ok(())
}
