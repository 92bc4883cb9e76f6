//! From a graph to calls of kernels on placed buffers.
//!
//! [`lower_graph`] turns every node into the calls of its stages on *virtual* buffers; [`place`] gives each virtual
//! buffer its place once all calls are known. Activations are dense and row-major, as in the model.

use octrt_ops::compute::{BufferKind, Compute};
use octrt_ops::graph::infer::with_args;
use octrt_ops::graph::{Node, ValueDef};
use octrt_ops::{Graph, GraphError, Tensor, TensorType, ValueId};

use crate::artifact::{BufferRef, Copy, FunctionId, Place, Port, Step};
use crate::error::CompileError;
use crate::loop_ir::Kernel;
use crate::lower::lower;
use crate::memory_plan::{Lifetime, plan};
use crate::program::Program;

/// A buffer before it has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Virtual {
    Input(usize),
    Output(usize),
    Const(usize),
    /// Position in [`Lowered::temporaries`].
    Temporary(usize),
}

/// A call of a kernel that is not scheduled yet.
#[derive(Clone, Debug)]
pub struct Call {
    /// The naive kernel. Its name is that of the stage.
    pub kernel: Kernel,
    /// Name of the node it belongs to.
    pub node: String,
    op: &'static str,
    stage: &'static str,
    buffers: Vec<(Virtual, TensorType)>,
    check: Option<String>,
}

/// A graph as calls of naive kernels.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// Calls in order.
    pub calls: Vec<Call>,
    constants: Vec<Tensor>,
    temporaries: Vec<TensorType>,
    copies: Vec<(Virtual, usize)>,
}

/// Lowers every node of a graph whose types are known.
///
/// # Errors
/// [`CompileError::Graph`] when an operator refuses its arguments.
pub fn lower_graph(graph: &Graph) -> Result<Lowered, CompileError> {
    let mut out = Lowered::default();
    let mut where_: Vec<Option<Virtual>> = vec![None; graph.values.len()];
    for (i, input) in graph.inputs.iter().enumerate() {
        where_[input.value.index()] = Some(Virtual::Input(i));
    }
    for (i, output) in graph.outputs.iter().enumerate() {
        let slot = &mut where_[output.value.index()];
        if slot.is_none() && matches!(graph.value(output.value).def, ValueDef::Node(..)) {
            *slot = Some(Virtual::Output(i));
        }
    }
    for node in &graph.nodes {
        lower_node(graph, node, &mut where_, &mut out)
            .map_err(|e| GraphError::new(&node.name, node.op.as_operator().name(), e))?;
    }
    for (i, output) in graph.outputs.iter().enumerate() {
        let from = locate(graph, output.value, &mut where_, &mut out);
        if from != Virtual::Output(i) {
            out.copies.push((from, i));
        }
    }
    Ok(out)
}

/// The buffer of a value; constants get theirs when they are first used.
fn locate(graph: &Graph, v: ValueId, where_: &mut [Option<Virtual>], out: &mut Lowered) -> Virtual {
    if let Some(place) = where_[v.index()] {
        return place;
    }
    let place = match graph.constant(v) {
        Some(t) => {
            out.constants.push(t.clone());
            Virtual::Const(out.constants.len() - 1)
        }
        None => out.temporary(graph.value(v).ty.clone()),
    };
    where_[v.index()] = Some(place);
    place
}

impl Lowered {
    fn temporary(&mut self, ty: Option<TensorType>) -> Virtual {
        self.temporaries.extend(ty);
        Virtual::Temporary(self.temporaries.len() - 1)
    }
}

fn lower_node(
    graph: &Graph,
    node: &Node,
    where_: &mut [Option<Virtual>],
    out: &mut Lowered,
) -> Result<(), octrt_ops::OpError> {
    let op = node.op.as_operator();
    if op.is_view()
        && let (Some(Some(src)), [dst]) = (node.inputs.first(), &node.outputs[..])
        && where_[dst.index()].is_none()
    {
        // The same bytes under another shape: no code.
        where_[dst.index()] = Some(locate(graph, *src, where_, out));
        return Ok(());
    }
    let compute = with_args(graph, node, |args| op.compute(args))??;
    let mut places = Vec::with_capacity(compute.buffers.len());
    for (i, buffer) in compute.buffers.iter().enumerate() {
        let output = compute.outputs.iter().position(|b| b.0 as usize == i).and_then(|k| node.outputs.get(k));
        places.push(match (&buffer.kind, output) {
            (BufferKind::Input(k), _) => match node.inputs.get(*k) {
                Some(Some(v)) => locate(graph, *v, where_, out),
                _ => return Err(octrt_ops::OpError::Invalid(format!("input {k} is missing"))),
            },
            (BufferKind::Table(t), _) => {
                out.constants.push(t.clone());
                Virtual::Const(out.constants.len() - 1)
            }
            (BufferKind::Stage, Some(v)) => locate(graph, *v, where_, out),
            (BufferKind::Stage, None) => out.temporary(Some(buffer.ty.clone())),
        });
    }
    add_calls(&compute, node, &places, out);
    Ok(())
}

fn add_calls(compute: &Compute, node: &Node, places: &[Virtual], out: &mut Lowered) {
    for stage in &compute.stages {
        if compute.ty(stage.dst).shape.numel() == 0 {
            continue;
        }
        let (kernel, used) = lower(compute, stage, stage.name);
        let buffers = used.iter().map(|b| (places[b.0 as usize], compute.ty(*b).clone())).collect();
        let check = compute.checks.iter().find(|c| c.ok == stage.dst).map(|c| c.message.clone());
        let (node, op) = (node.name.clone(), node.op.as_operator().name());
        out.calls.push(Call { kernel, node, op, stage: stage.name, buffers, check });
    }
}

/// Gives every buffer its place. `functions` and `extents` belong to the calls.
pub fn place(
    graph: &Graph,
    lowered: Lowered,
    functions: &[FunctionId],
    extents: &[usize],
    kernels: Vec<Kernel>,
) -> Program {
    let memory = plan(&lifetimes(&lowered));
    let place = |v: Virtual| match v {
        Virtual::Input(i) => Place::Input(i),
        Virtual::Output(i) => Place::Output(i),
        Virtual::Const(i) => Place::Const(i),
        Virtual::Temporary(i) => Place::Arena(memory.offsets[i]),
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
                dst: call.buffers.len() - 1,
                buffers: call.buffers.into_iter().map(|(v, ty)| BufferRef { place: place(v), ty }).collect(),
                extent,
                node: call.node,
                op: call.op,
                stage: call.stage,
                check: call.check,
            }
        });
    Program {
        steps: steps.collect(),
        inputs: graph.inputs.iter().map(|i| port(&graph.value(i.value).name, i.value)).collect(),
        outputs: graph.outputs.iter().map(|o| port(&o.name, o.value)).collect(),
        kernels,
        copies,
        constants: lowered.constants,
        arena_bytes: memory.bytes,
    }
}

fn lifetimes(lowered: &Lowered) -> Vec<Lifetime> {
    let mut lifetimes: Vec<Lifetime> = lowered
        .temporaries
        .iter()
        .map(|ty| Lifetime { bytes: ty.bytes(), first: usize::MAX, last: 0 })
        .collect();
    let mut touch = |v: Virtual, step: usize| {
        if let Virtual::Temporary(t) = v {
            lifetimes[t].first = lifetimes[t].first.min(step);
            lifetimes[t].last = lifetimes[t].last.max(step);
        }
    };
    for (step, call) in lowered.calls.iter().enumerate() {
        call.buffers.iter().for_each(|(v, _)| touch(*v, step));
    }
    lowered.copies.iter().for_each(|(v, _)| touch(*v, lowered.calls.len()));
    // A tensor that no call touches (one without elements) takes no room.
    lifetimes
        .iter_mut()
        .filter(|l| l.first > l.last)
        .for_each(|l| *l = Lifetime { bytes: 0, first: 0, last: 0 });
    lifetimes
}
