//! Trained networks: stored outputs of other runtimes, labels of pictures, the same bits for any number of threads.
#![allow(missing_docs)]

mod support;

use std::path::Path;

use octrt::image::{DecodeOptions, Preprocess, PreprocessOverrides, Preset, decode_file};
use octrt::ops::Tensor;
use octrt::{DataType, Model, Threads};
use support::{Tolerance, compare, interpret, load, npy, root, run, shared};

/// The outputs of a compiled model, equal bit by bit in two runs of one session and on one and two threads.
fn outputs(model: &Model, inputs: &[Tensor]) -> Vec<Tensor> {
    let session = |n| model.session().unwrap().with_threads(Threads::new(n).unwrap());
    let (mut one, mut two) = (session(1), session(2));
    let first = run(&mut one, inputs).unwrap();
    assert!(run(&mut one, inputs).unwrap() == first, "{}: the second run differs", model.name());
    assert!(run(&mut two, inputs).unwrap() == first, "{}: two threads differ", model.name());
    first
}

fn assert_close(what: &str, found: &Tensor, expected: &Tensor, absolute: f64) {
    let result = compare(found, expected, Tolerance { absolute, relative: 0.0 });
    let worst = result.unwrap_or_else(|e| panic!("{what}: {e}"));
    println!("{what}: largest difference {worst:.1e}, allowed {absolute:.0e}");
}

/// The input of a picture, `[1,3,height,width]`.
fn picture(path: &Path, settings: &Preprocess, size: [usize; 2]) -> Tensor {
    let picture = decode_file(path, &DecodeOptions::default()).unwrap();
    let input = settings.tensor(&picture, size).unwrap();
    Tensor::new(input.shape, &input.data).unwrap()
}

/// Positions of the largest elements, best first.
fn ranking(scores: &Tensor) -> Vec<(usize, f64)> {
    let mut order: Vec<(usize, f64)> = scores.to_f64s().into_iter().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order
}

/// Elements `from..from + n` of the first dimension.
fn rows(t: &Tensor, from: usize, n: usize) -> Tensor {
    let mut shape = t.shape().to_vec();
    let row = t.numel() / shape[0];
    shape[0] = n;
    Tensor::new(shape, &t.to_vec::<f32>().unwrap()[from * row..][..n * row]).unwrap()
}

fn mobilenet(name: &str) {
    let Some(models) = shared("models") else { return };
    let folder = models.join(name);
    let model = load(&folder.join("model.onnx")).unwrap();
    for photo in ["coral_cat", "coral_hot_dog", "winml_fish"] {
        let input = npy::read(&folder.join(format!("{photo}.input.npy")));
        let expected = npy::read(&folder.join(format!("{photo}.output.npy")));
        assert_close(&format!("{name} {photo}"), &outputs(&model, &[input])[0], &expected, 1e-4);
    }
}

#[test]
fn mobilenet_v1() {
    mobilenet("mobilenet_v1_0.25_128");
}

#[test]
fn mobilenet_v2() {
    mobilenet("mobilenet_v2_1.0_224");
}

#[test]
fn trained_octave_network() {
    let Some(models) = shared("models") else { return };
    let folder = models.join("oct_resnet20_cifar10_a05");
    let input = npy::read(&folder.join("input_0.npy"));
    let expected = npy::read(&folder.join("output_0.npy"));
    let model = load(&folder.join("model.onnx")).unwrap();
    let batch = outputs(&model, std::slice::from_ref(&input)).remove(0);
    assert_close("batch 3", &batch, &expected, 1e-4 * support::largest(&expected));
    let interpreted = interpret(&model, std::slice::from_ref(&input)).unwrap();
    assert_close("batch 3, interpreter", &interpreted[0], &batch, 1e-4 * support::largest(&expected));
    for file in ["model.onnx", "model_b1.onnx", "model_dynamo.onnx", "model_external.onnx"] {
        let model = load(&folder.join(file)).unwrap();
        for i in 0..3 {
            let y = outputs(&model, &[rows(&input, i, 1)]).remove(0);
            assert_close(&format!("{file} picture {i}"), &y, &rows(&batch, i, 1), 1e-4);
        }
    }
}

#[test]
fn trained_resnet20() {
    let Some(models) = shared("models") else { return };
    let model = load(&models.join("resnet20_cifar10/model.onnx")).unwrap();
    let x = npy::read(&models.join("oct_resnet20_cifar10_a05/input_0.npy"));
    let y = outputs(&model, std::slice::from_ref(&x)).remove(0);
    let interpreted = interpret(&model, std::slice::from_ref(&x)).unwrap();
    assert_close("resnet20, interpreter", &y, &interpreted[0], 1e-4 * support::largest(&y));
    // The pictures are those of the trained octave network, which labels them alike.
    let labels = npy::read(&models.join("oct_resnet20_cifar10_a05/output_0.npy"));
    for i in 0..3 {
        assert_eq!(ranking(&rows(&y, i, 1))[0].0, ranking(&rows(&labels, i, 1))[0].0, "picture {i}");
    }
}

#[test]
fn squeezenet_takes_and_gives_f16() {
    let (Some(models), Some(images)) = (shared("models"), shared("images")) else { return };
    let model = load(&models.join("squeezenet1.1_fp16.onnx")).unwrap();
    assert_eq!(model.inputs()[0].dtype, DataType::F16);
    assert_eq!(model.outputs()[0].dtype, DataType::F16);
    // Labels 281: tabby, 285: Egyptian cat, 282: tiger cat; 0: tench, 389: barracouta; scores of ONNX Runtime.
    type Scores = &'static [(usize, f64)];
    let expected: [(&str, Scores); 2] = [
        ("winml_kitten_224.png", &[(281, 0.9316), (285, 0.0653), (282, 0.0029)]),
        ("winml_fish.png", &[(0, 0.7378), (389, 0.2559)]),
    ];
    for (file, scores) in expected {
        let input = picture(&images.join(file), &Preset::CaffeBgr.settings(), [224, 224]);
        let found = ranking(&outputs(&model, &[input])[0]);
        for (&(label, score), &(found_label, found_score)) in scores.iter().zip(&found) {
            assert_eq!(label, found_label, "{file}: {:?}", &found[..3]);
            assert!(
                (score - found_score).abs() < 0.01,
                "{file}: label {label}: {score}, found {found_score}"
            );
        }
    }
}

#[test]
fn shapes_are_told_apart() {
    let folder = root().join("bench/shapes");
    let model = load(&folder.join("oct_resnet_shapes.onnx")).unwrap();
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let overrides: PreprocessOverrides = serde_json::from_str(&model.metadata()["octrt.preprocess"]).unwrap();
    let settings = overrides.apply(Preset::None.settings());
    let labels: Vec<&str> = model.metadata()["octrt.labels"].lines().collect();
    let expected = json(&std::fs::read_to_string(folder.join("expected.json")).unwrap());
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 12);
    for (file, facts) in expected {
        let input = picture(&folder.join("pictures").join(file), &settings, [64, 64]);
        let y = outputs(&model, std::slice::from_ref(&input)).remove(0);
        assert_eq!(labels[ranking(&y)[0].0], facts["label"], "{file}");
        let logits: Vec<f32> =
            facts["logits"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        // Another decoder's pixels differ by a level here and there: the folder's README has the figures.
        assert_close(file, &y, &Tensor::new([1, 10], &logits).unwrap(), 0.1);
        let interpreted = interpret(&model, &[input]).unwrap();
        assert_close(&format!("{file}, interpreter"), &y, &interpreted[0], 1e-4 * support::largest(&y));
    }
}
