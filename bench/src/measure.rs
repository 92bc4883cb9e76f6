//! Timing of sessions: what is run, how often, in which order.

use std::time::{Duration, Instant};

use octrt::{DataType, Error, InputError, Model, Session, Specialization, TensorMut, TensorRef};
use serde::Serialize;

use crate::machine::{Machine, Peak};
use crate::stats::Samples;

/// A tensor with its name, in memory of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Name of the input or output.
    pub name: String,
    /// Element type.
    pub dtype: DataType,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The elements, little-endian, row-major.
    pub bytes: Vec<u8>,
}

impl Buffer {
    fn view(&self) -> Result<(&str, TensorRef<'_>), InputError> {
        Ok((self.name.as_str(), TensorRef::from_bytes(self.dtype, &self.shape, &self.bytes)?))
    }

    fn view_mut(&mut self) -> Result<(&str, TensorMut<'_>), InputError> {
        let tensor = TensorMut::from_bytes(self.dtype, &self.shape, &mut self.bytes)?;
        Ok((self.name.as_str(), tensor))
    }
}

/// A session with inputs and room for outputs: all that a run needs.
#[derive(Debug)]
pub struct Subject {
    session: Session,
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
}

impl Subject {
    /// Runs the session once, so that it is compiled and the outputs are known.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn new(mut session: Session, inputs: Vec<Buffer>) -> Result<Self, Error> {
        let views = inputs.iter().map(Buffer::view).collect::<Result<Vec<_>, _>>()?;
        let outputs = session.run(&views)?;
        let buffer = |(name, t): (String, octrt::Tensor)| {
            let (dtype, shape, bytes) = (t.dtype(), t.shape().to_vec(), t.bytes().to_vec());
            Buffer { name, dtype, shape, bytes }
        };
        let outputs = outputs.into_iter().map(buffer).collect();
        Ok(Subject { session, inputs, outputs })
    }

    /// Wall time of one run into outputs that are there.
    ///
    /// # Errors
    /// As [`Session::run_into`].
    pub fn run(&mut self) -> Result<Duration, Error> {
        let inputs = self.inputs.iter().map(Buffer::view).collect::<Result<Vec<_>, _>>()?;
        let mut outputs = self.outputs.iter_mut().map(Buffer::view_mut).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        self.session.run_into(&inputs, &mut outputs)?;
        Ok(start.elapsed())
    }

    /// One run that an observer watches.
    ///
    /// # Errors
    /// As [`Session::run_observed`].
    pub fn observe(&mut self, observer: octrt::Observer<'_>) -> Result<(), Error> {
        let inputs = self.inputs.iter().map(Buffer::view).collect::<Result<Vec<_>, _>>()?;
        self.session.run_observed(&inputs, observer).map(|_| ())
    }
}

/// Multiply-accumulates of one run of a model on such inputs, as its graph says: an algorithm that needs fewer does not
/// count as less work. 0 for a model without graph.
///
/// # Errors
/// As [`Model::specialized`].
pub fn macs(model: &Model, on: &Specialization) -> Result<u64, Error> {
    if model.graph().is_none() {
        return Ok(0);
    }
    Ok(model.specialized(on)?.macs())
}

/// Which run follows which when several subjects are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// All runs of a subject, then all of the next.
    OneByOne,
    /// Rounds in which each subject runs once; each round starts with another subject.
    Interleaved,
}

impl Order {
    /// The subject of every run; a run is a round and a place in it.
    fn subjects(self, count: usize, runs: usize) -> impl Iterator<Item = usize> {
        (0..count * runs).map(move |i| match self {
            Order::OneByOne => i / runs,
            Order::Interleaved => (i / count + i % count) % count,
        })
    }
}

/// Runs below this are made again behind windows of the peak: longer ones fill the caches themselves.
const SHORT: Duration = Duration::from_millis(10);

/// For how long: one run does not bring all back that other programs have taken from the shared cache meanwhile.
const AGAIN: Duration = Duration::from_millis(3);

/// What a run is taken to need at least, so that no clock keeps it from ending.
const SHORTEST: Duration = Duration::from_micros(1);

/// How often subjects run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Timed runs of each subject.
    pub runs: usize,
    /// Runs of each subject before, whose times are dropped.
    pub warmup: usize,
    /// The order of all of them.
    pub order: Order,
}

impl Schedule {
    /// Calls `run` with the position of a subject, `count` in all, and collects the times. `done` is called after
    /// every run, outside of what is timed. Windows of `peak` are taken before timed runs; it should be spread over
    /// `count * runs` measurements. Behind windows short runs are made again for a while, untimed, so that a timed one meets
    /// the caches as the run before it has left them.
    ///
    /// # Errors
    /// The first of `run`.
    pub fn measure<E>(
        self,
        count: usize,
        peak: &mut Peak,
        mut run: impl FnMut(usize) -> Result<Duration, E>,
        mut done: impl FnMut(),
    ) -> Result<Vec<Samples>, E> {
        let mut samples = vec![Samples::default(); count];
        let mut seen = vec![0; count];
        let mut before: Option<(usize, Duration)> = None;
        for subject in self.order.subjects(count, self.warmup + self.runs) {
            let is_timed = seen[subject] >= self.warmup;
            seen[subject] += 1;
            if is_timed
                && peak.before_measurement()
                && let Some((last, _)) = before.filter(|(_, time)| *time < SHORT)
            {
                let mut spent = run(last)?;
                while spent < AGAIN {
                    spent += run(last)?.max(SHORTEST);
                }
            }
            let time = run(subject)?;
            before = Some((subject, time));
            if is_timed {
                samples[subject].0.push(time.as_secs_f64() * 1e3);
            }
            done();
        }
        Ok(samples)
    }
}

/// What was measured of one subject, in numbers that readers compare.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Wall times in milliseconds, in the order in which they were taken.
    pub samples_ms: Samples,
    /// The fastest run in milliseconds.
    pub min_ms: f64,
    /// The middle in milliseconds.
    pub median_ms: f64,
    /// Multiply-accumulates of a run.
    pub macs: u64,
    /// Two operations for every multiply-accumulate over the median, in GFLOP/s.
    pub gflops: f64,
    /// The share of the peak that this is.
    pub peak_fraction: Option<f64>,
    /// 10 % of the runs took less, in milliseconds.
    pub p10_ms: f64,
    /// 90 % of the runs took less, in milliseconds.
    pub p90_ms: f64,
    /// 99 % of the runs took less, in milliseconds.
    pub p99_ms: f64,
}

impl Timing {
    /// The numbers of runs on `threads` threads that compute `macs` each.
    pub fn new(samples: Samples, macs: u64, threads: usize, machine: &Machine) -> Self {
        let gflops = gflops(macs, samples.median());
        Timing {
            min_ms: samples.min(),
            median_ms: samples.median(),
            macs,
            gflops,
            peak_fraction: machine.peak_fraction(gflops, threads),
            p10_ms: samples.quantile(0.1),
            p90_ms: samples.quantile(0.9),
            p99_ms: samples.quantile(0.99),
            samples_ms: samples,
        }
    }

    /// As [`Timing::gflops`], over the fastest run.
    pub fn gflops_at_min(&self) -> f64 {
        gflops(self.macs, self.min_ms)
    }
}

/// Two operations for every multiply-accumulate, in GFLOP/s; 0 when no time has passed.
pub fn gflops(macs: u64, ms: f64) -> f64 {
    if ms > 0.0 { 2.0 * macs as f64 / (ms * 1e6) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(order: Order, count: usize, runs: usize) -> Vec<usize> {
        order.subjects(count, runs).collect()
    }

    #[test]
    fn rounds_start_with_another_subject_each() {
        assert_eq!(order(Order::OneByOne, 2, 3), [0, 0, 0, 1, 1, 1]);
        assert_eq!(order(Order::Interleaved, 2, 3), [0, 1, 1, 0, 0, 1]);
        assert_eq!(order(Order::Interleaved, 3, 2), [0, 1, 2, 1, 2, 0]);
        assert!(order(Order::Interleaved, 0, 2).is_empty());
    }

    #[test]
    fn warm_up_runs_are_not_counted() {
        for order in [Order::OneByOne, Order::Interleaved] {
            let schedule = Schedule { runs: 4, warmup: 2, order };
            let mut peak = Peak::over(8).unwrap();
            let (mut calls, mut done) = ([0u32; 2], 0);
            let run = |subject: usize| {
                calls[subject] += 1;
                Ok::<_, Error>(
                    SHORT + Duration::from_millis(u64::from(calls[subject]) + 100 * subject as u64),
                )
            };
            let samples = schedule.measure(2, &mut peak, run, || done += 1).unwrap();
            assert_eq!(samples[0].0, [13.0, 14.0, 15.0, 16.0]);
            assert_eq!(samples[1].0, [113.0, 114.0, 115.0, 116.0]);
            assert_eq!((calls, done), ([6, 6], 12));
        }
    }

    #[test]
    fn short_runs_are_made_again_behind_windows() {
        let schedule = Schedule { runs: 3, warmup: 1, order: Order::Interleaved };
        let mut peak = Peak::over(6).unwrap();
        let mut order = Vec::new();
        let run = |subject: usize| {
            order.push(subject);
            Ok::<_, Error>(AGAIN / 3 * 2 + Duration::from_micros(order.len() as u64))
        };
        let samples = schedule.measure(2, &mut peak, run, || {}).unwrap();
        let has_fma = octrt::detect_target().unwrap().has_fma();
        let (expected, times) = match has_fma {
            // Every timed run is behind the one before it, made again twice.
            true => {
                (vec![0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0], [[8, 11, 20], [5, 14, 17]])
            }
            false => (vec![0, 1, 1, 0, 0, 1, 1, 0], [[4, 5, 8], [3, 6, 7]]),
        };
        assert_eq!(order, expected);
        let micros = |s: &Samples| s.0.iter().map(|ms| (ms * 1e3).round() as u32 - 2000).collect::<Vec<_>>();
        assert_eq!([micros(&samples[0]), micros(&samples[1])], times);
    }

    #[test]
    fn numbers_follow_from_times() {
        let machine = Machine { cpu: String::new(), isa: String::new(), cores: 2, peak_gflops: Some(100.0) };
        let t = Timing::new(Samples(vec![4.0, 2.0, 6.0]), 100_000_000, 2, &machine);
        assert_eq!((t.min_ms, t.median_ms, t.gflops, t.gflops_at_min()), (2.0, 4.0, 50.0, 100.0));
        assert_eq!(t.peak_fraction, Some(0.25));
        assert_eq!(t.samples_ms.0, [4.0, 2.0, 6.0]);
        assert_eq!(gflops(1, 0.0), 0.0);
    }
}
