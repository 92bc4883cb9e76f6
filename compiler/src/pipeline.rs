//! The stages of compilation on one screen.

use std::collections::BTreeMap;

use octrt_ops::Graph;

use crate::artifact::{Artifact, FunctionId};
use crate::codegen::Codegen;
use crate::error::CompileError;
use crate::loop_ir::{Kernel, verify};
use crate::precision::Precision;
use crate::program::Program;
use crate::target::Target;
use crate::{calls, strategy};

/// What a caller may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The machine to compile for.
    pub target: Target,
    /// How exact the algorithms must be.
    pub precision: Precision,
}

/// Compiles a graph whose types are known (see [`octrt_ops::graph::infer::specialize`]).
///
/// # Errors
/// [`CompileError::Graph`] when an operator refuses its arguments, [`CompileError::Internal`] for defects of octrt.
pub fn compile(graph: &Graph, options: Options) -> Result<Artifact, CompileError> {
    let program = program(graph, options)?;
    let codegen = Codegen::new(options.target)?;
    let mut functions = Vec::with_capacity(program.kernels.len());
    for (i, kernel) in program.kernels.iter().enumerate() {
        functions.push(codegen.function(kernel, symbol(i, kernel))?);
    }
    let Program { inputs, outputs, steps, copies, constants, arena_bytes, .. } = program;
    Ok(Artifact { target: options.target, inputs, outputs, functions, steps, copies, constants, arena_bytes })
}

/// Lowers, schedules and places a graph whose types are known.
///
/// # Errors
/// As [`compile`].
pub fn program(graph: &Graph, options: Options) -> Result<Program, CompileError> {
    let lowered = calls::lower_graph(graph)?;
    let mut kernels: Vec<Kernel> = Vec::new();
    let mut known: BTreeMap<String, FunctionId> = BTreeMap::new();
    let mut functions = Vec::with_capacity(lowered.calls.len());
    for call in &lowered.calls {
        // Equal problems share one function: names of nodes do not take part in the comparison.
        let text = call.kernel.to_string();
        let function = match known.get(&text) {
            Some(&f) => f,
            None => {
                check(&call.kernel, "lower")?;
                let scheduled = strategy::schedule(&call.kernel, options.target)
                    .map_err(|e| CompileError::internal("strategy", &call.node, e))?;
                check(&scheduled, "strategy")?;
                kernels.push(scheduled);
                let f = FunctionId((kernels.len() - 1) as u32);
                known.insert(text, f);
                f
            }
        };
        functions.push(function);
    }
    let extents: Vec<usize> = functions.iter().map(|f| kernels[f.0 as usize].parallel_extent()).collect();
    Ok(calls::place(graph, lowered, &functions, &extents, kernels))
}

/// Verifies a kernel: in every build, because the memory safety of the machine code rests on it.
fn check(kernel: &Kernel, stage: &'static str) -> Result<(), CompileError> {
    verify::verify(kernel).map_err(|e| CompileError::internal(stage, &kernel.name, format!("{e}\n{kernel}")))
}

/// Symbol of the function of kernel `i`.
pub fn symbol(i: usize, kernel: &Kernel) -> String {
    format!("octrt_{i}_{}", kernel.name.replace(' ', "_"))
}
