//! `octrt-bench table1` to `table5` and `tables`: the OctConv paper's tables on this machine.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use clap::{Args, ValueEnum};
use octrt_bench::machine::Machine;
use octrt_bench::stats::flat;
use octrt_bench::tables::plan::{self, Choice, Plan, Which};
use octrt_bench::tables::report::{Report, measurement};
use octrt_bench::tables::{Schedule, Subjects, html, peers, render, theory};
use octrt_bench::zoo;
use octrt_compiler::Precision;

use super::{Style, positive, print, write_file};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables in Markdown
    Md,
    /// For programs
    Json,
}

/// How it is measured.
#[derive(Debug, Args)]
pub struct MeasureArgs {
    /// Rounds, in each of which every network has its turn
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive)]
    rounds: usize,
    /// Timed runs of a turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = positive)]
    runs: usize,
    /// Runs of a turn before those, whose times are dropped
    #[arg(long, value_name = "N", default_value_t = 1)]
    warmup: usize,
    /// Threads that share the work of a run, as 1,2 for a measurement of both; each has a core of its own
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1", value_parser = positive)]
    threads: Vec<usize>,
    /// How results are printed on stdout
    #[arg(long, value_name = "FORMAT", default_value = "md")]
    format: Format,
}

/// `octrt-bench table1`
#[derive(Debug, Args)]
pub struct Table1Args {
    #[command(flatten)]
    size: SizeArg,
    /// How results are printed on stdout
    #[arg(long, value_name = "FORMAT", default_value = "md")]
    format: Format,
}

/// `octrt-bench table2`
#[derive(Debug, Args)]
pub struct Table2Args {
    #[command(flatten)]
    measure: MeasureArgs,
    #[command(flatten)]
    size: SizeArg,
    #[command(flatten)]
    style: StyleArg,
    #[command(flatten)]
    peers: PeersArg,
    /// Parts of the channels at low frequency; the vanilla network is always measured
    #[arg(long, value_name = "ALPHA,...", value_delimiter = ',', default_values_t = plan::ALPHAS, value_parser = alpha)]
    alphas: Vec<f64>,
    /// How exact the algorithms are
    #[arg(long, value_name = "PRECISION,...", value_delimiter = ',', default_value = "strict,default")]
    precision: Vec<Precision>,
}

/// `octrt-bench table3`
#[derive(Debug, Args)]
pub struct Table3Args {
    #[command(flatten)]
    measure: MeasureArgs,
    #[command(flatten)]
    size: SizeArg,
    #[command(flatten)]
    style: StyleArg,
    #[command(flatten)]
    precision: PrecisionArg,
}

/// `octrt-bench table4`
#[derive(Debug, Args)]
pub struct Table4Args {
    #[command(flatten)]
    measure: MeasureArgs,
    #[command(flatten)]
    style: StyleArg,
    #[command(flatten)]
    precision: PrecisionArg,
    /// Parts of the channels at low frequency; the vanilla network is always measured
    #[arg(long, value_name = "ALPHA,...", value_delimiter = ',', default_value = "0.125,0.25,0.5", value_parser = alpha)]
    alphas: Vec<f64>,
    #[command(flatten)]
    sizes: SizesArg,
}

/// `octrt-bench table5`
#[derive(Debug, Args)]
pub struct Table5Args {
    #[command(flatten)]
    measure: MeasureArgs,
    #[command(flatten)]
    size: SizeArg,
    #[command(flatten)]
    precision: PrecisionArg,
}

/// `octrt-bench tables`
#[derive(Debug, Args)]
pub struct TablesArgs {
    #[command(flatten)]
    measure: MeasureArgs,
    #[command(flatten)]
    size: SizeArg,
    #[command(flatten)]
    sizes: SizesArg,
    #[command(flatten)]
    style: StyleArg,
    #[command(flatten)]
    peers: PeersArg,
    /// Page with all tables and plots, which is complete or does not change
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    /// The same for programs, with all times
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SizeArg {
    /// Height and width of the picture in pixels, a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 224)]
    size: usize,
}

#[derive(Debug, Args)]
struct SizesArg {
    /// Heights and widths of the picture in table 4, multiples of 32; 736 stands for the paper's 740
    #[arg(long, value_name = "PIXELS,...", value_delimiter = ',', default_values_t = plan::SIZES)]
    sizes: Vec<usize>,
}

#[derive(Debug, Args)]
struct StyleArg {
    /// Where normalisation and activation stand in a residual block [default: v2, as in the paper's ResNet-50]
    #[arg(long, value_name = "STYLE")]
    style: Option<Style>,
}

#[derive(Debug, Args)]
struct PrecisionArg {
    /// How exact the algorithms are: default, or strict, which excludes Winograd's
    #[arg(long, value_name = "PRECISION,...", value_delimiter = ',', default_value = "default")]
    precision: Vec<Precision>,
}

#[derive(Debug, Args)]
struct PeersArg {
    /// Results of bench/peers/peers.py --json, for a table of other runtimes
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
}

fn alpha(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&n: &f64| n > 0.0 && n <= 1.0);
    number.ok_or_else(|| format!("'{text}': expected a number above 0, at most 1"))
}

impl MeasureArgs {
    /// Tables over these.
    fn choice(&self, sizes: &[usize], alphas: &[f64], precisions: &[Precision], style: &StyleArg) -> Choice {
        Choice {
            alphas: alphas.to_vec(),
            sizes: sizes.to_vec(),
            threads: self.threads.clone(),
            precisions: precisions.to_vec(),
            style: style.style.map(zoo::Style::from),
        }
    }
}

/// Runs `table1`.
///
/// # Errors
/// Those of building and compiling the networks.
pub fn table1(args: &Table1Args) -> anyhow::Result<()> {
    let mut report = empty()?;
    report.table1 = theory::rows(args.size.size)?;
    show(&report, args.format)
}

/// Runs `table2`.
///
/// # Errors
/// Those of measuring and reading `--peers`.
pub fn table2(args: &Table2Args) -> anyhow::Result<()> {
    let peers = args.peers.peers.as_deref().map(peers::read).transpose()?;
    let choice = args.measure.choice(&[args.size.size], &args.alphas, &args.precision, &args.style);
    let mut report = measured(&args.measure, &[Plan::new(Which::Alphas, &choice)?])?;
    report.peers = peers;
    show(&report, args.measure.format)
}

/// Runs `table3`.
///
/// # Errors
/// Those of measuring.
pub fn table3(args: &Table3Args) -> anyhow::Result<()> {
    let choice = args.measure.choice(&[args.size.size], &[], &args.precision.precision, &args.style);
    show(&measured(&args.measure, &[Plan::new(Which::Ablation, &choice)?])?, args.measure.format)
}

/// Runs `table4`.
///
/// # Errors
/// Those of measuring.
pub fn table4(args: &Table4Args) -> anyhow::Result<()> {
    let precisions = &args.precision.precision;
    let choice = args.measure.choice(&args.sizes.sizes, &args.alphas, precisions, &args.style);
    show(&measured(&args.measure, &[Plan::new(Which::Sizes, &choice)?])?, args.measure.format)
}

/// Runs `table5`.
///
/// # Errors
/// Those of measuring.
pub fn table5(args: &Table5Args) -> anyhow::Result<()> {
    let (sizes, style) = ([args.size.size], StyleArg { style: None });
    let choice = args.measure.choice(&sizes, &[], &args.precision.precision, &style);
    show(&measured(&args.measure, &[Plan::new(Which::MobileNets, &choice)?])?, args.measure.format)
}

/// Runs `tables`.
///
/// # Errors
/// Those of measuring, reading `--peers` and writing the files.
pub fn tables(args: &TablesArgs) -> anyhow::Result<()> {
    let peers = args.peers.peers.as_deref().map(peers::read).transpose()?;
    let (measure, size) = (&args.measure, [args.size.size]);
    let one = [Precision::Default];
    let both = [Precision::Strict, Precision::Default];
    let plans = [
        Plan::new(Which::Alphas, &measure.choice(&size, &plan::ALPHAS, &both, &args.style))?,
        Plan::new(Which::Ablation, &measure.choice(&size, &[], &one, &args.style))?,
        Plan::new(Which::Sizes, &measure.choice(&args.sizes.sizes, &plan::ALPHAS[..3], &one, &args.style))?,
        Plan::new(Which::MobileNets, &measure.choice(&size, &[], &one, &args.style))?,
    ];
    let table1 = theory::rows(args.size.size)?;
    let report = Report { table1, peers, ..measured(measure, &plans)? };
    save(&args.html, &html::page(&report)?)?;
    if let Some(path) = &args.json {
        save(path, &json(&report)?)?;
    }
    show(&report, measure.format)
}

/// A report without results.
fn empty() -> anyhow::Result<Report> {
    Ok(Report {
        schema: Report::SCHEMA,
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        isa: octrt::detect_target()?.to_string(),
        machine: None,
        schedule: None,
        table1: Vec::new(),
        tables: Vec::new(),
        peers: None,
    })
}

/// The plans, measured in one go; progress goes to stderr.
fn measured(args: &MeasureArgs, plans: &[Plan]) -> anyhow::Result<Report> {
    let report = empty()?;
    let schedule = Schedule { rounds: args.rounds, runs: args.runs, warmup: args.warmup };
    let cases = plan::cases(plans);
    let subjects = Subjects::build(&cases, |case| eprintln!("octrt-bench: building {case}"))?;
    let progress = |round| eprintln!("octrt-bench: round {} of {}", round + 1, schedule.rounds);
    let (results, peak) = subjects.measure(schedule, progress)?;
    let noisy = results.iter().filter(|m| flat(&m.rounds).is_noisy()).count();
    if noisy > 0 {
        let of = results.len();
        eprintln!("octrt-bench: the machine is noisy: {noisy} of {of} vary by more than 15 %");
    }
    let machine = Machine::this(&peak)?;
    let tables = plans.iter().map(|plan| measurement(plan, &results, &machine)).collect();
    Ok(Report { machine: Some(machine), schedule: Some(schedule), tables, ..report })
}

fn json(report: &Report) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

fn show(report: &Report, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Md => print(&render::markdown(report)),
        Format::Json => print(&json(report)?),
    }
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    write_file(path, text.as_bytes()).with_context(|| path.display().to_string())
}
