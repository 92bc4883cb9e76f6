//! One run of a plan.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use octrt_compiler::artifact::Place;
use octrt_ops::TensorType;

use crate::arena::Arena;
use crate::error::Error;
use crate::plan::{Plan, PlanStep};
use crate::threads::Threads;

/// A step that has just run, as an observer sees it.
#[derive(Clone, Copy, Debug)]
pub struct StepEvent<'a> {
    /// Position of the step in the artifact.
    pub step: usize,
    /// Name of the graph node that the step belongs to.
    pub node: &'a str,
    /// ONNX name of the node's operator.
    pub op: &'static str,
    /// The stage of the node's definition: `pad`, `conv`.
    pub stage: &'static str,
    /// Wall time of the step.
    pub elapsed: Duration,
    /// Size of all buffers of the step, those read and the one written; one that is read in parts counts in full.
    pub bytes_touched: usize,
    /// Type of the result.
    pub ty: &'a TensorType,
    /// The result: dense, row-major, little-endian.
    pub bytes: &'a [u8],
}

/// Called after every step; may end the run with [`ControlFlow::Break`].
pub type Observer<'a> = &'a mut (dyn FnMut(&StepEvent<'_>) -> ControlFlow<()> + Send);

/// What a run works on, in the order of the plan's ports.
pub(crate) struct Memory<'a> {
    pub(crate) inputs: Vec<&'a [u8]>,
    pub(crate) outputs: Vec<&'a mut [u8]>,
    pub(crate) arena: &'a mut Arena,
}

/// The address of every buffer of every step, and of the two ends of every copy; for buffers in scratch, the address for
/// the first thread.
struct Table {
    steps: Vec<Vec<*mut u8>>,
    copies: Vec<(*const u8, *mut u8, usize)>,
}

// SAFETY: the addresses are used by compiled code in `run_steps` only, which orders all uses: steps run one after the
// other, and parts of one step that run at the same time touch disjoint results by the contract of the artifact.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// Runs all steps and copies of `plan`.
///
/// # Errors
/// [`Error::Check`] when a step's check fails, [`Error::Cancelled`] when the observer ends the run; the outputs hold
/// unspecified bytes then.
pub(crate) fn execute(
    plan: &Plan,
    mut memory: Memory<'_>,
    threads: &Threads,
    observer: Option<Observer<'_>>,
) -> Result<(), Error> {
    let fits = memory.inputs.len() == plan.inputs.len()
        && memory.outputs.len() == plan.outputs.len()
        && memory.inputs.iter().zip(&plan.inputs).all(|(m, p)| m.len() == p.ty.bytes())
        && memory.outputs.iter().zip(&plan.outputs).all(|(m, p)| m.len() == p.ty.bytes())
        && memory.arena.len() >= plan.memory_bytes(threads.count());
    if !fits {
        return Err(Error::Internal("the memory of a run does not fit its plan".to_string()));
    }
    let table = table(plan, &mut memory);
    // SAFETY: `table` has just been made from `memory`, which fits the plan and is borrowed until the end.
    threads.enter(|| unsafe { run_steps(plan, &table, threads, observer) })
}

fn table(plan: &Plan, memory: &mut Memory<'_>) -> Table {
    let inputs: Vec<*mut u8> = memory.inputs.iter().map(|b| b.as_ptr().cast_mut()).collect();
    let outputs: Vec<*mut u8> = memory.outputs.iter_mut().map(|b| b.as_mut_ptr()).collect();
    let arena = memory.arena.bytes_mut().as_mut_ptr();
    // Addresses of inputs and constants are made mutable for the table's type only: no step writes there.
    let address = |place: Place| match place {
        Place::Input(i) => inputs[i],
        Place::Output(i) => outputs[i],
        Place::Const(i) => plan.weights.bytes(i).as_ptr().cast_mut(),
        Place::Arena(offset) => arena.wrapping_add(offset),
        Place::Scratch(offset) => arena.wrapping_add(plan.scratch_start() + offset),
    };
    Table {
        steps: plan.steps.iter().map(|s| s.buffers.iter().map(|b| address(b.place)).collect()).collect(),
        copies: plan
            .copies
            .iter()
            .map(|c| {
                let bytes = plan.outputs[c.output].ty.bytes();
                (address(c.from).cast_const(), outputs[c.output], bytes)
            })
            .collect(),
    }
}

/// # Safety
/// `table` holds the addresses of memory that fits the plan and that nothing else uses during the call.
unsafe fn run_steps(
    plan: &Plan,
    table: &Table,
    threads: &Threads,
    mut observer: Option<Observer<'_>>,
) -> Result<(), Error> {
    for (i, (step, buffers)) in plan.steps.iter().zip(&table.steps).enumerate() {
        let start = observer.is_some().then(Instant::now);
        let call = Call { plan, step, buffers };
        if step.parallel {
            threads.for_parts(step.extent, &|part| call.part(part));
        } else {
            call.part(0..step.extent);
        }
        // SAFETY: the written buffer has as many bytes as its type, and no step is running.
        let result = unsafe { std::slice::from_raw_parts(buffers[step.dst], step.dst().ty.bytes()) };
        if let Some(message) = &step.check
            && result.first() == Some(&0)
        {
            return Err(Error::Check { node: step.node.clone(), op: step.op, message: message.clone() });
        }
        if let (Some(observer), Some(start)) = (&mut observer, start) {
            let event = StepEvent {
                step: i,
                node: &step.node,
                op: step.op,
                stage: step.stage,
                elapsed: start.elapsed(),
                bytes_touched: step.bytes,
                ty: &step.dst().ty,
                bytes: result,
            };
            if observer(&event).is_break() {
                return Err(Error::Cancelled { node: step.node.clone() });
            }
        }
    }
    for &(from, to, bytes) in &table.copies {
        // SAFETY: both ends have the output's size, and an output overlaps nothing but itself, which no copy reads.
        unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
    }
    Ok(())
}

/// A step with the addresses of its buffers.
struct Call<'a> {
    plan: &'a Plan,
    step: &'a PlanStep,
    buffers: &'a [*mut u8],
}

// SAFETY: see `Table`.
unsafe impl Sync for Call<'_> {}

impl Call<'_> {
    fn part(&self, part: Range<usize>) {
        // A worker of the pool runs one part at a time: its scratch is its own.
        let worker = if self.step.scratch { rayon::current_thread_index().unwrap_or(0) } else { 0 };
        let own: Vec<*mut u8>;
        let buffers = match worker {
            0 => self.buffers,
            worker => {
                let places = self.step.buffers.iter().zip(self.buffers);
                own = places
                    .map(|(b, address)| match b.place {
                        Place::Scratch(_) => address.wrapping_add(worker * self.plan.scratch_bytes),
                        _ => *address,
                    })
                    .collect();
                &own
            }
        };
        // SAFETY: whoever made the model vouches for the code of the artifact; the plan was checked against its own
        // sizes when it was loaded, `execute` checked the memory against the plan, and parts lie in the extent.
        unsafe { self.plan.code.call(self.step.function, buffers, part.start, part.end) }
    }
}
