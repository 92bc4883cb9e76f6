//! Networks with OctConvs in place of their convolutions.
//!
//! Averages and upsampling change nothing of a map whose pixels are all alike. So a network of which every convolution
//! reads one pixel, on a picture of one colour, must compute the same with OctConvs: what is tested is that every
//! channel meets the weights that belong to it.
#![allow(missing_docs)]

use octrt::{LoadOptions, Model, TensorRef};
use octrt_octave::octavize::{Octavized, octavize};
use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::concat::Concat;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::{interp, text};
use octrt_ops::window::Window;
use octrt_ops::{DType, Dim, Graph, Op, Shape, Tensor, TensorType, ValueId};

/// A network under construction, all of whose convolutions have weights around their centres only.
struct Net {
    graph: Graph,
    size: usize,
    seed: u64,
}

impl Net {
    fn new(size: usize) -> (Self, ValueId) {
        let mut graph = Graph::new("net");
        let x = graph.add_input("x", DType::F32, [1, 3, size, size].map(Dim::Fixed).to_vec());
        (Net { graph, size, seed: 1 }, x)
    }

    fn random(&mut self, shape: Vec<usize>) -> Vec<f32> {
        self.seed += 1;
        text::random(&Shape::new(shape), self.seed).unwrap().to_vec().unwrap()
    }

    fn node(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        let inputs = inputs.iter().copied().map(Some).collect();
        self.graph.add_node(name, op, inputs, &[name])[0]
    }

    /// A convolution `[oc, ic, kernel, stride, groups]` with bias.
    fn conv(&mut self, name: &str, x: ValueId, [oc, ic, k, s, g]: [usize; 5]) -> ValueId {
        let mut weight = self.random(vec![oc, ic / g, k, k]);
        for (i, w) in weight.iter_mut().enumerate() {
            *w = if i % (k * k) == k * k / 2 { *w / (ic as f32 / g as f32).sqrt() * 2.0 } else { 0.0 };
        }
        let bias = self.random(vec![oc]);
        let weight = Tensor::new([oc, ic / g, k, k], &weight).unwrap();
        let weight = self.graph.add_const(format!("{name}.weight"), weight);
        let bias = self.graph.add_const(format!("{name}.bias"), Tensor::new([oc], &bias).unwrap());
        let conv = Conv {
            window: Window {
                kernel: vec![k; 2],
                strides: vec![s; 2],
                pads: vec![k / 2; 4],
                ..Window::default()
            },
            group: g,
        };
        self.node(name, conv, &[x, weight, bias])
    }

    fn norm(&mut self, name: &str, x: ValueId, channels: usize) -> ValueId {
        let mut inputs = vec![x];
        for part in ["weight", "bias", "mean", "var"] {
            let numbers: Vec<f32> = self.random(vec![channels]).iter().map(|n| n * n + 0.5).collect();
            let tensor = Tensor::new([channels], &numbers).unwrap();
            inputs.push(self.graph.add_const(format!("{name}.{part}"), tensor));
        }
        self.node(name, BatchNormalization { epsilon: 1e-5 }, &inputs)
    }

    fn relu(&mut self, name: &str, x: ValueId) -> ValueId {
        self.node(name, Unary { kind: UnaryKind::Relu }, &[x])
    }

    fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.node(name, Binary { kind: BinaryKind::Add }, &[a, b])
    }

    fn mean(&mut self, name: &str, x: ValueId) -> ValueId {
        self.node(name, GlobalPool { kind: GlobalPoolKind::Average }, &[x])
    }

    /// The graph with `y` as its output, its types known.
    fn finish(mut self, y: ValueId) -> Graph {
        self.graph.add_output("y", y);
        let ty = TensorType::new(DType::F32, [1, 3, self.size, self.size]);
        specialize(&self.graph, &[ty], Limits::default()).unwrap()
    }
}

/// A picture of one colour.
fn colour(size: usize) -> Vec<f32> {
    (0..3 * size * size).map(|i| [0.5, -0.8, 1.1][i / (size * size)]).collect()
}

fn interpreted(graph: &Graph, size: usize, pixels: &[f32]) -> Vec<f32> {
    let x = Tensor::new([1, 3, size, size], pixels).unwrap();
    interp::run(graph, &[x]).unwrap()[0].to_vec().unwrap()
}

fn assert_near(found: &[f32], expected: &[f32]) {
    let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    assert!(largest > 0.01 && found.len() == expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-5 * largest, "{found:?} {expected:?}");
    }
}

/// Octavizes the graph and checks that one colour gives the same, and that compiled code gives what the interpreter does.
fn check(graph: &Graph, size: usize, alpha: f64) -> Octavized {
    let new = octavize(graph, alpha).unwrap();
    assert_near(&interpreted(&new.graph, size, &colour(size)), &interpreted(graph, size, &colour(size)));
    let pixels: Vec<f32> = text::random(&Shape::new(vec![1, 3, size, size]), 9).unwrap().to_vec().unwrap();
    let model = Model::from_graph(new.graph.clone(), &LoadOptions::default()).unwrap();
    let shape = [1, 3, size, size];
    let input = TensorRef::new(&shape, &pixels).unwrap();
    let outputs = model.session().unwrap().run(&[("x", input)]).unwrap();
    assert_near(outputs[0].1.elements::<f32>().unwrap(), &interpreted(&new.graph, size, &pixels));
    new
}

fn reasons(octavized: &Octavized) -> Vec<String> {
    octavized.kept.iter().map(|k| format!("{}: {}", k.node, k.reason)).collect()
}

fn weights(graph: &Graph) -> usize {
    let convs = graph.nodes.iter().filter(|n| matches!(n.op, Op::Conv(_)));
    convs.flat_map(|n| n.inputs.iter().skip(1).flatten()).map(|v| graph.constant(*v).unwrap().numel()).sum()
}

/// A stem, a residual block, a block with a stride, a last stage.
fn residual(size: usize) -> Graph {
    let (mut net, x) = Net::new(size);
    let x = net.conv("stem", x, [8, 3, 3, 1, 1]);
    let x = net.relu("stem.relu", x);
    let a = net.conv("a.conv1", x, [16, 8, 1, 1, 1]);
    let a = net.norm("a.bn1", a, 16);
    let a = net.relu("a.relu1", a);
    let a = net.conv("a.conv2", a, [16, 16, 3, 1, 1]);
    let shortcut = net.conv("a.shortcut", x, [16, 8, 1, 1, 1]);
    let x = net.add("a.add", a, shortcut);
    let b = net.conv("b.conv1", x, [12, 16, 3, 2, 1]);
    let shortcut = net.conv("b.shortcut", x, [12, 16, 1, 2, 1]);
    let x = net.add("b.add", b, shortcut);
    let c = net.conv("c.conv1", x, [8, 12, 1, 1, 1]);
    let c = net.conv("c.conv2", c, [20, 8, 3, 2, 1]);
    let shortcut = net.conv("c.shortcut", x, [20, 12, 1, 2, 1]);
    let x = net.add("c.add", c, shortcut);
    let x = net.conv("d.conv", x, [10, 20, 1, 1, 1]);
    let x = net.mean("pool", x);
    let y = net.node("flat", Flatten { axis: 1 }, &[x]);
    net.finish(y)
}

#[test]
fn residual_networks() {
    for size in [16, 18, 13] {
        for alpha in [0.25, 0.5, 0.8] {
            let graph = residual(size);
            let new = check(&graph, size, alpha);
            let expected =
                ["a.conv1", "a.conv2", "a.shortcut", "b.conv1", "b.shortcut", "c.conv1", "c.shortcut"];
            assert_eq!(new.replaced, expected);
            let kept = [
                "stem: it reads the picture",
                "c.conv2: the end of the network has one frequency",
                "d.conv: the end of the network has one frequency",
            ];
            assert_eq!(reasons(&new), kept);
            assert_eq!(weights(&new.graph), weights(&graph));
            assert!(new.graph.macs() < graph.macs());
        }
    }
}

/// Names and operators that a reader of the file looks for.
#[test]
fn parts_are_named() {
    let new = octavize(&residual(16), 0.5).unwrap().graph;
    let names: Vec<&str> = new.values.iter().map(|v| v.name.as_str()).collect();
    for name in ["b.conv1.l2h.weight", "b.conv1.h2l.bias", "a.bn1.l.weight", "a.conv2.h2h.weight"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    // Upsampling after a.conv2 and c.conv1, which is last; not where the stride is 2.
    assert_eq!(new.nodes.iter().filter(|n| matches!(n.op, Op::Resize(_))).count(), 2);
    assert!(new.nodes.iter().all(|n| !n.name.contains("crop")));
}

/// Depthwise convolutions, concatenations whose channels change their order, poolings, gates, what reads both in one.
#[test]
fn all_kinds_of_nodes() {
    for size in [16, 22, 11] {
        let (mut net, x) = Net::new(size);
        let x = net.conv("stem", x, [8, 3, 3, 1, 1]);
        let a = net.conv("a", x, [10, 8, 3, 1, 1]);
        let b = net.conv("b", x, [6, 8, 1, 1, 1]);
        let x = net.node("concat1", Concat { axis: 1 }, &[a, x, b]);
        let x = net.norm("norm", x, 24);
        let x = net.conv("depthwise", x, [24, 24, 3, 1, 24]);
        let gate = net.mean("se.pool", x);
        let gate = net.conv("se.conv1", gate, [4, 24, 1, 1, 1]);
        let gate = net.conv("se.conv2", gate, [24, 4, 1, 1, 1]);
        let gate = net.node("se.sigmoid", Unary { kind: UnaryKind::Sigmoid }, &[gate]);
        let x = net.node("se.mul", Binary { kind: BinaryKind::Mul }, &[gate, x]);
        let average = AveragePool {
            window: Window { kernel: vec![3; 2], strides: vec![1; 2], pads: vec![1; 4], ..Window::default() },
            ceil_mode: false,
            count_include_pad: false,
        };
        let p = net.node("average", average, &[x]);
        let x = net.add("sum", p, x);
        let five = net.conv("valid", x, [6, 24, 1, 1, 1]);
        let x = net.node("concat2", Concat { axis: 1 }, &[five, x]);
        let softmax_free = net.mean("side", x);
        let max = MaxPool {
            window: Window { kernel: vec![3; 2], strides: vec![2; 2], pads: vec![0; 4], ..Window::default() },
            ceil_mode: true,
        };
        let x = net.node("max", max, &[x]);
        let x = net.conv("two", x, [30, 30, 3, 2, 30]);
        let x = net.conv("end", x, [30, 30, 1, 1, 1]);
        let x = net.mean("pool", x);
        let y = net.add("out", x, softmax_free);
        let graph = net.finish(y);
        let new = check(&graph, size, 0.4);
        let kept = reasons(&new);
        assert!(kept.contains(&"se.conv1: its input is a single pixel".to_string()), "{kept:?}");
        assert!(new.replaced.contains(&"depthwise".to_string()), "{kept:?}");
    }
}

#[test]
fn what_cannot_be_replaced_is_said() {
    let (mut net, x) = Net::new(16);
    let x = net.conv("stem", x, [8, 3, 3, 1, 1]);
    let x = net.conv("depthwise", x, [8, 8, 3, 1, 8]);
    let x = net.conv("first", x, [12, 8, 1, 1, 1]);
    let x = net.conv("grouped", x, [12, 12, 3, 1, 4]);
    let x = net.conv("wide", x, [12, 12, 3, 3, 1]);
    let x = net.conv("even", x, [12, 12, 2, 1, 1]);
    let x = net.conv("next", x, [12, 12, 1, 1, 1]);
    let y = net.conv("end", x, [4, 12, 1, 2, 1]);
    let graph = net.finish(y);
    let new = octavize(&graph, 0.5).unwrap();
    assert_eq!(new.replaced, ["first"]);
    let kept = [
        "stem: it reads the picture",
        "depthwise: it is depthwise, and its input has one frequency",
        "grouped: its 4 groups do not divide the 6 channels of a frequency",
        "wide: its strides are [3, 3]; an OctConv has 1 or 2",
        "even: its padding does not keep the extent of a map (2x2, pads [1, 1, 1, 1])",
        "next: the end of the network has one frequency",
        "end: the end of the network has one frequency",
    ];
    assert_eq!(reasons(&new), kept);
    for alpha in [0.0, 1.0, -1.0, f64::NAN] {
        let e = octavize(&graph, alpha).unwrap_err();
        assert!(e.to_string().contains("expected a number between 0 and 1"), "{e}");
    }
    let untyped = Graph {
        values: graph
            .values
            .iter()
            .cloned()
            .map(|mut v| {
                v.ty = v.ty.filter(|_| v.name != "first");
                v
            })
            .collect(),
        ..graph.clone()
    };
    assert!(octavize(&untyped, 0.5).unwrap_err().to_string().contains("is not known"));
}

/// Grouped convolutions have as many groups in each path.
#[test]
fn groups_stay() {
    let (mut net, x) = Net::new(16);
    let x = net.conv("stem", x, [8, 3, 3, 1, 1]);
    let x = net.conv("first", x, [16, 8, 1, 1, 1]);
    let x = net.conv("grouped", x, [16, 16, 3, 1, 4]);
    let x = net.conv("strided", x, [16, 16, 3, 2, 4]);
    let x = net.conv("mix", x, [16, 16, 1, 1, 1]);
    let y = net.conv("end", x, [4, 16, 1, 2, 1]);
    let graph = net.finish(y);
    let new = octavize(&graph, 0.25).unwrap();
    assert_eq!(new.replaced, ["first", "grouped", "strided", "mix"]);
    assert_eq!(weights(&new.graph), weights(&graph));
}
