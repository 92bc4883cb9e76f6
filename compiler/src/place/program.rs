//! A scheduled program: what code generation turns into an [`Artifact`].

use std::fmt;

use crate::artifact::{Artifact, Constant, Copy, Function, Port, Repeat, Step};
use crate::nest::Nest;
use crate::target::Target;

pub mod interp;

/// A graph as scheduled loop nests: everything but machine code.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
    /// Distinct nests; a [`FunctionId`](crate::artifact::FunctionId) is a position here.
    pub nests: Vec<Nest>,
    /// Calls in order.
    pub steps: Vec<Step>,
    /// Steps that run in turns, in order.
    pub repeats: Vec<Repeat>,
    /// Outputs to copy after the last step.
    pub copies: Vec<Copy>,
    /// Tensors that steps read.
    pub constants: Vec<Constant>,
    /// Size of the arena in bytes.
    pub arena_bytes: usize,
    /// Size in bytes of the memory that each thread has for itself.
    pub scratch_bytes: usize,
}

impl Program {
    /// The compiled graph, with the functions of [`Program::nests`] in their order.
    pub fn with_functions(self, functions: Vec<Function>, target: Target) -> Artifact {
        Artifact {
            target,
            inputs: self.inputs,
            outputs: self.outputs,
            functions,
            steps: self.steps,
            repeats: self.repeats,
            copies: self.copies,
            constants: self.constants,
            arena_bytes: self.arena_bytes,
            scratch_bytes: self.scratch_bytes,
        }
    }
}

/// The plan as text: where everything lies, and the calls in order.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "arena {} bytes, {} constants, {} functions",
            self.arena_bytes,
            self.constants.len(),
            self.nests.len()
        )?;
        for (i, step) in self.steps.iter().enumerate() {
            let buffers: Vec<String> = step
                .buffers
                .iter()
                .enumerate()
                .map(|(k, b)| {
                    format!("{}{:?}: {}", if step.results.contains(&k) { "-> " } else { "" }, b.place, b.ty)
                })
                .collect();
            let name = &self.nests[step.function.0 as usize].name;
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
        for repeat in &self.repeats {
            writeln!(f, "steps {:?} in {} turns", repeat.steps, repeat.turns)?;
        }
        for copy in &self.copies {
            writeln!(f, "copy {:?} -> Output({})", copy.from, copy.output)?;
        }
        Ok(())
    }
}
