//! Which poolings run in the step of the convolution that computes what they pool, which do not, and why; and that they
//! compute the same there, however the convolution's loops are cut.

use octrt_compiler::artifact::Place;
use octrt_compiler::decide::Tiled;
use octrt_compiler::decide::pools::{Pooled, Unpooled};
use octrt_compiler::layout::MapWindow;
use octrt_compiler::leaf::programs::Winograd::{F2, F4};
use octrt_compiler::nest::interp::{Engine, races};
use octrt_compiler::pipeline::{self, Options};
use octrt_compiler::place::program::{Program, interp};
use octrt_compiler::records::Convolution;
use octrt_compiler::strategy::conv::Algorithm;
use octrt_compiler::strategy::decision::{Decision, Order, Tiling};
use octrt_compiler::strategy::pooled::Apart;
use octrt_compiler::{Isa, Precision, Records, Target, passes};
use octrt_ops::graph::infer::{self, Limits};
use octrt_ops::graph::{interp as reference, text};
use octrt_ops::{Graph, Tensor};

const ISAS: [Isa; 2] = [Isa::V3, Isa::V4];

/// Nodes after an input `%0` of 16 channels and weights `%1` of 32 output channels, of these windows.
fn graph(dims: &str, kernel: usize, nodes: &str) -> Graph {
    let text = format!(
        r#"graph "g" {{
  input %0 "x": f32[{dims}]
  const %1 "w": f32[32,16,{kernel},{kernel}] = random(1)
  const %2 "b": f32[32] = random(2)
  const %3 "v": f32[24,32,3,3] = random(3)
  const %4 "scale": f32[32,1,1] = random(4)
  const %5 "depth": f32[32,1,3,3] = random(5)
  const %6 "grouped": f32[32,4,3,3] = random(6)
{nodes}
}}"#
    );
    let pads = |n: usize| format!("{n}, {n}, {n}, {n}");
    let conv = |pad: usize, group: usize| {
        let pads = pads(pad);
        format!(
            "Conv {{ kernel = [], strides = [], dilations = [], pads = [{pads}], auto_pad = notset, group = {group} }}"
        )
    };
    let pool = |kernel: usize, stride: usize, pad: usize| {
        let (kernel, strides, pads) =
            (format!("{kernel}, {kernel}"), format!("{stride}, {stride}"), pads(pad));
        format!(
            "kernel = [{kernel}], strides = [{strides}], dilations = [], pads = [{pads}], auto_pad = notset, ceil_mode = 0"
        )
    };
    let text = text
        .replace("CONV32", &conv(1, 32))
        .replace("CONV4", &conv(1, 8))
        .replace("CONV3", &conv(1, 1))
        .replace("CONV", &conv(kernel / 2, 1))
        .replace("AVERAGE2", &format!("AveragePool {{ {}, count_include_pad = 0 }}", pool(2, 2, 0)))
        .replace("AVERAGE4", &format!("AveragePool {{ {}, count_include_pad = 0 }}", pool(4, 4, 0)))
        .replace("AVERAGE3", &format!("AveragePool {{ {}, count_include_pad = 1 }}", pool(3, 2, 1)))
        .replace("MAX2", &format!("MaxPool {{ {} }}", pool(2, 2, 0)))
        .replace("MAX3", &format!("MaxPool {{ {} }}", pool(3, 2, 1)))
        .replace("MEAN", "GlobalPool { kind = average }")
        .replace("RELU", "Unary { kind = relu }");
    parsed(&text)
}

fn parsed(text: &str) -> Graph {
    let graph = text::parse(text, &[]).expect("the text is a graph");
    let types: Vec<_> = graph.inputs.iter().filter_map(|i| i.declared_type()).collect();
    infer::specialize(&graph, &types, Limits::default()).expect("types fit")
}

fn options(isa: Isa, precision: Precision) -> Options {
    Options { target: Target::new(isa), precision }
}

/// The convolution of a graph as records know it, carried out so.
fn record(mb: usize, extent: usize, kernel: usize, decision: Decision) -> Records {
    let mut records = Records::NONE;
    let (extents, pad) = ([1, extent, extent], kernel / 2);
    let convolution = Convolution {
        mb,
        groups: 1,
        ic: 16,
        oc: 32,
        src: extents,
        dst: extents,
        window: MapWindow {
            kernel: [1, kernel, kernel],
            strides: [1; 3],
            dilations: [1; 3],
            pads: [0, pad, pad],
        },
    };
    records.insert(convolution, [decision]);
    records
}

/// Names of the nests of a program, but for borders and what puts inputs into blocks and outputs back.
fn names(program: &Program) -> Vec<&str> {
    let aside = ["border", "reorder", "elementwise"];
    let steps = program.steps.iter().map(|s| &program.nests[s.function.0 as usize].name[..]);
    steps.filter(|name| !aside.contains(name)).collect()
}

fn program(graph: &Graph, options: Options, records: &Records) -> Program {
    let (graph, _) = passes::optimize(graph, options).expect("passes");
    pipeline::program(&graph, options, records).expect("compiles")
}

/// That a program, run as it is and as emulated machine code, gives what the graph means.
fn means_the_same(graph: &Graph, program: &Program, what: &str) {
    let ty = graph.inputs[0].declared_type().expect("fixed dimensions");
    let x = text::random(&ty.shape, 7).expect("the input is small");
    let expected = reference::run(graph, std::slice::from_ref(&x)).expect("the graph runs");
    for engine in [Engine::Interpreter, Engine::Emulator] {
        let found = interp::run(program, std::slice::from_ref(&x), engine).expect("the program runs");
        for (found, expected) in found.iter().zip(&expected) {
            let (found, expected): (Vec<f64>, Vec<f64>) = (found.to_f64s(), expected.to_f64s());
            let scale = (expected.iter().map(|x| x * x).sum::<f64>() / expected.len() as f64).sqrt();
            assert_eq!(found.len(), expected.len());
            for (f, e) in found.iter().zip(&expected) {
                assert!((f - e).abs() <= 1e-5 * scale, "{what}, {engine:?}: {f} instead of {e}");
            }
        }
    }
}

/// A high half with what OctConv makes of it: both are wanted.
const HALVES: &str = r#"  %7 = "conv" CONV (%0, %1, %2)
  %8 = "relu" RELU (%7)
  %9 = "pool" AVERAGE2 (%8)
  %10 = "next" CONV3 (%8, %3)
  output "high" = %10
  output "low" = %9"#;

#[test]
fn the_high_half_is_pooled_where_it_is_made() {
    for isa in ISAS {
        let graph = graph("1,16,12,12", 1, HALVES);
        let compiled = program(&graph, options(isa, Precision::Strict), &Records::NONE);
        assert_eq!(names(&compiled), ["conv_average_pool", "conv"]);
        let pooled = compiled.steps.iter().find(|s| s.results.len() == 2).expect("a step writes both");
        assert_eq!(pooled.node, "conv");
        means_the_same(&graph, &compiled, "both halves");
    }
}

/// However the loops of the convolution are cut: runs of rows, pictures, tiles of channels, or Winograd's tiles.
#[test]
fn poolings_follow_the_loops_of_their_convolution() {
    let winograd = |size, chunks| Decision {
        algorithm: Algorithm::Winograd(size),
        tiling: Tiling { chunks: Some(chunks), ..Tiling::NONE },
    };
    let direct = |tiling| Decision { algorithm: Algorithm::Direct, tiling };
    let chunks = |n| direct(Tiling { chunks: Some(n), order: Some(Order::Pixels), ..Tiling::NONE });
    let by_channels = |n| {
        direct(Tiling { chunks: Some(n), vectors: Some(1), order: Some(Order::Channels), ..Tiling::NONE })
    };
    let cases = [
        (1, 3, chunks(1)),
        (1, 3, chunks(4)),
        // Runs of three rows are not cut between windows: others are taken.
        (1, 3, chunks(8)),
        (1, 3, by_channels(1)),
        (1, 3, by_channels(6)),
        (2, 3, chunks(2)),
        (1, 3, winograd(F4, 1)),
        (1, 3, winograd(F4, 3)),
        (1, 3, winograd(F2, 6)),
        (2, 3, winograd(F4, 2)),
        (1, 1, chunks(6)),
        (1, 1, by_channels(4)),
    ];
    let windows = r#"  %7 = "conv" CONV (%0, %1, %2)
  %8 = "relu" RELU (%7)
  %9 = "two" AVERAGE2 (%8)
  %10 = "four" AVERAGE4 (%8)
  %11 = "half" RELU (%9)
  output "a" = %8
  output "b" = %11
  output "c" = %10"#;
    for (mb, kernel, decision) in cases {
        let graph = graph(&format!("{mb},16,24,24"), kernel, windows);
        let records = record(mb, 24, kernel, decision);
        for isa in ISAS {
            let compiled = program(&graph, options(isa, Precision::Default), &records);
            let what = format!("{decision}, {mb} pictures, {isa:?}");
            let names = names(&compiled);
            assert!(names.iter().all(|n| !n.starts_with("average")), "{what}: {names:?}");
            assert!(names.iter().any(|n| n.ends_with("average_pool_average_pool")), "{what}: {names:?}");
            means_the_same(&graph, &compiled, &what);
        }
    }
}

/// Windows that overlap, and hang over the map, and whole maps: iterations have whole maps of some channels.
#[test]
fn whole_maps_are_pooled_where_they_are_made() {
    let nodes = r#"  %7 = "conv" CONV (%0, %1, %2)
  %8 = "max" MAX3 (%7)
  %9 = "mean" MEAN (%7)
  output "a" = %8
  output "b" = %9"#;
    let odd = graph("1,16,13,13", 3, nodes);
    let batch = graph("3,16,13,13", 1, nodes);
    for isa in ISAS {
        for (graph, precision) in
            [(&odd, Precision::Strict), (&odd, Precision::Default), (&batch, Precision::Strict)]
        {
            let compiled = program(graph, options(isa, precision), &Records::NONE);
            let names = names(&compiled);
            assert!(names.iter().any(|n| n.ends_with("max_pool_global_pool")), "{names:?}");
            // Nobody else reads the maps: an iteration keeps its own, and both results are poolings'.
            let step = compiled.steps.iter().find(|s| s.results.len() == 2).expect("a step writes both");
            assert!(step.buffers.iter().any(|b| matches!(b.place, Place::Scratch(_))), "{step:?}");
            means_the_same(graph, &compiled, &names.join(", "));
        }
    }
}

/// Depthwise convolutions and small groups.
#[test]
fn convolutions_of_groups_are_pooled_where_they_are_made() {
    for (conv, weights, name) in [("CONV32", "%5", "conv_depthwise_"), ("CONV4", "%6", "conv_")] {
        let nodes = format!(
            r#"  %7 = "conv" CONV (%0, %1, %2)
  %8 = "groups" {conv} (%7, {weights})
  %9 = "relu" RELU (%8)
  %10 = "mean" MEAN (%9)
  %11 = "product" Binary {{ kind = mul }} (%9, %10)
  %12 = "max" MAX3 (%9)
  output "a" = %11
  output "b" = %12"#
        );
        let graph = graph("1,16,12,12", 1, &nodes);
        for isa in ISAS {
            let compiled = program(&graph, options(isa, Precision::Default), &Records::NONE);
            let names = names(&compiled);
            let expected = |n: &&str| n.starts_with(name) && n.ends_with("global_pool_max_pool");
            assert!(names.iter().any(expected), "{names:?}");
            means_the_same(&graph, &compiled, &names.join(", "));
        }
    }
}

/// Where the pooling of a graph runs that is named `pool`, and what its convolution is named.
fn pooled(graph: &Graph, precision: Precision, records: &Records) -> Option<Pooled> {
    let decided = pipeline::decide(graph, options(Isa::V3, precision), records).expect("decides");
    let named = |t: &&Tiled| decided.optimized.node(t.group.root).name == "pool";
    let pool = decided.choice.tiled.iter().flatten().find(named).expect("a pooling in blocks");
    pool.pooled.clone()
}

#[test]
fn reasons_are_told() {
    let why = |graph: &Graph, records: &Records| match pooled(graph, Precision::Strict, records) {
        Some(Pooled::Behind(_, why)) => why,
        other => panic!("{other:?} is no reason"),
    };
    // The next convolution wants a border of zeros, a maximum that of the lowest numbers.
    let two_borders = r#"  %7 = "conv" CONV (%0, %1, %2)
  %8 = "pool" MAX3 (%7)
  %9 = "next" CONV3 (%7, %3)
  output "a" = %8
  output "b" = %9"#;
    assert_eq!(why(&graph("1,16,12,12", 1, two_borders), &Records::NONE), Unpooled::Layout);
    let ending = r#"  %7 = "conv" CONV (%0, %1, %2)
  input %8 "t": f32[1,32,6,6]
  %9 = "pool" AVERAGE2 (%7)
  %10 = "sum" Binary { kind = add } (%9, %8)
  output "a" = %10
  output "b" = %7"#;
    assert_eq!(why(&graph("1,16,12,12", 1, ending), &Records::NONE), Unpooled::Ending);
    let overlap = r#"  %7 = "conv" CONV (%0, %1, %2)
  %8 = "pool" MAX3 (%7)
  output "a" = %8"#;
    let rows =
        Decision { algorithm: Algorithm::Winograd(F4), tiling: Tiling { chunks: Some(3), ..Tiling::NONE } };
    let in_rows = match pooled(&graph("1,16,24,24", 3, overlap), Precision::Default, &record(1, 24, 3, rows))
    {
        Some(Pooled::Behind(_, why)) => why,
        other => panic!("{other:?} is no reason"),
    };
    assert_eq!(in_rows, Unpooled::Apart(Apart::Rows));
    let large = graph("1,16,1024,1024", 1, overlap);
    assert_eq!(why(&large, &Records::NONE), Unpooled::Apart(Apart::Large));
    // So many windows of so many elements are not looked at.
    let many = overlap.replace("MAX3", "MaxPool { kernel = [9, 9], strides = [1, 1], dilations = [], pads = [4, 4, 4, 4], auto_pad = notset, ceil_mode = 0 }");
    assert_eq!(why(&graph("1,16,256,256", 1, &many), &Records::NONE), Unpooled::Apart(Apart::Large));
}

/// An input that others want with a border is read with it: what was decided holds for it as it lies.
#[test]
fn inputs_may_have_a_border_that_others_want() {
    let text = r#"graph "g" {
  input %0 "x": f32[1,32,14,14]
  const %1 "w": f32[800,32,1,1] = random(1)
  const %2 "v": f32[16,800,3,3] = random(2)
  const %3 "u": f32[64,800,1,1] = random(3)
  %4 = "wide" CONV (%0, %1)
  %5 = "border" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%4, %2)
  %6 = "conv" CONV (%4, %3)
  %7 = "pool" MaxPool { kernel = [3, 3], strides = [2, 2], dilations = [], pads = [], auto_pad = notset, ceil_mode = 0 } (%6)
  output "a" = %5
  output "b" = %7
}"#;
    let conv = "Conv { kernel = [], strides = [], dilations = [], pads = [], auto_pad = notset, group = 1 }";
    let graph = parsed(&text.replace("CONV", conv));
    for isa in ISAS {
        for precision in Precision::ALL {
            let compiled = program(&graph, options(isa, precision), &Records::NONE);
            let pooled = names(&compiled).into_iter().filter(|n| n.ends_with("max_pool")).count();
            assert_eq!(pooled, 1, "{isa:?}, {precision}");
        }
    }
}

/// Constants that a pooling ends with, lanes that are no channels, and what is pooled of a plain input.
#[test]
fn endings_of_constants_stay_with_the_pooling() {
    let nodes = r#"  %7 = "conv" CONV (%0, %1, %2)
  %8 = "pool" AVERAGE2 (%7)
  %9 = "scaled" Binary { kind = mul } (%8, %4)
  %10 = "first" AVERAGE2 (%0)
  output "a" = %9
  output "b" = %10
  output "c" = %7"#;
    let graph = graph("1,16,12,12", 1, nodes);
    for isa in ISAS {
        let compiled = program(&graph, options(isa, Precision::Strict), &Records::NONE);
        assert_eq!(names(&compiled)[0], "conv_average_pool");
        means_the_same(&graph, &compiled, "scaled");
    }
    assert!(matches!(pooled(&graph, Precision::Strict, &Records::NONE), Some(Pooled::In(_))));
}

/// Threads change nothing: no iteration of the parallel loop reads what another one has written.
#[test]
fn iterations_keep_to_themselves() {
    let graph = graph("1,16,24,24", 3, HALVES);
    for isa in ISAS {
        for precision in Precision::ALL {
            let compiled = program(&graph, options(isa, precision), &Records::NONE);
            let pooled = compiled.nests.iter().filter(|n| n.dsts().count() == 2);
            let mut met = 0;
            for nest in pooled {
                let zeros: Vec<Tensor> =
                    nest.buffers.iter().map(|b| text::random(&b.ty.shape, 3).expect("small")).collect();
                let inputs: Vec<Option<&Tensor>> = zeros.iter().map(Some).collect();
                assert_eq!(races(nest, &inputs), Ok(None), "{nest}");
                met += 1;
            }
            assert_eq!(met, 1, "{isa:?}, {precision}");
        }
    }
}

/// What lies plain for windows alone is brought into blocks by each iteration: windows within the map, over its border, and of
/// depthwise convolutions. Several readers, pictures, and channels that do not fill blocks have it done before.
#[test]
fn windows_bring_plain_maps_near_themselves() {
    let alone = |node: &str| format!("  %7 = \"window\" {node}\n  output \"a\" = %7");
    let twice = format!("  %8 = \"relu\" RELU (%0)\n{}\n  output \"b\" = %8", alone("MAX3 (%0)"));
    let cases = [
        ("1,32,12,12", alone("AVERAGE2 (%0)"), Some("reorder_average_pool")),
        ("1,32,13,11", alone("MAX3 (%0)"), Some("reorder_max_pool")),
        ("1,32,9,12", alone("CONV32 (%0, %5)"), Some("reorder_conv_depthwise")),
        ("1,32,12,12", twice, None),
        ("2,32,12,12", alone("MAX3 (%0)"), None),
        ("1,20,12,12", alone("MAX3 (%0)"), None),
    ];
    for isa in ISAS {
        for (dims, nodes, expected) in &cases {
            let graph = graph(dims, 1, nodes);
            let compiled = program(&graph, options(isa, Precision::Default), &Records::NONE);
            let names = names(&compiled);
            let joined = names.iter().find(|n| n.starts_with("reorder_"));
            assert_eq!(joined.is_some(), expected.is_some(), "{dims}, {isa:?}: {names:?}");
            assert!(
                joined.is_none_or(|n| expected.is_some_and(|e| n.starts_with(e))),
                "{dims}, {isa:?}: {names:?}"
            );
            if expected.is_some() {
                // The maps of a block are an iteration's own.
                let scratch = compiled.steps.iter().flat_map(|s| &s.buffers);
                assert!(
                    scratch.filter(|b| matches!(b.place, Place::Scratch(_))).count() > 0,
                    "{dims}, {isa:?}"
                );
            }
            means_the_same(&graph, &compiled, &format!("{dims}, {isa:?}"));
        }
    }
}
