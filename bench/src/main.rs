//! The program `octrt-bench`: measures what the library's benches describe, and prints it as tables.

mod cmd {
    pub mod tables;
}

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use octrt::{LoadOptions, Model, Threads};
use octrt_bench::machine::{self, Machine, Peak};
use octrt_bench::measure::{Order, Schedule, Subject, Timing, gflops};
use octrt_bench::problem::{Layer, Network, Problem};
use octrt_bench::table::{Align, Table, milliseconds, percent};
use octrt_bench::zoo::{self, Kind, Weights};
use octrt_compiler::{Precision, Target};
use octrt_ops::graph::infer::{self, Limits};
use octrt_ops::{DType, Graph, TensorType};
use serde::Serialize;

use cmd::tables;

/// Measures octrt
#[derive(Debug, Parser)]
#[command(name = "octrt-bench", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure convolutions one by one
    ///
    /// They run in turn, so that each finds its weights and its input as cold as in a network; a single one finds them
    /// where it left them.
    Conv(ConvArgs),
    /// Write a network of the OctConv paper, with random weights, as an ONNX file
    Zoo(ZooArgs),
    /// The OctConv paper's table 1: cost of an OctConv by formula, as counted, and in memory
    Table1(tables::Table1Args),
    /// The paper's table 2: ResNet-50 by alpha
    Table2(tables::Table2Args),
    /// The paper's table 3: Oct-ResNet-50 without parts of its OctConvs
    Table3(tables::Table3Args),
    /// The paper's table 4: ResNet-50 by size of the picture
    Table4(tables::Table4Args),
    /// The paper's table 5: MobileNets
    Table5(tables::Table5Args),
    /// All of the paper's tables, measured in turn, as one page with plots
    Tables(tables::TablesArgs),
}

/// `octrt-bench conv`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
struct ConvArgs {
    /// Convolutions, as ic64ih56oc64kh3ph1 (oneDNN's words: mb g ic ih iw oc oh ow kh kw sh sw dh dw ph pw)
    #[arg(long = "problem", value_name = "PROBLEM", num_args = 1.., group = "what")]
    problems: Vec<Problem>,
    /// All distinct convolutions of a network at 224 x 224 pixels: resnet50, resnext50_32x4d, mobilenet_v1,
    /// mobilenet_v2, squeezenet1_1, densenet121
    #[arg(long, value_name = "NAME", group = "what")]
    network: Option<Network>,
    /// Runs of each convolution that are timed
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = positive)]
    runs: usize,
    /// Runs of each convolution before, whose times are dropped
    #[arg(long, value_name = "N", default_value_t = 5)]
    warmup: usize,
    /// Threads that share the work of a run; 0 for as many as there are
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Instruction set: x86-64-v2, x86-64-v3, x86-64-v4 [default: the best that this machine has]
    #[arg(long, value_name = "TARGET")]
    target: Option<Target>,
    /// How exact the algorithms are: default, or strict, which excludes Winograd's
    #[arg(long, value_name = "PRECISION", default_value_t)]
    precision: Precision,
    /// How the result is printed on stdout
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// `octrt-bench zoo`
#[derive(Debug, Args)]
struct ZooArgs {
    /// The network, as resnet50, or oct-resnet50 for the one with OctConvs
    #[arg(value_name = "NAME", required_unless_present = "list")]
    network: Option<zoo::Network>,
    /// Print the networks, with their multiply-accumulates and parameters, and end
    #[arg(long, exclusive = true)]
    list: bool,
    /// Part of the channels at low frequency, from 0 to 1; for networks with OctConvs
    #[arg(long, value_name = "ALPHA")]
    alpha: Option<f64>,
    /// Where normalisation and activation stand in a residual block [default: v2 where there is a choice]
    #[arg(long, value_name = "STYLE")]
    style: Option<Style>,
    /// Height and width of the input in pixels, a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 224)]
    size: usize,
    /// Leave the number of pictures open instead of 1
    #[arg(long)]
    dynamic_batch: bool,
    /// Seed of the weights
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The file, which is complete or does not change
    #[arg(short, long, value_name = "FILE", required_unless_present = "list")]
    output: Option<PathBuf>,
}

/// Styles of residual blocks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Style {
    /// After the convolutions
    V1,
    /// Before the convolutions
    V2,
}

impl From<Style> for zoo::Style {
    fn from(style: Style) -> Self {
        match style {
            Style::V1 => zoo::Style::V1,
            Style::V2 => zoo::Style::V2,
        }
    }
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// A table in Markdown
    Md,
    /// For programs
    Json,
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("'{text}': expected a number from 1 on"))
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Conv(args) => conv(&args),
        Command::Zoo(args) => zoo(&args),
        Command::Table1(args) => tables::table1(&args),
        Command::Table2(args) => tables::table2(&args),
        Command::Table3(args) => tables::table3(&args),
        Command::Table4(args) => tables::table4(&args),
        Command::Table5(args) => tables::table5(&args),
        Command::Tables(args) => tables::tables(&args),
    }
}

fn zoo(args: &ZooArgs) -> anyhow::Result<()> {
    let text = match (&args.network, &args.output) {
        (Some(network), Some(output)) => zoo_network(args, network, output)?,
        _ => zoo_list()?,
    };
    print(&text)
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("stdout")
}

fn zoo_network(args: &ZooArgs, network: &zoo::Network, output: &Path) -> anyhow::Result<String> {
    let style = args.style.map(zoo::Style::from);
    let batch = if args.dynamic_batch { zoo::Batch::Dynamic } else { zoo::Batch::One };
    let weights = Weights::Seeded(args.seed);
    let options = zoo::Options { alpha: args.alpha, style, size: args.size, batch, weights };
    let graph = network.graph(&options)?;
    let bytes = octrt_onnx::export(&graph, &Default::default())?;
    write_file(output, &bytes).with_context(|| output.display().to_string())?;
    let (macs, parameters) = counts(&graph, args.size)?;
    let name = output.display();
    Ok(format!("{name}: {network}, {macs} multiply-accumulates, {parameters} parameters\n"))
}

fn zoo_list() -> anyhow::Result<String> {
    let mut table = Table::new(&[("GMACs", Align::Right), ("M params", Align::Right), ("name", Align::Left)]);
    for network in zoo::Network::all() {
        let alpha = (network.kind() == Kind::Octave).then_some(0.5);
        let size = 224;
        let options =
            zoo::Options { alpha, style: None, size, batch: zoo::Batch::One, weights: Weights::Blank };
        let (macs, parameters) = counts(&network.graph(&options)?, size)?;
        let note = if alpha.is_some() { " --alpha 0.5" } else { "" };
        table.row(vec![
            format!("{:.3}", macs as f64 / 1e9),
            format!("{:.3}", parameters as f64 / 1e6),
            format!("{network}{note}"),
        ]);
    }
    Ok(table.text())
}

/// Multiply-accumulates for one picture, and parameters.
fn counts(graph: &Graph, size: usize) -> anyhow::Result<(u64, usize)> {
    let picture = TensorType::new(DType::F32, [1, 3, size, size]);
    let typed = infer::specialize(graph, &[picture], Limits::default())?;
    Ok((typed.macs(), zoo::parameters(graph)))
}

/// Writes beside `path` under another name, then renames.
fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The process's umask takes from these permissions what it takes from those of any new file.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".octrt-").permissions(permissions).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    machine: Machine,
    results: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    problem: String,
    /// How often the network has it; 1 for a problem that was asked for by itself.
    count: usize,
    threads: usize,
    #[serde(flatten)]
    timing: Timing,
}

fn conv(args: &ConvArgs) -> anyhow::Result<()> {
    let mut layers: Vec<Layer> = args.problems.iter().map(|&problem| Layer { problem, count: 1 }).collect();
    layers.extend(args.network.iter().flat_map(|n| n.layers()));
    let report = measure(args, &layers)?;
    let noisy = report.results.iter().filter(|r| r.timing.samples_ms.is_noisy()).count();
    if noisy > 0 {
        let of = report.results.len();
        eprintln!("octrt-bench: the machine is noisy: {noisy} of {of} vary by more than 15 %");
    }
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Text => text(args, &report, Table::text),
        Format::Md => text(args, &report, Table::markdown),
    };
    print(&text)
}

fn measure(args: &ConvArgs, layers: &[Layer]) -> anyhow::Result<Report> {
    let threads = Threads::new(args.threads)?;
    let options = LoadOptions {
        target: args.target,
        precision: args.precision,
        threads: threads.clone(),
        ..LoadOptions::default()
    };
    let mut subjects = Vec::with_capacity(layers.len());
    for layer in layers {
        let subject = subject(&layer.problem, &options);
        subjects.push(subject.with_context(|| layer.problem.to_string())?);
    }
    let schedule = Schedule { runs: args.runs, warmup: args.warmup, order: Order::Interleaved };
    let mut peak = Peak::over(layers.len() * args.runs)?;
    let samples = schedule.measure(layers.len(), &mut peak, |i| subjects[i].run(), || ())?;
    let machine = Machine::this(&peak)?;
    let row = |(layer, samples): (&Layer, _)| Row {
        problem: layer.problem.to_string(),
        count: layer.count,
        threads: threads.count(),
        timing: Timing::new(samples, layer.problem.macs(), threads.count(), &machine),
    };
    let results = layers.iter().zip(samples).map(row).collect();
    Ok(Report { schema: "octrt-bench.conv/1", machine, results })
}

/// The problem, compiled, with an input.
fn subject(problem: &Problem, options: &LoadOptions) -> anyhow::Result<Subject> {
    let model = Model::from_graph(problem.graph()?, options)?;
    Ok(Subject::new(model.session()?, problem.inputs()?)?)
}

fn text(args: &ConvArgs, report: &Report, print: fn(&Table) -> String) -> String {
    let threads = report.results.first().map_or(1, |r| r.threads);
    let mut out = format!("{}\n", report.machine);
    let _ = writeln!(
        out,
        "{} runs after {} of warm-up, {}, precision {}; times in ms\n",
        args.runs,
        args.warmup,
        machine::threads_note(threads),
        args.precision
    );
    let mut table = Table::new(&[
        ("min", Align::Right),
        ("median", Align::Right),
        ("GFLOP/s", Align::Right),
        ("of peak", Align::Right),
        ("at min", Align::Right),
        ("count", Align::Right),
        ("problem", Align::Left),
    ]);
    let line = |min, median, macs, count, name: &str| {
        let share = |ms| percent(report.machine.peak_fraction(gflops(macs, ms), threads));
        vec![
            milliseconds(min),
            milliseconds(median),
            format!("{:.2}", gflops(macs, median)),
            share(median),
            share(min),
            format!("{count}"),
            name.to_string(),
        ]
    };
    let (mut min, mut median, mut macs, mut count) = (0.0, 0.0, 0, 0);
    for Row { problem, count: n, timing: t, .. } in &report.results {
        table.row(line(t.min_ms, t.median_ms, t.macs, *n, problem));
        min += *n as f64 * t.min_ms;
        median += *n as f64 * t.median_ms;
        macs += *n as u64 * t.macs;
        count += n;
    }
    if report.results.len() > 1 {
        table.row(line(min, median, macs, count, "all, as often as they count"));
    }
    out + &print(&table)
}
