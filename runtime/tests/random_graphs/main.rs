//! Random graphs of small tensors: what the interpreter says of the graph as it is, compiled code says of the graph
//! after all passes.
#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod growing;
mod nodes;

use growing::Growing;
use octrt::{LoadOptions, Model};
use octrt_ops::graph::{interp, text};
use octrt_ops::{Dim, Graph, Tensor};
use support::{Tolerance, compare_all, largest, run};

/// How many graphs are tried, each with a seed of its own.
const GRAPHS: u64 = 1500;
/// Part of the largest magnitude of a result by which it may be wrong, where it is not exact.
const ROUNDING: f64 = 1e-4;

/// A graph does not say the element types of its outputs; where they are not found with some extents for its dynamic
/// dimensions, the model is made for the inputs' shapes alone.
fn load(graph: &Graph, inputs: &[Tensor]) -> Result<Model, octrt::Error> {
    match Model::from_graph(graph.clone(), &LoadOptions::default()) {
        Err(octrt::Error::Unsupported { .. }) => {
            let types: Vec<_> = inputs.iter().map(|t| t.ty().clone()).collect();
            let mut fixed = graph.clone();
            for (input, ty) in fixed.inputs.iter_mut().zip(types) {
                input.dims = ty.shape.iter().map(|&d| Dim::Fixed(d)).collect();
            }
            Model::from_graph(fixed, &LoadOptions::default())
        }
        model => model,
    }
}

fn check(seed: u64) -> Result<(), String> {
    let mut g = Growing::new(seed);
    let (nodes, mut tries) = (1 + g.numbers.below(12), 0);
    while g.graph.nodes.len() < nodes && tries < 200 {
        g.grow();
        tries += 1;
    }
    g.finish();
    let (graph, inputs) = (g.graph, g.inputs);
    let fail = |e: String| format!("seed {seed}: {e}\n{}\ninputs {inputs:?}", text::print(&graph));
    let expected = interp::run(&graph, &inputs).map_err(|e| fail(format!("interpreter: {e}")))?;
    let model = load(&graph, &inputs).map_err(|e| fail(e.to_string()))?;
    let mut session = model.session().map_err(|e| fail(e.to_string()))?;
    let found = run(&mut session, &inputs).map_err(|e| fail(e.to_string()))?;
    let tolerance = |t: &Tensor| Tolerance { absolute: ROUNDING * largest(t).max(1.0), relative: 0.0 };
    compare_all(&found, &expected, &tolerance).map_err(fail)?;
    Ok(())
}

#[test]
fn compiled_code_agrees_with_the_interpreter() {
    let wrong: Vec<String> = (0..GRAPHS).filter_map(|seed| check(seed).err()).take(3).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
