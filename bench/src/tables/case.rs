//! What is measured: networks, and how they run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use octrt::{DataType, LoadOptions, Model, Threads};
use octrt_compiler::Precision;
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::{DType, Dim, Graph, TensorType};
use serde::{Serialize, Serializer};

use super::TablesError;
use crate::cores::Cores;
use crate::machine::Peak;
use crate::measure::{Buffer, Subject};
use crate::stats::Samples;
use crate::zoo::{self, Ablation, Batch, Network, Options, Style, Weights};

/// A network and how it runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Case {
    /// The network.
    #[serde(serialize_with = "shown")]
    pub network: Network,
    /// Part of the channels at low frequency; none for vanilla networks.
    pub alpha: Option<f64>,
    /// Style of residual blocks; none for the network's own.
    #[serde(serialize_with = "style_word")]
    pub style: Option<Style>,
    /// What its OctConvs are made of.
    pub ablation: Ablation,
    /// Height and width of the picture in pixels.
    pub size: usize,
    /// Which algorithms may be used.
    #[serde(serialize_with = "shown")]
    pub precision: Precision,
    /// Threads, each with a core of its own.
    pub threads: usize,
}

fn shown<S: Serializer>(value: &impl fmt::Display, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

fn style_word<S: Serializer>(style: &Option<Style>, s: S) -> Result<S::Ok, S::Error> {
    let word = style.map(|style| match style {
        Style::V1 => "v1",
        Style::V2 => "v2",
    });
    word.serialize(s)
}

impl Case {
    /// A network of the zoo at 224 x 224 pixels, one thread, all algorithms: with OctConvs unless `alpha` is 0. `name` is
    /// the vanilla network's.
    ///
    /// # Errors
    /// [`zoo::ZooError::Unknown`]
    pub fn new(name: &str, alpha: f64) -> Result<Self, zoo::ZooError> {
        let is_vanilla = alpha == 0.0;
        let network = if is_vanilla { name.parse()? } else { format!("oct-{name}").parse()? };
        Ok(Case {
            network,
            alpha: (!is_vanilla).then_some(alpha),
            style: None,
            ablation: Ablation::default(),
            size: 224,
            precision: Precision::Default,
            threads: 1,
        })
    }

    /// The network for pictures of any size, which the case's own stands for.
    fn graph(&self) -> Result<Graph, zoo::ZooError> {
        let Case { alpha, style, size, .. } = *self;
        let options = Options { alpha, style, size, batch: Batch::One, weights: Weights::Seeded(0) };
        let mut graph = self.network.ablated(&options, self.ablation)?;
        for input in &mut graph.inputs {
            let open = |name: &str| Dim::Dynamic(name.to_string());
            input.dims = vec![Dim::Fixed(1), Dim::Fixed(3), open("height"), open("width")];
            graph.values[input.value.index()].ty = None;
        }
        Ok(graph)
    }

    /// As it is compiled for its size, with all types.
    ///
    /// # Errors
    /// Those of building the network.
    pub fn specialized(&self) -> Result<Graph, TablesError> {
        Ok(specialize(&self.graph()?, &[self.input_type()], Limits::default())?)
    }

    fn input_type(&self) -> TensorType {
        TensorType::new(DType::F32, [1, 3, self.size, self.size])
    }

    /// A picture of numbers from -1 to 1.
    fn input(&self) -> Buffer {
        let shape = self.input_type().shape.dims().to_vec();
        let pixel = |i: usize| (i % 251) as f32 / 125.0 - 1.0;
        let bytes = (0..shape.iter().product()).flat_map(|i| pixel(i).to_le_bytes()).collect();
        Buffer { name: "x".to_string(), dtype: DataType::F32, shape, bytes }
    }

    /// Whether both run the same model, possibly on other pictures and threads.
    fn shares_model(&self, other: &Case) -> bool {
        Case { size: other.size, threads: other.threads, ..*self } == *other
    }

    fn failed(&self, source: octrt::Error) -> TablesError {
        TablesError::Octrt { case: self.to_string(), source: Box::new(source) }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.network)?;
        if let Some(alpha) = self.alpha {
            write!(f, " alpha {alpha}")?;
        }
        if self.ablation != Ablation::default() {
            write!(f, ", down: {}, exchange: {}", self.ablation.down, self.ablation.exchange)?;
        }
        let plural = if self.threads == 1 { "" } else { "s" };
        write!(f, ", {0} x {0} pixels, {1}, {2} thread{plural}", self.size, self.precision, self.threads)
    }
}

/// How often cases run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// Rounds, in each of which every case has its turn.
    pub rounds: usize,
    /// Timed runs of a turn.
    pub runs: usize,
    /// Runs before them, whose times are dropped.
    pub warmup: usize,
}

/// What is known of a case after it has run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The case.
    pub case: Case,
    /// Multiply-accumulates of a run.
    pub macs: u64,
    /// Learned numbers.
    pub parameters: usize,
    /// Times of every round.
    pub rounds: Vec<Samples>,
}

struct Entry {
    case: Case,
    subject: Subject,
    macs: u64,
    parameters: usize,
}

/// Cases, compiled, with inputs.
pub struct Subjects {
    entries: Vec<Entry>,
    cores: Cores,
}

impl Subjects {
    /// Builds and runs each case once. Cases that differ by size or threads only share their weights. Pins the calling
    /// thread to one core. `progress` is told what is built.
    ///
    /// # Errors
    /// Those of building, compiling and running the networks, and of pinning.
    pub fn build(cases: &[Case], mut progress: impl FnMut(&Case)) -> Result<Self, TablesError> {
        let cores = Cores::allowed()?;
        let mut pools = BTreeMap::new();
        let mut models: Vec<(Case, Model)> = Vec::new();
        let mut entries = Vec::with_capacity(cases.len());
        for case in cases {
            progress(case);
            let threads = match pools.get(&case.threads) {
                Some(threads) => Threads::clone(threads),
                None => {
                    cores.pin(case.threads)?;
                    let threads = Threads::new(case.threads).map_err(|e| case.failed(e))?;
                    pools.entry(case.threads).or_insert(threads).clone()
                }
            };
            cores.pin(1)?;
            let model = match models.iter().find(|(other, _)| case.shares_model(other)) {
                Some((_, model)) => model.clone(),
                None => {
                    let options = LoadOptions::default().with_precision(case.precision);
                    let model = Model::from_graph(case.graph()?, &options).map_err(|e| case.failed(e))?;
                    models.push((*case, model.clone()));
                    model
                }
            };
            entries.push(Entry::new(*case, &model, threads)?);
        }
        Ok(Subjects { entries, cores })
    }

    /// Wall time of one run of the case at this position.
    ///
    /// # Errors
    /// As [`Subject::run`].
    pub fn run(&mut self, position: usize) -> Result<Duration, TablesError> {
        let Entry { case, subject, .. } = &mut self.entries[position];
        subject.run().map_err(|e| case.failed(e))
    }

    /// Runs all cases in turn, then unpins the calling thread; `progress` is told of every round.
    ///
    /// # Errors
    /// The first of the runs, as [`Peak::over`], and of unpinning.
    pub fn measure(
        mut self,
        schedule: Schedule,
        mut progress: impl FnMut(usize),
    ) -> Result<(Vec<Measured>, Peak), TablesError> {
        let count = self.entries.len();
        let mut peak = Peak::over(count * schedule.rounds * schedule.runs).map_err(Box::new)?;
        let mut rounds: Vec<Vec<Samples>> = vec![Vec::new(); count];
        for round in 0..schedule.rounds {
            progress(round);
            for position in turns(count, round) {
                let mut samples = Samples::default();
                for run in 0..schedule.warmup + schedule.runs {
                    let is_timed = run >= schedule.warmup;
                    if is_timed {
                        peak.before_measurement();
                    }
                    let time = self.run(position)?;
                    if is_timed {
                        samples.0.push(time.as_secs_f64() * 1e3);
                    }
                }
                rounds[position].push(samples);
            }
        }
        self.cores.pin(self.cores.count())?;
        let measured = self.entries.into_iter().zip(rounds).map(|(entry, rounds)| {
            let Entry { case, macs, parameters, .. } = entry;
            Measured { case, macs, parameters, rounds }
        });
        Ok((measured.collect(), peak))
    }
}

/// The cases of a round in their order.
fn turns(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |i| (i + round) % count)
}

impl Entry {
    fn new(case: Case, model: &Model, threads: Threads) -> Result<Self, TablesError> {
        let graph = model.graph();
        let macs = match graph {
            Some(graph) => specialize(graph, &[case.input_type()], Limits::default())?.macs(),
            None => 0,
        };
        let parameters = graph.map_or(0, zoo::parameters);
        let session = model.session().map_err(|e| case.failed(e))?.with_threads(threads);
        let subject = Subject::new(session, vec![case.input()]).map_err(|e| case.failed(e))?;
        Ok(Entry { case, subject, macs, parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{Down, Exchange};

    #[test]
    fn rounds_start_with_another_case_each() {
        let order = |round| turns(3, round).collect::<Vec<_>>();
        assert_eq!([order(0), order(1), order(4)], [[0, 1, 2], [1, 2, 0], [1, 2, 0]]);
        assert_eq!(turns(0, 5).count(), 0);
    }

    #[test]
    fn cases_have_names() {
        let case = Case::new("resnet50", 0.125).unwrap();
        assert_eq!(case.to_string(), "oct-resnet50 alpha 0.125, 224 x 224 pixels, default, 1 thread");
        let ablation = Ablation { exchange: Exchange::None, down: Down::Stride };
        let odd = Case { ablation, size: 96, precision: Precision::Strict, threads: 2, ..case };
        assert_eq!(
            odd.to_string(),
            "oct-resnet50 alpha 0.125, down: stride, exchange: none, 96 x 96 pixels, strict, 2 threads"
        );
        assert_eq!(Case::new("resnet50", 0.0).unwrap().network.to_string(), "resnet50");
        assert!(Case::new("vgg", 0.0).is_err());
    }

    #[test]
    fn models_are_shared_by_sizes_and_threads() {
        let case = Case::new("resnet50", 0.5).unwrap();
        assert!(case.shares_model(&Case { size: 448, threads: 2, ..case }));
        assert!(!case.shares_model(&Case { precision: Precision::Strict, ..case }));
        assert!(!case.shares_model(&Case::new("resnet50", 0.25).unwrap()));
    }

    #[test]
    fn cases_run_in_turn() {
        let small = Case { size: 32, ..Case::new("mobilenet-v1-0.75", 0.0).unwrap() };
        let cases = [small, Case { size: 64, ..small }];
        let mut built = 0;
        let subjects = Subjects::build(&cases, |_| built += 1).unwrap();
        let schedule = Schedule { rounds: 3, runs: 2, warmup: 1 };
        let mut rounds = Vec::new();
        let (measured, _) = subjects.measure(schedule, |round| rounds.push(round)).unwrap();
        assert_eq!((built, rounds), (2, vec![0, 1, 2]));
        for (m, case) in measured.iter().zip(&cases) {
            assert_eq!((m.case, m.parameters, m.rounds.len()), (*case, 2_585_560, 3));
            assert!(m.rounds.iter().all(|r| r.0.len() == 2 && r.min() > 0.0));
        }
        assert!(measured[1].macs > 3 * measured[0].macs);
    }
}
