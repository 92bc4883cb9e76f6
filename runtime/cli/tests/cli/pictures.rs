//! Pictures through the trained network of the repository.

use serde_json::Value;

use crate::program::*;

const PICTURE: &str = "bench/shapes/pictures/arrow_0.jpg";

#[test]
fn every_example_has_its_label_probability_and_logits() {
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("bench/shapes/expected.json")).unwrap())
            .unwrap();
    let folder = Folder::new();
    for (picture, expected) in expected.as_object().unwrap() {
        let path = format!("bench/shapes/pictures/{picture}");
        let out = folder.path("out");
        let report = octrt(&["run", SHAPES, &path, "--format", "json", "--save-outputs", &out]).json();
        let best = &report["top_k"][0];
        assert_eq!(best["label"], expected["label"], "{picture}");
        let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
        assert!(near(&best["probability"], &expected["probability"]) < 1e-3, "{picture}: {best}");
        let logits = npy_elements(report["outputs"][0]["file"].as_str().unwrap(), 10);
        for (found, expected) in logits.iter().zip(expected["logits"].as_array().unwrap()) {
            assert!((f64::from(*found) - expected.as_f64().unwrap()).abs() < 0.1, "{picture}: {logits:?}");
        }
    }
}

#[test]
fn the_report_says_what_was_done() {
    let report = octrt(&["run", SHAPES, PICTURE, "--format", "json", "--top-k", "2"]).json();
    assert_eq!(report["schema"], "octrt.run/1");
    assert_eq!(report["model"], SHAPES);
    let output = &report["outputs"][0];
    assert_eq!(output["name"], "logits");
    assert_eq!(output["shape"], serde_json::json!([1, 10]));
    assert_eq!(output["dtype"], "f32");
    assert_eq!(output["file"], Value::Null);
    assert_eq!(report["top_k"].as_array().unwrap().len(), 2);
    assert_eq!(report["top_k"][0]["index"], 0);
    let preprocessing = &report["preprocessing"];
    assert_eq!(preprocessing["sources"], serde_json::json!(["metadata octrt.preprocess"]));
    assert_eq!(preprocessing["settings"]["resize"], "whole");
    assert_eq!(preprocessing["size"], serde_json::json!([64, 64]));
    for stage in ["load", "preprocess", "run"] {
        assert!(report["timings_ms"][stage].as_f64().unwrap() > 0.0, "{stage}");
    }
}

#[test]
fn text_shows_classes_on_stdout_and_the_rest_on_stderr() {
    let run = octrt(&["run", SHAPES, PICTURE, "--top-k", "1"]);
    expect_test::expect![[r#"
        logits: f32[1,10] = # # # # # # # # # #
        # 0 arrow
    "#]]
    .assert_eq(&without_floats(run.text()));
    assert!(run.stderr.contains("preprocessing (metadata octrt.preprocess): resize whole"), "{}", run.stderr);
    assert!(run.stderr.contains("load "), "{}", run.stderr);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let folder = Folder::new();
    for (dir, threads) in [("a", "1"), ("b", "3")] {
        let run = octrt(&["run", SHAPES, PICTURE, "--threads", threads, "--save-outputs", &folder.path(dir)]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let bytes = |dir| std::fs::read(folder.path(dir)).unwrap();
    assert_eq!(bytes("a/output_0.npy"), bytes("b/output_0.npy"));
}

#[test]
fn the_side_file_beside_the_model_counts() {
    let folder = Folder::new();
    let model = folder.file("m.onnx", std::fs::read(root().join(SHAPES)).unwrap());
    let names: Vec<String> = (0..10).map(|i| format!("class {i}")).collect();
    folder.file("labels.txt", names.join("\n"));
    folder.file("m.json", r#"{"labels": "labels.txt", "order": "bgr"}"#);
    let args = ["run", &model, PICTURE, "--format", "json"];
    let report = octrt(&args).json();
    assert_eq!(report["preprocessing"]["settings"]["order"], "bgr");
    assert!(report["top_k"][0]["label"].as_str().unwrap().starts_with("class "));
    let report = octrt(&[&args[..], &["--side-file", "none"]].concat()).json();
    assert_eq!(report["top_k"][0]["label"], "arrow");
    folder.file("m.json", "{");
    octrt(&args).assert_fails(5, "m.json");
}

#[test]
fn labels_must_be_as_many_as_classes() {
    let folder = Folder::new();
    let labels = folder.file("three.txt", "a\nb\nc\n");
    let run = octrt(&["run", SHAPES, PICTURE, "--labels", &labels]);
    run.assert_fails(2, "three.txt has 3 labels, the model's output has 10 classes");
    assert_eq!(run.stdout, "");
}

#[test]
fn without_labels_the_index_is_shown() {
    let folder = Folder::new();
    let report = octrt(&["run", &folder.tiny_model(), "random", "--format", "json"]).json();
    assert_eq!(report["top_k"].as_array().unwrap().len(), 2);
    assert_eq!(report["top_k"][0]["label"], Value::Null);
    assert_eq!(report["preprocessing"], Value::Null);
}

#[test]
fn the_default_preset_is_announced() {
    let folder = Folder::new();
    let run = octrt(&["run", &folder.tiny_model(), PICTURE]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("preprocessing (default preset imagenet)"), "{}", run.stderr);
}

#[test]
fn preprocess_saves_the_input_that_run_uses() {
    let folder = Folder::new();
    let input = folder.path("x.npy");
    let made = octrt(&["preprocess", PICTURE, "--model", SHAPES, "-o", &input]);
    assert!(made.text().ends_with("x.npy: f32[1,3,64,64]\n"), "{}", made.stdout);
    let logits = |input: &str, dir: &str| {
        octrt(&["run", SHAPES, input, "--save-outputs", &folder.path(dir)]).text();
        npy_elements(&folder.path(&format!("{dir}/output_0.npy")), 10)
    };
    assert_eq!(logits(&input, "a"), logits(PICTURE, "b"));
    let settings =
        ["--resize", "whole", "--crop", "none", "--scale", "1/255", "--mean", "0.5", "--std", "0.25"];
    let other = folder.path("y.npy");
    let size = ["--size", "64", "-o", &other];
    octrt(&[&["preprocess", PICTURE][..], &settings, &size].concat()).text();
    assert_eq!(npy_elements(&input, 3 * 64 * 64), npy_elements(&other, 3 * 64 * 64));
    octrt(&["preprocess", PICTURE, "--preset", "inception", "-o", &other]).assert_fails(2, "--size");
}

#[test]
fn a_picture_needs_an_input_of_three_planes() {
    let folder = Folder::new();
    let grey = folder.file(
        "grey.onnx",
        onnx(
            &TINY
                .replace("N,3,4,4", "N,1,4,4")
                .replace("w\": f32[2,3,1,1] = [1, 2, 3, -4, -5, -6]", "w\": f32[2,1,1,1] = [1, 2]"),
        ),
    );
    octrt(&["run", &grey, PICTURE]).assert_fails(2, "a picture needs an input of floats [N,3,H,W]");
    octrt(&["run", SHAPES, PICTURE, "--size", "32"]).assert_fails(2, "--size is 32x32");
    octrt(&["run", SHAPES, PICTURE, "--preset", "none"]).assert_fails(2, "64x64");
    octrt(&["run", SHAPES, "Cargo.toml"]).assert_fails(5, "Cargo.toml");
}

#[test]
fn open_sizes_come_from_the_command_line() {
    let folder = Folder::new();
    let open = folder.file("open.onnx", onnx(&TINY.replace("N,3,4,4", "N,3,H,W")));
    let size = |args: &[&str]| {
        let report = octrt(&[&["run", &open, PICTURE, "--format", "json"], args].concat()).json();
        report["preprocessing"]["size"].to_string()
    };
    assert_eq!(size(&[]), "[224,224]");
    assert_eq!(size(&["--size", "20x30"]), "[20,30]");
    assert_eq!(size(&["--dim", "H=8", "--dim", "W=9", "--preset", "caffe-bgr"]), "[8,9]");
    octrt(&["run", &open, PICTURE, "--preset", "caffe-bgr"]).assert_fails(2, "--size");
    octrt(&["run", &open, "random"]).assert_fails(2, "--dim H=N");
    octrt(&["run", &open, "random", "--dim", "H=4", "--dim", "x:3=5"]).text();
    octrt(&["run", &open, "random", "--dim", "Q=4"]).assert_fails(2, "no dynamic dimension has this name");
}
