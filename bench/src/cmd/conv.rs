//! `octrt-bench conv`: convolutions one by one.

use std::fmt::Write as _;

use anyhow::Context;
use clap::{Args, ValueEnum};
use octrt::{LoadOptions, Model, Threads};
use octrt_bench::machine::{self, Machine, Peak};
use octrt_bench::measure::{Order, Schedule, Subject, Timing, gflops};
use octrt_bench::problem::{Layer, Network, Problem};
use octrt_bench::table::{Align, Table, milliseconds, percent};
use octrt_compiler::{Precision, Target};
use serde::Serialize;

use super::{positive, print};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// A table in Markdown
    Md,
    /// For programs
    Json,
}

/// `octrt-bench conv`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct ConvArgs {
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

/// Runs the command.
///
/// # Errors
/// Those of compiling and running the convolutions.
pub fn run(args: &ConvArgs) -> anyhow::Result<()> {
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
    let options = LoadOptions::default()
        .with_target(args.target)
        .with_precision(args.precision)
        .with_threads(threads.clone());
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
