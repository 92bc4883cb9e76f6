//! The stages of compilation on one screen.

use std::collections::BTreeMap;

use octrt_ops::Graph;

use crate::artifact::{Artifact, Function, FunctionId};
use crate::codegen::Codegen;
use crate::error::CompileError;
use crate::loop_ir::{Kernel, verify};
use crate::lower::calls::Work;
use crate::lower::lower_graph;
pub use crate::options::Options;
use crate::place::program::{Nest, Program};
use crate::tile::TileNest;
use crate::{place, strategy, tile};

/// Compiles a graph whose types are known (see [`octrt_ops::graph::infer::specialize`]).
///
/// # Errors
/// [`CompileError::Graph`] when an operator refuses its arguments, [`CompileError::Internal`] for defects of octrt.
pub fn compile(graph: &Graph, options: Options) -> Result<Artifact, CompileError> {
    let program = program(graph, options)?;
    let codegen = Codegen::new(options.target)?;
    let functions = (0..program.nests.len()).map(|i| function(&codegen, &program, i));
    let functions = functions.collect::<Result<_, _>>()?;
    Ok(program.with_functions(functions, options.target))
}

/// Generates the code of nest `i` of a program; in any order, so that several threads can share the work.
///
/// # Errors
/// [`CompileError::Internal`] when the nest is not well formed.
pub fn function(codegen: &Codegen, program: &Program, i: usize) -> Result<Function, CompileError> {
    let nest = &program.nests[i];
    codegen.function(nest, symbol(i, nest))
}

/// Lowers, schedules and places a graph whose types are known.
///
/// # Errors
/// As [`compile`].
pub fn program(graph: &Graph, options: Options) -> Result<Program, CompileError> {
    let mut lowered = lower_graph(graph, options)?;
    let mut nests: Vec<Nest> = Vec::new();
    // Equal problems share one function: names of nodes do not take part in the comparison.
    let mut naive: BTreeMap<String, FunctionId> = BTreeMap::new();
    let mut tiled: BTreeMap<String, Vec<FunctionId>> = BTreeMap::new();
    let mut functions = Vec::with_capacity(lowered.calls.len());
    for call in &mut lowered.calls {
        let next = FunctionId(nests.len() as u32);
        let function = match &call.work {
            Work::Tile(nest) => {
                let alike = tiled.entry(outline(nest)).or_default();
                let same = |f: &&FunctionId| matches!(&nests[f.0 as usize], Nest::Tile(t) if t == nest);
                match alike.iter().find(same) {
                    Some(known) => *known,
                    None => {
                        let internal =
                            |e| CompileError::internal("strategy", &call.node, format!("{e}\n{nest}"));
                        tile::verify::verify(nest).map_err(internal)?;
                        alike.push(next);
                        nests.push(Nest::Tile(nest.clone()));
                        next
                    }
                }
            }
            Work::Naive(kernel) => {
                let text = kernel.to_string();
                let known = naive.get(&text).copied();
                if known.is_none() {
                    check(kernel, "lower")?;
                    let scheduled = strategy::schedule(kernel)
                        .map_err(|e| CompileError::internal("strategy", &call.node, e))?;
                    check(&scheduled, "strategy")?;
                    nests.push(Nest::Loop(scheduled));
                    naive.insert(text, next);
                }
                known.unwrap_or(next)
            }
        };
        functions.push(function);
    }
    let extents: Vec<usize> = functions.iter().map(|f| nests[f.0 as usize].parallel_extent()).collect();
    Ok(place::place(graph, lowered, &functions, &extents, nests))
}

/// What equal nests have in common: the name, the extent and the buffers' types.
fn outline(nest: &TileNest) -> String {
    let types: Vec<String> = nest.buffers.iter().map(|b| b.ty.to_string()).collect();
    format!("{} {} {}", nest.name, nest.extent, types.join(" "))
}

/// Verifies a kernel: in every build, because the memory safety of the machine code rests on it.
fn check(kernel: &Kernel, stage: &'static str) -> Result<(), CompileError> {
    verify::verify(kernel).map_err(|e| CompileError::internal(stage, &kernel.name, format!("{e}\n{kernel}")))
}

/// Symbol of the function of nest `i`.
pub fn symbol(i: usize, nest: &Nest) -> String {
    format!("octrt_{i}_{}", nest.name().replace(' ', "_"))
}
