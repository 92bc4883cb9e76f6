//! `octrt inspect`: what a model is made of, and what of it is not supported.

mod octave;
mod plan;

use std::collections::BTreeMap;
use std::fmt::Write;

use octrt::{Error, ErrorKind, InputError, LoadOptions, Model, ModelMemory, PortInfo, Specialization};
use octrt_compiler::Options;
use octrt_compiler::passes::{self, End};
use octrt_onnx::Unsupported;
use octrt_ops::graph::ValueDef;
use octrt_ops::{DType, Graph};
use serde::Serialize;

use crate::args::{Format, InspectArgs};
use crate::failure::Failure;
use crate::inputs;
use crate::model::{self, Dims};
use crate::output;
use crate::tensor_files::read_bytes;
use octave::OctaveReport;
use plan::PlanReport;

/// Blocked nodes shown for each pass.
const SHOWN_BLOCKED: usize = 10;

#[derive(Default, Serialize)]
struct Report {
    schema: String,
    model: String,
    opset: Option<i64>,
    producer: String,
    inputs: Vec<PortReport>,
    outputs: Vec<PortReport>,
    nodes: usize,
    /// Number of nodes by operator.
    ops: BTreeMap<String, usize>,
    parameters: Parameters,
    /// Multiply-accumulates of one run for the extents of `--dim`; none where one is open.
    macs: Option<u64>,
    metadata: BTreeMap<String, String>,
    warnings: Vec<String>,
    unsupported: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passes: Option<PassesReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    octave: Option<OctaveReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryReport>,
    /// Why `macs` is missing.
    #[serde(skip)]
    open: String,
}

#[derive(Serialize)]
struct PortReport {
    name: String,
    dtype: &'static str,
    /// Numbers, and names of dynamic dimensions; none where the model does not say.
    dims: Option<Vec<String>>,
    /// Whether it is an input that decides a shape by what it holds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    decides_shapes: bool,
    /// What a compiled model must get for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    compiled_for: Option<Vec<f64>>,
}

/// The constants of floats.
#[derive(Default, Serialize)]
struct Parameters {
    /// Number of elements.
    count: u64,
    /// Their size as octrt holds them, in f32.
    bytes: u64,
}

#[derive(Serialize)]
struct PassesReport {
    /// Number of nodes that are left.
    nodes: usize,
    /// Whether the passes had nothing left to do.
    finished: bool,
    passes: Vec<PassReport>,
}

#[derive(Serialize)]
struct PassReport {
    name: &'static str,
    applied: usize,
    blocked: Vec<BlockedReport>,
}

#[derive(Serialize)]
struct BlockedReport {
    node: String,
    reason: String,
}

/// Bytes of the loaded model.
#[derive(Serialize)]
struct MemoryReport {
    /// Weights as they are packed, in memory of the process; all sessions share them.
    weights: usize,
    /// Weights in mapped files, which processes share.
    mapped_weights: usize,
    /// Machine code, shared by all sessions.
    code: usize,
    /// The arena of each session, on one thread.
    session: usize,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Unsupported`] when a part of the model is not supported; those of loading the model.
pub fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let options = LoadOptions::default().with_records(model::records(args.records.as_deref())?);
    let report = match Model::load(&args.model, &options) {
        Ok(model) => inspect(&model, args)?,
        Err(e) => refused(args, e)?,
    };
    match args.format.format {
        Format::Json => output::print_json(&report)?,
        Format::Text => output::print(&text(&report))?,
    }
    match report.unsupported.len() {
        0 => Ok(()),
        n => Err(Failure::Unsupported(format!(
            "{}: {n} kinds of nodes or parts are not supported",
            report.model
        ))
        .into()),
    }
}

/// The report on a model that was not loaded because of what is not supported; any other error stays one.
fn refused(args: &InspectArgs, error: Error) -> anyhow::Result<Report> {
    // A stale file has no parts to name.
    if error.kind() != ErrorKind::Unsupported || matches!(error, Error::Stale { .. }) {
        return Err(error.into());
    }
    let bytes = read_bytes(&args.model, LoadOptions::default().max_memory as u64)?;
    let found: Vec<Unsupported> = octrt_onnx::unsupported(bytes.into()).unwrap_or_default();
    let mut unsupported: Vec<String> = found.iter().map(ToString::to_string).collect();
    if unsupported.is_empty() {
        unsupported.push(error.to_string());
    }
    let model = args.model.display().to_string();
    Ok(Report { schema: output::schema("inspect"), model, unsupported, ..Report::default() })
}

fn inspect(model: &Model, args: &InspectArgs) -> anyhow::Result<Report> {
    let dims = Dims::new(model, &args.dims)?;
    let mut report = Report {
        schema: output::schema("inspect"),
        model: model.name().to_string(),
        opset: model.about().opset,
        producer: model.about().producer.clone(),
        inputs: inputs(model),
        outputs: model.outputs().iter().map(port).collect(),
        metadata: model.metadata().clone(),
        warnings: model.warnings().to_vec(),
        ..Report::default()
    };
    let on = inputs::specialization(model, &dims, &args.values.values);
    if !args.values.values.is_empty()
        && let Err(e) = on
    {
        return Err(e.into());
    }
    if let Err(e) = &on {
        if args.passes || args.octave || args.plan || args.memory {
            return Err(Failure::Usage(e.to_string()).into());
        }
        report.open = e.to_string();
    }
    match model.graph() {
        Some(graph) => inspect_graph(model, graph, on.as_ref().ok(), args, &mut report)?,
        None if args.passes || args.octave || args.plan => drop(model::graph(model)?),
        None => report.open = "the model was compiled before".to_string(),
    }
    if let (true, Ok(on)) = (args.memory, &on) {
        report.memory = Some(memory(model, on)?);
    }
    Ok(report)
}

/// The inputs, with what decides shapes.
fn inputs(model: &Model) -> Vec<PortReport> {
    let compiled = model.compiled_for().unwrap_or_default();
    let input = |(i, info)| PortReport {
        decides_shapes: model.value_inputs().contains(&i),
        compiled_for: compiled.values().get(&i).map(|t| t.view().to_f64s()),
        ..port(info)
    };
    model.inputs().iter().enumerate().map(input).collect()
}

/// What the graph tells; more of it where it is known what the model is compiled for.
fn inspect_graph(
    model: &Model,
    graph: &Graph,
    on: Option<&Specialization>,
    args: &InspectArgs,
    report: &mut Report,
) -> Result<(), Error> {
    report.nodes = graph.nodes.len();
    report.ops = histogram(graph);
    report.parameters = parameters(graph);
    let Some(on) = on else { return Ok(()) };
    let specialized = match model.specialized(on) {
        Ok(graph) => graph,
        Err(e @ Error::Input(InputError::ValueNeeded { .. }))
            if !args.passes && !args.octave && !args.plan && !args.memory =>
        {
            report.open = e.to_string();
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    report.macs = Some(specialized.macs());
    if args.passes {
        report.passes = Some(run_passes(model, &specialized)?);
    }
    if args.plan {
        report.plan = Some(plan::report(model, &specialized)?);
    }
    if args.octave {
        report.octave = Some(octave::report(model, &specialized, on)?);
    }
    Ok(())
}

/// Loads the model for such inputs.
fn memory(model: &Model, on: &Specialization) -> Result<MemoryReport, Error> {
    let mut session = model.session()?;
    session.prepare_on(on)?;
    let ModelMemory { weight_bytes, mapped_weight_bytes, code_bytes, .. } = model.memory()?;
    let (mapped_weights, session) = (mapped_weight_bytes, session.memory_bytes());
    Ok(MemoryReport { weights: weight_bytes, mapped_weights, code: code_bytes, session })
}

fn compile_error(model: &Model, e: octrt_ops::GraphError) -> Error {
    Error::Compile { model: model.name().to_string(), source: e.into() }
}

fn port(info: &PortInfo) -> PortReport {
    let dims = info.dims.as_ref().map(|dims| dims.iter().map(ToString::to_string).collect());
    let (name, dtype) = (info.name.clone(), info.dtype.name());
    PortReport { name, dtype, dims, decides_shapes: false, compiled_for: None }
}

fn histogram(graph: &Graph) -> BTreeMap<String, usize> {
    let mut ops = BTreeMap::new();
    for node in &graph.nodes {
        *ops.entry(node.op.as_operator().name().to_string()).or_default() += 1;
    }
    ops
}

fn parameters(graph: &Graph) -> Parameters {
    let mut sum = Parameters::default();
    for value in &graph.values {
        if let ValueDef::Const(t) = &value.def
            && t.dtype() == DType::F32
        {
            sum.count += t.numel() as u64;
            sum.bytes += t.bytes().len() as u64;
        }
    }
    sum
}

fn run_passes(model: &Model, graph: &Graph) -> Result<PassesReport, Error> {
    let options = Options { target: model.target()?, precision: model.precision() };
    let (optimized, report) = passes::optimize(graph, options).map_err(|e| compile_error(model, e))?;
    let blocked = |b: passes::Blocked| BlockedReport { node: b.node, reason: b.reason };
    let pass = |p: passes::PassReport| PassReport {
        name: p.name,
        applied: p.applied,
        blocked: p.blocked.into_iter().map(blocked).collect(),
    };
    Ok(PassesReport {
        nodes: optimized.nodes.len(),
        finished: report.end == End::Fixpoint,
        passes: report.passes.into_iter().map(pass).collect(),
    })
}

fn text(report: &Report) -> String {
    let mut out = format!("model       {}\n", report.model);
    if report.unsupported.is_empty() {
        describe(&mut out, report);
    }
    list(&mut out, "metadata", report.metadata.iter().map(|(k, v)| format!("{k}: {}", first_line(v))));
    list(&mut out, "warnings", report.warnings.iter().cloned());
    list(&mut out, "not supported", report.unsupported.iter().cloned());
    if let Some(passes) = &report.passes {
        describe_passes(&mut out, passes);
    }
    if let Some(plan) = &report.plan {
        plan::describe(&mut out, plan);
    }
    if let Some(octave) = &report.octave {
        octave::describe(&mut out, octave);
    }
    if let Some(memory) = &report.memory {
        describe_memory(&mut out, memory);
    }
    out
}

fn describe_memory(out: &mut String, memory: &MemoryReport) {
    let MemoryReport { weights, mapped_weights, code, session } = memory;
    let lines = [
        ("weights, shared by sessions", weights),
        ("weights in mapped files, shared by processes", mapped_weights),
        ("code, shared by sessions", code),
        ("each session", session),
    ];
    out.push_str("memory in bytes:\n");
    for (what, bytes) in lines {
        let _ = writeln!(out, "  {bytes:>12}  {what}");
    }
}

/// Writing into a text does not fail.
fn describe(out: &mut String, report: &Report) {
    if let Some(opset) = report.opset {
        let _ = writeln!(out, "opset       {opset}");
    }
    if !report.producer.is_empty() {
        let _ = writeln!(out, "producer    {}", report.producer);
    }
    for (what, ports) in [("input", &report.inputs), ("output", &report.outputs)] {
        for port in ports {
            let dims = port.dims.as_ref().map_or("...".to_string(), |d| d.join(","));
            let decides = match &port.compiled_for {
                Some(value) => {
                    let value: Vec<String> = value.iter().map(ToString::to_string).collect();
                    format!(", decides shapes, compiled for [{}]", value.join(", "))
                }
                None if port.decides_shapes => ", decides shapes".to_string(),
                None => String::new(),
            };
            let _ = writeln!(out, "{what:11} {}: {}[{dims}]{decides}", port.name, port.dtype);
        }
    }
    if report.nodes > 0 {
        let Parameters { count, bytes } = report.parameters;
        let _ = writeln!(out, "parameters  {count} ({bytes} bytes)");
    }
    let _ = match report.macs {
        Some(macs) => writeln!(out, "MACs        {macs}"),
        None => writeln!(out, "MACs        not known: {}", report.open),
    };
    if report.nodes > 0 {
        let _ = writeln!(out, "nodes       {}", report.nodes);
    }
    for (op, count) in &report.ops {
        let _ = writeln!(out, "  {count:5}  {op}");
    }
}

fn list(out: &mut String, heading: &str, items: impl Iterator<Item = String>) {
    for (i, item) in items.enumerate() {
        if i == 0 {
            let _ = writeln!(out, "{heading}:");
        }
        let _ = writeln!(out, "  {item}");
    }
}

fn first_line(text: &str) -> String {
    match text.split_once('\n') {
        None => text.to_string(),
        Some((line, rest)) => format!("{line} ... ({} lines)", 1 + rest.lines().count()),
    }
}

fn describe_passes(out: &mut String, report: &PassesReport) {
    let end = if report.finished { "" } else { ", stopped at the bound" };
    let _ = writeln!(out, "after the passes: {} nodes{end}", report.nodes);
    for pass in &report.passes {
        let _ = writeln!(out, "  {}: applied {}, blocked {}", pass.name, pass.applied, pass.blocked.len());
        for blocked in pass.blocked.iter().take(SHOWN_BLOCKED) {
            let _ = writeln!(out, "    '{}': {}", blocked.node, blocked.reason);
        }
        if let Some(more) = pass.blocked.len().checked_sub(SHOWN_BLOCKED).filter(|&n| n > 0) {
            let _ = writeln!(out, "    and {more} more");
        }
    }
}
