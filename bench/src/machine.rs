//! The machine that measurements were taken on.

use std::fmt;

use octrt::Error;
use octrt::peak::FmaPeak;
use serde::Serialize;

/// Windows that are taken at least: see [`Peak`].
pub const WINDOWS: usize = 50;

/// What a reader must know of a machine to make sense of times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// Model of the processor as the system names it.
    pub cpu: String,
    /// Instruction set, as `x86-64-v3`.
    pub isa: String,
    /// Threads that can run at the same time.
    pub cores: usize,
    /// Most that one core computes in f32, in GFLOP/s; none on machines without fused multiply-add.
    pub peak_gflops: Option<f64>,
}

impl Machine {
    /// This machine, whose peak has been measured.
    ///
    /// # Errors
    /// [`Error::Target`] when the processor is too old.
    pub fn this(peak: &Peak) -> Result<Self, Error> {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Ok(Machine {
            cpu: model_name(&info).unwrap_or("unknown").to_string(),
            isa: octrt::detect_target()?.to_string(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            peak_gflops: peak.gflops(),
        })
    }

    /// The share of the peak of `threads` cores that `gflops` is: the peak of one core as many times.
    pub fn peak_fraction(&self, gflops: f64, threads: usize) -> Option<f64> {
        self.peak_gflops.map(|peak| gflops / (peak * threads as f64))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, isa, cores, peak_gflops } = self;
        write!(f, "{cpu}, {isa}, {cores} cores, ")?;
        match peak_gflops {
            Some(peak) => write!(f, "FMA peak of a core {peak:.1} GFLOP/s"),
            None => f.write_str("no fused multiply-add"),
        }
    }
}

/// How many threads there are, and what their speed is held against.
pub fn threads_note(threads: usize) -> String {
    match threads {
        1 => "1 thread".to_string(),
        n => format!("{n} threads, held against {n} times the peak of a core"),
    }
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|l| l.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

/// The fused multiply-add peak of a core: the fastest of at least [`WINDOWS`] windows of 5 ms, spread evenly between the
/// measurements that it is held against, so that both see the same clock and the same neighbours.
#[derive(Debug)]
pub struct Peak {
    source: Option<FmaPeak>,
    measurements: usize,
    seen: usize,
    taken: usize,
    fastest: f64,
}

impl Peak {
    /// Windows spread over so many measurements; none are taken on a machine without fused multiply-add.
    ///
    /// # Errors
    /// As [`FmaPeak::new`].
    pub fn over(measurements: usize) -> Result<Self, Error> {
        Ok(Peak::of(FmaPeak::new()?, measurements))
    }

    fn of(source: Option<FmaPeak>, measurements: usize) -> Self {
        Peak { source, measurements: measurements.max(1), seen: 0, taken: 0, fastest: 0.0 }
    }

    /// Takes the windows that belong before the next measurement. Says whether there were any.
    pub fn before_measurement(&mut self) -> bool {
        let due = self.due();
        let Some(source) = &self.source else { return false };
        for _ in 0..due {
            self.fastest = self.fastest.max(source.window());
        }
        due > 0
    }

    /// Counts one measurement, and says how many windows it is preceded by.
    fn due(&mut self) -> usize {
        self.seen += 1;
        let until_now = (self.seen * WINDOWS).div_ceil(self.measurements);
        let due = until_now - self.taken;
        self.taken = until_now;
        due
    }

    /// The fastest window so far in GFLOP/s; none before the first, and on a machine without fused multiply-add.
    pub fn gflops(&self) -> Option<f64> {
        Some(self.fastest).filter(|&f| f > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_spread_evenly() {
        for measurements in [1, 7, 50, 75, 1000] {
            let mut peak = Peak::of(None, measurements);
            let due: Vec<usize> = (0..measurements).map(|_| peak.due()).collect();
            assert_eq!(due.iter().sum::<usize>(), WINDOWS, "{measurements}");
            let (least, most) = (due.iter().min().unwrap(), due.iter().max().unwrap());
            assert!(most - least <= 1, "{measurements}: {due:?}");
        }
    }

    #[test]
    fn the_peak_is_the_fastest_window() {
        let mut peak = Peak::over(WINDOWS).unwrap();
        assert_eq!(peak.gflops(), None);
        peak.before_measurement();
        let first = peak.gflops();
        peak.before_measurement();
        assert!(peak.gflops() >= first);
        let has_fma = octrt::detect_target().unwrap().has_fma();
        assert_eq!(first.is_some(), has_fma);
    }

    #[test]
    fn the_processor_has_a_name() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nmodel name\t: Other\n";
        assert_eq!(model_name(info), Some("Some CPU @ 2.00GHz"));
        assert_eq!(model_name("vendor_id : x"), None);
    }

    #[test]
    fn threads_multiply_the_peak() {
        let machine = Machine { cpu: String::new(), isa: String::new(), cores: 4, peak_gflops: Some(100.0) };
        assert_eq!(machine.peak_fraction(50.0, 1), Some(0.5));
        assert_eq!(machine.peak_fraction(300.0, 4), Some(0.75));
        let without = Machine { peak_gflops: None, ..machine };
        assert_eq!(without.peak_fraction(50.0, 1), None);
        assert_eq!(without.to_string(), ", , 4 cores, no fused multiply-add");
        assert_eq!(threads_note(2), "2 threads, held against 2 times the peak of a core");
    }
}
