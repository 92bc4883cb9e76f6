//! A scheduled program: what code generation turns into an [`Artifact`](crate::artifact::Artifact).

use std::fmt;

use octrt_ops::Tensor;

use crate::artifact::{Copy, Port, Step};
use crate::loop_ir::Kernel;

/// A graph as scheduled loop nests: everything but machine code.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
    /// Distinct kernels; a [`FunctionId`](crate::artifact::FunctionId) is a position here.
    pub kernels: Vec<Kernel>,
    /// Calls in order.
    pub steps: Vec<Step>,
    /// Outputs to copy after the last step.
    pub copies: Vec<Copy>,
    /// Tensors that steps read.
    pub constants: Vec<Tensor>,
    /// Size of the arena in bytes.
    pub arena_bytes: usize,
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
