//! What a machine takes at least for what a step does, besides its multiply-adds: bytes that move, and the step itself.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use octrt::{DataType, Error, LoadOptions, Model};
use octrt_ops::Graph;
use octrt_ops::graph::text;
use serde::Serialize;

use crate::measure::{Buffer, Subject};

/// Sizes for which copies are timed: from what the level-1 cache holds to what no cache does.
const SIZES: [usize; 6] = [16 << 10, 128 << 10, 1 << 20, 8 << 20, 32 << 20, 128 << 20];

/// Least time of copies of one size.
const LEAST: Duration = Duration::from_millis(2);

/// How often copies of each size, and runs of steps, are timed.
const TIMES: usize = 5;

/// Steps of the longer of the two graphs that tell what a step takes.
const STEPS: usize = 65;

/// Runs of these graphs that are timed at a time.
const RUNS: usize = 50;

/// How fast bytes move on one core, and what a step takes that does next to nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Bytes that a copy touches and GB/s, smallest first.
    copies: Vec<(f64, f64)>,
    step_ms: f64,
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let copy = |(bytes, speed): &(f64, f64)| format!("{:.0} kB {speed:.0} GB/s", bytes / 1024.0);
        let copies: Vec<String> = self.copies.iter().map(copy).collect();
        write!(f, "a step {:.2} us; copies of {}", self.step_ms * 1e3, copies.join(", "))
    }
}

impl Limits {
    /// Those of this machine; takes about a tenth of a second.
    ///
    /// # Errors
    /// Those of compiling and running two small graphs.
    pub fn measure() -> Result<Limits, Error> {
        let [short, long] = [chain(1)?, chain(STEPS)?];
        let step_ms = (long - short).max(0.0) / (STEPS - 1) as f64;
        Ok(Limits { copies: SIZES.iter().map(|bytes| (*bytes as f64, copy(*bytes))).collect(), step_ms })
    }

    /// Those of a machine of which it is known how fast copies of some sizes are, in GB/s, smallest first.
    pub fn known(copies: &[(f64, f64)], step_ms: f64) -> Limits {
        Limits { copies: copies.to_vec(), step_ms }
    }

    /// What a copy takes that reads and writes so many bytes together, in milliseconds: between the sizes that were timed
    /// by the logarithms.
    pub fn bytes_ms(&self, bytes: usize) -> f64 {
        bytes as f64 / (self.gb_per_s(bytes as f64) * 1e6)
    }

    fn gb_per_s(&self, bytes: f64) -> f64 {
        let above = self.copies.iter().position(|(size, _)| *size >= bytes);
        match (above, self.copies.last()) {
            (Some(0), _) => self.copies[0].1,
            (Some(i), _) => {
                let [(a, slow), (b, fast)] = [self.copies[i - 1], self.copies[i]];
                let share = (bytes / a).ln() / (b / a).ln();
                slow * (fast / slow).powf(share)
            }
            (None, last) => last.map_or(f64::INFINITY, |(_, speed)| *speed),
        }
    }

    /// What a step takes that does next to nothing, in milliseconds.
    pub fn step_ms(&self) -> f64 {
        self.step_ms
    }
}

/// GB/s of a copy that touches so many bytes, half of them read.
fn copy(bytes: usize) -> f64 {
    let half = bytes / 2;
    let (from, mut to) = (vec![1u8; half], vec![0u8; half]);
    let mut fastest = 0.0f64;
    for _ in 0..TIMES {
        let (start, mut copies) = (Instant::now(), 0u32);
        let elapsed = loop {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
            copies += 1;
            let elapsed = start.elapsed();
            if elapsed >= LEAST {
                break elapsed;
            }
        };
        fastest = fastest.max(f64::from(copies) * 2.0 * half as f64 / elapsed.as_secs_f64() / 1e9);
    }
    fastest
}

/// So many square roots of a square, one after the other, of one number: each is a step.
fn roots(steps: usize) -> Result<Graph, Error> {
    let node = |i: usize| {
        let attributes = "kind = l2, keep_dims = 1, noop_with_empty_axes = 0";
        format!("%{} = \"s{i}\" Reduce {{ {attributes} }} (%{i}, %{})", i + 1, steps + 1)
    };
    let nodes: Vec<String> = (0..steps).map(node).collect();
    let text = format!(
        "graph \"steps\" {{ input %0 \"x\": f32[1,1]\nconst %{} \"axes\": i64[1] = [1]\n{}\noutput \"y\" = %{steps} }}",
        steps + 1,
        nodes.join("\n")
    );
    text::parse(&text, &[]).map_err(|e| Error::Internal(e.to_string()))
}

/// What a run of [`roots`] takes, in milliseconds.
fn chain(steps: usize) -> Result<f64, Error> {
    let graph = roots(steps)?;
    let model = Model::from_graph(graph, &LoadOptions::default())?;
    let input = Buffer { name: "x".into(), dtype: DataType::F32, shape: vec![1, 1], bytes: vec![0; 4] };
    let mut subject = Subject::new(model.session()?, vec![input])?;
    let mut fastest = f64::INFINITY;
    for _ in 0..TIMES * RUNS {
        fastest = fastest.min(subject.run()?.as_secs_f64() * 1e3);
    }
    Ok(fastest)
}

#[cfg(test)]
mod tests {
    use octrt_compiler::{Options, Precision, Records, pipeline};
    use octrt_ops::graph::infer::specialize;
    use octrt_ops::{DType, TensorType};

    use super::*;

    #[test]
    fn speeds_between_sizes() {
        let limits = Limits { copies: vec![(1e3, 100.0), (1e5, 25.0)], step_ms: 0.0 };
        let speed = |bytes: f64| (limits.gb_per_s(bytes) * 1e6).round() / 1e6;
        assert_eq!(
            [speed(1.0), speed(1e3), speed(1e4), speed(1e5), speed(1e9)],
            [100.0, 100.0, 50.0, 25.0, 25.0]
        );
        assert_eq!(limits.bytes_ms(50_000_000), 2.0);
        let limits = Limits::known(&[(16384.0, 100.4), (1048576.0, 25.0)], 12e-5);
        assert_eq!(limits.to_string(), "a step 0.12 us; copies of 16 kB 100 GB/s, 1024 kB 25 GB/s");
    }

    #[test]
    fn each_root_is_a_step() {
        let graph = roots(STEPS).unwrap();
        let types = [TensorType::new(DType::F32, [1, 1])];
        let graph = specialize(&graph, &types, Default::default()).unwrap();
        let options = Options { target: octrt::detect_target().unwrap(), precision: Precision::Default };
        let program = pipeline::program(&graph, options, &Records::NONE).unwrap();
        assert_eq!(program.steps.len(), STEPS);
    }

    #[test]
    fn more_bytes_take_longer() {
        let limits = Limits::measure().unwrap();
        let [few, many] = [SIZES[0], SIZES[SIZES.len() - 1]].map(|bytes| limits.bytes_ms(bytes));
        assert!(few > 0.0 && many > 8.0 * few, "{limits:?}");
    }
}
