//! `octrt compare`: the machine code against the reference interpreter, three times.
//!
//! 1. Node by node: every value of the graph after the passes is an output, so that no node is fused with another.
//! 2. In the groups that the compiler makes: what is stored at the end of each is an output, which leaves the groups as
//!    they are.
//! 3. As `octrt run` does it: the graph as it was loaded, nothing watched but its outputs, against the interpreter on the
//!    graph before the passes.

use std::fmt::Write;

use octrt::image::SideFile;
use octrt::{Error, LoadOptions, Model, Threads};
use octrt_compiler::decide::pools::Pooled;
use octrt_compiler::decide::{Choice, Tiled};
use octrt_compiler::{CompileError, Options, pipeline};
use octrt_ops::graph::interp;
use octrt_ops::{Graph, NodeId, Tensor, TensorType, ValueId};
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
    /// Every node by itself.
    nodes: Vec<NodeReport>,
    /// Nodes that run together.
    groups: Vec<GroupReport>,
    /// What `octrt run` gives.
    outputs: Vec<OutputReport>,
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

/// What a group of nodes stores.
#[derive(Serialize)]
struct GroupReport {
    /// Their names, in order.
    nodes: Vec<String>,
    #[serde(rename = "type")]
    ty: String,
    #[serde(flatten)]
    difference: Difference,
}

/// One output of the model.
#[derive(Serialize)]
struct OutputReport {
    output: String,
    #[serde(rename = "type")]
    ty: String,
    #[serde(flatten)]
    difference: Difference,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Check`] when a node, a group or an output differs by more than allowed; those of loading, reading and running.
pub fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let model = model::load(&args.model, &args.machine)?;
    let inputs = read_inputs(args, &model)?;
    let tensors = inputs.0.iter().map(inside).collect::<Result<Vec<_>, _>>()?;
    let tolerance = Tolerance { atol: args.atol, rtol: args.rtol };
    let threads = Threads::new(args.machine.threads)?;
    let options = model::options(&args.machine.compiler)?.with_threads(threads);
    let compared = Compared { model: &model, options, inputs: &tensors, tolerance };

    model::graph(&model)?;
    let loaded = model.specialized(&inputs.specialization()?)?;
    let options = Options { target: model.target()?, precision: args.machine.compiler.precision };
    let decided = pipeline::decide(&loaded, options, model.records()).map_err(|e| fail(&model, e))?;
    let (nodes, groups) = compared.inside(&decided)?;
    let outputs = compared.outputs(&loaded)?;
    let verdict = verdict(model.name(), &nodes, &groups, &outputs);
    let first_bad = nodes.iter().find(|n| n.difference.bad > 0).map(|n| n.node.clone());
    let (schema, model) = (output::schema("compare"), model.name().to_string());
    let report = Report { schema, model, nodes, groups, outputs, first_bad };
    match args.format.format {
        Format::Json => output::print_json(&report)?,
        Format::Text => output::print(&text(&report))?,
    }
    verdict.map_or(Ok(()), |v| Err(v.into()))
}

/// What differs first, if anything does.
fn verdict(
    model: &str,
    nodes: &[NodeReport],
    groups: &[GroupReport],
    outputs: &[OutputReport],
) -> Option<Failure> {
    let of_node = |r: &NodeReport| (format!("node '{}' ({}) is", r.node, r.op), r.difference);
    let of_group = |r: &GroupReport| {
        (format!("all nodes agree one by one; of those that run together {} is", together(r)), r.difference)
    };
    let of_output = |r: &OutputReport| {
        (
            format!("all nodes agree; as the model is compiled for a run, output '{}' is", r.output),
            r.difference,
        )
    };
    let all =
        nodes.iter().map(of_node).chain(groups.iter().map(of_group)).chain(outputs.iter().map(of_output));
    let (what, d) = all.into_iter().find(|(_, d)| d.bad > 0)?;
    Some(Failure::Check(format!(
        "{model}: {what} the first that differs: {} of {} elements, max abs {:.3e}",
        d.bad, d.count, d.max_abs
    )))
}

fn together(group: &GroupReport) -> String {
    let names: Vec<String> = group.nodes.iter().map(|n| format!("'{n}'")).collect();
    names.join(" + ")
}

fn fail(model: &Model, error: impl Into<CompileError>) -> Error {
    Error::Compile { model: model.name().to_string(), source: error.into() }
}

fn read_inputs(args: &CompareArgs, model: &Model) -> anyhow::Result<Inputs> {
    let side = SideFile::find(&args.model, args.image.side_file.as_deref())?;
    let mut preprocessing = preprocessing::resolve(&args.image, side.as_ref(), model.metadata())?;
    let dims = Dims::new(model, &args.inputs.dims)?;
    let given = inputs::bind(model.inputs(), "input", &args.inputs.words())?;
    let max_bytes = model::max_memory(&args.machine.compiler);
    let inputs = Inputs::make(model, &dims, given, &mut preprocessing, max_bytes)?;
    match inputs.misfit(model.inputs()) {
        None => Ok(inputs),
        Some(message) => Err(Failure::Usage(message).into()),
    }
}

/// Values of a graph, and for each the nodes that have computed it when it is stored.
type Watched = Vec<(ValueId, Vec<NodeId>)>;

/// Every value that a node computes.
fn one_by_one(graph: &Graph) -> Watched {
    graph.node_ids().flat_map(|id| graph.node(id).outputs.iter().map(move |v| (*v, vec![id]))).collect()
}

/// Every value that is stored where nodes run together.
fn grouped(graph: &Graph, choice: &Choice) -> Watched {
    let of_node = |id: NodeId| match &choice.tiled[id.index()] {
        // What only poolings in the same step read may be stored nowhere: watching it would change how the graph is computed.
        Some(tiled) if tiled.only_pooled => Vec::new(),
        Some(tiled) => {
            // The first pooling stands for it.
            let of_step = |t: &&Tiled| t.pooled.is_some() && t.pooled == tiled.pooled;
            let is_first = choice.tiled.iter().flatten().find(of_step).is_some_and(|t| t == tiled);
            let step = match tiled.pooled {
                Some(Pooled::In(step)) if is_first => choice.tiled[step.index()].as_ref(),
                _ => None,
            };
            let before = step.filter(|t| t.only_pooled).into_iter().flat_map(|t| &t.group.nodes);
            let nodes = before.chain(&tiled.group.nodes).copied().collect();
            vec![(tiled.group.result, nodes)]
        }
        None if choice.taken[id.index()] => Vec::new(),
        None => graph.node(id).outputs.iter().map(|v| (*v, vec![id])).collect(),
    };
    graph.node_ids().flat_map(of_node).collect()
}

/// The graph with these values as its only outputs.
fn watching(graph: &Graph, values: &Watched) -> Graph {
    let mut graph = graph.clone();
    graph.outputs.clear();
    for (value, _) in values {
        graph.add_output(value.to_string(), *value);
    }
    graph
}

/// What is compared, and how.
struct Compared<'a> {
    model: &'a Model,
    options: LoadOptions,
    inputs: &'a [Tensor],
    tolerance: Tolerance,
}

impl Compared<'_> {
    /// The outputs of machine code; none where a graph has none.
    fn run(&self, graph: Graph) -> anyhow::Result<Vec<octrt::Tensor>> {
        if graph.outputs.is_empty() {
            return Ok(Vec::new());
        }
        Ok(run_compiled(&Model::from_graph(graph, &self.options)?, self.inputs)?)
    }

    /// Every node of a graph after the passes by itself, and every group.
    fn inside(&self, decided: &pipeline::Decided) -> anyhow::Result<(Vec<NodeReport>, Vec<GroupReport>)> {
        let graph = &decided.optimized;
        let (single, grouped) = (one_by_one(graph), grouped(graph, &decided.choice));
        let found = self.run(watching(graph, &single))?;
        let found_grouped = self.run(watching(graph, &grouped))?;
        let name = |id: &NodeId| graph.node(*id).name.clone();
        let (mut nodes, mut groups) = (Vec::new(), Vec::new());
        let mut visit = |id: NodeId, results: &[Tensor]| {
            let node = graph.node(id);
            for (value, expected) in node.outputs.iter().zip(results) {
                let ty = expected.ty().to_string();
                if let Some(i) = single.iter().position(|(v, _)| v == value) {
                    let difference = self.difference(expected, found.get(i));
                    let (node, op) = (node.name.clone(), node.op.as_operator().name());
                    nodes.push(NodeReport { node, op, value: value.to_string(), ty: ty.clone(), difference });
                }
                if let Some(i) = grouped.iter().position(|(v, _)| v == value) {
                    let difference = self.difference(expected, found_grouped.get(i));
                    groups.push(GroupReport {
                        nodes: grouped[i].1.iter().map(name).collect(),
                        ty,
                        difference,
                    });
                }
            }
        };
        interp::run_visiting(graph, self.inputs, &mut visit).map_err(|e| fail(self.model, e))?;
        Ok((nodes, groups))
    }

    /// The outputs of the graph as it was loaded.
    fn outputs(&self, graph: &Graph) -> anyhow::Result<Vec<OutputReport>> {
        let found = self.run(graph.clone())?;
        let expected = interp::run(graph, self.inputs).map_err(|e| fail(self.model, e))?;
        let report = |((output, expected), i): ((&octrt_ops::graph::Output, &Tensor), usize)| OutputReport {
            output: output.name.clone(),
            ty: expected.ty().to_string(),
            difference: self.difference(expected, found.get(i)),
        };
        Ok(graph.outputs.iter().zip(&expected).zip(0..).map(report).collect())
    }

    /// Where nothing is found every element is bad.
    fn difference(&self, expected: &Tensor, found: Option<&octrt::Tensor>) -> Difference {
        let (expected, found) = (expected.to_f64s(), found.map(|t| t.view().to_f64s()));
        match found.filter(|found| found.len() == expected.len()) {
            Some(found) => difference::compare(&expected, &found, self.tolerance, Scale::Tensor),
            None => {
                let (count, infinite) = (expected.len(), f64::INFINITY);
                Difference { count, bad: count, max_abs: infinite, max_rel: infinite, worst: 0 }
            }
        }
    }
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

fn text(report: &Report) -> String {
    let mut out = String::from("   max abs    max rel  bad       node\n");
    let mut line = |d: &Difference, what: String| {
        let mark = if d.bad > 0 { format!("{}", d.bad) } else { "-".to_string() };
        let _ = writeln!(out, "{:10.3e} {:10.3e}  {mark:8}  {what}", d.max_abs, d.max_rel);
    };
    for NodeReport { node, op, ty, difference, .. } in &report.nodes {
        line(difference, format!("{node} ({op}) {ty}"));
    }
    for group in report.groups.iter().filter(|g| g.nodes.len() > 1) {
        line(&group.difference, format!("{} {}, together", group.nodes.join(" + "), group.ty));
    }
    for OutputReport { output, ty, difference } in &report.outputs {
        line(difference, format!("output '{output}' {ty}, as for a run"));
    }
    let nodes = report.nodes.iter().map(|n| &n.difference);
    let all = nodes.chain(report.groups.iter().map(|g| &g.difference));
    let all: Vec<&Difference> = all.chain(report.outputs.iter().map(|o| &o.difference)).collect();
    let worst = all.iter().map(|d| d.max_rel).fold(0.0, f64::max);
    let good = all.iter().all(|d| d.bad == 0);
    let _ = match &report.first_bad {
        None if good => writeln!(
            out,
            "all {} values agree, also in {} groups and {} outputs as for a run, max rel {worst:.3e}",
            report.nodes.len(),
            report.groups.len(),
            report.outputs.len()
        ),
        None => writeln!(out, "every node by itself agrees, but not as the model is compiled for a run"),
        Some(node) => writeln!(out, "first bad node: {node}"),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(bad: usize) -> Difference {
        Difference { count: 8, bad, max_abs: 0.5, max_rel: 0.1, worst: 3 }
    }

    /// A report of a node, of it and another one together, and of an output, with so many bad elements each.
    fn message(bad: [usize; 3]) -> Option<String> {
        let [node, group, output] = bad.map(difference);
        let (ty, name) = ("f32[8]".to_string(), "conv".to_string());
        let node = NodeReport {
            node: name.clone(),
            op: "Conv",
            value: "%1".into(),
            ty: ty.clone(),
            difference: node,
        };
        let nodes = vec![name, "relu".to_string()];
        let group = GroupReport { nodes, ty: ty.clone(), difference: group };
        let output = OutputReport { output: "y".into(), ty, difference: output };
        verdict("m", &[node], &[group], &[output]).map(|v| v.to_string())
    }

    #[test]
    fn what_differs_first_is_named() {
        let first = "the first that differs: 2 of 8 elements, max abs 5.000e-1";
        assert_eq!(message([0, 0, 0]), None);
        assert_eq!(message([2, 1, 1]), Some(format!("m: node 'conv' (Conv) is {first}")));
        let together = "m: all nodes agree one by one; of those that run together 'conv' + 'relu' is";
        assert_eq!(message([0, 2, 1]), Some(format!("{together} {first}")));
        let as_run = "m: all nodes agree; as the model is compiled for a run, output 'y' is";
        assert_eq!(message([0, 0, 2]), Some(format!("{as_run} {first}")));
    }
}
