//! Photos through networks of other projects, which are in the shared data.

use std::path::Path;

use crate::program::*;

/// The best classes of a photo.
fn top(data: &Path, model: &str, photo: &str, preset: &str, labels: &str) -> Vec<(String, f64)> {
    let path = |name: &str| data.join(name).to_str().unwrap().to_string();
    let (model, photo, labels) =
        (path(model), path(&format!("images/{photo}")), path(&format!("labels/{labels}")));
    let args = ["run", &model, &photo, "--preset", preset, "--labels", &labels, "--format", "json"];
    let report = octrt(&args).json();
    let class =
        |c: &serde_json::Value| (c["label"].as_str().unwrap().into(), c["probability"].as_f64().unwrap());
    report["top_k"].as_array().unwrap().iter().map(class).collect()
}

fn assert_near(found: &(String, f64), label: &str, probability: f64, tolerance: f64) {
    assert!(
        found.0 == label && (found.1 - probability).abs() <= tolerance,
        "{label} {probability}: {found:?}"
    );
}

#[test]
fn squeezenet_in_16_bit_floats() {
    let Some(data) = shared() else { return };
    let top =
        |photo| top(&data, "models/squeezenet1.1_fp16.onnx", photo, "caffe-bgr", "imagenet_classes.txt");
    let kitten = top("winml_kitten_224.png");
    assert_near(&kitten[0], "tabby", 0.9316, 0.01);
    assert_near(&kitten[1], "Egyptian cat", 0.0653, 0.01);
    assert_near(&top("winml_fish.png")[0], "tench", 0.7378, 0.01);
}

#[test]
fn mobilenet_v2() {
    let Some(data) = shared() else { return };
    let top = |photo| {
        let model = "models/mobilenet_v2_1.0_224/model.onnx";
        top(&data, model, photo, "inception", "coral_imagenet_labels_1001.txt")
    };
    let cat = top("coral_cat.bmp");
    assert_near(&cat[0], "Egyptian cat", 0.780, 0.02);
    assert_near(&cat[1], "tabby, tabby cat", 0.114, 0.02);
    assert_near(&top("winml_fish.png")[0], "tench, Tinca tinca", 0.765, 0.02);
    assert_near(&top("coral_hot_dog.jpg")[0], "hotdog, hot dog, red hot", 0.877, 0.02);
}

#[test]
fn labels_of_another_network_are_refused() {
    let Some(data) = shared() else { return };
    let path = |name: &str| data.join(name).to_str().unwrap().to_string();
    let model = path("models/mobilenet_v1_0.25_128/model.onnx");
    let (photo, labels) = (path("images/coral_cat.bmp"), path("labels/imagenet_classes.txt"));
    octrt(&["run", &model, &photo, "--preset", "inception", "--labels", &labels])
        .assert_fails(2, "1000 labels, the model's output has 1001 classes");
}

#[test]
fn stored_outputs_are_expected() {
    let Some(data) = shared() else { return };
    let path =
        |name: &str| data.join("models/mobilenet_v1_0.25_128").join(name).to_str().unwrap().to_string();
    for photo in ["coral_cat", "coral_hot_dog", "winml_fish"] {
        let (input, output) = (path(&format!("{photo}.input.npy")), path(&format!("{photo}.output.npy")));
        octrt(&["run", &path("model.onnx"), &input, "--expect", &output]).text();
    }
}
