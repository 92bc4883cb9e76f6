//! How each buffer of a program gets its place once all calls are known.

use octrt_ops::{Graph, TensorType, ValueId};

use crate::artifact::{BufferRef, Copy, FunctionId, Place, Port, Step};
use crate::lower::calls::{Lowered, Virtual};

pub mod memory_plan;
pub mod program;

use memory_plan::{Lifetime, plan};
use program::Program;

use crate::nest::Nest;

/// Gives every buffer its place. `functions` and `extents` belong to the calls.
pub fn place(
    graph: &Graph,
    lowered: Lowered,
    functions: &[FunctionId],
    extents: &[usize],
    nests: Vec<Nest>,
) -> Program {
    let memory = plan(&lifetimes(&lowered));
    let mut scratch_bytes = 0;
    let place = |v: Virtual| match v {
        Virtual::Input(i) => Place::Input(i),
        Virtual::Output(i) => Place::Output(i),
        Virtual::Const(i) => Place::Const(i),
        Virtual::Temporary(i) => Place::Arena(memory.offsets[i]),
        Virtual::Within(i, bytes) => Place::Arena(memory.offsets[i] + bytes),
        // Each call has the thread's memory for itself: see below.
        Virtual::Scratch => Place::Scratch(0),
    };
    let port = |name: &str, v: ValueId| {
        let ty = graph.value(v).ty.clone().unwrap_or_else(|| TensorType::new(octrt_ops::DType::F32, []));
        Port { name: name.to_string(), ty }
    };
    let copies = lowered.copies.iter().map(|&(from, output)| Copy { from: place(from), output }).collect();
    let steps =
        lowered.calls.into_iter().zip(functions.iter().zip(extents)).map(|(call, (&function, &extent))| {
            Step {
                function,
                results: call.results,
                buffers: scratch(call.buffers, &place, &mut scratch_bytes),
                extent,
                node: call.node,
                op: call.op,
                stage: call.stage,
                check: call.check,
            }
        });
    let steps = steps.collect();
    Program {
        steps,
        inputs: graph.inputs.iter().map(|i| port(&graph.value(i.value).name, i.value)).collect(),
        outputs: graph.outputs.iter().map(|o| port(&o.name, o.value)).collect(),
        nests,
        repeats: lowered.repeats,
        copies,
        constants: lowered.constants,
        arena_bytes: memory.bytes,
        scratch_bytes,
    }
}

/// The places of a call's buffers; those of the thread lie one after the other.
fn scratch(
    buffers: Vec<(Virtual, TensorType)>,
    place: &dyn Fn(Virtual) -> Place,
    most: &mut usize,
) -> Vec<BufferRef> {
    let mut used = 0usize;
    let mut of = |v: Virtual, ty: &TensorType| match v {
        Virtual::Scratch => {
            let at = used;
            used += ty.bytes().next_multiple_of(memory_plan::ALIGNMENT);
            Place::Scratch(at)
        }
        v => place(v),
    };
    let buffers = buffers.into_iter().map(|(v, ty)| BufferRef { place: of(v, &ty), ty }).collect();
    *most = (*most).max(used);
    buffers
}

fn lifetimes(lowered: &Lowered) -> Vec<Lifetime> {
    let mut lifetimes: Vec<Lifetime> = lowered
        .temporaries
        .iter()
        .map(|ty| Lifetime { bytes: ty.bytes(), first: usize::MAX, last: 0 })
        .collect();
    let mut touch = |v: Virtual, step: usize| {
        if let Virtual::Temporary(t) | Virtual::Within(t, _) = v {
            lifetimes[t].first = lifetimes[t].first.min(step);
            lifetimes[t].last = lifetimes[t].last.max(step);
        }
    };
    for (step, call) in lowered.calls.iter().enumerate() {
        call.buffers.iter().for_each(|(v, _)| touch(*v, step));
    }
    // What one of the calls in turns uses must keep its place during all turns.
    for repeat in &lowered.repeats {
        for (v, _) in lowered.calls[repeat.steps.clone()].iter().flat_map(|c| &c.buffers) {
            touch(*v, repeat.steps.start);
            touch(*v, repeat.steps.end - 1);
        }
    }
    lowered.copies.iter().for_each(|(v, _)| touch(*v, lowered.calls.len()));
    // A tensor that no call touches (one without elements) takes no room.
    lifetimes
        .iter_mut()
        .filter(|l| l.first > l.last)
        .for_each(|l| *l = Lifetime { bytes: 0, first: 0, last: 0 });
    lifetimes
}
