//! A report as sections of tables and plots, and in Markdown.

use std::fmt::Write;

use super::paper;
use super::peers::Peers;
use super::plan::Which;
use super::plot::{Mark, Plot, Series};
use super::report::{Measurement, Report, Row};
use super::theory;
use crate::machine::threads_note;
use crate::stats::Ratio;
use crate::table::{Align, Table, milliseconds, percent};
use crate::zoo::Style;

/// A table with what a reader must know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// What it is about.
    pub title: String,
    /// One sentence or more each.
    pub notes: Vec<String>,
    /// The numbers.
    pub table: Table,
    /// The numbers as pictures.
    pub plots: Vec<Plot>,
}

/// The report in Markdown.
pub fn markdown(report: &Report) -> String {
    let mut out = preamble(report) + "\n";
    for Section { title, notes, table, .. } in sections(report) {
        let _ = writeln!(out, "\n## {title}\n");
        notes.iter().for_each(|note| out += &format!("{note}\n"));
        let _ = write!(out, "\n{}", table.markdown());
    }
    out
}

/// Machine, version, date, and how it was measured, in one line.
pub fn preamble(report: &Report) -> String {
    let machine = match &report.machine {
        Some(machine) => machine.to_string(),
        None => format!("compiled for {}", report.isa),
    };
    let mut line = format!("octrt {}, {}; {machine}", report.version, report.date);
    if let Some(s) = report.schedule {
        let _ =
            write!(line, "; {} rounds of {} runs after {} of warm-up, in turn", s.rounds, s.runs, s.warmup);
    }
    line
}

/// The tables in the paper's order, other runtimes after table 2.
pub fn sections(report: &Report) -> Vec<Section> {
    let mut sections = Vec::new();
    if !report.table1.is_empty() {
        sections.push(theory_section(&report.table1));
    }
    for measurement in &report.tables {
        sections.push(measured_section(measurement, report));
        if let Some(peers) = report.peers.as_ref().filter(|_| measurement.which == Which::Alphas) {
            sections.push(peers_section(peers));
        }
    }
    sections
}

fn theory_section(rows: &[theory::Row]) -> Section {
    let mut table = Table::new(&[
        ("alpha", Align::Right),
        ("MACs, theory", Align::Right),
        ("MACs, counted", Align::Right),
        ("bytes, theory", Align::Right),
        ("bytes, counted", Align::Right),
        ("arena", Align::Right),
        ("arena, MB", Align::Right),
    ]);
    for r in rows {
        let mut cells = vec![r.alpha.to_string()];
        cells.extend([r.macs_theory, r.macs, r.bytes_theory, r.bytes, r.arena].map(|s| percent(Some(s))));
        cells.push(format!("{:.2}", r.arena_bytes as f64 / 1e6));
        table.row(cells);
    }
    let notes = vec![
        "Relative to alpha 0. Counted: an OctConv of 64 channels, 3x3, at 56x56, as a graph; bytes are those of the \
         feature maps."
            .to_string(),
        "Arena: what the compiled Oct-ResNet-50 needs for all its feature maps together, against the vanilla network; \
         those that are not needed at the same time share room."
            .to_string(),
    ];
    Section { title: "Table 1: cost of an OctConv".to_string(), notes, table, plots: Vec::new() }
}

type Column = (&'static str, Align, fn(&Row) -> String);

const NETWORK: Column = ("network", Align::Left, |r| r.case.network.to_string());
const ALPHA: Column = ("alpha", Align::Right, |r| number(r.case.alpha, |a| a.to_string()));
const SIZE: Column = ("pixels", Align::Right, |r| r.case.size.to_string());
const PRECISION: Column = ("precision", Align::Left, |r| r.case.precision.to_string());
const THREADS: Column = ("threads", Align::Right, |r| r.case.threads.to_string());
const DOWN: Column = ("down", Align::Left, |r| octave(r, r.case.ablation.down.to_string()));
const EXCHANGE: Column = ("exchange", Align::Left, |r| octave(r, r.case.ablation.exchange.to_string()));
const GMACS: Column = ("GMACs", Align::Right, |r| format!("{:.3}", r.macs as f64 / 1e9));
const PARAMETERS: Column = ("M params", Align::Right, |r| format!("{:.2}", r.parameters as f64 / 1e6));
const MEDIAN: Column = ("median ms", Align::Right, |r| milliseconds(r.median_ms));
const MIN: Column = ("min ms", Align::Right, |r| milliseconds(r.min_ms));
const SPEEDUP: Column = ("speed-up [95 %]", Align::Right, |r| number(r.against, |a| interval(&a.speedup)));
const SPEEDUP_MIN: Column =
    ("by min", Align::Right, |r| number(r.against, |a| format!("{:.2}", a.speedup_min)));
const ALLOWED: Column = ("MACs allow", Align::Right, |r| number(r.against, |a| format!("{:.2}", a.macs)));
const ATTAINED: Column = ("attained", Align::Right, |r| number(r.against, |a| percent(Some(a.attained))));
const PEAK: Column = ("of peak", Align::Right, |r| percent(r.peak_fraction));
const PAPER_MS: Column = ("paper ms", Align::Right, |r| number(r.paper, |p| p.ms.to_string()));
const PAPER_SPEEDUP: Column =
    ("paper speed-up", Align::Right, |r| number(r.paper.and_then(|p| p.speedup), |s| format!("{s:.2}")));
const PAPER_PEAK: Column = ("paper peak", Align::Right, |r| percent(r.paper.and_then(|p| p.peak_fraction)));

fn number<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or("-".to_string(), show)
}

/// Of a network with OctConvs.
fn octave(row: &Row, word: String) -> String {
    number(row.case.alpha, |_| word.clone())
}

fn interval(r: &Ratio) -> String {
    format!("{:.2} [{:.2}, {:.2}]", r.median, r.low, r.high)
}

fn columns(which: Which) -> Vec<Column> {
    let mut columns = match which {
        Which::Alphas => vec![PRECISION, THREADS, ALPHA, GMACS],
        Which::Ablation => vec![PRECISION, THREADS, ALPHA, DOWN, EXCHANGE, GMACS],
        Which::Sizes => vec![PRECISION, THREADS, SIZE, ALPHA, GMACS],
        Which::MobileNets => vec![PRECISION, THREADS, NETWORK, ALPHA, GMACS, PARAMETERS],
    };
    columns.extend([MEDIAN, MIN, SPEEDUP, SPEEDUP_MIN, ALLOWED, ATTAINED, PEAK]);
    match which {
        Which::Alphas => columns.extend([PAPER_MS, PAPER_SPEEDUP, PAPER_PEAK]),
        Which::MobileNets => columns.push(PAPER_MS),
        Which::Ablation | Which::Sizes => {}
    }
    columns
}

fn measured_section(measurement: &Measurement, report: &Report) -> Section {
    let Measurement { which, rows } = measurement;
    let columns = columns(*which);
    let mut table = Table::new(&columns.iter().map(|&(title, align, _)| (title, align)).collect::<Vec<_>>());
    rows.iter().for_each(|row| table.row(columns.iter().map(|(_, _, cell)| cell(row)).collect()));
    let subject = match which {
        Which::Alphas => "ResNet-50 by alpha",
        Which::Ablation => "ResNet-50 by the parts of its OctConvs",
        Which::Sizes => "ResNet-50 by size of the picture",
        Which::MobileNets => "MobileNets",
    };
    let title = format!("Table {}: {subject}", which.number());
    Section { title, notes: notes(*which, rows), table, plots: plots(measurement, report) }
}

fn notes(which: Which, rows: &[Row]) -> Vec<String> {
    let threads = rows.iter().map(|r| r.case.threads).max().unwrap_or(1);
    let peak = format!(
        "Speed-up: over the vanilla network, median of the rounds' ratios, and of the fastest runs. Attained: the first \
         as a part of what multiply-accumulates (MACs) allow. Of peak: 2 operations for each MAC over the median, {}; \
         Winograd's algorithm (precision default) needs fewer.",
        threads_note(threads)
    );
    let own = match which {
        Which::Alphas => format!(
            "Paper: TVM on one 2.0 GHz Skylake core, against its vanilla run and {} GFLOP/s; vanilla with MKL-DNN takes {} ms.",
            paper::PEAK_GFLOPS,
            paper::RESNET50_MKL_DNN_MS
        ),
        Which::Ablation => {
            "Down: how the extent is halved. Exchange: which frequencies read each other; those layers that \
                            split the channels or bring them together are whole."
                .to_string()
        }
        Which::Sizes => {
            "Sizes are multiples of 32: 736 stands for the paper's 740. The paper gives no times for them."
                .to_string()
        }
        Which::MobileNets => "Paper: one 2.0 GHz Skylake core.".to_string(),
    };
    let mut notes = vec![peak, own];
    if which != Which::MobileNets {
        let is_v1 = rows.iter().any(|r| r.case.style == Some(Style::V1));
        let style = if is_v1 {
            "after the convolutions (v1)"
        } else {
            "before the convolutions (v2, as in the paper's ablations)"
        };
        notes.push(format!("Normalisation and activation stand {style}."));
    }
    notes
}

fn plots(measurement: &Measurement, report: &Report) -> Vec<Plot> {
    let Measurement { which, rows } = measurement;
    let peak = report.machine.as_ref().and_then(|m| m.peak_gflops);
    match which {
        Which::Alphas => {
            vec![latency(rows, Mark::Curve, running, peak), speedup(rows, report.peers.as_ref())]
        }
        Which::MobileNets => vec![latency(rows, Mark::Dots, running_kind, peak)],
        Which::Ablation | Which::Sizes => Vec::new(),
    }
}

/// How a row runs.
fn running(r: &Row) -> String {
    match r.case.threads {
        1 => format!("octrt, {}", r.case.precision),
        n => format!("octrt, {}, {n} threads", r.case.precision),
    }
}

/// How a row runs, and what it is.
fn running_kind(r: &Row) -> String {
    let kind = if r.case.alpha.is_some() { "octave" } else { "vanilla" };
    format!("{}, {kind}", running(r))
}

/// The rows by `name` in their order; `point` gives the points.
fn series(
    rows: &[Row],
    mark: Mark,
    name: impl Fn(&Row) -> String,
    point: impl Fn(&Row) -> Option<(f64, f64)>,
) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for row in rows {
        let (name, point) = (name(row), point(row));
        match all.iter_mut().find(|s| s.name == name) {
            Some(s) => s.points.extend(point),
            None => all.push(Series { name, points: point.into_iter().collect(), mark }),
        }
    }
    all
}

/// Time over multiply-accumulates, with the time that these take at the peak of one core.
fn latency(rows: &[Row], mark: Mark, name: fn(&Row) -> String, peak: Option<f64>) -> Plot {
    let mut all = series(rows, mark, name, |r| Some((r.macs as f64 / 1e9, r.median_ms)));
    let most = rows.iter().map(|r| r.macs as f64 / 1e9).fold(0.0, f64::max);
    all.extend(peak.map(|peak| Series {
        name: "peak of a core".to_string(),
        points: vec![(0.0, 0.0), (most, 2e3 * most / peak)],
        mark: Mark::Ideal,
    }));
    Plot { title: "Time over multiply-accumulates", x: "GMACs", y: "median ms", series: all }
}

/// Speed-up over what the multiply-accumulates allow; vanilla networks are at (1, 1) and left out.
fn speedup(rows: &[Row], peers: Option<&Peers>) -> Plot {
    let mut all = series(rows, Mark::Curve, running, |r| r.against.map(|a| (a.macs, a.speedup.median)));
    let allowed = |alpha: f64| {
        let row = rows.iter().find(|r| r.case.alpha == Some(alpha))?;
        Some(row.against?.macs)
    };
    let mut add = |name: &str, points: Vec<(f64, f64)>| {
        if !points.is_empty() {
            all.push(Series { name: name.to_string(), points, mark: Mark::Curve });
        }
    };
    let of_paper = |r: &Row| Some((r.against?.macs, r.paper?.speedup?));
    let threads = rows.first().map(|r| (r.case.threads, r.case.precision));
    let first = rows.iter().filter(|r| Some((r.case.threads, r.case.precision)) == threads);
    add("paper, TVM", first.filter_map(of_paper).collect());
    let peers = peers.map_or(&[][..], |p| &p.rows);
    for vanilla in peers.iter().filter(|r| r.alpha == 0.0) {
        let own = peers.iter().filter(|r| r.runtime == vanilla.runtime && r.alpha > 0.0);
        let points = own.filter_map(|r| Some((allowed(r.alpha)?, vanilla.median_ms / r.median_ms)));
        add(&format!("{}, bench/peers", vanilla.runtime), points.collect());
    }
    let most = rows.iter().filter_map(|r| r.against).map(|a| a.macs).fold(1.0, f64::max);
    all.push(Series { name: "ideal".to_string(), points: vec![(1.0, 1.0), (most, most)], mark: Mark::Ideal });
    Plot {
        title: "Speed-up over what multiply-accumulates allow",
        x: "MACs allow",
        y: "speed-up",
        series: all,
    }
}

fn peers_section(peers: &Peers) -> Section {
    let mut table = Table::new(&[
        ("alpha", Align::Right),
        ("runtime", Align::Left),
        ("median ms", Align::Right),
        ("min ms", Align::Right),
        ("octrt / it [95 %]", Align::Right),
    ]);
    for r in &peers.rows {
        table.row(vec![
            r.alpha.to_string(),
            format!("{} {}", r.runtime, r.version).trim_end().to_string(),
            milliseconds(r.median_ms),
            milliseconds(r.min_ms),
            number(r.ratio.as_ref(), interval),
        ]);
    }
    let notes = vec![format!(
        "A measurement of its own, of {}, by bench/peers: times are not to be compared with those above, ratios are of turns \
         side by side. Its networks have style v1.",
        peers.date
    )];
    Section { title: "ResNet-50 in other runtimes".to_string(), notes, table, plots: Vec::new() }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use octrt_compiler::Precision;

    use super::*;
    use crate::tables::peers;
    use crate::tables::report::tests::made_up;

    #[test]
    fn tables_in_markdown() {
        let mut report = made_up(&[Which::Alphas], &[Precision::Default]);
        report.peers = Some(peers::tests::peers());
        expect![[r#"
            octrt 0.1.0, 2026-01-02T03:04:05Z; Some <CPU>, x86-64-v3, 4 cores, FMA peak of a core 100.0 GFLOP/s; 2 rounds of 3 runs after 1 of warm-up, in turn

            ## Table 1: cost of an OctConv

            Relative to alpha 0. Counted: an OctConv of 64 channels, 3x3, at 56x56, as a graph; bytes are those of the feature maps.
            Arena: what the compiled Oct-ResNet-50 needs for all its feature maps together, against the vanilla network; those that are not needed at the same time share room.

            | alpha | MACs, theory | MACs, counted | bytes, theory | bytes, counted | arena | arena, MB |
            | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
            | 0 | 100.0 % | 100.0 % | 100.0 % | 100.0 % | 100.0 % | 10.00 |
            | 0.5 | 43.8 % | 43.8 % | 62.5 % | 62.5 % | 75.0 % | 7.50 |

            ## Table 2: ResNet-50 by alpha

            Speed-up: over the vanilla network, median of the rounds' ratios, and of the fastest runs. Attained: the first as a part of what multiply-accumulates (MACs) allow. Of peak: 2 operations for each MAC over the median, 1 thread; Winograd's algorithm (precision default) needs fewer.
            Paper: TVM on one 2.0 GHz Skylake core, against its vanilla run and 128 GFLOP/s; vanilla with MKL-DNN takes 119 ms.
            Normalisation and activation stand before the convolutions (v2, as in the paper's ablations).

            | precision | threads | alpha | GMACs | median ms | min ms | speed-up [95 %] | by min | MACs allow | attained | of peak | paper ms | paper speed-up | paper peak |
            | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
            | default | 1 | - | 4.000 | 143.5 | 82.00 | - | - | - | - | 55.7 % | 115 | - | 55.7 % |
            | default | 1 | 0.25 | 2.688 | 97.56 | 55.75 | 1.47 [1.47, 1.47] | 1.47 | 1.49 | 98.8 % | 55.1 % | 99 | 1.16 | 48.9 % |
            | default | 1 | 0.5 | 1.750 | 64.75 | 37.00 | 2.22 [2.22, 2.22] | 2.22 | 2.29 | 97.0 % | 54.1 % | 74 | 1.55 | 50.7 % |

            ## ResNet-50 in other runtimes

            A measurement of its own, of 2026-01-01T00:00:00+00:00, by bench/peers: times are not to be compared with those above, ratios are of turns side by side. Its networks have style v1.

            | alpha | runtime | median ms | min ms | octrt / it [95 %] |
            | ---: | --- | ---: | ---: | ---: |
            | 0 | Runtime A 7 | 110.0 | 100.0 | - |
            | 0.5 | Runtime A 7 | 90.00 | 90.00 | 0.49 [0.47, 0.50] |
            | 0.5 | octrt 0.1.0 | 45.00 | 40.00 | - |
        "#]].assert_eq(&markdown(&report));
    }

    #[test]
    fn other_tables_in_markdown() {
        let report = made_up(&[Which::Ablation, Which::Sizes, Which::MobileNets], &[Precision::Default]);
        let tables: String = sections(&report)
            .iter()
            .skip(1)
            .map(|s| format!("{}\n{}", s.title, s.table.markdown()))
            .collect();
        expect![[r#"
            Table 3: ResNet-50 by the parts of its OctConvs
            | precision | threads | alpha | down | exchange | GMACs | median ms | min ms | speed-up [95 %] | by min | MACs allow | attained | of peak |
            | --- | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
            | default | 1 | - | - | - | 4.000 | 143.5 | 82.00 | - | - | - | - | 55.7 % |
            | default | 1 | 0.5 | stride | both | 1.750 | 64.75 | 37.00 | 2.22 [2.22, 2.22] | 2.22 | 2.29 | 97.0 % | 54.1 % |
            | default | 1 | 0.5 | average | none | 1.750 | 64.75 | 37.00 | 2.22 [2.22, 2.22] | 2.22 | 2.29 | 97.0 % | 54.1 % |
            | default | 1 | 0.5 | average | L to H | 1.750 | 64.75 | 37.00 | 2.22 [2.22, 2.22] | 2.22 | 2.29 | 97.0 % | 54.1 % |
            | default | 1 | 0.5 | average | H to L | 1.750 | 64.75 | 37.00 | 2.22 [2.22, 2.22] | 2.22 | 2.29 | 97.0 % | 54.1 % |
            | default | 1 | 0.5 | average | both | 1.750 | 64.75 | 37.00 | 2.22 [2.22, 2.22] | 2.22 | 2.29 | 97.0 % | 54.1 % |
            Table 4: ResNet-50 by size of the picture
            | precision | threads | pixels | alpha | GMACs | median ms | min ms | speed-up [95 %] | by min | MACs allow | attained | of peak |
            | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
            | default | 1 | 256 | - | 5.224 | 186.4 | 106.5 | - | - | - | - | 56.1 % |
            | default | 1 | 256 | 0.25 | 3.510 | 126.4 | 72.20 | 1.47 [1.47, 1.47] | 1.47 | 1.49 | 99.1 % | 55.6 % |
            | default | 1 | 256 | 0.5 | 2.286 | 83.50 | 47.71 | 2.23 [2.23, 2.23] | 2.23 | 2.29 | 97.6 % | 54.7 % |
            | default | 1 | 320 | - | 8.163 | 289.2 | 165.3 | - | - | - | - | 56.5 % |
            | default | 1 | 320 | 0.25 | 5.485 | 195.5 | 111.7 | 1.48 [1.48, 1.48] | 1.48 | 1.49 | 99.4 % | 56.1 % |
            | default | 1 | 320 | 0.5 | 3.571 | 128.5 | 73.43 | 2.25 [2.25, 2.25] | 2.25 | 2.29 | 98.5 % | 55.6 % |
            Table 5: MobileNets
            | precision | threads | network | alpha | GMACs | M params | median ms | min ms | speed-up [95 %] | by min | MACs allow | attained | of peak | paper ms |
            | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
            | default | 1 | mobilenet-v1-0.75 | - | 4.000 | 25.00 | 143.5 | 82.00 | - | - | - | - | 55.7 % | 13.4 |
            | default | 1 | oct-mobilenet-v1-0.75 | 0.375 | 2.172 | 25.00 | 79.52 | 45.44 | 1.80 [1.80, 1.80] | 1.80 | 1.84 | 98.0 % | 54.6 % | 11.9 |
            | default | 1 | mobilenet-v1-1.0 | - | 4.000 | 25.00 | 143.5 | 82.00 | - | - | - | - | 55.7 % | - |
            | default | 1 | oct-mobilenet-v1-1.0 | 0.5 | 1.750 | 25.00 | 64.75 | 37.00 | 2.22 [2.22, 2.22] | 2.22 | 2.29 | 97.0 % | 54.1 % | 18.4 |
            | default | 1 | mobilenet-v2-1.0 | - | 4.000 | 25.00 | 143.5 | 82.00 | - | - | - | - | 55.7 % | 24.5 |
            | default | 1 | oct-mobilenet-v2-1.0 | 0.375 | 2.172 | 25.00 | 79.52 | 45.44 | 1.80 [1.80, 1.80] | 1.80 | 1.84 | 98.0 % | 54.6 % | 17.1 |
            | default | 1 | mobilenet-v2-1.125 | - | 4.000 | 25.00 | 143.5 | 82.00 | - | - | - | - | 55.7 % | - |
            | default | 1 | oct-mobilenet-v2-1.125 | 0.5 | 1.750 | 25.00 | 64.75 | 37.00 | 2.22 [2.22, 2.22] | 2.22 | 2.29 | 97.0 % | 54.1 % | 26.3 |
        "#]].assert_eq(&tables);
    }

    #[test]
    fn plots_have_a_series_for_each_way_to_run() {
        let mut report = made_up(&[Which::Alphas, Which::MobileNets], &Precision::ALL);
        report.peers = Some(peers::tests::peers());
        let sections = sections(&report);
        let plots: Vec<_> = sections.iter().flat_map(|s| &s.plots).collect();
        let names = |plot: &Plot| plot.series.iter().map(|s| s.name.clone()).collect::<Vec<_>>().join("; ");
        assert_eq!(plots.len(), 3);
        assert_eq!(names(plots[0]), "octrt, default; octrt, strict; peak of a core");
        assert_eq!(
            names(plots[1]),
            "octrt, default; octrt, strict; paper, TVM; Runtime A, bench/peers; ideal"
        );
        assert_eq!(
            names(plots[2]),
            "octrt, default, vanilla; octrt, default, octave; octrt, strict, vanilla; octrt, strict, octave; peak of a core"
        );
        let paper = &plots[1].series[2].points;
        assert!(paper.len() == 2 && (paper[1].1 - 115.0 / 74.0).abs() < 1e-9, "{paper:?}");
    }

    #[test]
    fn what_is_only_counted_names_no_machine() {
        let report = Report { machine: None, schedule: None, ..made_up(&[], &[]) };
        assert_eq!(preamble(&report), "octrt 0.1.0, 2026-01-02T03:04:05Z; compiled for x86-64-v3");
    }
}
