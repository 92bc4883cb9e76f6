//! The stages of compilation on one screen.

use std::collections::BTreeMap;
use std::fmt;

use octrt_ops::Graph;

use crate::artifact::{Artifact, Copy, FunctionId, Port, Step};
use crate::codegen::Codegen;
use crate::error::CompileError;
use crate::loop_ir::{Kernel, verify};
use crate::target::Target;
use crate::{calls, strategy};

/// What a caller may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The machine to compile for.
    pub target: Target,
}

/// A graph as scheduled loop nests: everything but machine code.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
    /// Distinct kernels; a [`FunctionId`] is a position here.
    pub kernels: Vec<Kernel>,
    /// Calls in order.
    pub steps: Vec<Step>,
    /// Outputs to copy after the last step.
    pub copies: Vec<Copy>,
    /// Tensors that steps read.
    pub constants: Vec<octrt_ops::Tensor>,
    /// Size of the arena in bytes.
    pub arena_bytes: usize,
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
    format!("octrt_{i}_{}", kernel.name)
}

/// The plan as text: where everything lies, and the calls in order.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "arena {} bytes, {} constants, {} functions",
            self.arena_bytes,
            self.constants.len(),
            self.kernels.len()
        )?;
        for (i, step) in self.steps.iter().enumerate() {
            let buffers: Vec<String> = step
                .buffers
                .iter()
                .enumerate()
                .map(|(k, b)| format!("{}{:?}: {}", if k == step.dst { "-> " } else { "" }, b.place, b.ty))
                .collect();
            let name = &self.kernels[step.function.0 as usize].name;
            writeln!(
                f,
                "step {i} f{} {name} x{} '{}' ({}): {}",
                step.function.0,
                step.extent,
                step.node,
                step.op,
                buffers.join(", ")
            )?;
        }
        for copy in &self.copies {
            writeln!(f, "copy {:?} -> Output({})", copy.from, copy.output)?;
        }
        Ok(())
    }
}
