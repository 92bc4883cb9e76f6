//! Every rule of the compiler on graphs that come close to what it looks for, and mostly miss it by a little: another scale,
//! mode, axis or extent, a second user, an output, an operand that is no constant. Nothing but the outputs is watched, so
//! that rules may do what they do for users. Compiled code says of the graph after all passes what the interpreter says of
//! the graph as it is. `OCTRT_NEAR_MISSES` is how many graphs are tried for each rule, if another number is wanted.
#![allow(missing_docs)]

mod endings;
#[allow(dead_code)]
#[path = "../random_graphs/growing.rs"]
mod growing;
mod integers;
mod movement;
mod moves;
mod near;
#[allow(dead_code)]
#[path = "../random_graphs/nodes.rs"]
mod nodes;
mod pads;
mod parts;
mod pools;
mod rows;
mod sums;
#[path = "../support/mod.rs"]
mod support;
mod tails;

use near::Near;
use octrt::{LoadOptions, Model};
use octrt_compiler::decide::fuse::{Group, Operand};
use octrt_compiler::decide::pools::Pooled;
use octrt_compiler::decide::{Choice, Kind, Refused, choose};
use octrt_compiler::nest::Nest;
use octrt_compiler::nest::interp::Engine;
use octrt_compiler::place::program::interp as program;
use octrt_compiler::{Isa, Options, Precision, Records, Target, passes, pipeline};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::{interp, text};
use octrt_ops::{Graph, Tensor};
use support::{Tolerance, compare_all, run};

/// How many graphs are tried for each rule, unless the environment says so.
const GRAPHS: usize = 500;
/// One graph in so many is run for AVX-512 too, emulated.
const EMULATED: usize = 10;
/// Part of the largest magnitude of a result by which it may be wrong: 168 roundings of f32, as in `random_graphs`.
const ROUNDING: f64 = 1e-5;

/// What a graph has become where its rule has done something.
enum Rule {
    /// A pass of this name.
    Pass(&'static str),
    /// A decision of the layout pass.
    Layout(fn(&Choice) -> bool),
    /// A nest of the program.
    Nest(fn(&Nest) -> bool),
}

impl Rule {
    fn applies(&self, graph: &Graph) -> bool {
        let target = Target::new(Isa::V3);
        let types: Vec<_> = graph.inputs.iter().map(|i| i.declared_type().unwrap()).collect();
        let graph = specialize(graph, &types, Limits::default()).unwrap();
        let options = Options { target, precision: Precision::Default };
        let (graph, report) = passes::optimize(&graph, options).unwrap();
        match self {
            Rule::Pass(name) => report.passes.iter().any(|p| p.name == *name && p.applied > 0),
            Rule::Nest(found) => {
                let program = pipeline::program(&graph, options, &Records::NONE).unwrap();
                program.nests.iter().any(found)
            }
            Rule::Layout(found) => found(&choose(&graph, options, &Records::NONE, &Refused::new())),
        }
    }
}

fn compiled(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let model = Model::from_graph(graph.clone(), &LoadOptions::default()).map_err(|e| e.to_string())?;
    let mut session = model.session().map_err(|e| e.to_string())?;
    run(&mut session, inputs).map_err(|e| e.to_string())
}

fn emulated(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let options = Options { target: Target::new(Isa::V4), precision: Precision::Default };
    let types: Vec<_> = inputs.iter().map(|t| t.ty().clone()).collect();
    let graph = specialize(graph, &types, Limits::default()).map_err(|e| e.to_string())?;
    let (graph, _) = passes::optimize(&graph, options).map_err(|e| e.to_string())?;
    let compiled = pipeline::program(&graph, options, &Records::NONE).map_err(|e| e.to_string())?;
    program::run(&compiled, inputs, Engine::Emulator).map_err(|e| e.to_string())
}

/// Whether machine code gives what the interpreter does.
fn agrees(graph: &Graph, inputs: &[Tensor], emulate: bool) -> Result<(), String> {
    let expected = interp::run(graph, inputs).map_err(|e| format!("interpreter: {e}"))?;
    let tolerance = |t: &Tensor| match t.dtype().is_float() {
        true => Tolerance::of_largest(ROUNDING, t),
        false => Tolerance::EXACT,
    };
    compare_all(&compiled(graph, inputs)?, &expected, &tolerance)?;
    if emulate {
        let found = emulated(graph, inputs).map_err(|e| format!("AVX-512: {e}"))?;
        compare_all(&found, &expected, &tolerance).map_err(|e| format!("AVX-512: {e}"))?;
    }
    Ok(())
}

/// Draws graphs and checks them; the rule must have done something to many of them, and nothing to many.
fn check(rule: &Rule, draw: fn(&mut Near) -> Option<()>) {
    let graphs = std::env::var("OCTRT_NEAR_MISSES").map_or(GRAPHS, |n| n.parse().unwrap());
    let (mut tried, mut applied, mut wrong) = (0, 0, Vec::new());
    for seed in 0..20 * graphs as u64 {
        if tried == graphs || wrong.len() == 3 {
            break;
        }
        let mut n = Near::new(seed);
        if draw(&mut n).is_none() || n.g.graph.nodes.is_empty() {
            continue;
        }
        n.finish();
        let (graph, inputs) = (&n.g.graph, &n.g.inputs);
        tried += 1;
        applied += usize::from(rule.applies(graph));
        if let Err(e) = agrees(graph, inputs, tried % EMULATED == 0) {
            wrong.push(format!("seed {seed}: {e}\n{}\ninputs {inputs:?}", text::print(graph)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("{tried} graphs, the rule applies to {applied}");
    assert_eq!(tried, graphs, "too few graphs are drawn");
    let part = graphs / 20;
    assert!((part..=graphs - part).contains(&applied), "the rule applies to {applied} of {graphs} graphs");
}

/// Stages that compute nothing.
const MOVES: [&str; 8] =
    ["concat", "depth_to_space", "gather", "pad", "resize", "slice", "tile", "transpose"];

/// A test for each rule.
macro_rules! rules {
    ($($name:ident: $rule:expr, $draw:path;)*) => {
        $(#[test]
        fn $name() {
            check(&$rule, $draw);
        })*
    };
}

rules! {
    dilated: Rule::Layout(|c| c.tiled.iter().flatten().any(|t| matches!(t.kind, Kind::Parts(_)))), parts::dilated;
    deduplicate: Rule::Pass("deduplicate"), moves::twins;
    einsum_as_matmul: Rule::Pass("einsum_as_matmul"), sums::equation;
    exact_products: Rule::Pass("exact_products"), integers::product;
    fold_pad: Rule::Pass("fold_pad"), pads::padded;
    fuse_batch_norm: Rule::Pass("fuse_batch_norm"), sums::normalized;
    merge_convs: Rule::Pass("merge_convs"), sums::merged;
    pool_before_pointwise: Rule::Pass("pool_before_pointwise"), sums::pooled_pointwise;
    moves: Rule::Nest(|n| !n.leaves.is_empty() && MOVES.contains(&n.name.as_str())), movement::moves;
    remove_identity: Rule::Pass("remove_identity"), moves::identity;
    upsample_after_pointwise: Rule::Pass("upsample_after_pointwise"), sums::pointwise_of_upsampled;
    upsampled_addends: Rule::Layout(|c| groups(c).any(|g| operands(g).any(|a| a.repeat == 2))), sums::doubling;
    endings: Rule::Layout(|c| groups(c).any(|g| g.nodes.len() > 2 && g.ending.operands.len() > 1)), endings::ending;
    groups_of_several: Rule::Layout(|c| groups(c).any(|g| g.nodes.len() > 1)), tails::tail;
    nearest: Rule::Layout(|c| c.tiled.iter().flatten().any(|t| matches!(t.kind, Kind::Nearest(_)))), sums::repeated;
    concatenations_in_place: Rule::Layout(|c| c.placed.iter().any(Option::is_some)), tails::joined;
    poolings: Rule::Layout(|c| c.tiled.iter().flatten().any(|t| matches!(t.pooled, Some(Pooled::In(_))))), pools::pools;
    shuffle_conv_transpose: Rule::Pass("shuffle_conv_transpose"), parts::few_channels;
    rows: Rule::Layout(|c| c.tiled.iter().flatten().any(|t| t.kind == Kind::Rows)), rows::rows;
    transposed: Rule::Layout(|c| c.tiled.iter().flatten().any(|t| matches!(t.kind, Kind::Parts(_)))), parts::transposed;
    nodes_in_blocks: Rule::Layout(|c| c.tiled.iter().flatten().count() > 2), tails::in_blocks;
    products: Rule::Layout(|c| c.tiled.iter().any(Option::is_some)), tails::matrices;
}

fn groups(choice: &Choice) -> impl Iterator<Item = &Group> {
    choice.tiled.iter().flatten().map(|t| &t.group)
}

fn operands(group: &Group) -> impl Iterator<Item = &Operand> {
    group.ending.operands.iter()
}

/// 16 columns become 32, but output pixel 2 shows input pixel 0: what extents alone would take for a doubling.
#[test]
fn upsampling_by_nearly_two() {
    let text = r#"graph "g" {
      input %0 "high": f32[1,8,32,32]
      input %1 "low": f32[1,8,16,16]
      const %2: f32[8,8,3,3] = random(1)
      const %3: f32[4] = [1, 1, 2, 2.00001]
      %4 = "hh" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%0, %2)
      %5 = "lh" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%1, %2)
      %6 = "up" Resize { mode = nearest, coordinates = asymmetric, nearest_mode = floor, cubic_coeff_a = -0.75f, exclude_outside = 0, extrapolation_value = 0.0f, antialias = 0, aspect = stretch, axes = [] } (%5, _, %3)
      %7 = "sum" Binary { kind = add } (%4, %6)
      output "y" = %7
    }"#;
    let graph = text::parse(text, &[]).unwrap();
    let inputs: Vec<Tensor> =
        (0..2).map(|i| text::random(&[1, 8, [32, 16][i], [32, 16][i]].into(), i as u64).unwrap()).collect();
    agrees(&graph, &inputs, true).unwrap();
    assert!(!Rule::Layout(|c| groups(c).any(|g| operands(g).any(|a| a.repeat == 2))).applies(&graph));
}

/// A convolution that Winograd's algorithm would take, of bytes and of floats that are whole: exact, as sums of integers are.
#[test]
fn whole_numbers_stay_whole() {
    let text = r#"graph "g" {
      input %0 "x": u8[1,64,28,28]
      const %1: f32[64,64,3,3] = random(1)
      const %2: f32[] = [127]
      const %3: f32[] = [0.5]
      const %4: i8[] = [3]
      %5 = "scaled" Binary { kind = mul } (%1, %2)
      %6 = "weight" Cast { to = i8 } (%5)
      %7 = "integers" ConvInteger { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%0, %6, _, %4)
      %8 = "float" Cast { to = f32 } (%0)
      %9 = "whole" Cast { to = f32 } (%6)
      %10 = "floats" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%8, %9)
      %11 = "down" Cast { to = i32 } (%10)
      output "a" = %7
      output "b" = %11
    }"#;
    let graph = text::parse(text, &[]).unwrap();
    let bytes =
        (0..64 * 28 * 28).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>();
    agrees(&graph, &[Tensor::new([1, 64, 28, 28], &bytes).unwrap()], false).unwrap();
}
