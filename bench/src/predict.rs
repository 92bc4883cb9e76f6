//! What a network would take on a processor that is not here: a prediction, no measurement.
//!
//! Of each step, the cycles of the leaf programs that it calls, and the bytes of its buffers over the bandwidth of the cache
//! that holds so many. Cycles of straight pieces of machine code and of loop bodies come from `llvm-mca` (package `llvm` of
//! Debian), times their trips, which the nests say. Bodies are taken to find their operands in the level-1 cache; a step's bytes
//! are moved once. What Cranelift compiles counts by its bytes only.
//!
//! How far off that is shows on the machine at hand: [`Processor::here`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Formatter, GasFormatter, Instruction};
use octrt_compiler::leaf::{Inst, Program as Leaf, SlotId, x64};
use octrt_compiler::nest::{BufferRole, Nest, SlotValue, Stmt};
use octrt_compiler::place::program::Program;
use octrt_compiler::{Isa, Options, Precision, Records, Target, pipeline};
use octrt_ops::Graph;

use crate::limits::Limits;
use crate::machine::Peak;

/// Iterations of a piece of code that llvm-mca looks at.
const ITERATIONS: usize = 100;

/// Cycles of a call of a leaf program: its arguments, the jump there and back.
const CALL: f64 = 8.0;

/// Why there is no prediction.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// A processor that nothing is known of.
    #[error("unknown processor '{0}': expected {names}", names = NAMES.join(", "))]
    Processor(String),
    /// llvm-mca cannot be run, or says something else than expected.
    #[error("llvm-mca: {0}; it is part of the package llvm")]
    Mca(String),
    /// A network that cannot be compiled.
    #[error(transparent)]
    Compile(#[from] octrt_compiler::CompileError),
    /// A leaf program that cannot be assembled.
    #[error(transparent)]
    Assemble(#[from] x64::AssembleError),
    /// The machine at hand cannot be measured.
    #[error(transparent)]
    Machine(#[from] octrt::Error),
    /// Machine code whose loops are not those of its leaf program.
    #[error("the loops of leaf program '{0}' were not found in its machine code")]
    Loops(String),
}

/// Names of processors that times can be predicted for.
pub const NAMES: [&str; 1] = ["skylake-avx512"];

/// Copies of so many bytes, read and written, and GB/s, on one core of a Skylake server at 2.0 GHz: two loads and a store of
/// 64 bytes in two cycles from the level-1 cache, a third of the 64 bytes a cycle that lie between the caches from the level-2
/// one, 10 bytes a cycle from the third level and 5 from memory.
const SKYLAKE: [(f64, f64); 6] =
    [(32e3, 128.0), (128e3, 44.0), (1e6, 40.0), (4e6, 20.0), (16e6, 20.0), (64e6, 10.0)];

/// A processor as predictions know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Processor {
    /// What llvm-mca calls it.
    pub name: String,
    /// What networks are compiled for.
    pub target: Target,
    /// Clock.
    pub ghz: f64,
    limits: Limits,
}

impl Processor {
    /// The processor of this name; its clock in GHz where it is another than the usual one.
    ///
    /// # Errors
    /// [`PredictError::Processor`]
    pub fn named(name: &str, ghz: Option<f64>) -> Result<Processor, PredictError> {
        if name != NAMES[0] {
            return Err(PredictError::Processor(name.into()));
        }
        let clock = ghz.unwrap_or(2.0);
        let copies = SKYLAKE.map(|(bytes, speed)| (bytes, speed * clock / 2.0));
        let limits = Limits::known(&copies, 0.0);
        Ok(Processor { name: name.into(), target: Target::new(Isa::V4), ghz: clock, limits })
    }

    /// The machine at hand, taken for a processor with vectors of the same width that llvm-mca knows well (its Zen 3 starts one
    /// multiply-add of 256 bits in a cycle, in place of two): its clock from the peak of fused multiply-adds, its bandwidths
    /// measured.
    ///
    /// # Errors
    /// [`PredictError::Machine`], also where there is no fused multiply-add.
    pub fn here(peak: &Peak) -> Result<Processor, PredictError> {
        let target = octrt::detect_target()?;
        let too_old = || PredictError::Machine(octrt::Error::Target("no fused multiply-add".into()));
        let (peak, width) = peak.gflops().zip(target.width()).ok_or_else(too_old)?;
        let in_a_cycle = 4.0 * f64::from(width.lanes()) * target.vector_rate();
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = match target.isa {
            Isa::V4 => NAMES[0],
            _ if info.contains("AuthenticAMD") => "znver2",
            _ => "skylake",
        };
        Ok(Processor { name: name.into(), target, ghz: peak / in_a_cycle, limits: Limits::measure()? })
    }
}

/// What a run takes by prediction, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Predicted {
    /// What its instructions take.
    pub code_ms: f64,
    /// What its bytes take.
    pub bytes_ms: f64,
    /// Steps of which nothing but the bytes is known.
    pub unknown: usize,
}

impl Predicted {
    /// Both.
    pub fn ms(&self) -> f64 {
        self.code_ms + self.bytes_ms
    }
}

/// Graphs whose types are known, compiled for the processor, and what a run of each takes on one thread.
///
/// # Errors
/// See [`PredictError`].
pub fn predict(graphs: &[Graph], on: &Processor) -> Result<Vec<Predicted>, PredictError> {
    let options = Options { target: on.target, precision: Precision::Default };
    let programs = graphs.iter().map(|g| pipeline::program(g, options, &Records::NONE));
    let programs: Vec<Program> = programs.collect::<Result<_, _>>()?;
    let mut codes = Codes::default();
    for nest in programs.iter().flat_map(|p| &p.nests) {
        nest.leaves.iter().try_for_each(|leaf| codes.add(leaf))?;
    }
    let cycles = mca(&codes.texts, &on.name)?;
    Ok(programs.iter().map(|p| total(p, &codes, &cycles, on)).collect())
}

fn total(p: &Program, codes: &Codes, cycles: &[f64], on: &Processor) -> Predicted {
    let mut sum = Predicted::default();
    for step in &p.steps {
        let nest = &p.nests[step.function.0 as usize];
        let outside = nest.buffers.iter().filter(|b| b.role != BufferRole::Scratch);
        sum.bytes_ms += on.limits.bytes_ms(outside.map(|b| b.ty.bytes()).sum());
        sum.unknown += usize::from(nest.leaves.is_empty());
        sum.code_ms +=
            nest.body.iter().map(|s| statement(nest, s, codes, cycles)).sum::<f64>() / (on.ghz * 1e6);
    }
    sum
}

/// Cycles of a statement.
fn statement(nest: &Nest, s: &Stmt, codes: &Codes, cycles: &[f64]) -> f64 {
    match s {
        Stmt::Loop(l, body) => {
            l.extent as f64 * body.iter().map(|s| statement(nest, s, codes, cycles)).sum::<f64>()
        }
        Stmt::Call { leaf, slots } => {
            let trips = |slot: SlotId| match slots.get(slot.0 as usize) {
                Some(SlotValue::Number(n)) => *n as f64,
                _ => 0.0,
            };
            let pieces = codes.of(&nest.leaves[*leaf]);
            CALL + pieces.iter().map(|p| p.cycles(cycles, &trips)).sum::<f64>()
        }
        Stmt::Define(_) => 0.0,
    }
}

/// A piece of a leaf program's machine code.
#[derive(Debug, PartialEq)]
enum Piece {
    /// Without loops: position of its text.
    Straight(usize),
    /// A loop that runs as often as a slot says.
    Loop(SlotId, Vec<Piece>),
}

impl Piece {
    fn cycles(&self, of: &[f64], trips: &dyn Fn(SlotId) -> f64) -> f64 {
        match self {
            Piece::Straight(text) => of[*text],
            Piece::Loop(count, body) => trips(*count) * body.iter().map(|p| p.cycles(of, trips)).sum::<f64>(),
        }
    }
}

/// A leaf program and the pieces of its machine code.
type Pieces = (Arc<Leaf>, Vec<Piece>);

/// The machine code of leaf programs in pieces.
#[derive(Default)]
struct Codes {
    /// By name.
    leaves: BTreeMap<String, Vec<Pieces>>,
    /// Distinct pieces.
    texts: Vec<String>,
    positions: BTreeMap<String, usize>,
}

impl Codes {
    fn of(&self, leaf: &Arc<Leaf>) -> &[Piece] {
        let alike = self.leaves.get(&leaf.name);
        alike.and_then(|all| all.iter().find(|(l, _)| l == leaf)).map_or(&[], |(_, pieces)| pieces)
    }

    fn add(&mut self, leaf: &Arc<Leaf>) -> Result<(), PredictError> {
        if self.leaves.get(&leaf.name).is_some_and(|all| all.iter().any(|(l, _)| l == leaf)) {
            return Ok(());
        }
        let code = x64::assemble(leaf)?;
        let decoder = Decoder::with_ip(64, &code.bytes, 0, DecoderOptions::NONE);
        // Behind the return are constants.
        let all: Vec<Instruction> =
            decoder.into_iter().take_while(|i| i.flow_control() != FlowControl::Return).collect();
        let at = |ip: u64| all.iter().position(|i| i.ip() == ip);
        let back = |(end, i): (usize, &Instruction)| {
            let is_back =
                i.flow_control() == FlowControl::ConditionalBranch && i.near_branch_target() <= i.ip();
            is_back.then(|| at(i.near_branch_target())).flatten().map(|begin| (begin, end))
        };
        let mut loops: Vec<(usize, usize)> = all.iter().enumerate().filter_map(back).collect();
        loops.sort_by_key(|&(begin, end)| (begin, std::cmp::Reverse(end)));
        let mut counts = Vec::new();
        counted(&leaf.body, &mut counts);
        if counts.len() != loops.len() {
            return Err(PredictError::Loops(leaf.name.clone()));
        }
        let loops: Vec<(usize, usize, SlotId)> =
            loops.into_iter().zip(counts).map(|((begin, end), count)| (begin, end, count)).collect();
        let pieces = self.pieces(&all, (0, all.len()), &mut loops.as_slice());
        self.leaves.entry(leaf.name.clone()).or_default().push((leaf.clone(), pieces));
        Ok(())
    }

    /// The pieces of a run of instructions; `loops` are those from there on.
    fn pieces(
        &mut self,
        all: &[Instruction],
        (mut begin, end): (usize, usize),
        loops: &mut &[(usize, usize, SlotId)],
    ) -> Vec<Piece> {
        let mut out = Vec::new();
        while let Some((&(first, last, count), rest)) =
            loops.split_first().filter(|((first, ..), _)| *first < end)
        {
            *loops = rest;
            out.extend(self.straight(&all[begin..first]));
            out.push(Piece::Loop(count, self.pieces(all, (first, last + 1), loops)));
            begin = last + 1;
        }
        out.extend(self.straight(&all[begin..end]));
        out
    }

    fn straight(&mut self, run: &[Instruction]) -> Option<Piece> {
        let mut formatter = GasFormatter::new();
        let mut text = String::new();
        for i in run.iter().filter(|i| i.flow_control() == FlowControl::Next) {
            formatter.format(i, &mut text);
            text.push('\n');
        }
        if text.is_empty() {
            return None;
        }
        let new = self.texts.len();
        let position = *self.positions.entry(text.clone()).or_insert(new);
        if position == new {
            self.texts.push(text);
        }
        Some(Piece::Straight(position))
    }
}

/// The counts of loops, those outside before those inside.
fn counted(body: &[Inst], counts: &mut Vec<SlotId>) {
    for i in body {
        if let Inst::Loop { count, body } = i {
            counts.push(*count);
            counted(body, counts);
        }
    }
}

/// Cycles of an iteration of each text, where it runs over and over.
fn mca(texts: &[String], name: &str) -> Result<Vec<f64>, PredictError> {
    let failed = |e: std::io::Error| PredictError::Mca(e.to_string());
    let mut input = String::new();
    for (i, text) in texts.iter().enumerate() {
        let _ = writeln!(input, "# LLVM-MCA-BEGIN {i}\n{text}# LLVM-MCA-END {i}");
    }
    let iterations = format!("-iterations={ITERATIONS}");
    let mut child = Command::new("llvm-mca")
        .args(["-mtriple=x86_64", &format!("-mcpu={name}"), &iterations])
        .args(["-instruction-info=0", "-resource-pressure=0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdin = child.stdin.take();
    let writer = std::thread::spawn(move || stdin.as_mut().map_or(Ok(()), |s| s.write_all(input.as_bytes())));
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(PredictError::Mca(String::from_utf8_lossy(&output.stderr).trim().to_string()));
    }
    writer.join().map_or(Ok(()), |written| written).map_err(failed)?;
    read(&String::from_utf8_lossy(&output.stdout), texts.len())
}

/// The cycles of an iteration in the output of llvm-mca for so many regions.
fn read(output: &str, regions: usize) -> Result<Vec<f64>, PredictError> {
    let total = |line: &str| line.strip_prefix("Total Cycles:")?.trim().parse::<f64>().ok();
    let cycles: Vec<f64> = output.lines().filter_map(total).map(|all| all / ITERATIONS as f64).collect();
    match cycles.len() == regions {
        true => Ok(cycles),
        false => Err(PredictError::Mca(format!("expected {regions} regions, found {}", cycles.len()))),
    }
}

#[cfg(test)]
mod tests {
    use octrt_compiler::leaf::text;

    use super::*;

    fn leaf() -> Arc<Leaf> {
        let text = "leaf \"sums\" w8 {\n  slot 0 \"src\": pointer\n  slot 1 \"dst\": pointer\n  slot 2 \"rows\": count\n  \
            slot 3 \"columns\": count\n  p0 = slot 0\n  p1 = slot 1\n  loop slot 2 {\n    v0 = zero\n    loop slot 3 {\n      \
            v1 = load [p0]\n      v0 = add v0, v1\n      p0 += 32\n    }\n    store [p1], v0\n    p1 += 32\n  }\n}\n";
        Arc::new(text::parse(text).unwrap())
    }

    #[test]
    fn pieces_of_code_run_as_often_as_their_loops() {
        let mut codes = Codes::default();
        codes.add(&leaf()).unwrap();
        codes.add(&leaf()).unwrap();
        let pieces = codes.of(&leaf());
        let one = vec![1.0; codes.texts.len()];
        // Each piece a cycle: what is outside and 5 times (what is before and behind the inner loop, and 7 times that one).
        let trips = |slot: SlotId| if slot.0 == 2 { 5.0 } else { 7.0 };
        let cycles: f64 = pieces.iter().map(|p| p.cycles(&one, &trips)).sum();
        let outside = pieces.iter().filter(|p| matches!(p, Piece::Straight(_))).count() as f64;
        assert_eq!(cycles, outside + 5.0 * (2.0 + 7.0));
        let inner = codes.texts.iter().filter(|t| t.contains("vaddps")).count();
        assert_eq!(inner, 1, "{:?}", codes.texts);
    }

    #[test]
    fn what_llvm_mca_says_is_read() {
        let of =
            |n| format!("[0] Code Region - 0\n\nIterations: 100\nTotal Cycles:      {n}\nTotal uOps: 7\n");
        assert_eq!(read(&[of(150), of(25)].concat(), 2).unwrap(), [1.5, 0.25]);
        let message = read(&of(1), 2).unwrap_err().to_string();
        assert!(message.contains("expected 2 regions, found 1"), "{message}");
    }

    #[test]
    fn processors_have_names() {
        let p = Processor::named("skylake-avx512", Some(4.0)).unwrap();
        assert_eq!((p.target.isa, p.ghz), (Isa::V4, 4.0));
        // Twice the clock, twice the speed.
        let usual = Processor::named("skylake-avx512", None).unwrap();
        assert_eq!(usual.limits.bytes_ms(1 << 20), 2.0 * p.limits.bytes_ms(1 << 20));
        assert!(Processor::named("i486", None).unwrap_err().to_string().contains("skylake-avx512"));
    }
}
