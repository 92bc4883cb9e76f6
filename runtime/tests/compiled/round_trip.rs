//! A model, saved and loaded again, is the same model, bit by bit.

use std::fs;
use std::path::Path;

use octrt::classify::Scores;
use octrt::{Error, FileAccess, InputError, Labels, LoadOptions, Model};
use octrt_compiler::{Isa, Precision, Target};
use octrt_ops::{Dim, TensorType};

use crate::build::{D, node, parts, value};
use crate::given::*;
use crate::growing::Growing;
use crate::support::proto::elem;
use crate::support::shared;

/// Element types of ONNX that are converted at the border.
const CONVERTED: [u64; 3] = [10, 11, 16];

/// Saves and loads in all ways, and compares results, ports and notes.
fn round_trip(model: &Model, types: &[TensorType]) -> Vec<Model> {
    let inputs = inputs(types);
    let expected = results(model, &inputs).unwrap_or_else(|e| panic!("{}: {e}", model.name()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.octrt");
    model.save(types, &path).unwrap_or_else(|e| panic!("{}: {e}", model.name()));
    let load = |file_access| {
        Model::load(&path, &LoadOptions::default().with_file_access(file_access))
            .unwrap_or_else(|e| panic!("{}: {e}", model.name()))
    };
    let loaded = vec![
        load(FileAccess::Map),
        load(FileAccess::Read),
        Model::from_bytes(fs::read(&path).unwrap(), &LoadOptions::default()).unwrap(),
    ];
    for again in &loaded {
        assert!(results(again, &inputs).unwrap() == expected, "{}: other results", model.name());
        assert_eq!(again.about(), model.about());
        let port = |p: &octrt::PortInfo| (p.name.clone(), p.dtype);
        assert!(again.inputs().iter().map(port).eq(model.inputs().iter().map(port)));
        assert!(again.outputs().iter().map(port).eq(model.outputs().iter().map(port)));
        assert_eq!(again.fixed_input_types().as_deref(), Some(types));
        let dims = |t: &octrt_ops::Tensor| Some(t.shape().iter().map(|&d| Dim::Fixed(d)).collect());
        assert!(again.outputs().iter().map(|p| p.dims.clone()).eq(expected.iter().map(dims)));
        assert!(again.graph().is_none());
        for output in 0..model.outputs().len() {
            assert_eq!(Scores::of(again, output), Scores::of(model, output));
        }
    }
    loaded
}

/// Rows and taps of weights that are not stored themselves are small, and equal where nobody knows their numbers.
#[test]
fn parts_of_large_weights_stay_apart() {
    let attributes = "direction = bidirectional, batch_first = 0, activations = [sigmoid, tanh, tanh, sigmoid, tanh, tanh], \
        alpha = [], beta = [], clip = none, input_forget = 0";
    let weights: Vec<String> = (1..5).map(|i| format!("const %{i}: f32[2,256,64] = random({i})\n")).collect();
    let two = format!(
        "graph \"g\" {{ input %0 \"x\": f32[3,1,64]\n {}\n %5 = \"a\" Lstm {{ {attributes} }} (%0, %1, %2)\n \
         %6 = \"b\" Lstm {{ {attributes} }} (%0, %3, %4)\n output \"y\" = %5\n output \"z\" = %6 }}",
        weights.concat()
    );
    round_trip(&model(&two), &[TensorType::new(octrt_ops::DType::F32, [3, 1, 64])]);
    let up = "ConvTranspose { kernel = [], strides = [2, 2], dilations = [], pads = [], auto_pad = notset, group = 1, \
        output_padding = [], output_shape = [] }";
    let layers = format!(
        "graph \"g\" {{ input %0 \"x\": f32[1,96,3,3]\n const %1: f32[96,96,2,2] = random(1)\n const %2: f32[96,96,2,2] = random(2)\n \
         %3 = \"a\" {up} (%0, %1)\n %4 = \"b\" {up} (%3, %2)\n output \"y\" = %4 }}"
    );
    round_trip(&model(&layers), &[TensorType::new(octrt_ops::DType::F32, [1, 96, 3, 3])]);
}

/// Without the graph of the file, probabilities would be taken for logits.
#[test]
fn what_the_outputs_hold_is_still_known() {
    for (log, expected) in [(0, Scores::Probabilities), (1, Scores::LogProbabilities)] {
        let text = format!(
            "graph \"g\" {{ input %0 \"x\": f32[1,4]\n %1 = Softmax {{ axis = 1, span = axis, log = {log} }} (%0)\n output \"y\" = %1 }}"
        );
        let model = model(&text);
        let loaded = round_trip(&model, &types(&model, 1));
        assert!(loaded.iter().all(|again| Scores::of(again, 0) == expected));
    }
}

#[test]
fn the_carried_model() {
    let model = carried();
    let types = types(&model, 2);
    let loaded = round_trip(&model, &types);
    let labels = |m: &Model| Labels::find(None, None, m.metadata()).unwrap();
    assert!(labels(&model).is_some_and(|l| l.names().len() == 10));
    for again in &loaded {
        assert_eq!(labels(again), labels(&model));
    }
    // Weights lie in the mapped file, in memory of the process otherwise: the sessions of `round_trip` are gone, but the
    // models keep their code.
    let memory: Vec<_> = loaded.iter().map(|m| m.memory().unwrap()).collect();
    assert!(memory[0].mapped_weight_bytes > 500_000, "{memory:?}");
    for read in &memory[1..] {
        assert_eq!(read.mapped_weight_bytes, 0);
        assert_eq!(read.weight_bytes, memory[0].mapped_weight_bytes + memory[0].weight_bytes);
    }
    assert!(memory.iter().all(|m| m.code_bytes > 0));
}

#[test]
fn small_models_of_every_kind_of_operator() {
    for model in small_models() {
        for extent in [1, 2] {
            round_trip(&model, &types(&model, extent));
        }
    }
    let model = model(PACKED);
    let loaded = round_trip(&model, &types(&model, 1));
    assert!(loaded[0].memory().unwrap().mapped_weight_bytes > 64 << 10);
}

#[test]
fn random_graphs() {
    let mut tried = 0;
    for seed in 10_000..10_120u64 {
        let mut g = Growing::new(seed);
        let nodes = 1 + g.numbers.below(10);
        for _ in 0..200 {
            if g.graph.nodes.len() >= nodes {
                break;
            }
            g.grow();
        }
        g.finish();
        let types: Vec<TensorType> = g.inputs.iter().map(|t| t.ty().clone()).collect();
        // An output's element type cannot always be told without extents.
        match Model::from_graph(g.graph, &LoadOptions::default()) {
            Err(Error::Unsupported { .. }) => {}
            model => {
                let model = model.unwrap();
                let expected = results(&model, &g.inputs).unwrap();
                let again = load(&saved(&model, &types)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
                assert!(results(&again, &g.inputs).unwrap() == expected, "seed {seed}: other results");
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried} graphs tried");
}

#[test]
fn ports_that_are_converted() {
    for elem in CONVERTED {
        let shape = [D::N(2), D::N(3)];
        let mut p = parts(vec![node("LeakyRelu", &["x"], &["y"], &[])]);
        p.inputs = vec![value("x", elem, &shape)];
        p.outputs = vec![value("y", elem, &shape)];
        let model = Model::from_bytes(p.model(), &LoadOptions::default()).unwrap();
        let loaded = round_trip(&model, &types(&model, 1));
        assert_eq!(loaded[0].inputs(), model.inputs());
        assert_eq!(loaded[0].outputs(), model.outputs());
    }
}

#[test]
fn other_shapes_than_those_compiled_for_are_the_callers_fault() {
    let mut p = parts(vec![node("Relu", &["x"], &["y"], &[])]);
    p.inputs = vec![value("x", elem::F32, &[D::Named("n"), D::N(3)])];
    let model = Model::from_bytes(p.model(), &LoadOptions::default()).unwrap();
    let again = round_trip(&model, &types(&model, 4)).remove(0);
    let other = inputs(&types(&model, 5));
    let e = results(&again, &other).unwrap_err();
    assert!(matches!(&e, Error::Input(InputError::WrongShape { name, .. }) if name == "x"), "{e}");
    assert_eq!(e.to_string(), "'x': expected f32[4,3], found f32[5,3]");
    let e = again.session().unwrap().prepare(&types(&model, 5)).unwrap_err();
    assert!(matches!(e, Error::Input(_)), "{e}");
}

#[test]
fn strict_models_and_those_for_other_targets() {
    let text = PACKED;
    let graph = || octrt_ops::graph::text::parse(text, &[]).unwrap();
    let default = model(text);
    let types = types(&default, 1);
    for (target, precision) in [
        (None, Precision::Strict),
        (Some(Target::new(Isa::V2)), Precision::Default),
        (Some(Target::new(Isa::V2)), Precision::Strict),
    ] {
        let options = LoadOptions::default().with_target(target).with_precision(precision);
        let model = Model::from_graph(graph(), &options).unwrap();
        let loaded = round_trip(&model, &types);
        for again in &loaded {
            assert_eq!(again.target().unwrap(), model.target().unwrap());
        }
    }
}

#[test]
fn two_saves_give_equal_bytes() {
    let model = carried();
    let types = types(&model, 1);
    let first = saved(&model, &types);
    assert!(saved(&model, &types) == first);
    assert!(saved(&carried(), &types) == first, "another load of the same file");
    let threads = octrt::Threads::new(3).unwrap();
    let path = crate::support::root().join("bench/shapes/oct_resnet_shapes.onnx");
    let others = Model::load(path, &LoadOptions::default().with_threads(threads)).unwrap();
    assert!(saved(&others, &types) == first, "packed by three threads");
}

#[test]
fn a_compiled_model_is_not_saved_again() {
    let folder = tempfile::tempdir().unwrap();
    let again = load(&packed_file()).unwrap();
    let e = again.save(&again.fixed_input_types().unwrap(), &folder.path().join("x")).unwrap_err();
    assert!(matches!(e, Error::Artifact(_)), "{e}");
    assert!(names(folder.path()).is_empty());
}

fn real(folder: &str, file: &str, extent: usize) {
    let Some(folder) = shared(Path::new("models").join(folder).to_str().unwrap()) else { return };
    let model = Model::load(folder.join(file), &LoadOptions::default()).unwrap();
    round_trip(&model, &types(&model, extent));
}

#[test]
fn trained_models() {
    real("oct_resnet20_cifar10_a05", "model.onnx", 1);
    real("oct_resnet20_cifar10_a05", "model_external.onnx", 2);
    real("resnet20_cifar10", "model.onnx", 1);
    real("mobilenet_v1_0.25_128", "model.onnx", 1);
    real("", "squeezenet1.1_fp16.onnx", 1);
}
