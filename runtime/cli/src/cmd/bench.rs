//! `octrt bench`: how fast models run, alone or side by side.

use std::fmt::Write;
use std::path::PathBuf;

use octrt::Threads;
use octrt_bench::machine::{self, Machine, Peak};
use octrt_bench::measure::{Order, Schedule, Timing};
use octrt_bench::stats::Ratio;
use octrt_bench::table::{Align, Table, milliseconds, percent};
use serde::Serialize;

use crate::args::{BenchArgs, BenchFormat, RepeatArgs};
use crate::measured::{self, Measured};
use crate::model;
use crate::output;

#[derive(Serialize)]
struct Report {
    schema: String,
    machine: Machine,
    results: Vec<ModelReport>,
}

#[derive(Serialize)]
struct ModelReport {
    model: String,
    threads: usize,
    #[serde(flatten)]
    timing: Timing,
    /// To the first model; none for that one, and where runs are not interleaved.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<Ratio>,
}

/// Runs the command.
///
/// # Errors
/// Those of loading and running the models.
pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let threads = Threads::new(args.machine.threads)?;
    let options = model::options(&args.machine.compiler)?.with_threads(threads.clone());
    let load = |path: &PathBuf| measured::load(path, &args.dims, &args.values, &options);
    let mut models = args.models.iter().map(load).collect::<anyhow::Result<Vec<_>>>()?;
    let report = measure(args, &mut models, threads.count())?;
    report.results.iter().for_each(|r| measured::note_noise(&r.model, &r.timing.samples_ms));
    match args.format {
        BenchFormat::Json => output::print_json(&report),
        BenchFormat::Text => Ok(output::print(&text(args, &report, Table::text))?),
        BenchFormat::Md => Ok(output::print(&text(args, &report, Table::markdown))?),
    }
}

fn measure(args: &BenchArgs, models: &mut [Measured], threads: usize) -> anyhow::Result<Report> {
    let order = if args.interleave { Order::Interleaved } else { Order::OneByOne };
    let schedule = Schedule { runs: args.repeat.runs, warmup: args.repeat.warmup, order };
    let count = models.len();
    let mut peak = Peak::over(count * schedule.runs)?;
    let progress = output::progress(count * (schedule.runs + schedule.warmup));
    let samples = schedule.measure(count, &mut peak, |i| models[i].subject.run(), || progress.inc(1))?;
    progress.finish_and_clear();
    let machine = Machine::this(&peak)?;
    let base = samples.first().cloned().unwrap_or_default();
    let mut results = Vec::with_capacity(count);
    for (i, (path, samples)) in args.models.iter().zip(samples).enumerate() {
        let ratio = (order == Order::Interleaved && i > 0).then(|| Ratio::paired(&samples, &base)).flatten();
        let timing = Timing::new(samples, models[i].macs, threads, &machine);
        results.push(ModelReport { model: path.display().to_string(), threads, timing, ratio });
    }
    Ok(Report { schema: output::schema("bench"), machine, results })
}

fn text(args: &BenchArgs, report: &Report, print: fn(&Table) -> String) -> String {
    let RepeatArgs { runs, warmup } = args.repeat;
    let order = if args.interleave { ", interleaved" } else { "" };
    let threads = report.results.first().map_or(1, |r| r.threads);
    let mut out = format!("{}\n", report.machine);
    let threads = machine::threads_note(threads);
    let _ = writeln!(out, "{runs} runs after {warmup} of warm-up{order}, {threads}; times in ms\n");
    let mut table = Table::new(&[
        ("min", Align::Right),
        ("p10", Align::Right),
        ("median", Align::Right),
        ("p90", Align::Right),
        ("p99", Align::Right),
        ("GFLOP/s", Align::Right),
        ("at min", Align::Right),
        ("of peak", Align::Right),
        ("MACs", Align::Right),
        ("ratio", Align::Left),
        ("model", Align::Left),
    ]);
    for ModelReport { model, timing: t, ratio, .. } in &report.results {
        let mut row: Vec<String> =
            [t.min_ms, t.p10_ms, t.median_ms, t.p90_ms, t.p99_ms].map(milliseconds).to_vec();
        row.extend([format!("{:.2}", t.gflops), format!("{:.2}", t.gflops_at_min())]);
        row.extend([percent(t.peak_fraction), t.macs.to_string()]);
        let interval = |r: &Ratio| format!("{:.3} [{:.3}, {:.3}]", r.median, r.low, r.high);
        row.extend([ratio.as_ref().map_or("-".to_string(), interval), model.clone()]);
        table.row(row);
    }
    out + &print(&table)
}
