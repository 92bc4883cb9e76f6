//! Properties of the whole pipeline.

use octrt_compiler::decide::{self, Kind, Reason, Refused};
use octrt_compiler::layout::MapWindow;
use octrt_compiler::leaf::programs::Winograd;
use octrt_compiler::pipeline::{self, Options};
use octrt_compiler::records::Convolution;
use octrt_compiler::strategy::conv::Algorithm;
use octrt_compiler::strategy::decision::Decision;
use octrt_compiler::strategy::refusal::Refusal;
use octrt_compiler::{Isa, Precision, Records, Target, compile};
use octrt_ops::Graph;
use octrt_ops::graph::infer::{self, Limits};
use octrt_ops::graph::text;

const TWO_EQUAL_CONVS: &str = r#"graph "two" {
  input %0 "x": f32[1,8,10,10]
  const %1 "w1": f32[8,8,3,3] = random(1)
  const %2 "w2": f32[8,8,3,3] = random(2)
  %3 "a" = n0 "conv1" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%0, %1)
  %4 "b" = n1 "relu" Unary { kind = relu } (%3)
  %5 "c" = n2 "conv2" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%4, %2)
  output "y" = %5
}
"#;

/// The graph of a text, with its types.
fn parsed(text: &str) -> Graph {
    let graph = text::parse(text, &[]).expect("the text is a graph");
    let types: Vec<_> = graph.inputs.iter().filter_map(|i| i.declared_type()).collect();
    infer::specialize(&graph, &types, Limits::default()).expect("types fit")
}

fn graph() -> Graph {
    parsed(TWO_EQUAL_CONVS)
}

fn options(isa: Isa) -> Options {
    Options { target: Target::new(isa), precision: Precision::Default }
}

#[test]
fn compilation_is_a_pure_function() {
    for isa in [Isa::V2, Isa::V3, Isa::V4] {
        let options = options(isa);
        let first = compile(&graph(), options, &Records::NONE).expect("compiles");
        assert_eq!(first, compile(&graph(), options, &Records::NONE).expect("compiles"));
        assert!(!first.functions.is_empty());
    }
}

#[test]
fn equal_problems_share_one_function() {
    let artifact = compile(&graph(), options(Isa::V2), &Records::NONE).expect("compiles");
    // Each convolution is a step that pads and one that convolves.
    assert_eq!(artifact.steps.len(), 5);
    assert_eq!(artifact.functions.len(), 3);
    assert_eq!(artifact.steps[0].function, artifact.steps[3].function);
    assert_eq!(artifact.steps[1].function, artifact.steps[4].function);
}

#[test]
fn activations_run_with_their_convolution() {
    let artifact =
        compile(&graph(), Options { precision: Precision::Strict, ..options(Isa::V3) }, &Records::NONE)
            .expect("compiles");
    let stages: Vec<(&str, &str)> = artifact.steps.iter().map(|s| (s.node.as_str(), s.stage)).collect();
    // The input is put into blocks, the result back into the model's order; halos are filled before.
    let expected = [
        ("conv1", "border"),
        ("conv1", "layout"),
        ("conv1", "border"),
        ("conv1", "conv"),
        ("conv2", "conv"),
        ("c", "layout"),
    ];
    assert_eq!(stages, expected);
}

/// Two convolutions, the first of which has windows of 17 columns in groups that share blocks of channels.
const WIDE_GROUPS: &str = r#"graph "wide" {
  input %0 "x": f32[1,8,40]
  const %1 "w1": f32[4,2,17] = random(1)
  const %2 "w2": f32[8,4,3] = random(2)
  %3 "a" = n0 "wide" Conv { kernel = [], strides = [], dilations = [], pads = [8, 8], auto_pad = notset, group = 4 } (%0, %1)
  %4 "b" = n1 "relu" Unary { kind = relu } (%3)
  %5 "c" = n2 "next" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1], auto_pad = notset, group = 1 } (%4, %2)
  %6 "d" = n3 "inner" Unary { kind = relu } (%5)
  %7 "e" = n4 "outer" Unary { kind = relu } (%6)
  output "y" = %7
}
"#;

#[test]
fn what_a_schedule_refuses_is_decided_anew() {
    let graph = parsed(WIDE_GROUPS);
    let decided = |precision| {
        let options = Options { precision, ..options(Isa::V3) };
        pipeline::decide(&graph, options, &Records::NONE).expect("decides")
    };
    let plain = |precision, node: &str| {
        let decided = decided(precision);
        let at = decided.optimized.nodes.iter().position(|n| n.name == node).expect("a node of this name");
        decided.choice.plain[at].clone()
    };
    let windows = "a window of many columns in groups that share blocks of channels";
    assert_eq!(plain(Precision::Default, "wide"), Some(Reason::Refused(Refusal::Unfit(windows))));
    assert_eq!(plain(Precision::Strict, "wide"), Some(Reason::SharedBlocks));
    // Its activation is decided for anew, and the convolution behind it still runs in blocks, with what follows.
    let choice = decided(Precision::Default).choice;
    let groups: Vec<(&str, usize)> =
        choice.tiled.iter().flatten().map(|t| (t.kind.name(), t.group.nodes.len())).collect();
    assert_eq!(groups, [(Kind::Plain.name(), 1), ("convolution in blocks", 3)]);
}

#[test]
fn dead_buffers_give_their_bytes_back() {
    let artifact = compile(&graph(), options(Isa::V2), &Records::NONE).expect("compiles");
    let padded = 8 * 12 * 12 * 4;
    let plain = 8 * 10 * 10 * 4;
    assert!(artifact.arena_bytes < 2 * padded + 2 * plain, "{}", artifact.arena_bytes);
    assert!(artifact.arena_bytes >= padded + plain, "{}", artifact.arena_bytes);
}

/// A convolution of 3x3 windows in steps of 1, whose input channels are `ic`.
fn square_windows(ic: usize) -> Graph {
    let text = format!(
        r#"graph "square" {{
  input %0 "x": f32[1,{ic},28,28]
  const %1 "w": f32[64,{ic},3,3] = random(1)
  %2 "y" = n0 "conv" Conv {{ kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 }} (%0, %1)
  output "y" = %2
}}
"#
    );
    parsed(&text)
}

/// What records say of [`square_windows`].
fn record(ic: usize, algorithm: Algorithm) -> Records {
    let mut records = Records::NONE;
    let (extents, one) = ([1, 28, 28], [1; 3]);
    let convolution = Convolution {
        mb: 1,
        groups: 1,
        ic,
        oc: 64,
        src: extents,
        dst: extents,
        window: MapWindow { kernel: [1, 3, 3], strides: one, dilations: one, pads: [0, 1, 1] },
    };
    records.insert(convolution, [algorithm.into()]);
    records
}

#[test]
fn records_stand_above_the_estimate_and_below_exactness() {
    let chosen = |ic, precision, records: &Records| {
        let options = Options { precision, ..options(Isa::V3) };
        let graph = square_windows(ic);
        let decided = pipeline::decide(&graph, options, records).expect("decides");
        // What was decided is what is lowered.
        let program = pipeline::program(&graph, options, records).expect("compiles");
        let winograd = program.nests.iter().any(|nest| nest.name.contains("winograd"));
        match decided.choice.tiled.iter().flatten().next().map(|t| &t.kind) {
            Some(Kind::Conv(_, Decision { algorithm, .. })) => {
                assert_eq!(winograd, *algorithm != Algorithm::Direct, "{algorithm:?}");
                *algorithm
            }
            other => panic!("{other:?} is no convolution"),
        }
    };
    let [f2, f4] = [Winograd::F2, Winograd::F4].map(Algorithm::Winograd);
    let estimate = |ic| chosen(ic, Precision::Default, &Records::NONE);
    assert_eq!((estimate(64), estimate(256)), (f4, f4));
    for algorithm in [Algorithm::Direct, f2, f4] {
        let recorded = record(64, algorithm);
        assert_eq!(chosen(64, Precision::Default, &recorded), algorithm);
        assert_eq!(chosen(64, Precision::Strict, &recorded), Algorithm::Direct);
        // Records of another convolution say nothing of this one.
        assert_eq!(chosen(128, Precision::Default, &recorded), estimate(128));
    }
    for algorithm in [Algorithm::Direct, f2, f4] {
        assert_eq!(chosen(256, Precision::Default, &record(256, algorithm)), algorithm);
    }
}

#[test]
fn an_algorithm_that_was_refused_gives_way_to_the_next() {
    let (graph, options) = (square_windows(64), options(Isa::V3));
    let mut refused = Refused::new();
    let mut ways = Vec::new();
    loop {
        let choice = decide::choose(&graph, options, &Records::NONE, &refused);
        let Some(tiled) = choice.tiled.iter().flatten().next() else {
            assert_eq!(choice.plain[0], Some(Reason::Refused(Refusal::Distance)));
            break;
        };
        let Kind::Conv(_, Decision { algorithm, .. }) = tiled.kind else {
            panic!("{:?} is no convolution", tiled.kind)
        };
        ways.push(algorithm);
        assert!(
            refused.insert((tiled.group.root, algorithm.into()), Refusal::Distance).is_none(),
            "{ways:?}"
        );
    }
    let [f2, f4] = [Winograd::F2, Winograd::F4].map(Algorithm::Winograd);
    assert_eq!(ways, [f4, f2, Algorithm::Direct]);
}

#[test]
fn vectors_that_do_half_as_much_change_what_is_cheap() {
    // Windows of 3x3 of ResNet-50 where there are few tiles, so that the weights' way counts.
    let graph = parsed(
        r#"graph "last" {
  input %0 "x": f32[1,256,14,14]
  const %1 "w": f32[256,256,3,3] = random(1)
  %2 "y" = n0 "conv" Conv { kernel = [], strides = [], dilations = [], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%0, %1)
  output "y" = %2
}
"#,
    );
    let chosen = |target: &str| {
        let options = Options { target: target.parse().expect("a target"), precision: Precision::Default };
        let choice = pipeline::decide(&graph, options, &Records::NONE).expect("decides").choice;
        choice.convolutions[0].decision.algorithm
    };
    let [f2, f4] = [Winograd::F2, Winograd::F4].map(Algorithm::Winograd);
    assert_eq!((chosen("x86-64-v3"), chosen("x86-64-v4:zen4")), (f4, f4));
    assert_eq!(chosen("x86-64-v4"), f2);
}
