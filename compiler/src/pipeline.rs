//! The stages of compilation on one screen.
//!
//! ```text
//! graph -passes-> graph -decide-> choice -lower-> calls -schedule-> nests -place-> program -codegen-> artifact
//! ```
//!
//! Whoever compiles, shows or checks what a model becomes goes through [`decide()`] and [`stages`], or through [`program`] with
//! a graph that the passes have changed already, and then through [`generate`].

use std::collections::BTreeMap;
use std::sync::Arc;

use octrt_ops::Graph;

use crate::artifact::{Artifact, Function, FunctionId};
use crate::codegen::Codegen;
use crate::decide::{self, Choice, Refused};
use crate::error::CompileError;
use crate::lower::calls::{Lowered, Work};
use crate::lower::lower_graph;
use crate::nest::Nest;
use crate::nest::verify::{Leaves, verify_among};
pub use crate::options::Options;
use crate::passes::{self, Report};
use crate::place::program::Program;
use crate::records::Records;
use crate::schedule::script::Schedule;
use crate::strategy::conv::ConvProblem;
use crate::strategy::decision::Decision;
use crate::target::Target;
use crate::{place, strategy};

/// A graph after the passes, and what was decided for it.
#[derive(Debug)]
pub struct Decided {
    /// The graph after all passes.
    pub optimized: Graph,
    /// What the passes did.
    pub report: Report,
    /// Which nodes run together, in which layouts.
    pub choice: Choice,
}

/// How a nest was made.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// The schedule that made all of it, where one did.
    pub schedule: Option<Arc<Schedule>>,
    /// The schedules that made parts of it.
    pub parts: Vec<Arc<Schedule>>,
}

/// What the stages before code generation give.
#[derive(Debug)]
pub struct Stages {
    /// The graph, and what was decided for it.
    pub decided: Decided,
    /// Nests, calls and places.
    pub program: Program,
    /// How each nest of the program was made.
    pub made: Vec<Made>,
    /// Distinct convolutions in blocks, with what of the decisions serves them.
    pub convolutions: Vec<(ConvProblem, Decision)>,
}

/// The passes and the decisions, of a graph whose types are known.
///
/// # Errors
/// [`CompileError::Graph`] when an operator refuses its arguments, [`CompileError::Internal`] for defects of octrt.
pub fn decide(graph: &Graph, options: Options, records: &Records) -> Result<Decided, CompileError> {
    Ok(decide_and_lower(graph, options, records)?.0)
}

/// All stages but code generation, of a graph whose types are known (see [`octrt_ops::graph::infer::specialize`]).
///
/// # Errors
/// [`CompileError::Graph`] when an operator refuses its arguments, [`CompileError::Internal`] for defects of octrt.
pub fn stages(graph: &Graph, options: Options, records: &Records) -> Result<Stages, CompileError> {
    let (decided, mut lowered) = decide_and_lower(graph, options, records)?;
    let convolutions = std::mem::take(&mut lowered.convolutions);
    let (program, made) = finish(&decided.optimized, lowered)?;
    Ok(Stages { decided, program, made, convolutions })
}

fn decide_and_lower(
    graph: &Graph,
    options: Options,
    records: &Records,
) -> Result<(Decided, Lowered), CompileError> {
    let (optimized, report) = passes::optimize(graph, options)?;
    let (choice, lowered) = settle(&optimized, options, records)?;
    Ok((Decided { optimized, report, choice }, lowered))
}

/// Decides, and lowers what was decided, until no schedule refuses: what one has refused is computed by another algorithm,
/// or runs on plain tensors, and what is around it is decided anew.
fn settle(graph: &Graph, options: Options, records: &Records) -> Result<(Choice, Lowered), CompileError> {
    let mut refused = Refused::new();
    loop {
        let choice = decide::choose(graph, options, records, &refused);
        let mut lowered = lower_graph(graph, &choice, options)?;
        if lowered.refused.is_empty() {
            return Ok((choice, lowered));
        }
        let known = refused.len();
        refused.append(&mut lowered.refused);
        if refused.len() == known {
            return Err(CompileError::internal("decide", &graph.name, "what was refused was lowered again"));
        }
    }
}

/// Compiles a graph as it is, without passes, on one thread.
///
/// # Errors
/// As [`stages`].
pub fn compile(graph: &Graph, options: Options, records: &Records) -> Result<Artifact, CompileError> {
    generate(program(graph, options, records)?, options.target, &in_order)
}

/// The stages behind the passes.
///
/// # Errors
/// As [`stages`].
pub fn program(graph: &Graph, options: Options, records: &Records) -> Result<Program, CompileError> {
    Ok(finish(graph, settle(graph, options, records)?.1)?.0)
}

/// Schedules what was lowered, and gives it its place. Beside the program stands how each of its nests was made.
fn finish(graph: &Graph, lowered: Lowered) -> Result<(Program, Vec<Made>), CompileError> {
    let Scheduled { nests, made, functions } = schedule(&lowered)?;
    let extents: Vec<usize> = functions.iter().map(|f| nests[f.0 as usize].parallel_extent()).collect();
    Ok((place::place(graph, lowered, &functions, &extents, nests), made))
}

/// Generates the code of one nest, by its number.
pub type Job<'a> = &'a (dyn Fn(usize) -> Result<Function, CompileError> + Sync);

/// Does a job for each number below the one given, in any order and by any threads; results come in order.
pub type Executor<'a> = &'a dyn Fn(usize, Job<'_>) -> Vec<Result<Function, CompileError>>;

/// The executor of one thread.
pub fn in_order(count: usize, job: Job<'_>) -> Vec<Result<Function, CompileError>> {
    (0..count).map(job).collect()
}

/// Generates the code of a program.
///
/// # Errors
/// [`CompileError::Internal`] when a nest is not well formed.
pub fn generate(program: Program, target: Target, executor: Executor<'_>) -> Result<Artifact, CompileError> {
    let codegen = Codegen::new(target)?;
    let function = |i: usize| {
        let nest = &program.nests[i];
        codegen.function(nest, symbol(i, nest))
    };
    let functions = executor(program.nests.len(), &function).into_iter().collect::<Result<_, _>>()?;
    Ok(program.with_functions(functions, target))
}

/// What the calls of a graph run.
#[derive(Debug, Default)]
struct Scheduled {
    /// Distinct nests.
    nests: Vec<Nest>,
    /// How each was made.
    made: Vec<Made>,
    /// The position of each call's nest.
    functions: Vec<FunctionId>,
}

/// The nests of all calls, each once, how they were made, and which is that of each call.
fn schedule(lowered: &Lowered) -> Result<Scheduled, CompileError> {
    let mut out = Scheduled::default();
    // Equal problems share one function: names of nodes do not take part in the comparison.
    let mut naive: BTreeMap<String, FunctionId> = BTreeMap::new();
    let mut calls: BTreeMap<(&str, Vec<usize>), Vec<FunctionId>> = BTreeMap::new();
    let mut leaves = Leaves::default();
    for call in &lowered.calls {
        let next = FunctionId(out.nests.len() as u32);
        let function = match &call.work {
            Work::Scheduled(nest) => {
                let alike = calls.entry(outline(nest)).or_default();
                let same = |f: &&FunctionId| out.nests[f.0 as usize] == **nest;
                match alike.iter().find(same) {
                    Some(known) => *known,
                    None => {
                        check(nest, &mut leaves, ("strategy", &call.node))?;
                        alike.push(next);
                        out.nests.push((**nest).clone());
                        out.made.push(Made { schedule: call.schedule.clone(), parts: call.parts.clone() });
                        next
                    }
                }
            }
            Work::Naive(nest) => {
                let text = nest.to_string();
                let known = naive.get(&text).copied();
                if known.is_none() {
                    check(nest, &mut leaves, ("lower", &call.node))?;
                    let schedule = strategy::schedule(nest)
                        .map_err(|e| CompileError::internal("strategy", &call.node, e))?;
                    check(schedule.nest(), &mut leaves, ("strategy", &call.node))?;
                    out.nests.push(schedule.nest().clone());
                    out.made.push(Made { schedule: Some(Arc::new(schedule)), parts: Vec::new() });
                    naive.insert(text, next);
                }
                known.unwrap_or(next)
            }
        };
        out.functions.push(function);
    }
    Ok(out)
}

/// Verifies a nest: in every build, because the memory safety of the machine code rests on it.
fn check(nest: &Nest, leaves: &mut Leaves, (stage, node): (&'static str, &str)) -> Result<(), CompileError> {
    verify_among(nest, leaves).map_err(|e| CompileError::internal(stage, node, format!("{e}\n{nest}")))
}

/// What equal nests have in common: the name, and the extents of the parallel loop and of the buffers.
fn outline(nest: &Nest) -> (&str, Vec<usize>) {
    let dims = nest.buffers.iter().flat_map(|b| b.ty.shape.dims());
    (&nest.name, std::iter::once(nest.parallel_extent()).chain(dims.copied()).collect())
}

/// Symbol of the function of nest `i`.
pub fn symbol(i: usize, nest: &Nest) -> String {
    format!("octrt_{i}_{}", nest.name.replace(' ', "_"))
}
