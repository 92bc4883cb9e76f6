//! What runs with the operator before it, and what does not, and why: the stages of compiled graphs, and their groups.

use octrt_compiler::decide::fuse::Unfused;
use octrt_compiler::pipeline::{self, Options};
use octrt_compiler::{Isa, Precision, Records, Target, compile};
use octrt_ops::Graph;
use octrt_ops::graph::infer::{self, Limits};
use octrt_ops::graph::text;

/// A graph of these nodes, on maps `%0` of 16 channels; `%1` are weights of a window of one pixel with 40 channels, `%2`
/// lead from 40 to 40.
fn graph(nodes: &str) -> Graph {
    let text = format!(
        r#"graph "g" {{
  input %0 "x": f32[1,16,9,9]
  const %1 "w": f32[40,16,1,1] = random(1)
  const %2 "v": f32[40,40,1,1] = random(2)
  const %3 "three": f32[1] = [3]
  const %4 "six": f32[1] = [6]
  const %5 "zero": f32[] = [0]
  const %6 "most": f32[] = [6]
  const %7 "scale": f32[40,1,1] = random(3)
  input %8 "map": f32[1,40,9,9]
  input %9 "pixel": f32[1,40,1,1]
  input %10 "plane": f32[1,1,9,9]
{nodes}
}}"#
    );
    let conv = "Conv { kernel = [], strides = [], dilations = [], pads = [0, 0, 0, 0], auto_pad = notset, group = 1 }";
    let graph = text::parse(&text.replace("CONV", conv), &[]).expect("the text is a graph");
    let types: Vec<_> = graph.inputs.iter().filter_map(|i| i.declared_type()).collect();
    infer::specialize(&graph, &types, Limits::default()).expect("types fit")
}

fn options(isa: Isa) -> Options {
    Options { target: Target::new(isa), precision: Precision::Strict }
}

/// The stages of a compiled graph, but for borders and what puts an input into blocks or an output back.
fn stages(graph: &Graph, isa: Isa) -> Vec<String> {
    let artifact = compile(graph, options(isa), &Records::NONE).expect("compiles");
    artifact.steps.iter().map(|s| format!("{} {}", s.node, s.stage)).collect()
}

/// The first node that does not run with the one before it, and why.
fn open(graph: &Graph) -> Option<(String, Unfused)> {
    let decided = pipeline::decide(graph, options(Isa::V3), &Records::NONE).expect("decides");
    let groups = decided.choice.tiled.iter().flatten().map(|t| &t.group);
    let open = groups.filter_map(|g| g.open).next()?;
    Some((decided.optimized.node(open.0).name.clone(), open.1))
}

/// The h-swish that exporters spell out, of 40 channels, which do not fill blocks.
#[test]
fn a_spelled_out_function_of_channels_that_fill_no_block_leaves_no_reorder() {
    let graph = graph(
        r#"  %11 = "first" CONV (%0, %1)
  %12 = "sum" Binary { kind = add } (%11, %3)
  %13 = "clip" Clip {} (%12, %5, %6)
  %14 = "product" Binary { kind = mul } (%11, %13)
  %15 = "quotient" Binary { kind = div } (%14, %4)
  %16 = "second" CONV (%15, %2)
  output "y" = %16"#,
    );
    for isa in [Isa::V3, Isa::V4] {
        // The first convolution reads single pixels as they lie.
        assert_eq!(stages(&graph, isa), ["first conv", "second conv", " layout"]);
    }
    assert_eq!(open(&graph), None);
}

#[test]
fn gates_scales_and_maps_run_with_their_convolution() {
    let graph = graph(
        r#"  %11 = "first" CONV (%0, %1)
  %12 = "sigmoid" Unary { kind = sigmoid } (%11)
  %13 = "gate" Binary { kind = mul } (%11, %12)
  %14 = "scaled" Binary { kind = mul } (%13, %7)
  %15 = "excited" Binary { kind = mul } (%9, %14)
  %16 = "sum" Binary { kind = sub } (%15, %8)
  output "y" = %16"#,
    );
    // Tensors that come from outside are put into blocks first; 40 elements in a row fill five of 8.
    assert_eq!(stages(&graph, Isa::V3), ["first layout", "first conv", " layout"]);
    assert_eq!(stages(&graph, Isa::V4), ["first layout", "first layout", "first conv", " layout"]);
    assert_eq!(open(&graph), None);
}

/// What a tensor is that the strategy does not read beside its results, and other reasons.
#[test]
fn reasons_are_told() {
    let of = |nodes: &str| open(&graph(nodes));
    let named = |node: &str, why| Some((node.to_string(), why));
    let plane = r#"  %11 = "first" CONV (%0, %1)
  %12 = "sum" Binary { kind = add } (%11, %10)
  output "y" = %12"#;
    assert_eq!(of(plane), named("sum", Unfused::Layout));
    let larger = r#"  %11 = "pool" GlobalPool { kind = average } (%8)
  %12 = "gate" CONV (%11, %2)
  %13 = "product" Binary { kind = mul } (%12, %8)
  output "y" = %13"#;
    assert_eq!(of(larger), named("product", Unfused::Shape));
    let wanted = r#"  %11 = "first" CONV (%0, %1)
  %12 = "relu" Unary { kind = relu } (%11)
  output "y" = %12
  output "z" = %11"#;
    assert_eq!(of(wanted), named("relu", Unfused::Users));
    let sine = r#"  %11 = "first" CONV (%0, %1)
  %12 = "sine" Unary { kind = sin } (%11)
  output "y" = %12"#;
    assert_eq!(of(sine), named("sine", Unfused::Function));
    let pooled = r#"  %11 = "first" CONV (%0, %1)
  %12 = "pool" GlobalPool { kind = average } (%11)
  %13 = "relu" Unary { kind = relu } (%12)
  output "y" = %13"#;
    assert_eq!(of(pooled), named("relu", Unfused::Strategy));
    let many = r#"  input %12 "a": f32[1,40,9,9]
  input %13 "b": f32[1,40,9,9]
  input %14 "c": f32[1,40,9,9]
  input %19 "d": f32[1,40,9,9]
  input %21 "e": f32[1,40,9,9]
  %11 = "first" CONV (%0, %1)
  %15 = "1" Binary { kind = add } (%11, %8)
  %16 = "2" Binary { kind = add } (%15, %12)
  %17 = "3" Binary { kind = mul } (%16, %13)
  %18 = "4" Binary { kind = add } (%17, %14)
  %20 = "5" Binary { kind = add } (%18, %19)
  %22 = "6" Binary { kind = add } (%20, %21)
  output "y" = %22"#;
    assert_eq!(of(many), named("6", Unfused::Operands));
}

/// Two convolutions that a sum joins: the first takes it, and the second says so.
#[test]
fn a_node_runs_with_one_of_those_before_it() {
    let graph = graph(
        r#"  %11 = "first" CONV (%0, %1)
  %12 = "second" CONV (%8, %2)
  %13 = "sum" Binary { kind = add } (%11, %12)
  output "y" = %13"#,
    );
    assert_eq!(open(&graph), Some(("sum".to_string(), Unfused::Taken)));
}

#[test]
fn plain_chains_are_one_pass() {
    let graph = graph(
        r#"  %11 = "a" Binary { kind = mul } (%8, %9)
  %12 = "b" Unary { kind = erf } (%11)
  %13 = "c" Binary { kind = add } (%12, %10)
  %14 = "d" Binary { kind = mul } (%13, %11)
  output "y" = %14"#,
    );
    for isa in [Isa::V3, Isa::V4] {
        assert_eq!(stages(&graph, isa), ["a map"]);
    }
    assert_eq!(stages(&graph, Isa::V2).len(), 4);
}

/// A transposed convolution is a convolution for each phase, which ends as others do and writes where the next one reads.
#[test]
fn transposed_convolutions_are_one_convolution_a_phase() {
    let of = |kernel: usize, isa| {
        let nodes = format!(
            r#"  const %11 = "t": f32[16,40,{kernel},{kernel}] = random(4)
  %12 = "up" ConvTranspose {{ kernel = [], strides = [2, 2], dilations = [], pads = [0, 0, 0, 0], auto_pad = notset, group = 1, output_padding = [], output_shape = [] }} (%0, %11)
  %13 = "relu" Unary {{ kind = relu }} (%12)
  %14 = "next" CONV (%13, %2)
  output "y" = %14"#
        );
        let nodes = nodes.replace("%11 = \"t\"", "%11 \"t\"");
        let graph = graph(&nodes);
        let decided = pipeline::decide(&graph, options(isa), &Records::NONE).expect("decides");
        let plain = decided.choice.plain.iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
        let stages = stages(&graph, isa).into_iter().filter(|stage| stage != "up border").collect::<Vec<_>>();
        (stages, plain)
    };
    for isa in [Isa::V3, Isa::V4] {
        let blocks = |phases: usize| {
            let phases = std::iter::repeat_n("up conv", phases);
            ["up layout"].into_iter().chain(phases).chain(["next conv", " layout"]).collect::<Vec<_>>()
        };
        for kernel in [2, 4] {
            assert_eq!(of(kernel, isa), (blocks(4).iter().map(ToString::to_string).collect(), vec![]));
        }
        let (stages, plain) = of(1, isa);
        assert!(stages.contains(&"up conv_transpose".to_string()), "{stages:?}");
        let reason = "transposed windows of which a phase covers no element, or of more than 64 phases";
        assert_eq!(plain, [reason]);
    }
}
