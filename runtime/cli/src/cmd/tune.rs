//! `octrt tune`: measures how the convolutions of a model are carried out fastest on this machine.
//!
//! Each distinct convolution is a problem of its own: a graph that has it as its only node is compiled for every
//! candidate, and the candidates run in turns. What was found is appended to the file of records before the next problem
//! begins, so that a run that was killed goes on where it ended.

mod choose;
mod file;
mod problem;
mod ways;
mod whole;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use octrt::records::{Record, Subject};
use octrt::{LoadOptions, Model, Records, Specialization, Target, Threads};
use octrt_bench::stats::Ratio;
use octrt_bench::table::{Align, Table, milliseconds};
use octrt_compiler::pipeline;
use octrt_compiler::records::Convolution;
use serde::Serialize;

use crate::args::{Format, TuneArgs};
use crate::failure::Failure;
use crate::{measured, model, output};
use file::Log;
use problem::Problem;
use ways::{Cold, Found};
use whole::Whole;

#[derive(Serialize)]
struct Report {
    schema: String,
    model: String,
    target: String,
    threads: usize,
    /// Seconds that measuring took.
    seconds: f64,
    /// Problems that the budget did not suffice for.
    left: usize,
    problems: Vec<Row>,
    whole: Whole,
}

/// A distinct convolution of the model.
#[derive(Serialize)]
struct Row {
    problem: String,
    /// How often the model has it.
    count: usize,
    /// What is decided for it now; none where the budget did not suffice.
    decision: Option<String>,
    /// What the compiler's own choice takes, in milliseconds; none for what was measured before.
    before_ms: Option<f64>,
    /// What the decision takes.
    after_ms: Option<f64>,
}

/// Runs the command.
///
/// # Errors
/// Those of loading and running the model, and of reading and writing the file of records.
pub fn run(args: &TuneArgs) -> anyhow::Result<()> {
    let start = Instant::now();
    let compiler = &args.machine.compiler;
    let path = compiler.records.as_deref().ok_or_else(|| Failure::Usage("give --records FILE".into()))?;
    let threads = Threads::new(args.machine.threads)?;
    let known = if path.exists() { Records::read(path)? } else { Records::default() };
    let options = LoadOptions::default()
        .with_target(compiler.target.0)
        .with_precision(compiler.precision)
        .with_max_memory(model::max_memory(compiler))
        .with_threads(threads.clone());
    let measured = measured::load(&args.model, &args.dims, &args.values, &options)?;
    let target = measured.model.target()?;
    let all = problems(&measured.model, &measured.on)?;
    let mut log = Log::open(path)?;
    let cold = Cold::of(&measured.model)?;
    let deadline = start + args.budget.0;
    // What is measured by itself would get a target of its own.
    let of_target = options.clone().with_target(Some(target));
    let rows = measure(&all, (&of_target, target), &known, (&mut log, cold), deadline)?;
    let left = rows.iter().filter(|r| r.decision.is_none()).count();
    let whole = whole::measure(args, &options, (measured, &mut log))?;
    let report = Report {
        schema: output::schema("tune"),
        model: args.model.display().to_string(),
        target: target.to_string(),
        threads: threads.count(),
        seconds: start.elapsed().as_secs_f64(),
        left,
        problems: rows,
        whole,
    };
    if left > 0 {
        let of = all.len();
        output::note(&format!(
            "the budget is used up: {left} of {of} problems are left; the same command goes on with them"
        ));
    }
    match args.format.format {
        Format::Json => output::print_json(&report),
        Format::Text => Ok(output::print(&text(&report, path))?),
    }
}

/// The distinct convolutions of a model, those first that have the largest part of its work, and how often it has them.
fn problems(model: &Model, on: &Specialization) -> anyhow::Result<Vec<(Problem, usize)>> {
    model::graph(model)?;
    let graph = model.specialized(on)?;
    let options = model::compiler_options(model)?;
    let fail = |source| octrt::Error::Compile { model: model.name().to_string(), source };
    let choice = pipeline::decide(&graph, options, model.records()).map_err(fail)?.choice;
    let mut found: BTreeMap<Convolution, (usize, usize)> = BTreeMap::new();
    for chosen in &choice.convolutions {
        found.entry(chosen.convolution).or_insert((chosen.src_lanes, 0)).1 += 1;
    }
    let problem = |(convolution, (src_lanes, count))| (Problem { convolution, src_lanes }, count);
    let mut all: Vec<(Problem, usize)> = found.into_iter().map(problem).collect();
    all.sort_by_key(|(p, count)| std::cmp::Reverse(p.macs().saturating_mul(*count as u64)));
    Ok(all)
}

/// Measures the problems that are not known, and writes what was found.
fn measure(
    all: &[(Problem, usize)],
    (options, target): (&LoadOptions, Target),
    known: &Records,
    (log, mut cold): (&mut Log, Cold),
    deadline: Instant,
) -> anyhow::Result<Vec<Row>> {
    let progress = output::progress(all.len());
    let mut rows = Vec::with_capacity(all.len());
    for (done, (problem, count)) in all.iter().enumerate() {
        let convolution = &problem.convolution;
        let mut row = Row {
            problem: convolution.to_string(),
            count: *count,
            decision: None,
            before_ms: None,
            after_ms: None,
        };
        let rest = deadline.saturating_duration_since(Instant::now());
        if let Some((ns, decision)) = known.fastest_way(target.isa, convolution) {
            row.decision = Some(decision.to_string());
            row.after_ms = Some(ns as f64 / 1e6);
        } else if rest > Duration::ZERO {
            let share = rest / (all.len() - done) as u32 * 3;
            let found = ways::measure(problem, options, &mut cold, share.min(rest))?;
            log.append(&records(convolution, target, &found))?;
            row.decision = found.ways.first().map(|(_, decision)| decision.to_string());
            row.before_ms = Some(found.own_ns as f64 / 1e6);
            row.after_ms = found.ways.first().map(|(ns, _)| *ns as f64 / 1e6);
        }
        rows.push(row);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(rows)
}

/// What is written of a problem.
fn records(convolution: &Convolution, target: Target, found: &Found) -> Vec<Record> {
    let record = |(ns, decision): &(u64, _)| Record {
        isa: target.isa,
        subject: Subject::Convolution(*convolution, *decision),
        ns: *ns,
    };
    found.ways.iter().map(record).collect()
}

fn text(report: &Report, path: &Path) -> String {
    let Report { target, problems, whole, seconds, left, .. } = report;
    let mut table = Table::new(&[
        ("before", Align::Right),
        ("after", Align::Right),
        ("gain", Align::Right),
        ("count", Align::Right),
        ("decision", Align::Left),
        ("problem", Align::Left),
    ]);
    let dash = || "-".to_string();
    for r in problems {
        let gain = r.before_ms.zip(r.after_ms).map(|(before, after)| format!("{:.2}", before / after));
        table.row(vec![
            r.before_ms.map_or_else(dash, milliseconds),
            r.after_ms.map_or_else(dash, milliseconds),
            gain.unwrap_or_else(dash),
            r.count.to_string(),
            r.decision.clone().unwrap_or_else(dash),
            r.problem.clone(),
        ]);
    }
    let mut out = format!("{target}, times in ms\n\n{}", table.text());
    let _ = writeln!(out, "\n{} of {} problems in {}", problems.len() - left, problems.len(), path.display());
    let _ = writeln!(out, "{seconds:.1} s");
    let Whole { before_ms, after_ms, ratio, targets } = whole;
    let (before, after) = (milliseconds(*before_ms), milliseconds(*after_ms));
    let _ = write!(out, "whole model: before {before}, after {after}");
    if let Some(Ratio { median, low, high }) = ratio {
        let _ = write!(out, ", after over before {median:.3} [{low:.3}, {high:.3}]");
    }
    out.push('\n');
    for (name, ms) in targets {
        let _ = writeln!(out, "whole model with {name}: {}", milliseconds(*ms));
    }
    out
}
