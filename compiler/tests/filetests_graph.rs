//! The graph passes on the files of `filetests/graph`.
//!
//! `; test pass=name` runs one pass (`pass=dead_code` none) on the graph with types inferred; `; test optimize` runs
//! all passes on the specialized graph. The declarations of the inputs must be fixed. The output is the graph, with
//! a line `; blocked node: reason` for each node that a pass was kept from. Beside the text, every test checks that
//! the graph computes what it computed before, on pseudorandom inputs.

mod filetest;

use filetest::Case;
use octrt_compiler::passes::{self, End, PASSES, Pass};
use octrt_compiler::target::{Isa, Target};
use octrt_compiler::{Options, Precision};
use octrt_ops::graph::infer::{self, Limits};
use octrt_ops::graph::{interp, text, verify};
use octrt_ops::{DType, Graph, GraphError, Tensor};

#[test]
fn graph() {
    filetest::run_folder("filetests/graph", &test);
}

fn test(case: &Case) -> Result<String, String> {
    let given = text::parse(&case.input, &[]).map_err(|e| e.to_string())?;
    verify::structure(&given).map_err(|e| e.to_string())?;
    let before = if case.option("pass").is_some() { typed(given) } else { specialized(&given) }?;
    let options = Options { target: Target::new(Isa::V3), precision: Precision::Default };
    let (after, report) = passes::run(&before, selected(case)?, options).map_err(|e| e.to_string())?;
    assert_eq!(report.end, End::Fixpoint, "{}: rules undo each other's work", case.path.display());
    verify::verify(&after).map_err(|e| format!("after the passes: {e}"))?;
    assert_eq!(text::parse(&text::print(&after), &text::blobs(&after)).as_ref(), Ok(&after));
    same_results(&before, &after)?;
    let mut out = text::print(&after);
    for blocked in report.passes.iter().flat_map(|p| &p.blocked) {
        out += &format!("; blocked {}: {}\n", blocked.node, blocked.reason);
    }
    Ok(out)
}

/// The passes that the file asks for.
fn selected(case: &Case) -> Result<&'static [Pass], String> {
    match case.option("pass") {
        None => Ok(PASSES),
        Some("dead_code") => Ok(&[]),
        Some(name) => {
            let all = [PASSES, passes::LAST];
            let one = |passes: &'static [Pass]| passes.chunks(1).find(|p| p[0].name == name);
            all.into_iter().find_map(one).ok_or(format!("there is no pass '{name}'"))
        }
    }
}

fn specialized(graph: &Graph) -> Result<Graph, String> {
    let declared = graph.inputs.iter().map(|i| i.declared_type());
    let types: Vec<_> = declared.collect::<Option<_>>().ok_or("the inputs must have fixed dimensions")?;
    infer::specialize(graph, &types, Limits::default()).map_err(|e| e.to_string())
}

/// The graph with the types of all values and nothing else changed: constants that [`infer::specialize`] would fold
/// stay nodes.
fn typed(mut graph: Graph) -> Result<Graph, String> {
    for id in graph.node_ids() {
        let node = graph.node(id);
        let types = infer::with_args(&graph, node, |args| node.op.as_operator().infer(args))
            .and_then(|types| types)
            .map_err(|e| GraphError::new(&node.name, node.op.tag(), e).to_string())?;
        for (v, ty) in node.outputs.clone().into_iter().zip(types) {
            graph.values[v.index()].ty = Some(ty);
        }
    }
    Ok(graph)
}

/// Compares the outputs of both graphs on the same inputs.
fn same_results(before: &Graph, after: &Graph) -> Result<(), String> {
    let mut inputs = Vec::new();
    for (i, input) in before.inputs.iter().enumerate() {
        let ty = before.ty(input.value).map_err(|e| e.to_string())?;
        inputs.push(match ty.dtype {
            DType::F32 => text::random(&ty.shape, i as u64).map_err(|e| e.to_string())?,
            _ => Tensor::from_bytes(ty.clone(), vec![1; ty.bytes()]).map_err(|e| e.to_string())?,
        });
    }
    let run = |g: &Graph| interp::run(g, &inputs).map_err(|e| e.to_string());
    for ((a, b), output) in run(before)?.iter().zip(run(after)?).zip(&before.outputs) {
        if a.ty() != b.ty() {
            return Err(format!("output '{}' was {}, is now {}", output.name, a.ty(), b.ty()));
        }
        for (x, y) in a.to_f64s().into_iter().zip(b.to_f64s()) {
            let close = (x - y).abs() <= 1e-5 * (1.0 + x.abs()) || x == y || x.is_nan() && y.is_nan();
            if !close {
                return Err(format!("output '{}' had {x}, has now {y}", output.name));
            }
        }
    }
    Ok(())
}
