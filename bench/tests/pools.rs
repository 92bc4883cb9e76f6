//! The networks of the paper have no step that pools what a convolution computes.
#![allow(missing_docs)]

use octrt_bench::zoo::{Batch, Network, Options, Style, Weights};
use octrt_compiler::decide::pools::Pooled;
use octrt_compiler::{Isa, Precision, Records, Target, pipeline};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::{Graph, Op};

/// A network with known types.
fn graph(name: &str, alpha: Option<f64>, style: Option<Style>) -> Graph {
    let network: Network = name.parse().unwrap();
    let options = Options { alpha, style, size: 224, batch: Batch::One, weights: Weights::Seeded(1) };
    let graph = network.graph(&options).unwrap();
    let types: Vec<_> = graph.inputs.iter().map(|i| i.declared_type().unwrap()).collect();
    specialize(&graph, &types, Limits::default()).unwrap()
}

/// Poolings of a network in the step of a convolution, and those of what a convolution computes that are steps of their own.
fn poolings(graph: &Graph, isa: Isa) -> (usize, Vec<String>) {
    let options = octrt_compiler::Options { target: Target::new(isa), precision: Precision::Default };
    let decided = pipeline::decide(graph, options, &Records::NONE).unwrap();
    let (graph, mut within, mut apart) = (&decided.optimized, 0, Vec::new());
    for id in graph.node_ids() {
        let node = graph.node(id);
        if !matches!(node.op, Op::AveragePool(_) | Op::MaxPool(_) | Op::GlobalPool(_)) {
            continue;
        }
        let tiled = decided.choice.tiled.iter().flatten().find(|t| t.group.root == id);
        match tiled.map(|t| &t.pooled) {
            Some(Some(Pooled::In(_))) => within += 1,
            Some(None) => {}
            other => apart.push(format!("{}: {other:?}", node.name)),
        }
    }
    (within, apart)
}

#[test]
fn octave_networks_pool_where_the_high_half_is_made() {
    // In the second style what is pooled is normalised and activated first, by a pass of its own.
    for (alpha, style, expected) in [(0.125, Style::V1, 35), (0.5, Style::V1, 35), (0.5, Style::V2, 17)] {
        let graph = graph("oct-resnet50", Some(alpha), Some(style));
        for isa in [Isa::V3, Isa::V4] {
            let (within, apart) = poolings(&graph, isa);
            assert_eq!(apart, Vec::<String>::new(), "alpha {alpha}, {isa:?}");
            assert!(within >= expected, "{within} poolings with a convolution, alpha {alpha}, {isa:?}");
        }
    }
}

#[test]
fn stems_and_classifiers_pool_where_maps_are_made() {
    let graph = graph("resnet50", None, None);
    for isa in [Isa::V3, Isa::V4] {
        assert_eq!(poolings(&graph, isa), (2, Vec::new()), "{isa:?}");
    }
}
