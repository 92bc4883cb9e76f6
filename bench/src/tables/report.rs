//! Results side by side with the paper and other runtimes.

use serde::Serialize;

use super::case::{Case, Measured, Schedule};
use super::paper::Published;
use super::peers::Peers;
use super::plan::{Plan, Which};
use super::theory;
use crate::machine::Machine;
use crate::measure::gflops;
use crate::stats::{Ratio, Samples, by_round, flat};

/// All that was counted and measured: see [`super`] for its JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name and version of the JSON.
    pub schema: &'static str,
    /// Start of the measurement, RFC 3339, UTC.
    pub date: String,
    /// Version of octrt.
    pub version: String,
    /// What networks are compiled for.
    pub isa: String,
    /// The machine; none when nothing is measured.
    pub machine: Option<Machine>,
    /// How often each case ran; none when nothing is measured.
    pub schedule: Option<Schedule>,
    /// Table 1; empty when it was not asked for.
    pub table1: Vec<theory::Row>,
    /// The measured tables.
    pub tables: Vec<Measurement>,
    /// Other runtimes.
    pub peers: Option<Peers>,
}

impl Report {
    /// The schema's name and version.
    pub const SCHEMA: &str = "octrt-bench.tables/1";
}

/// A measured table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// Which one.
    #[serde(rename = "table")]
    pub which: Which,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A case beside the vanilla network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Against {
    /// Vanilla's time over the case's.
    pub speedup: Ratio,
    /// Vanilla's fastest run over the case's.
    pub speedup_min: f64,
    /// Vanilla's multiply-accumulates over the case's: the speed-up if time were in proportion to them.
    pub macs: f64,
    /// The part of that which is attained: the median speed-up over it.
    pub attained: f64,
}

/// A measured case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    #[serde(flatten)]
    pub case: Case,
    /// Multiply-accumulates of a run.
    pub macs: u64,
    /// Learned numbers.
    pub parameters: usize,
    /// Wall times in milliseconds, by round.
    pub samples_ms: Vec<Samples>,
    /// The middle of all runs in milliseconds.
    pub median_ms: f64,
    /// The fastest run in milliseconds.
    pub min_ms: f64,
    /// Two operations for every multiply-accumulate over the median, in GFLOP/s.
    pub gflops: f64,
    /// The share of the peak of as many cores as threads.
    pub peak_fraction: Option<f64>,
    /// Beside the vanilla network; none for that one.
    pub against: Option<Against>,
    /// What the paper measured.
    pub paper: Option<Published>,
}

/// The plan's table. Entries that were not measured are left out.
pub fn measurement(plan: &Plan, measured: &[Measured], machine: &Machine) -> Measurement {
    let find = |case: &Case| measured.iter().find(|m| m.case == *case);
    let row = |entry: &super::plan::Entry| {
        let m = find(&entry.case)?;
        let all = flat(&m.rounds);
        let gflops = gflops(m.macs, all.median());
        let base = entry.base.and_then(|b| find(&plan.entries.get(b)?.case));
        Some(Row {
            case: m.case,
            macs: m.macs,
            parameters: m.parameters,
            samples_ms: m.rounds.clone(),
            median_ms: all.median(),
            min_ms: all.min(),
            gflops,
            peak_fraction: machine.peak_fraction(gflops, m.case.threads),
            against: base.and_then(|base| against(m, base)),
            paper: entry.paper,
        })
    };
    Measurement { which: plan.which, rows: plan.entries.iter().filter_map(row).collect() }
}

fn against(m: &Measured, base: &Measured) -> Option<Against> {
    let speedup = Ratio::paired(&by_round(&base.rounds), &by_round(&m.rounds))?;
    let macs = base.macs as f64 / m.macs as f64;
    let speedup_min = flat(&base.rounds).min() / flat(&m.rounds).min();
    Some(Against { speedup, speedup_min, macs, attained: speedup.median / macs })
}

#[cfg(test)]
pub(super) mod tests {
    use octrt_compiler::Precision;

    use super::*;
    use crate::tables::plan::{Choice, cases};

    /// A report with made-up numbers: a case takes 20 ms for 10^9 multiply-accumulates and 2 ms for anything else, in the
    /// second round twice as long.
    pub fn made_up(tables: &[Which], precisions: &[Precision]) -> Report {
        let choice = |which| Choice {
            alphas: vec![0.25, 0.5],
            sizes: if which == Which::Sizes { vec![256, 320] } else { vec![224] },
            threads: vec![1],
            precisions: precisions.to_vec(),
            style: None,
        };
        let plans: Vec<Plan> = tables.iter().map(|&w| Plan::new(w, &choice(w)).unwrap()).collect();
        let measure = |case: Case| {
            let macs =
                (4e9 * (case.size as f64 / 224.0).powi(2) * theory::macs(case.alpha.unwrap_or(0.0))) as u64;
            let ms = 2.0 + 20.0 * macs as f64 / 1e9;
            let rounds = [1.0, 2.0].map(|slow| Samples(vec![1.5 * slow * ms, slow * ms, 1.1 * slow * ms]));
            Measured { case, macs, parameters: 25_000_000, rounds: rounds.to_vec() }
        };
        let measured: Vec<Measured> = cases(&plans).into_iter().map(measure).collect();
        let isa = "x86-64-v3".to_string();
        let machine =
            Machine { cpu: "Some <CPU>".into(), isa: isa.clone(), cores: 4, peak_gflops: Some(100.0) };
        let share = |alpha: f64| theory::Row {
            alpha,
            macs_theory: theory::macs(alpha),
            macs: theory::macs(alpha),
            bytes_theory: theory::bytes(alpha),
            bytes: theory::bytes(alpha),
            arena_bytes: (10e6 * (1.0 - 0.5 * alpha)) as usize,
            arena: 1.0 - 0.5 * alpha,
        };
        Report {
            schema: Report::SCHEMA,
            date: "2026-01-02T03:04:05Z".into(),
            version: "0.1.0".into(),
            isa,
            tables: plans.iter().map(|p| measurement(p, &measured, &machine)).collect(),
            machine: Some(machine),
            schedule: Some(Schedule { rounds: 2, runs: 3, warmup: 1 }),
            table1: vec![share(0.0), share(0.5)],
            peers: None,
        }
    }

    #[test]
    fn speed_ups_are_of_pairs_in_a_round() {
        let report = made_up(&[Which::Alphas], &[Precision::Default]);
        let rows = &report.tables[0].rows;
        assert_eq!(rows.iter().map(|r| r.against.is_some()).collect::<Vec<_>>(), [false, true, true]);
        let half = &rows[2];
        let against = half.against.unwrap();
        let (vanilla, octave) = (82.0, 2.0 + 20.0 * 4.0 * 0.4375);
        assert!((against.speedup.median - vanilla / octave).abs() < 1e-9, "{against:?}");
        assert!((against.speedup_min - vanilla / octave).abs() < 1e-9);
        assert!((against.macs - 1.0 / 0.4375).abs() < 1e-9);
        assert!((against.attained - against.speedup.median * 0.4375).abs() < 1e-9);
        // 1, 1.1, 1.5, 2, 2.2 and 3 times.
        assert!((half.median_ms - 1.75 * octave).abs() < 1e-9 && (half.min_ms - octave).abs() < 1e-9);
        assert_eq!(half.peak_fraction, Some(half.gflops / 100.0));
        assert_eq!(half.paper.map(|p| p.ms), Some(74.0));
    }

    #[test]
    fn programs_read_what_is_documented() {
        let json = serde_json::to_value(made_up(&[Which::Ablation], &[Precision::Strict])).unwrap();
        let keys =
            |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(keys(&json), "date isa machine peers schedule schema table1 tables version");
        assert_eq!(json["tables"][0]["table"], 3);
        let row = &json["tables"][0]["rows"][1];
        assert_eq!(
            keys(row),
            "ablation against alpha gflops macs median_ms min_ms network paper parameters peak_fraction precision \
             samples_ms size style threads"
        );
        assert_eq!(row["ablation"], serde_json::json!({ "exchange": "both", "down": "stride" }));
        assert_eq!((&row["network"], &row["precision"]), (&"oct-resnet50".into(), &"strict".into()));
        assert_eq!(row["samples_ms"].as_array().unwrap().len(), 2);
        assert_eq!(keys(&row["against"]), "attained macs speedup speedup_min");
        assert_eq!(keys(&json["table1"][0]), "alpha arena arena_bytes bytes bytes_theory macs macs_theory");
    }
}
