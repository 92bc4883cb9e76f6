//! `octrt-bench predict`: what networks would take on a processor that is not here.

use std::fmt::Write;

use clap::Args;
use octrt_bench::machine::Machine;
use octrt_bench::predict::{Predicted, Processor, predict};
use octrt_bench::stats::flat;
use octrt_bench::table::{Align, Table, milliseconds};
use octrt_bench::tables::plan::ALPHAS;
use octrt_bench::tables::{Case, Schedule, Subjects, paper};
use octrt_ops::Graph;

use super::{positive, print};

/// `octrt-bench predict`
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The processor
    #[arg(long, value_name = "NAME", default_value = octrt_bench::predict::NAMES[0])]
    cpu: String,
    /// Its clock [default: 2.0, as the paper's]
    #[arg(long, value_name = "GHZ", value_parser = clock)]
    ghz: Option<f64>,
    /// Height and width of the input in pixels, a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 224)]
    size: usize,
    /// Runs of each network on this machine, which the way of predicting is tried on first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive)]
    runs: usize,
}

fn clock(text: &str) -> Result<f64, String> {
    let ghz = text.parse().ok().filter(|ghz: &f64| ghz.is_finite() && *ghz > 0.0);
    ghz.ok_or_else(|| format!("'{text}': expected a number above 0"))
}

/// Runs the command.
///
/// # Errors
/// Those of building, compiling and running the networks, and of llvm-mca.
pub fn run(args: &PredictArgs) -> anyhow::Result<()> {
    let on = Processor::named(&args.cpu, args.ghz)?;
    let alphas = [&[0.0], &ALPHAS[..]].concat();
    let case = |alpha: &f64| Ok(Case { size: args.size, ..Case::new("resnet50", *alpha)? });
    let cases: Vec<Case> = alphas.iter().map(case).collect::<anyhow::Result<_>>()?;
    let graphs: Vec<Graph> = cases.iter().map(Case::specialized).collect::<Result<_, _>>()?;
    let schedule = Schedule { rounds: 1, runs: args.runs, warmup: 1 };
    let (measured, peak) = Subjects::build(&cases, |_| {})?.measure(schedule, |_| {})?;
    let here = Processor::here(&peak)?;
    let text = tried(&Machine::this(&peak)?, &here, &measured, &predict(&graphs, &here)?)?;
    print(&format!("{text}\n{}", there(args, &on, &alphas, &predict(&graphs, &on)?)))
}

/// The same way of predicting, on this machine, beside what was measured.
fn tried(
    machine: &Machine,
    here: &Processor,
    measured: &[octrt_bench::tables::case::Measured],
    predicted: &[Predicted],
) -> anyhow::Result<String> {
    let mut table = Table::new(&[
        ("network", Align::Left),
        ("code", Align::Right),
        ("bytes", Align::Right),
        ("predicted ms", Align::Right),
        ("measured ms", Align::Right),
        ("error", Align::Right),
    ]);
    let mut errors = Vec::new();
    for (m, p) in measured.iter().zip(predicted) {
        let min = flat(&m.rounds).min();
        let error = p.ms() / min - 1.0;
        errors.push(error.abs());
        table.row(vec![
            network(m.case.alpha),
            milliseconds(p.code_ms),
            milliseconds(p.bytes_ms),
            milliseconds(p.ms()),
            milliseconds(min),
            format!("{:+.0} %", 100.0 * error),
        ]);
    }
    let Processor { name, ghz, .. } = here;
    let mut out = format!("Tried on this machine: {machine}; taken for {name} at {ghz:.2} GHz\n\n");
    out.push_str(&table.text());
    let largest = errors.iter().copied().fold(0.0, f64::max);
    let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
    writeln!(out, "\nerror: {:.0} % on average, {:.0} % at most", 100.0 * mean, 100.0 * largest)?;
    Ok(out)
}

fn network(alpha: Option<f64>) -> String {
    alpha.map_or("resnet50".to_string(), |alpha| format!("oct-resnet50 {alpha}"))
}

/// The prediction beside what the paper measured.
fn there(args: &PredictArgs, on: &Processor, alphas: &[f64], predicted: &[Predicted]) -> String {
    let vanilla = predicted.first().map_or(f64::NAN, Predicted::ms);
    let mut table = Table::new(&[
        ("network", Align::Left),
        ("code", Align::Right),
        ("bytes", Align::Right),
        ("by bytes only", Align::Right),
        ("predicted ms", Align::Right),
        ("speed-up", Align::Right),
        ("paper ms", Align::Right),
        ("paper speed-up", Align::Right),
    ]);
    let measured_there = args.size == paper::MEASURED.0;
    for (alpha, p) in alphas.iter().zip(predicted) {
        let published = paper::resnet50(*alpha).filter(|_| measured_there);
        let speedup = |s: Option<f64>| s.map_or("-".to_string(), |s| format!("{s:.2}"));
        table.row(vec![
            network(Some(*alpha).filter(|a| *a > 0.0)),
            milliseconds(p.code_ms),
            milliseconds(p.bytes_ms),
            format!("{} steps", p.unknown),
            milliseconds(p.ms()),
            speedup(Some(vanilla / p.ms()).filter(|_| *alpha > 0.0)),
            published.map_or("-".to_string(), |p| format!("{:.0}", p.ms)),
            speedup(published.and_then(|p| p.speedup)),
        ]);
    }
    let Processor { name, target, ghz, .. } = on;
    format!(
        "PREDICTION, not measured: one thread of {name} at {ghz:.1} GHz, {target}, {0} x {0} pixels\n\n{1}",
        args.size,
        table.text()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_says_so() {
        let args = PredictArgs { cpu: "skylake-avx512".into(), ghz: None, size: 224, runs: 1 };
        let on = Processor::named(&args.cpu, None).unwrap();
        let of = |ms| Predicted { code_ms: ms, bytes_ms: 2.0, unknown: 3 };
        let text = there(&args, &on, &[0.0, 0.5], &[of(98.0), of(48.0)]);
        assert!(text.starts_with("PREDICTION, not measured"), "{text}");
        let row = text.lines().find(|l| l.starts_with("oct-resnet50 0.5")).unwrap();
        assert_eq!(
            row.split_whitespace().skip(4).collect::<Vec<_>>(),
            ["3", "steps", "50.00", "2.00", "74", "1.55"]
        );
        let other = PredictArgs { size: 256, ..args };
        assert!(!there(&other, &on, &[0.5], &[of(1.0)]).contains("74"));
    }

    #[test]
    fn clocks_are_numbers_above_zero() {
        assert_eq!(clock("2.5"), Ok(2.5));
        for bad in ["0", "-1", "inf", "NaN", "x"] {
            assert!(clock(bad).is_err(), "{bad}");
        }
    }
}
