//! `octrt profile`: where a model spends its time.
//!
//! Runs that are observed step by step alternate with runs that are not; the sum of the nodes is held against the latter.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use octrt::{Error, StepEvent, Threads};
use octrt_bench::limits::Limits;
use octrt_bench::machine::{self, Machine, Peak};
use octrt_bench::measure::{Order, Schedule, gflops};
use octrt_bench::stats::{Ratio, Samples};
use octrt_bench::table::{Align, Table, milliseconds, percent};
use octrt_compiler::lower::calls::LAYOUT;
use octrt_compiler::pipeline;
use octrt_ops::Graph;
use octrt_ops::graph::infer::with_args;
use serde::Serialize;

use crate::args::{By, Format, ProfileArgs, RepeatArgs};
use crate::measured::{self, Measured};
use crate::{model, output};

#[derive(Serialize)]
struct Report {
    schema: String,
    machine: Machine,
    /// What bytes and steps take at least.
    limits: Limits,
    model: String,
    threads: usize,
    /// What takes longest comes first.
    rows: Vec<Row>,
    /// By the medians.
    #[serde(flatten)]
    sum: Sum,
    /// By the fastest runs.
    fastest: Sum,
    /// By the fastest run of each row.
    minima: Minima,
    /// Sum over whole by pairs of runs, one observed and one not, that were taken side by side.
    ratio: Option<Ratio>,
}

/// All nodes together against the whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Sum {
    /// What the nodes of a run took together, in milliseconds.
    nodes_ms: f64,
    /// What a run took that was not observed, in milliseconds.
    end_to_end_ms: f64,
    /// By how much the sum is larger than the whole, as a share of the whole.
    difference: f64,
}

impl Sum {
    fn new(nodes_ms: f64, end_to_end_ms: f64) -> Self {
        Sum { nodes_ms, end_to_end_ms, difference: nodes_ms / end_to_end_ms - 1.0 }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, whole) = (milliseconds(self.nodes_ms), milliseconds(self.end_to_end_ms));
        write!(f, "sum of nodes {nodes}, end to end {whole}, difference {:+.1} %", 100.0 * self.difference)
    }
}

/// What rows take together, each in its fastest run: how fast the model is where nothing disturbs it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Minima {
    /// Those that multiply.
    products: Speed,
    /// All.
    all: Speed,
}

/// What multiply-accumulates take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Speed {
    ms: f64,
    gflops: f64,
    peak_fraction: Option<f64>,
}

impl Minima {
    fn new(rows: &[Row], machine: &Machine, threads: usize) -> Self {
        let macs = rows.iter().map(|r| r.macs).sum();
        let speed = |ms: f64| {
            let gflops = gflops(macs, ms);
            Speed { ms, gflops, peak_fraction: machine.peak_fraction(gflops, threads).filter(|_| macs > 0) }
        };
        let products = rows.iter().filter(|r| r.macs > 0).map(|r| r.min_ms).sum();
        Minima { products: speed(products), all: speed(rows.iter().map(|r| r.min_ms).sum()) }
    }
}

impl fmt::Display for Minima {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |s: Speed| {
            format!("{} at {:.2} GFLOP/s, {} of peak", milliseconds(s.ms), s.gflops, percent(s.peak_fraction))
        };
        write!(f, "what multiplies {}; all {}", of(self.products), of(self.all))
    }
}

/// The steps of one node, those that bring its input into its layout, or those of all nodes with one operator.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Row {
    /// Name of the node, or `conv1 (layout)`: no two rows have the same. None when there are several nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// ONNX name of the operator.
    op: &'static str,
    /// Number of nodes that have steps.
    nodes: usize,
    /// Number of steps.
    steps: usize,
    median_ms: f64,
    min_ms: f64,
    /// The median as a share of the sum of all.
    share: f64,
    macs: u64,
    /// By the median; 0 for what multiplies nothing.
    gflops: f64,
    peak_fraction: Option<f64>,
    /// As `peak_fraction`, by the fastest run.
    peak_fraction_at_min: Option<f64>,
    /// Size of all buffers of all steps.
    bytes: usize,
    /// Why it is not faster; none where that is not known, as below x86-64-v3.
    bound: Option<Bound>,
}

/// What of a row takes longest at least, and how much of its median that is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Bound {
    by: Limit,
    share: f64,
}

/// What a row may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Limit {
    /// Multiply-adds, at the peak.
    Fma,
    /// Its bytes, as fast as a copy of as many moves.
    Memory,
    /// The steps themselves.
    Calls,
    /// All it does is to bring a tensor into another layout.
    Layout,
    /// None of these takes half of its time: what is left is other instructions.
    Code,
}

impl Bound {
    /// Of a row that takes so long, with the least that its multiply-adds, bytes and steps take, all in milliseconds.
    fn new(is_layout: bool, median: f64, [fma, memory, calls]: [f64; 3]) -> Bound {
        let of = [(Limit::Fma, fma), (Limit::Memory, memory), (Limit::Calls, calls)];
        let most = of.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let (by, least) = most.unwrap_or((Limit::Code, 0.0));
        let share = least / median;
        match (is_layout, share < 0.5) {
            (true, _) => Bound { by: Limit::Layout, share: memory / median },
            (false, true) => Bound { by: Limit::Code, share: 1.0 - share },
            (false, false) => Bound { by, share },
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Limit::Fma => "FMA",
            Limit::Memory => "memory",
            Limit::Calls => "calls",
            Limit::Layout => "layout",
            Limit::Code => "code",
        };
        write!(f, "{by} {:.0} %", 100.0 * self.share)
    }
}

/// Runs the command.
///
/// # Errors
/// Those of loading and running the model.
pub fn run(args: &ProfileArgs) -> anyhow::Result<()> {
    let threads = Threads::new(args.machine.threads)?;
    let options = model::options(&args.machine.compiler)?.with_threads(threads.clone());
    let mut measured = measured::load(&args.model, &args.dims, &args.values, &options)?;
    let macs = macs_by_node(&optimized(&measured)?);
    let report = measure(args, &mut measured, &macs, threads.count())?;
    match args.format.format {
        Format::Json => output::print_json(&report),
        Format::Text => Ok(output::print(&text(args, &report))?),
    }
}

/// The model's graph after all passes.
fn optimized(measured: &Measured) -> Result<Graph, Error> {
    let Measured { model, on, .. } = measured;
    let fail = |source| Error::Compile { model: model.name().to_string(), source };
    let decided = pipeline::decide(&model.specialized(on)?, model::compiler_options(model)?, model.records());
    Ok(decided.map_err(fail)?.optimized)
}

/// Multiply-accumulates of the nodes after the passes, by name: steps bear these names.
fn macs_by_node(graph: &Graph) -> BTreeMap<String, u64> {
    let mut macs = BTreeMap::new();
    for node in &graph.nodes {
        let count = with_args(graph, node, |args| node.op.as_operator().macs(args)).unwrap_or(0);
        *macs.entry(node.name.clone()).or_default() += count;
    }
    macs
}

/// A step as the first run shows it.
struct Step {
    node: String,
    /// [`StepEvent::part`].
    part: String,
    op: &'static str,
    bytes: usize,
}

/// What observed runs took, step by step.
#[derive(Default)]
struct Recording {
    steps: Vec<Step>,
    /// Milliseconds by run, then by step.
    runs: Vec<Vec<f64>>,
}

impl Recording {
    /// Observes one run, and returns what its steps took together.
    fn record(&mut self, measured: &mut Measured) -> Result<Duration, Error> {
        let (mut times, mut sum) = (Vec::with_capacity(self.steps.len()), Duration::ZERO);
        let (steps, is_first) = (&mut self.steps, self.runs.is_empty());
        let mut observer = |event: &StepEvent<'_>| {
            if is_first {
                let (node, part) = (event.node.to_string(), event.part());
                steps.push(Step { node, part, op: event.op, bytes: event.bytes_touched });
            }
            times.push(event.elapsed.as_secs_f64() * 1e3);
            sum += event.elapsed;
            ControlFlow::Continue(())
        };
        measured.subject.observe(&mut observer)?;
        self.runs.push(times);
        Ok(sum)
    }

    /// The steps in groups of one key, in the order of the first of each, and what each group took in each run but the
    /// first `warmup`.
    fn groups<'a, K: Ord>(
        &'a self,
        warmup: usize,
        key: impl Fn(&'a Step) -> K,
    ) -> Vec<(Vec<&'a Step>, Samples)> {
        let mut positions: BTreeMap<K, Vec<usize>> = BTreeMap::new();
        for (i, step) in self.steps.iter().enumerate() {
            positions.entry(key(step)).or_default().push(i);
        }
        let mut groups: Vec<Vec<usize>> = positions.into_values().collect();
        groups.sort();
        let time = |group: &[usize], run: &Vec<f64>| group.iter().map(|&i| run[i]).sum();
        let samples = |group: &[usize]| self.runs.iter().skip(warmup).map(|run| time(group, run)).collect();
        let of = |g: Vec<usize>| (g.iter().map(|&i| &self.steps[i]).collect(), Samples(samples(&g)));
        groups.into_iter().map(of).collect()
    }
}

fn measure(
    args: &ProfileArgs,
    measured: &mut Measured,
    macs: &BTreeMap<String, u64>,
    threads: usize,
) -> anyhow::Result<Report> {
    let RepeatArgs { runs, warmup } = args.repeat;
    let schedule = Schedule { runs, warmup, order: Order::Interleaved };
    let mut peak = Peak::over(2 * runs)?;
    let progress = output::progress(2 * (runs + warmup));
    let mut recording = Recording::default();
    let run = |which| if which == 0 { measured.subject.run() } else { recording.record(measured) };
    let samples = schedule.measure(2, &mut peak, run, || progress.inc(1))?;
    progress.finish_and_clear();
    let machine = Machine::this(&peak)?;
    let limits = Limits::measure()?;
    let groups = match args.by {
        By::Node => recording.groups(warmup, |s| s.part.as_str()),
        By::Op => recording.groups(warmup, |s| s.op),
    };
    let mut rows: Vec<Row> =
        groups.iter().map(|(steps, samples)| row(args.by, steps, samples, macs)).collect();
    let total: f64 = rows.iter().map(|r| r.median_ms).sum();
    for (row, (steps, _)) in rows.iter_mut().zip(&groups) {
        let at_peak = |peak: f64| row.macs as f64 * 2.0 / (peak * threads as f64 * 1e6);
        row.bound = machine.peak_gflops.map(|peak| {
            let memory = steps.iter().map(|s| limits.bytes_ms(s.bytes)).sum::<f64>() / threads as f64;
            let calls = steps.len() as f64 * limits.step_ms();
            Bound::new(steps.iter().all(|s| s.op == LAYOUT), row.median_ms, [at_peak(peak), memory, calls])
        });
        row.share = row.median_ms / total;
        let fraction = |gflops| machine.peak_fraction(gflops, threads).filter(|_| row.macs > 0);
        row.peak_fraction = fraction(row.gflops);
        row.peak_fraction_at_min = fraction(gflops(row.macs, row.min_ms));
    }
    rows.sort_by(|a, b| b.median_ms.total_cmp(&a.median_ms));
    let sum = |of: fn(&Samples) -> f64| Sum::new(of(&samples[1]), of(&samples[0]));
    let (schema, model) = (output::schema("profile"), args.model.display().to_string());
    let (sum, fastest) = (sum(Samples::median), sum(Samples::min));
    let minima = Minima::new(&rows, &machine, threads);
    measured::note_noise(&model, &samples[0]);
    let ratio = Ratio::paired(&samples[1], &samples[0]);
    Ok(Report { schema, machine, limits, model, threads, rows, sum, fastest, minima, ratio })
}

/// A group without its shares.
fn row(by: By, steps: &[&Step], samples: &Samples, macs: &BTreeMap<String, u64>) -> Row {
    let names: std::collections::BTreeSet<&str> = steps.iter().map(|s| s.node.as_str()).collect();
    let computing: std::collections::BTreeSet<&str> =
        steps.iter().filter(|s| s.op != LAYOUT).map(|s| s.node.as_str()).collect();
    let macs = computing.iter().filter_map(|n| macs.get(*n)).sum();
    let first = steps.first();
    Row {
        node: first.filter(|_| by == By::Node).map(|s| s.part.clone()),
        op: first.map_or("", |s| s.op),
        nodes: names.len(),
        steps: steps.len(),
        median_ms: samples.median(),
        min_ms: samples.min(),
        macs,
        gflops: gflops(macs, samples.median()),
        bytes: steps.iter().map(|s| s.bytes).sum(),
        ..Row::default()
    }
}

fn text(args: &ProfileArgs, report: &Report) -> String {
    let RepeatArgs { runs, warmup } = args.repeat;
    let threads = machine::threads_note(report.threads);
    let mut out = format!("{}\n", report.machine);
    let _ = writeln!(out, "{runs} runs after {warmup} of warm-up, {threads}; times in ms\n");
    let mut table = Table::new(&[
        ("median", Align::Right),
        ("min", Align::Right),
        ("share", Align::Right),
        ("GFLOP/s", Align::Right),
        ("of peak", Align::Right),
        ("at min", Align::Right),
        ("kB", Align::Right),
        ("GB/s", Align::Right),
        ("bound by", Align::Left),
        ("op", Align::Left),
        (if args.by == By::Node { "node" } else { "nodes" }, Align::Left),
    ]);
    for r in &report.rows {
        let speed = if r.macs > 0 { format!("{:.2}", r.gflops) } else { "-".to_string() };
        table.row(vec![
            milliseconds(r.median_ms),
            milliseconds(r.min_ms),
            percent(Some(r.share)),
            speed,
            percent(r.peak_fraction),
            percent(r.peak_fraction_at_min),
            format!("{:.1}", r.bytes as f64 / 1e3),
            format!("{:.2}", r.bytes as f64 / (r.median_ms * 1e6)),
            r.bound.map_or_else(|| "-".to_string(), |b| b.to_string()),
            r.op.to_string(),
            r.node.clone().unwrap_or_else(|| r.nodes.to_string()),
        ]);
    }
    out.push_str(&table.text());
    let _ = writeln!(out, "\nmedian run:  {}\nfastest run: {}", report.sum, report.fastest);
    let _ = writeln!(out, "minima:      {}", report.minima);
    let _ = writeln!(out, "at least:    {}", report.limits);
    if let Some(Ratio { median, low, high }) = report.ratio {
        let _ = writeln!(out, "by pairs:    sum over whole {median:.3} [{low:.3}, {high:.3}]");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(node: &str, op: &'static str) -> Step {
        let part = if op == LAYOUT { format!("{node} (layout)") } else { node.to_string() };
        Step { node: node.to_string(), part, op, bytes: 10 }
    }

    #[test]
    fn rows_are_bound_by_what_takes_longest_at_least() {
        let of = |is_layout, least| Bound::new(is_layout, 2.0, least).to_string();
        assert_eq!(of(false, [1.8, 0.5, 0.1]), "FMA 90 %");
        assert_eq!(of(false, [0.0, 1.5, 0.1]), "memory 75 %");
        assert_eq!(of(false, [0.0, 0.1, 1.0]), "calls 50 %");
        assert_eq!(of(false, [0.5, 0.1, 0.1]), "code 75 %");
        assert_eq!(of(true, [0.0, 0.5, 1.0]), "layout 25 %");
    }

    #[test]
    fn minima_are_held_against_the_peak() {
        let machine = Machine { cpu: String::new(), isa: String::new(), cores: 2, peak_gflops: Some(100.0) };
        let row = |macs, min_ms| Row { macs, min_ms, ..Row::default() };
        let rows = [row(30_000_000, 1.0), row(0, 1.0), row(50_000_000, 1.0)];
        let minima = Minima::new(&rows, &machine, 1);
        assert_eq!(minima.products, Speed { ms: 2.0, gflops: 80.0, peak_fraction: Some(0.8) });
        assert_eq!((minima.all.ms, Minima::new(&rows, &machine, 2).products.peak_fraction), (3.0, Some(0.4)));
        assert_eq!(Minima::new(&rows[1..2], &machine, 1).all.peak_fraction, None);
        let text = "what multiplies 2.000 at 80.00 GFLOP/s, 80.0 % of peak; all 3.000 at 53.33 GFLOP/s, 53.3 % of peak";
        assert_eq!(minima.to_string(), text);
    }

    #[test]
    fn what_brings_an_input_into_a_layout_is_a_row_of_its_own() {
        let steps = vec![step("a", LAYOUT), step("a", "Conv"), step("a", LAYOUT), step("b", "Conv")];
        let recording = Recording { steps, runs: vec![vec![1.0, 2.0, 4.0, 8.0]] };
        let macs = BTreeMap::from([("a".to_string(), 3), ("b".to_string(), 5)]);
        let groups = recording.groups(0, |s| s.part.as_str());
        let rows: Vec<Row> = groups.iter().map(|(steps, s)| row(By::Node, steps, s, &macs)).collect();
        let of = |r: &Row| (r.node.clone().unwrap(), r.op, r.steps, r.median_ms, r.macs);
        let expected =
            [("a (layout)", LAYOUT, 2, 5.0, 0), ("a", "Conv", 1, 2.0, 3), ("b", "Conv", 1, 8.0, 5)];
        assert_eq!(
            rows.iter().map(of).collect::<Vec<_>>(),
            expected.map(|(n, o, s, t, m)| (n.into(), o, s, t, m))
        );
    }

    #[test]
    fn steps_of_one_name_are_summed_up() {
        let steps = vec![step("b", "Conv"), step("a", "Conv"), step("b", "Conv"), step("c", "Relu")];
        // The first run is warm-up.
        let runs = vec![vec![9.0; 4], vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 2.0, 5.0, 4.0]];
        let recording = Recording { steps, runs };
        let macs = BTreeMap::from([("a".to_string(), 3_000_000), ("b".to_string(), 1_000_000)]);
        let nodes = recording.groups(1, |s| s.node.as_str());
        let rows: Vec<Row> = nodes.iter().map(|(steps, s)| row(By::Node, steps, s, &macs)).collect();
        let b = Row {
            node: Some("b".to_string()),
            op: "Conv",
            nodes: 1,
            steps: 2,
            median_ms: 5.0,
            min_ms: 4.0,
            macs: 1_000_000,
            gflops: 0.4,
            bytes: 20,
            ..Row::default()
        };
        assert_eq!((rows.len(), &rows[0]), (3, &b));
        let ops = recording.groups(1, |s| s.op);
        let conv = row(By::Op, &ops[0].0, &ops[0].1, &macs);
        assert_eq!((conv.nodes, conv.steps, conv.macs, conv.median_ms), (2, 3, 4_000_000, 7.0));
        assert_eq!((conv.node, ops[1].1.0.as_slice()), (None, &[4.0, 4.0][..]));
    }
}
