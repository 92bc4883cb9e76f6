//! The octave structure that the compiler finds in the networks of the zoo: every convolution behind the stem is in a
//! layer, and vanilla networks have none.
#![allow(missing_docs)]

use octrt_bench::zoo::{Batch, Network, Options, Style, Weights};
use octrt_octave::Octave;
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::{Graph, Op};

/// A picture of 64 x 64 leaves every stage a low map.
fn graph(name: &str, alpha: Option<f64>, style: Option<Style>) -> Graph {
    let network: Network = name.parse().unwrap();
    let options = Options { alpha, style, size: 64, batch: Batch::One, weights: Weights::Seeded(1) };
    let graph = network.graph(&options).unwrap();
    let types: Vec<_> = graph.inputs.iter().map(|i| i.declared_type().unwrap()).collect();
    specialize(&graph, &types, Limits::default()).unwrap()
}

fn convs(octave: &Octave) -> usize {
    octave.layers.iter().map(|l| l.convs.len()).sum()
}

/// Convolutions of maps that are more than a pixel: those of gates are not counted.
fn convs_of_maps(graph: &Graph) -> usize {
    let is_map = |v| graph.ty(v).is_ok_and(|t| t.shape.dims()[2..].iter().any(|&d| d > 1));
    graph.nodes.iter().filter(|n| matches!(n.op, Op::Conv(_)) && is_map(n.outputs[0])).count()
}

#[test]
fn every_convolution_behind_the_stem_is_in_a_layer() {
    let cases = [
        ("oct-resnet26", 0.75, None, 1),
        ("oct-resnet50", 0.5, Some(Style::V1), 1),
        ("oct-resnet50", 0.5, Some(Style::V2), 1),
        ("oct-resnext50", 0.25, None, 1),
        ("oct-se-resnet50", 0.25, None, 1),
        // A stem of three convolutions and a residual block of four.
        ("oct-resnet152-deep", 0.125, None, 7),
        ("oct-densenet121", 0.125, None, 1),
        // The first depthwise convolution comes before the channels are split.
        ("oct-mobilenet-v1-1.0", 0.5, None, 2),
        ("oct-mobilenet-v2-1.0", 0.375, None, 1),
    ];
    for (name, alpha, style, stem) in cases {
        let graph = graph(name, Some(alpha), style);
        let octave = octrt_octave::find(&graph).unwrap();
        assert_eq!(convs(&octave) + stem, convs_of_maps(&graph), "{name}");
        assert_eq!(octave.near_misses, [], "{name}");
        assert!(octave.layers.iter().all(|l| l.unfused.is_none()), "{name}");
    }
}

#[test]
fn vanilla_networks_have_no_layers() {
    for name in ["resnet50", "se-resnet50", "densenet121", "mobilenet-v2-1.0"] {
        assert_eq!(octrt_octave::find(&graph(name, None, None)).unwrap(), Octave::default(), "{name}");
    }
    assert_eq!(octrt_octave::find(&graph("resnet50", None, Some(Style::V1))).unwrap(), Octave::default());
}
