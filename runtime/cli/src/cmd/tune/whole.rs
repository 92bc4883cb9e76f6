//! The whole model with records and without, and with vectors of other widths.

use octrt::records::{Record, Subject, model_key};
use octrt::{Isa, LoadOptions, Records, Target};
use octrt_bench::machine::Peak;
use octrt_bench::measure::{Order, Schedule};
use octrt_bench::stats::{Ratio, Samples};
use serde::Serialize;

use super::file::Log;
use crate::args::TuneArgs;
use crate::measured::{self, Measured};
use crate::{model, output};

/// Runs of each, and runs before.
const RUNS: usize = 20;
const WARMUP: usize = 2;

/// What the whole model takes.
#[derive(Serialize)]
pub struct Whole {
    /// Without records, in milliseconds.
    pub before_ms: f64,
    /// With them.
    pub after_ms: f64,
    /// After over before.
    pub ratio: Option<Ratio>,
    /// With records, for each target that the machine has, where the target is its choice.
    pub targets: Vec<(String, f64)>,
}

/// Measures the model as it was loaded, with the records that the file has now, and with those for other targets where
/// the target is the machine's choice; which is the fastest is appended to the file.
///
/// # Errors
/// Those of loading and running the model, and of writing.
pub fn measure(
    args: &TuneArgs,
    options: &LoadOptions,
    (before, log): (Measured, &mut Log),
) -> anyhow::Result<Whole> {
    let target = before.model.target()?;
    let key = model_key(model::graph(&before.model)?);
    let records =
        args.machine.compiler.records.as_deref().map_or_else(|| Ok(Records::default()), Records::read)?;
    let load = |target| {
        let options = options.clone().with_target(Some(target)).with_records(records.clone());
        measured::load(&args.model, &args.dims, &args.values, &options)
    };
    let others: Vec<Target> = match args.machine.compiler.target.0 {
        Some(_) => Vec::new(),
        None => others(target, octrt::detect_isa()?),
    };
    let mut subjects = vec![before, load(target)?];
    for other in &others {
        subjects.push(load(*other)?);
    }
    let samples = run(&mut subjects)?;
    let mut targets = Vec::new();
    if !others.is_empty() {
        let measured = [target].into_iter().chain(others).zip(&samples[1..]);
        let mut lines = Vec::new();
        for (target, samples) in measured {
            let ns = (samples.min() * 1e6) as u64;
            lines.push(Record { isa: target.isa, subject: Subject::Model(key.clone()), ns });
            targets.push((target.to_string(), samples.min()));
        }
        log.append(&lines)?;
    }
    Ok(Whole {
        before_ms: samples[0].min(),
        after_ms: samples[1].min(),
        ratio: Ratio::paired(&samples[1], &samples[0]),
        targets,
    })
}

/// The other targets with vectors of their own that a machine has.
fn others(target: Target, host: Isa) -> Vec<Target> {
    let all = [Isa::V3, Isa::V4].into_iter().filter(|isa| *isa <= host && *isa != target.isa);
    all.map(octrt::native_target).collect()
}

fn run(subjects: &mut [Measured]) -> anyhow::Result<Vec<Samples>> {
    let schedule = Schedule { runs: RUNS, warmup: WARMUP, order: Order::Interleaved };
    let count = subjects.len();
    let mut peak = Peak::over(usize::MAX)?;
    let progress = output::progress(count * (RUNS + WARMUP));
    let run = |i: usize| subjects[i].subject.run();
    let samples = schedule.measure(count, &mut peak, run, || progress.inc(1))?;
    progress.finish_and_clear();
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_the_targets_up_to_its_own() {
        let [v2, v3, v4] = [Isa::V2, Isa::V3, Isa::V4].map(octrt::native_target);
        assert_eq!(others(v4, Isa::V4), [v3]);
        assert_eq!(others(v3, Isa::V4), [v4]);
        assert_eq!(others(v3, Isa::V3), []);
        assert_eq!(others(v2, Isa::V2), []);
    }
}
