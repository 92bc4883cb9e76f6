//! Trained networks: stored outputs of other runtimes, labels of pictures, the same bits for any number of threads.
#![allow(missing_docs)]

mod cifar;
mod photos;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use octrt::image::{DecodeOptions, Preprocess, PreprocessOverrides, Preset, decode_file};
use octrt::{Model, Threads};
use octrt_ops::Tensor;
use support::{Tolerance, compare, interpret, load, npy, root, run, shared};

/// Part of the root mean square of a network's scores by which any of them may be wrong.
const PART: f64 = 1e-5;

/// The outputs of a compiled model, equal bit by bit in two runs of one session, the second after one on NaN, and on one
/// thread and two.
fn outputs(model: &Model, inputs: &[Tensor]) -> Vec<Tensor> {
    let session = |n| model.session().unwrap().with_threads(Threads::new(n).unwrap());
    let (mut one, mut two) = (session(1), session(2));
    let first = run(&mut one, inputs).unwrap();
    let nan = |t: &Tensor| Tensor::new(t.shape().clone(), &vec![f32::NAN; t.numel()]).unwrap();
    run(&mut one, &inputs.iter().map(nan).collect::<Vec<_>>()).unwrap();
    assert!(run(&mut one, inputs).unwrap() == first, "{}: the second run differs", model.name());
    assert!(run(&mut two, inputs).unwrap() == first, "{}: two threads differ", model.name());
    first
}

fn assert_close(what: &str, found: &Tensor, expected: &Tensor, absolute: f64) {
    let result = compare(found, expected, Tolerance { absolute, relative: 0.0 });
    let worst = result.unwrap_or_else(|e| panic!("{what}: {e}"));
    println!("{what}: largest difference {worst:.1e}, allowed {absolute:.1e}");
}

/// Scores that are as good as equal: see [`PART`].
fn assert_same_scores(what: &str, found: &Tensor, expected: &Tensor) {
    assert_close(what, found, expected, PART * support::rms(expected));
}

/// Probabilities as the scores they were made from: their logarithms, of which the mean is 0. Softmax magnifies the
/// errors of scores, in the large probabilities by most, so that these say little of a network.
fn logarithms(probabilities: &Tensor) -> Tensor {
    let v: Vec<f64> = probabilities.to_f64s().iter().map(|p| p.max(1e-30).ln()).collect();
    let mean = v.iter().sum::<f64>() / v.len() as f64;
    let v: Vec<f32> = v.iter().map(|v| (v - mean) as f32).collect();
    Tensor::new(probabilities.shape().clone(), &v).unwrap()
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

/// Tensors of one shape after the other, along the first dimension.
fn stacked(tensors: &[Tensor]) -> Tensor {
    let mut shape = tensors[0].shape().to_vec();
    shape[0] = tensors.iter().map(|t| t.shape()[0]).sum();
    let elements: Vec<f32> = tensors.iter().flat_map(|t| t.to_vec::<f32>().unwrap()).collect();
    Tensor::new(shape, &elements).unwrap()
}

fn mobilenet(name: &str) {
    let Some(models) = shared("models") else { return };
    let folder = models.join(name);
    let model = load(&folder.join("model.onnx")).unwrap();
    for photo in ["coral_cat", "coral_hot_dog", "winml_fish"] {
        let input = npy::read(&folder.join(format!("{photo}.input.npy")));
        let expected = npy::read(&folder.join(format!("{photo}.output.npy")));
        let found = outputs(&model, &[input]).remove(0);
        assert_close(&format!("{name} {photo}"), &found, &expected, 2e-5);
        assert_same_scores(&format!("{name} {photo}, scores"), &logarithms(&found), &logarithms(&expected));
        let best = |t: &Tensor| ranking(t)[..5].iter().map(|(label, _)| *label).collect::<Vec<_>>();
        assert_eq!(best(&found), best(&expected), "{name} {photo}");
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
    assert_same_scores("batch 3", &batch, &expected);
    let interpreted = interpret(&model, std::slice::from_ref(&input)).unwrap();
    assert_same_scores("batch 3, interpreter", &interpreted[0], &expected);
    for file in ["model.onnx", "model_b1.onnx", "model_dynamo.onnx", "model_external.onnx"] {
        let model = load(&folder.join(file)).unwrap();
        for i in 0..3 {
            let y = outputs(&model, &[rows(&input, i, 1)]).remove(0);
            assert_same_scores(&format!("{file} picture {i}"), &y, &rows(&expected, i, 1));
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
    assert_same_scores("resnet20, interpreter", &y, &interpreted[0]);
    // The pictures are those of the trained octave network, which labels them alike.
    let labels = npy::read(&models.join("oct_resnet20_cifar10_a05/output_0.npy"));
    for i in 0..3 {
        let one = outputs(&model, &[rows(&x, i, 1)]).remove(0);
        assert_same_scores(&format!("resnet20, picture {i} alone"), &one, &rows(&y, i, 1));
        assert_eq!(ranking(&one)[0].0, ranking(&rows(&labels, i, 1))[0].0, "picture {i}");
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
    let (mut inputs, mut alone) = (Vec::new(), Vec::new());
    for (file, facts) in expected {
        let input = picture(&folder.join("pictures").join(file), &settings, [64, 64]);
        let y = outputs(&model, std::slice::from_ref(&input)).remove(0);
        assert_eq!(labels[ranking(&y)[0].0], facts["label"], "{file}");
        let logits: Vec<f32> =
            facts["logits"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        // Another decoder's pixels differ by a level here and there: the folder's README has the figures.
        assert_close(file, &y, &Tensor::new([1, 10], &logits).unwrap(), 0.1);
        let interpreted = interpret(&model, std::slice::from_ref(&input)).unwrap();
        assert_same_scores(&format!("{file}, interpreter"), &y, &interpreted[0]);
        inputs.push(input);
        alone.push(y);
    }
    let batch = outputs(&model, &[stacked(&inputs)]).remove(0);
    assert_same_scores("all pictures at once", &batch, &stacked(&alone));
}
