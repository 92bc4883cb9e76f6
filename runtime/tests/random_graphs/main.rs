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
use support::{Tolerance, compare_all, run};

/// How many graphs are tried, each with a seed of its own.
const GRAPHS: u64 = 1500;
/// Part of the largest magnitude of an output by which each of its elements may be wrong, whatever that magnitude is.
///
/// Both sides compute in f32, which rounds by 2^-24 of a number, but may add in another order, with the roundings of a fused
/// multiplication, or by Winograd's algorithm, in each of a dozen nodes. This is 168 such roundings; more is a defect, or an
/// output that is the small difference of large numbers, of which these seeds have none.
const ROUNDING: f64 = 1e-5;

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
    agrees(&found, &expected).map_err(fail)
}

/// Whether each output is the expected one, but for roundings.
fn agrees(found: &[Tensor], expected: &[Tensor]) -> Result<(), String> {
    compare_all(found, expected, &|t| Tolerance::of_largest(ROUNDING, t)).map(|_| ())
}

#[test]
fn an_error_in_a_small_output_is_found() {
    let tensor = |elements: &[f32]| Tensor::new([elements.len()], elements).unwrap();
    let large = tensor(&[1000.0, -3.0]);
    for scale in [1e-6f32, 1.0, 1e6] {
        let expected = [large.clone(), tensor(&[scale, -0.5 * scale, 0.0])];
        let found = |error: f32| [large.clone(), tensor(&[scale, (-0.5 + error) * scale, error * scale])];
        agrees(&found(5e-6), &expected).unwrap();
        let e = agrees(&found(2e-5), &expected).unwrap_err();
        assert!(e.starts_with("output 1: element "), "{e}");
    }
    agrees(&[tensor(&[0.0])], &[tensor(&[0.0])]).unwrap();
    agrees(&[tensor(&[1e-30])], &[tensor(&[0.0])]).unwrap_err();
}

#[test]
fn compiled_code_agrees_with_the_interpreter() {
    let wrong: Vec<String> = (0..GRAPHS).filter_map(|seed| check(seed).err()).take(3).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
