//! An artifact, checked once and loaded: everything that `unsafe` code relies on later is established here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use octrt_compiler::artifact::{Artifact, BufferRef, Constant, Copy, FunctionId, Place, Port, Repeat, Step};
use octrt_ops::DType;

use crate::arena::{ALIGN, align_up};
use crate::code::Code;
use crate::error::Error;
use crate::specialization::Request;
use crate::tensor::Tensor;
use crate::weights::{Packed, Packer, WeightStore, Weights};

/// Below this many bytes in all buffers of a step, waking other threads costs more than they save.
const PARALLEL_BYTES: usize = 32 << 10;

/// A loaded artifact. For every step and copy:
///
/// * function, inputs, outputs and constants named exist, the latter with the element type and size of their buffer;
/// * buffers in the arena lie inside it, at multiples of 64 bytes; those in scratch likewise, and apart from each other;
/// * the written buffer is an output or in the arena, and overlaps no other buffer of the step;
/// * the extent is at least 1, and a checked buffer is one `bool`;
/// * steps in turns exist, belong to one repeat each, and have its number of turns as their extent;
/// * constants of `bool` are 0 or 1.
pub(crate) struct Plan {
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    /// What inputs must hold, by their position: the code was made for it.
    pub(crate) values: BTreeMap<usize, Tensor>,
    pub(crate) steps: Vec<PlanStep>,
    /// Steps that run in turns.
    pub(crate) repeats: Vec<Repeat>,
    pub(crate) copies: Vec<Copy>,
    pub(crate) arena_bytes: usize,
    /// Memory that each thread has for itself, a multiple of 64.
    pub(crate) scratch_bytes: usize,
    pub(crate) weights: Weights,
    pub(crate) code: Code,
}

/// A checked [`Step`].
pub(crate) struct PlanStep {
    pub(crate) function: FunctionId,
    pub(crate) buffers: Vec<BufferRef>,
    pub(crate) results: Vec<usize>,
    pub(crate) extent: usize,
    /// Whether a buffer lies in scratch.
    pub(crate) scratch: bool,
    /// Size of all buffers together.
    pub(crate) bytes: usize,
    /// Whether several threads are worth their start.
    pub(crate) parallel: bool,
    /// Position in [`Plan::repeats`] of the one that the step belongs to.
    pub(crate) repeat: Option<usize>,
    pub(crate) node: String,
    pub(crate) op: &'static str,
    pub(crate) stage: &'static str,
    pub(crate) check: Option<String>,
}

impl PlanStep {
    /// The buffer that the step writes, the first of several.
    pub(crate) fn dst(&self) -> &BufferRef {
        &self.buffers[self.results[0]]
    }
}

impl Plan {
    /// Whether the plan is for such inputs.
    pub(crate) fn fits(&self, on: &Request<'_>) -> bool {
        self.inputs.iter().map(|p| &p.ty).eq(on.types) && on.has(&self.values)
    }

    /// Bytes of memory that a session needs to run on so many threads: the arena, then each thread's scratch.
    pub(crate) fn memory_bytes(&self, threads: usize) -> usize {
        self.scratch_bytes.saturating_mul(threads).saturating_add(self.scratch_start())
    }

    /// Where the scratch of the first thread lies in that memory.
    pub(crate) fn scratch_start(&self) -> usize {
        self.arena_bytes.next_multiple_of(ALIGN)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Plan {
    /// Checks `artifact` and loads its code and constants, which together with the arena may take `max_bytes`; those that
    /// are `packed` stay where they are. The code is right for any inputs: see [`Plan::values`].
    ///
    /// # Errors
    /// [`Error::Artifact`] when the artifact breaks a rule, [`Error::Memory`] above the limit, and those of
    /// [`Code::load`].
    pub(crate) fn load(
        artifact: Artifact,
        store: &mut WeightStore,
        packed: Option<&Packed>,
        max_bytes: usize,
        packer: Packer<'_>,
    ) -> Result<Self, Error> {
        check(&artifact)?;
        let rest = max_bytes.checked_sub(artifact.arena_bytes).ok_or_else(|| Error::Memory {
            what: "the arena".to_string(),
            bytes: artifact.arena_bytes,
            why: format!("the limit is {max_bytes}"),
        })?;
        let code = Code::load(&artifact.functions, artifact.target)?;
        let is_bool = |c: &Constant| c.ty().dtype == DType::Bool;
        let bools: Vec<usize> =
            (0..).zip(&artifact.constants).filter(|(_, c)| is_bool(c)).map(|(i, _)| i).collect();
        let weights = store.load(artifact.constants, packed, rest, packer)?;
        check_bools(&bools, &weights)?;
        Ok(Plan {
            inputs: artifact.inputs,
            outputs: artifact.outputs,
            values: BTreeMap::new(),
            steps: plan_steps(artifact.steps, &artifact.repeats),
            repeats: artifact.repeats,
            copies: artifact.copies,
            arena_bytes: artifact.arena_bytes,
            scratch_bytes: artifact.scratch_bytes.next_multiple_of(ALIGN),
            weights,
            code,
        })
    }
}

fn plan_steps(steps: Vec<Step>, repeats: &[Repeat]) -> Vec<PlanStep> {
    let mut steps: Vec<PlanStep> = steps.into_iter().map(plan_step).collect();
    for (i, repeat) in repeats.iter().enumerate() {
        for step in &mut steps[repeat.steps.clone()] {
            (step.parallel, step.repeat) = (false, Some(i));
        }
    }
    steps
}

fn plan_step(step: Step) -> PlanStep {
    let bytes: usize = step.buffers.iter().fold(0, |a, b| b.ty.bytes().saturating_add(a));
    PlanStep {
        scratch: step.buffers.iter().any(|b| matches!(b.place, Place::Scratch(_))),
        bytes,
        parallel: step.extent > 1 && bytes >= PARALLEL_BYTES,
        repeat: None,
        function: step.function,
        buffers: step.buffers,
        results: step.results,
        extent: step.extent,
        node: step.node,
        op: step.op,
        stage: step.stage,
        check: step.check,
    }
}

/// Checks all rules of [`Plan`].
fn check(a: &Artifact) -> Result<(), Error> {
    let refuse = |what: String, why: String| Err(Error::Artifact(format!("{what}: {why}")));
    for p in a.inputs.iter().chain(&a.outputs) {
        if let Err(e) = p.ty.shape.checked_bytes(p.ty.dtype) {
            return refuse(format!("'{}'", p.name), e.to_string());
        }
    }
    for (what, bytes) in [("arena", a.arena_bytes), ("scratch", a.scratch_bytes)] {
        if align_up(bytes).is_none() {
            return refuse(what.to_string(), format!("{bytes} bytes"));
        }
    }
    for (i, step) in a.steps.iter().enumerate() {
        if let Err(why) = check_step(a, step) {
            return refuse(format!("step {i} of node '{}' ({})", step.node, step.stage), why);
        }
    }
    let mut end = 0;
    for repeat in &a.repeats {
        let Repeat { steps, turns } = repeat;
        let inside = end <= steps.start && steps.start < steps.end && steps.end <= a.steps.len();
        if !inside || a.steps[steps.clone()].iter().any(|s| s.extent != *turns) {
            return refuse(format!("steps {steps:?} in {turns} turns"), "no such steps".to_string());
        }
        end = steps.end;
    }
    for copy in &a.copies {
        if let Err(why) = check_copy(a, copy) {
            return refuse(format!("copy {:?} to output {}", copy.from, copy.output), why);
        }
    }
    let results = a.steps.iter().flat_map(|s| s.results.iter().map(|i| s.buffers[*i].place));
    let written = results.filter_map(|place| match place {
        Place::Output(i) => Some(i),
        _ => None,
    });
    let computed: BTreeSet<usize> = written.chain(a.copies.iter().map(|c| c.output)).collect();
    for (i, port) in a.outputs.iter().enumerate() {
        if !computed.contains(&i) && port.ty.bytes() > 0 {
            return refuse(format!("output '{}'", port.name), "nothing computes it".to_string());
        }
    }
    Ok(())
}

/// Checks the copies that code will read, not the tensors: whoever owns the bytes of those may have changed them since.
fn check_bools(bools: &[usize], weights: &Weights) -> Result<(), Error> {
    match bools.iter().find(|i| weights.bytes(**i).iter().any(|&b| b > 1)) {
        None => Ok(()),
        Some(i) => Err(Error::Artifact(format!("constant {i}: a bool is neither 0 nor 1"))),
    }
}

fn check_step(a: &Artifact, step: &Step) -> Result<(), String> {
    if step.function.0 as usize >= a.functions.len() {
        return Err(format!("no function f{}", step.function.0));
    }
    if step.extent == 0 || step.extent > isize::MAX as usize {
        return Err(format!("extent {}", step.extent));
    }
    for (i, b) in step.buffers.iter().enumerate() {
        check_buffer(a, b).map_err(|e| format!("buffer {i}: {e}"))?;
    }
    let results = step.results.iter().map(|i| step.buffers.get(*i).ok_or_else(|| format!("no buffer {i}")));
    let results = results.collect::<Result<Vec<_>, _>>()?;
    let first = results.first().ok_or("writes nothing")?;
    if let Some(dst) = results.iter().find(|b| !matches!(b.place, Place::Output(_) | Place::Arena(_))) {
        return Err(format!("writes {:?}", dst.place));
    }
    for (i, b) in step.buffers.iter().enumerate() {
        let scratch = step.buffers[..i].iter().any(|o| matches!(o.place, Place::Scratch(_)) && overlap(o, b));
        if scratch {
            return Err(format!("buffer {i} shares scratch with another"));
        }
        for (dst, at) in results.iter().zip(&step.results) {
            if i != *at && overlap(dst, b) {
                return Err(format!("writes buffer {at} while buffer {i} is there"));
            }
        }
    }
    if step.check.is_some() && (first.ty.dtype != DType::Bool || first.ty.shape.numel() != 1) {
        return Err(format!("checks {}, which is not one bool", first.ty));
    }
    Ok(())
}

/// Whether the buffer's place exists and holds a tensor of its element type and size. The shapes may differ: a view
/// of a tensor has its bytes.
fn check_buffer(a: &Artifact, b: &BufferRef) -> Result<(), String> {
    let bytes = b.ty.shape.checked_bytes(b.ty.dtype).map_err(|e| e.to_string())?;
    let within = |what: &str, offset: usize, size: usize| {
        if !offset.is_multiple_of(ALIGN) {
            Err(format!("{what} offset {offset} is no multiple of {ALIGN}"))
        } else if offset.checked_add(bytes).is_none_or(|end| end > size) {
            Err(format!("{bytes} bytes at offset {offset} of {what} of {size}"))
        } else {
            Ok(())
        }
    };
    let held = match b.place {
        Place::Arena(offset) => return within("the arena", offset, a.arena_bytes),
        Place::Scratch(offset) => return within("the scratch", offset, a.scratch_bytes),
        Place::Input(i) => a.inputs.get(i).map(|p| p.ty.clone()),
        Place::Output(i) => a.outputs.get(i).map(|p| p.ty.clone()),
        Place::Const(i) => a.constants.get(i).map(Constant::ty),
    };
    let held = held.ok_or_else(|| format!("no {:?}", b.place))?;
    if held.dtype != b.ty.dtype || held.bytes() != bytes {
        return Err(format!("{} in {:?}, which holds {held}", b.ty, b.place));
    }
    Ok(())
}

fn check_copy(a: &Artifact, copy: &Copy) -> Result<(), String> {
    if matches!(copy.from, Place::Scratch(_)) {
        return Err("copies scratch".to_string());
    }
    let port = a.outputs.get(copy.output).ok_or("no such output")?;
    if copy.from == Place::Output(copy.output) {
        return Err("copies an output to itself".to_string());
    }
    check_buffer(a, &BufferRef { place: copy.from, ty: port.ty.clone() })
}

/// Whether two checked buffers share bytes.
fn overlap(a: &BufferRef, b: &BufferRef) -> bool {
    match (a.place, b.place) {
        (Place::Arena(x), Place::Arena(y)) | (Place::Scratch(x), Place::Scratch(y)) => {
            let range = |at: usize, b: &BufferRef| -> Range<usize> { at..at + b.ty.bytes() };
            let (x, y) = (range(x, a), range(y, b));
            x.start < y.end && y.start < x.end && !x.is_empty() && !y.is_empty()
        }
        (x, y) => x == y,
    }
}
