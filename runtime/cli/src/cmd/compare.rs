//! `octrt compare`: the machine code against the reference interpreter, node by node.
//!
//! Every value of the graph after the passes becomes an output; this graph is compiled, run, and interpreted.

use std::fmt::Write;

use octrt::compiler::{CompileError, passes};
use octrt::image::SideFile;
use octrt::ops::graph::interp;
use octrt::ops::{Graph, GraphError, NodeId, Tensor, TensorType};
use octrt::{Error, LoadOptions, Model, Specialization, Threads};
use serde::Serialize;

use crate::args::{CompareArgs, Format};
use crate::difference::{self, Difference, Scale, Tolerance};
use crate::failure::Failure;
use crate::inputs::{self, Inputs};
use crate::model::{self, Dims};
use crate::output;
use crate::preprocessing;
use crate::tensor_files::NamedTensor;

#[derive(Serialize)]
struct Report {
    schema: String,
    model: String,
    nodes: Vec<NodeReport>,
    /// The first node that differs by more than allowed.
    first_bad: Option<String>,
}

/// One output of a node.
#[derive(Serialize)]
struct NodeReport {
    node: String,
    op: &'static str,
    value: String,
    #[serde(rename = "type")]
    ty: String,
    #[serde(flatten)]
    difference: Difference,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Check`] when a node differs by more than allowed; those of loading, reading and running.
pub fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let model = model::load(&args.model, &args.machine)?;
    let inputs = read_inputs(args, &model)?;
    let graph = observable(&model, &inputs.specialization()?)?;
    let threads = Threads::new(args.machine.threads)?;
    let options = LoadOptions { threads, ..model::options(&args.machine.compiler) };
    let compiled = Model::from_graph(graph.clone(), &options)?;
    let tensors = inputs.0.iter().map(inside).collect::<Result<Vec<_>, _>>()?;
    let found = run_compiled(&compiled, &tensors)?;
    let nodes = interpret(&graph, &tensors, &found, Tolerance { atol: args.atol, rtol: args.rtol })
        .map_err(|e| fail(&model, e))?;
    let bad = nodes.iter().find(|n| n.difference.bad > 0);
    let verdict = bad.map(|n| {
        let (NodeReport { node, op, difference: d, .. }, name) = (n, model.name());
        Failure::Check(format!(
            "{name}: node '{node}' ({op}) is the first that differs: {} of {} elements, max abs {:.3e}",
            d.bad, d.count, d.max_abs
        ))
    });
    let first_bad = bad.map(|n| n.node.clone());
    let report =
        Report { schema: output::schema("compare"), model: model.name().to_string(), nodes, first_bad };
    match args.format.format {
        Format::Json => output::print_json(&report)?,
        Format::Text => output::print(&text(&report))?,
    }
    verdict.map_or(Ok(()), |v| Err(v.into()))
}

fn fail(model: &Model, error: GraphError) -> Error {
    Error::Compile { model: model.name().to_string(), source: CompileError::Graph(error) }
}

fn read_inputs(args: &CompareArgs, model: &Model) -> anyhow::Result<Inputs> {
    let side = SideFile::find(&args.model, args.image.side_file.as_deref())?;
    let mut preprocessing = preprocessing::resolve(&args.image, side.as_ref(), model.metadata())?;
    let dims = Dims::new(model, &args.inputs.dims)?;
    let given = inputs::bind(model.inputs(), "input", &args.inputs.words())?;
    let max_bytes = model::options(&args.machine.compiler).max_memory;
    let inputs = Inputs::make(model, &dims, given, &mut preprocessing, max_bytes)?;
    match inputs.misfit(model.inputs()) {
        None => Ok(inputs),
        Some(message) => Err(Failure::Usage(message).into()),
    }
}

/// The graph after the passes, with every value of a node as an output; the name of an output is that of the value.
fn observable(model: &Model, on: &Specialization) -> anyhow::Result<Graph> {
    model::graph(model)?;
    let specialized = model.specialized(on)?;
    let (mut graph, _) = passes::optimize(&specialized, model.target()?).map_err(|e| fail(model, e))?;
    graph.outputs.clear();
    let values: Vec<_> = graph.nodes.iter().flat_map(|n| n.outputs.iter().copied()).collect();
    for value in values {
        graph.add_output(value.to_string(), value);
    }
    Ok(graph)
}

/// The tensor with elements as inside the graph: floats of other types have become f32.
fn inside(tensor: &NamedTensor) -> anyhow::Result<Tensor> {
    let ty = TensorType::new(tensor.dtype.inside(), tensor.shape.clone());
    let bytes = if octrt::DataType::from(ty.dtype) == tensor.dtype {
        tensor.bytes.clone()
    } else {
        tensor.view()?.to_f64s().iter().flat_map(|&v| (v as f32).to_le_bytes()).collect()
    };
    Ok(Tensor::from_bytes(ty, bytes).map_err(|e| Failure::Usage(e.message().to_string()))?)
}

fn run_compiled(model: &Model, inputs: &[Tensor]) -> Result<Vec<octrt::Tensor>, Error> {
    let mut views = Vec::new();
    for (port, t) in model.inputs().iter().zip(inputs) {
        views.push((port.name.as_str(), octrt::TensorRef::from_bytes(port.dtype, t.shape(), t.bytes())?));
    }
    Ok(model.session()?.run(&views)?.into_iter().map(|(_, t)| t).collect())
}

/// Interprets the graph, comparing every value of a node with the one found.
fn interpret(
    graph: &Graph,
    inputs: &[Tensor],
    found: &[octrt::Tensor],
    tolerance: Tolerance,
) -> Result<Vec<NodeReport>, GraphError> {
    let mut reports = Vec::new();
    let mut found = found.iter();
    let mut visit = |id: NodeId, results: &[Tensor]| {
        let node = graph.node(id);
        for (&value, expected) in node.outputs.iter().zip(results) {
            let found = found.next().map(|t| t.view().to_f64s()).unwrap_or_default();
            let difference = difference::compare(&expected.to_f64s(), &found, tolerance, Scale::Tensor);
            reports.push(NodeReport {
                node: node.name.clone(),
                op: node.op.as_operator().name(),
                value: value.to_string(),
                ty: expected.ty().to_string(),
                difference,
            });
        }
    };
    interp::run_visiting(graph, inputs, &mut visit)?;
    Ok(reports)
}

fn text(report: &Report) -> String {
    let mut out = String::from("   max abs    max rel  bad       node\n");
    for NodeReport { node, op, ty, difference: d, .. } in &report.nodes {
        let mark = if d.bad > 0 { format!("{}", d.bad) } else { "-".to_string() };
        let _ = writeln!(out, "{:10.3e} {:10.3e}  {mark:8}  {node} ({op}) {ty}", d.max_abs, d.max_rel);
    }
    let worst = report.nodes.iter().map(|n| n.difference.max_rel).fold(0.0, f64::max);
    let _ = match &report.first_bad {
        None => writeln!(out, "all {} values agree, max rel {worst:.3e}", report.nodes.len()),
        Some(node) => writeln!(out, "first bad node: {node}"),
    };
    out
}
