//! One run of a plan.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use octrt_compiler::artifact::Place;
use octrt_compiler::lower::calls::LAYOUT;
use octrt_ops::TensorType;

use crate::arena::Arena;
use crate::error::Error;
use crate::plan::Plan;
use crate::threads::{CancelToken, End, Steps, Threads, part_of};

/// Bytes of a step's buffers up to which one thread does all of it.
const ALONE: usize = 16 << 10;

/// A step that has just run, as an observer sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StepEvent<'a> {
    /// Position of the step in the artifact.
    pub step: usize,
    /// Name of the graph node that the step belongs to; see [`StepEvent::part`].
    pub node: &'a str,
    /// ONNX name of the node's operator.
    pub op: &'static str,
    /// The stage of the node's definition: `pad`, `conv`.
    pub stage: &'static str,
    /// Wall time of the step.
    pub elapsed: Duration,
    /// Size of all buffers of the step, those read and those written; one that is read in parts counts in full.
    pub bytes_touched: usize,
    /// Type of the result, the first of several.
    pub ty: &'a TensorType,
    /// The result, the first of several: dense, row-major, little-endian.
    pub bytes: &'a [u8],
}

impl StepEvent<'_> {
    /// What the step is a part of, for sums of times: its node's name, or `conv1 (layout)` for what brings the input of
    /// node `conv1` into the layout in which the node reads it. Such steps bear the node's name, and the operator
    /// `Layout`.
    pub fn part(&self) -> String {
        if self.op == LAYOUT { format!("{} (layout)", self.node) } else { self.node.to_string() }
    }
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

// SAFETY: the addresses are used by compiled code through `Run` only, of which `Threads::run` orders all uses: steps run one after the
// other, and parts of one step that run at the same time touch disjoint results by the contract of the artifact.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// Runs all steps and copies of `plan`.
///
/// # Errors
/// [`Error::Check`] when a step's check fails, [`Error::Cancelled`] when the observer or `cancel` ends the run,
/// [`Error::Forked`]; the outputs hold unspecified bytes then.
pub(crate) fn execute(
    plan: &Plan,
    mut memory: Memory<'_>,
    threads: &Threads,
    cancel: &CancelToken,
    mut observer: Option<Observer<'_>>,
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
    let run = Run { plan, table: &table, threads, cancel };
    let mut start = Instant::now();
    let mut after = |i: usize| {
        // SAFETY: step `i` has just run, and no other is running.
        unsafe { run.after(i, start.elapsed(), &mut observer) }?;
        start = Instant::now();
        Ok(())
    };
    match threads.run(&run, &mut after)? {
        End::Complete => {}
        End::Failed(e) => return Err(e),
        End::Cancelled(i) => return Err(Error::Cancelled { node: plan.steps[i].node.clone() }),
    }
    for &(from, to, bytes) in &table.copies {
        // SAFETY: both ends have the output's size, and an output overlaps nothing but itself, which no copy reads; the
        // addresses are of memory that is borrowed until the end.
        unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
    }
    Ok(())
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

/// A plan with the memory that it works on, which fits it and which nothing else uses while a `Run` exists.
struct Run<'a> {
    plan: &'a Plan,
    table: &'a Table,
    threads: &'a Threads,
    cancel: &'a CancelToken,
}

impl Run<'_> {
    /// Checks the result of step `i` and shows it to the observer.
    ///
    /// # Safety
    /// The step is done, and none is running.
    unsafe fn after(
        &self,
        i: usize,
        elapsed: Duration,
        observer: &mut Option<Observer<'_>>,
    ) -> Result<(), Error> {
        let step = &self.plan.steps[i];
        if step.check.is_none() && observer.is_none() {
            return Ok(());
        }
        let address = self.table.steps[i][step.results[0]];
        // SAFETY: the written buffer has as many bytes as its type, and no step is running.
        let result = unsafe { std::slice::from_raw_parts(address, step.dst().ty.bytes()) };
        if let Some(message) = &step.check
            && result.first() == Some(&0)
        {
            return Err(Error::Check { node: step.node.clone(), op: step.op, message: message.clone() });
        }
        let Some(observer) = observer else { return Ok(()) };
        let event = StepEvent {
            step: i,
            node: &step.node,
            op: step.op,
            stage: step.stage,
            elapsed,
            bytes_touched: step.bytes,
            ty: &step.dst().ty,
            bytes: result,
        };
        match observer(&event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled { node: step.node.clone() }),
        }
    }
}

impl Steps for Run<'_> {
    fn len(&self) -> usize {
        self.plan.steps.len()
    }

    fn parts(&self, step: usize) -> usize {
        let step = &self.plan.steps[step];
        // Opening a step for others costs as much as a single thread takes for so little.
        if step.parallel && step.bytes > ALONE { self.threads.parts(step.extent) } else { 1 }
    }

    fn run(&self, step: usize, part: usize, worker: usize) {
        if let Some(repeat) = self.plan.steps[step].repeat {
            let repeat = &self.plan.repeats[repeat];
            // The first of the steps stands for all of them.
            if step == repeat.steps.start {
                for turn in 0..repeat.turns {
                    repeat.steps.clone().for_each(|step| self.call(step, turn..turn + 1, worker));
                }
            }
            return;
        }
        self.call(step, part_of(self.plan.steps[step].extent, self.parts(step), part), worker);
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

impl Run<'_> {
    /// Calls the function of a step for a part of its extent.
    fn call(&self, step: usize, part: Range<usize>, worker: usize) {
        let (step, buffers) = (&self.plan.steps[step], &self.table.steps[step]);
        let own: Vec<*mut u8>;
        // A worker runs one part at a time: its scratch is its own.
        let buffers = if step.scratch && worker > 0 {
            let places = step.buffers.iter().zip(buffers);
            own = places
                .map(|(b, address)| match b.place {
                    Place::Scratch(_) => address.wrapping_add(worker * self.plan.scratch_bytes),
                    _ => *address,
                })
                .collect();
            &own
        } else {
            buffers
        };
        // SAFETY: the compiler made the code of the artifact, of nests that its verifier has proved to stay in their
        // buffers; the plan was checked against its own sizes when it was loaded, `execute` checked the memory against the
        // plan and the number of workers, and parts lie in the extent.
        unsafe { self.plan.code.call(step.function, buffers, part.start, part.end) }
    }
}
