//! Files cut short anywhere, and with any byte changed.

use std::collections::BTreeMap;

use octrt_onnx::export;
use octrt_ops::graph::text::parse;

use crate::support::hostile::{MEMORY, Reached, survive};
use crate::support::{folders, root};

/// The graphs that fuzzing starts from, as ONNX models with their names.
pub fn small_models() -> Vec<(String, Vec<u8>)> {
    let folder = root().join("runtime/fuzz/seeds");
    assert!(folders(&folder).is_empty());
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let model = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let graph = parse(&text, &[]).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (graph.name.clone(), export(&graph, &BTreeMap::new()).unwrap())
    };
    files.iter().map(model).collect()
}

/// How far damaged models got.
#[derive(Debug, Default)]
pub struct Counts {
    pub load: usize,
    pub run: usize,
    pub results: usize,
}

impl Counts {
    pub fn add(&mut self, bytes: &[u8], max_memory: usize) {
        match survive(bytes, max_memory) {
            Reached::Load => self.load += 1,
            Reached::Run => self.run += 1,
            Reached::Results => self.results += 1,
        }
    }
}

#[test]
fn the_small_models_work() {
    let models = small_models();
    assert!(models.len() >= 6);
    for (name, model) in models {
        assert_eq!(survive(&model, MEMORY), Reached::Results, "{name}");
    }
}

#[test]
fn models_cut_short_anywhere() {
    let mut counts = Counts::default();
    for (_, model) in small_models() {
        (0..model.len()).for_each(|len| counts.add(&model[..len], MEMORY));
    }
    println!("cut short: {counts:?}");
    // All that is after the graph and the opset is small: hardly any prefix is a model.
    assert!(counts.load > 9 * (counts.run + counts.results), "{counts:?}");
}

#[test]
fn models_with_any_byte_changed() {
    let mut counts = Counts::default();
    for (_, model) in small_models() {
        for at in 0..model.len() {
            // All three for small models, one after the other for the rest: compilation takes its time.
            let flips = [0x01, 0x80, 0xff];
            let flips = if model.len() < 1000 { &flips[..] } else { &flips[at % 3..=at % 3] };
            for flip in flips {
                let mut damaged = model.clone();
                damaged[at] ^= flip;
                counts.add(&damaged, MEMORY);
            }
        }
    }
    println!("changed: {counts:?}");
    // Changed names, weights and extents are models still, many of them broken ones.
    assert!(counts.load > 1000 && counts.run > 10 && counts.results > 1000, "{counts:?}");
}

#[test]
fn a_trained_model_damaged_here_and_there() {
    let model = std::fs::read(root().join("bench/shapes/oct_resnet_shapes.onnx")).unwrap();
    let memory = 64 << 20;
    let mut counts = Counts::default();
    for i in 0..40usize {
        let at = (i * 19_163 + i * i * 7) % model.len();
        counts.add(&model[..at], memory);
        let mut damaged = model.clone();
        damaged[at] ^= [0x01, 0x80, 0xff][i % 3];
        counts.add(&damaged, memory);
    }
    println!("trained model: {counts:?}");
    assert!(counts.load >= 40 && counts.results > 0, "{counts:?}");
}
