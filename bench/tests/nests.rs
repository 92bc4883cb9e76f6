//! The nests of calls of the networks of the paper and of the convolutions of well-known ones; see the support module.
#![allow(missing_docs)]

#[path = "../../runtime/tests/support/nests.rs"]
mod nests;

use nests::Nests;
use octrt::ops::Graph;
use octrt::ops::graph::infer::{Limits, specialize};
use octrt_bench::problem;
use octrt_bench::zoo::{Batch, Network, Options, Weights};

fn specialized(graph: &Graph) -> Graph {
    let types: Vec<_> = graph.inputs.iter().map(|i| i.declared_type().unwrap()).collect();
    specialize(graph, &types, Limits::default()).unwrap()
}

#[test]
fn convolutions() {
    let mut nests = Nests::default();
    for layer in problem::Network::ALL.iter().flat_map(|n| n.layers()) {
        nests.collect(&layer.problem.to_string(), &specialized(&layer.problem.graph().unwrap()));
    }
    nests.finish("convolutions");
}

#[test]
fn networks() {
    let mut nests = Nests::default();
    for (name, alpha, size) in [
        ("resnet50", None, 224),
        ("oct-resnet50", Some(0.5), 224),
        ("oct-resnet26", Some(0.25), 224),
        ("oct-resnext50", Some(0.25), 224),
        ("oct-se-resnet50", Some(0.125), 224),
        ("mobilenet-v1-1.0", None, 224),
        ("oct-mobilenet-v2-1.0", Some(0.375), 224),
        ("densenet121", None, 64),
        ("oct-resnet152-deep", Some(0.125), 64),
    ] {
        let network: Network = name.parse().unwrap();
        let options = Options { alpha, style: None, size, batch: Batch::One, weights: Weights::Seeded(1) };
        nests.collect(name, &specialized(&network.graph(&options).unwrap()));
    }
    nests.finish("networks");
}
