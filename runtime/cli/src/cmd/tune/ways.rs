//! The candidates of a problem, measured in turns.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use octrt::records::{Record, Subject};
use octrt::{Error, LoadOptions, Model, Specialization, StepEvent};
use octrt_bench::measure;
use octrt_compiler::lower::calls::LAYOUT;
use octrt_compiler::pipeline::{self, Stages};
use octrt_compiler::strategy::conv::Algorithm;
use octrt_compiler::strategy::decision::{Decision, candidates};

use super::choose;
use super::problem::{NODE, Problem};
use crate::model;

/// Rounds in which every candidate runs once: the first ones for all of them, then for those that may still win.
const ROUNDS: [(usize, f64); 3] = [(3, 1.25), (4, 1.1), (8, f64::INFINITY)];

/// Bytes that are read between two runs of a candidate: at least what level-2 caches hold, at most what takes a few
/// milliseconds.
const COLD_BYTES: [usize; 2] = [8 << 20, 64 << 20];

/// What was found for a problem.
pub struct Found {
    /// What the compiler's own choice takes, in nanoseconds.
    pub own_ns: u64,
    /// For each algorithm that was measured what it takes and the way to cut its loops, the fastest first.
    pub ways: Vec<(u64, Decision)>,
}

/// Makes weights cold: as many bytes as the model's weights are read between two runs, as in a run of the model.
pub struct Cold(Vec<u64>);

impl Cold {
    /// As cold as the weights of a model are.
    ///
    /// # Errors
    /// As [`Model::memory`].
    pub fn of(model: &Model) -> Result<Self, Error> {
        let memory = model.memory()?;
        let [least, most] = COLD_BYTES;
        let bytes = (memory.weight_bytes + memory.mapped_weight_bytes).clamp(least, most);
        // Pages of zeros would all be the same page.
        Ok(Cold(vec![1; bytes / 8]))
    }

    fn pass(&mut self) {
        black_box(self.0.iter().step_by(8).fold(0u64, |sum, n| sum.wrapping_add(*n)));
    }
}

/// A way to compute the problem, compiled.
struct Candidate {
    decision: Decision,
    subject: measure::Subject,
    fastest: Duration,
}

impl Candidate {
    /// One run: the time of the convolution alone.
    fn run(&mut self) -> Result<(), Error> {
        let mut sum = Duration::ZERO;
        let mut observer = |event: &StepEvent<'_>| {
            if event.node == NODE && event.op != LAYOUT {
                sum += event.elapsed;
            }
            ControlFlow::Continue(())
        };
        self.subject.observe(&mut observer)?;
        self.fastest = self.fastest.min(sum);
        Ok(())
    }
}

/// Measures a problem for about so long.
///
/// # Errors
/// Those of compiling and running it.
pub fn measure(
    problem: &Problem,
    options: &LoadOptions,
    cold: &mut Cold,
    time: Duration,
) -> anyhow::Result<Found> {
    let end = Instant::now() + time;
    let bench = Bench::new(problem, options)?;
    let Stages { decided, convolutions, .. } = bench.stages(&octrt_compiler::Records::NONE)?;
    let own = decided.choice.convolutions.first().map_or(Decision::DIRECT, |c| c.decision);
    let all = convolutions.first().map_or_else(Vec::new, |(p, _)| candidates(p, bench.options.target));
    let mut running = Vec::with_capacity(all.len());
    for decision in all {
        running.extend(bench.candidate(decision)?);
    }
    rounds(&mut running, own, cold, end)?;
    let serves = |both: &Decision| {
        convolutions.first().is_some_and(|(p, _)| both.on(p, bench.options.target) == *both)
    };
    let both = choose::together(&times(&running)).filter(serves);
    if let Some(candidate) = both.map(|both| bench.candidate(both)).transpose()?.flatten() {
        running.push(candidate);
        // All that are left run again, so that no candidate has more tries than another.
        keep(&mut running, own, ROUNDS[1].1);
        rounds(&mut running, own, cold, end)?;
    }
    let times = times(&running);
    let ns = |time: &Duration| time.as_nanos() as u64;
    let own_ns = times.iter().find(|(d, _)| *d == own).map_or(0, |(_, time)| ns(time));
    let found = Algorithm::ALL.into_iter().filter_map(|algorithm| choose::best(&times, algorithm));
    let mut ways: Vec<(u64, Decision)> = found.map(|(decision, time)| (ns(&time), decision)).collect();
    ways.sort_unstable();
    Ok(Found { own_ns, ways })
}

fn times(all: &[Candidate]) -> Vec<(Decision, Duration)> {
    all.iter().map(|c| (c.decision, c.fastest)).collect()
}

/// What the candidates of a problem are compiled from.
struct Bench<'a> {
    problem: &'a Problem,
    load: &'a LoadOptions,
    options: octrt_compiler::Options,
    model: Model,
    on: Specialization,
}

impl<'a> Bench<'a> {
    fn new(problem: &'a Problem, load: &'a LoadOptions) -> anyhow::Result<Self> {
        let model = Model::from_graph(problem.graph()?, load)?;
        let on = Specialization::new(model.fixed_input_types().unwrap_or_default());
        Ok(Bench { problem, load, options: model::compiler_options(&model)?, on, model })
    }

    fn stages(&self, records: &octrt_compiler::Records) -> Result<Stages, Error> {
        let fail = |source| Error::Compile { model: self.model.name().to_string(), source };
        pipeline::stages(&self.model.specialized(&self.on)?, self.options, records).map_err(fail)
    }

    /// The problem compiled as a decision says; none where it is passed over.
    fn candidate(&self, decision: Decision) -> anyhow::Result<Option<Candidate>> {
        let subject = Subject::Convolution(self.problem.convolution, decision);
        let record = Record { isa: self.options.target.isa, subject, ns: 0 };
        let options = self.load.clone().with_records([record].into_iter().collect());
        let model = Model::from_graph(self.problem.graph()?, &options)?;
        let choice = self.stages(model.records())?.decided.choice;
        if choice.convolutions.first().is_none_or(|c| c.decision != decision) {
            return Ok(None);
        }
        let subject = measure::Subject::new(model.session()?, self.problem.inputs()?)?;
        Ok(Some(Candidate { decision, subject, fastest: Duration::MAX }))
    }
}

/// Runs candidates in turns, each round from another one on, until those that may win have run in all rounds or the time
/// is over; every one runs three times at least.
fn rounds(all: &mut Vec<Candidate>, own: Decision, cold: &mut Cold, end: Instant) -> Result<(), Error> {
    for (rounds, near) in ROUNDS {
        for round in 0..rounds {
            let is_late = Instant::now() > end;
            if is_late && near < ROUNDS[0].1 {
                return Ok(());
            }
            let count = all.len();
            for i in 0..count {
                cold.pass();
                all[(round + i) % count].run()?;
            }
        }
        keep(all, own, near);
    }
    Ok(())
}

fn keep(all: &mut Vec<Candidate>, own: Decision, near: f64) {
    let stays = choose::near(&times(all), own, near);
    all.retain(|c| stays.contains(&c.decision));
}
