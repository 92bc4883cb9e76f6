//! Inputs that decide shapes by what they hold.

use crate::program::*;

/// `shape` decides the shape, `index` does not.
const MODEL: &str = r#"graph "values" {
  input %0 "x": f32[1,2,3,4]
  input %1 "shape": i64[3]
  input %2 "index": i64[2]
  const %3 "w": f32[2,2,1,1] = [1, 2, 3, -4]
  %4 "c" = n0 "conv" Conv { kernel = [1, 1], strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], auto_pad = notset, group = 1 } (%0, %3)
  %5 "r" = n1 "reshape" Reshape { allow_zero = 0 } (%4, %1)
  %6 "g" = n2 "gather" Gather { axis = 0 } (%5, %2)
  output "y" = %6
}
"#;

const HINT: &str = "give what it holds as --input shape=FILE";

fn model(folder: &Folder) -> String {
    folder.file("values.onnx", onnx(MODEL))
}

/// An `.npy` file of i64.
fn ints(folder: &Folder, name: &str, elements: &[i64]) -> String {
    let data: Vec<u8> = elements.iter().flat_map(|v| v.to_le_bytes()).collect();
    folder.file(name, npy_of("<i8", &format!("({},)", elements.len()), &data))
}

#[test]
fn run_takes_files_and_numbers() {
    let folder = Folder::new();
    let (model, out) = (model(&folder), folder.path("out"));
    let file = ints(&folder, "shape.npy", &[12, 2, 1]);
    let saved = octrt(&["run", &model, "random", &file, "index=[5,-1]", "--save-outputs", &out]);
    assert!(saved.text().contains("y: f32[2,2,1]"), "{}", saved.stdout);
    let expect = format!("{out}/output_0.npy");
    for words in
        [&["random", "[12,2,1]", "[5,-1]"][..], &["x=random", "index=[5,-1]", "--input", "shape=[12, 2,1]"]]
    {
        let same = octrt(&[&["run", &model], words, &["--expect", &expect]].concat());
        assert!(same.text().contains("y: as expected"), "{}", same.stdout);
    }
    let other = octrt(&["run", &model, "random", "[-1,1,2]", "random"]);
    assert!(other.text().contains("y: f32[2,1,2]"), "{}", other.stdout);
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    let model = model(&folder);
    let run = |shape: &str| octrt(&["run", &model, "random", shape, "random"]);
    run("random").assert_fails(2, HINT);
    run("[5,5,5]").assert_fails(2, "'shape': i64[3] = [5, 5, 5]");
    run("[6,4]").assert_fails(2, "input 'shape': expected i64[3], found i64[2]");
    run("[12,2,x]").assert_fails(2, "'x' is no element of type i64");
    octrt(&["run", &model, "random", "index=[0,0]"]).assert_fails(2, "input 'shape' is missing");
    for command in [&["bench"][..], &["profile"], &["compile", "--emit", "graph"], &["inspect", "--memory"]] {
        let run = |more: &[&str]| octrt(&[command, &[&model], more].concat());
        run(&[]).assert_fails(2, HINT);
        run(&["--input", "shape=x.jpg"]).assert_fails(2, "expected a file .npy, .npz or .pb, or numbers");
        run(&["--input", "shap=[1]"]).assert_fails(2, "no input is named 'shap'");
        run(&["--input", "shape=[1]"]).assert_fails(2, "expected i64[3], found i64[1]");
    }
}

#[test]
fn all_commands_take_values() {
    let folder = Folder::new();
    let model = model(&folder);
    let file = ints(&folder, "shape.npy", &[12, 2, 1]);
    let (file, numbers) = (format!("shape={file}"), "shape=[12,2,1]");
    for value in [file.as_str(), numbers] {
        let few = ["--runs", "2", "--warmup", "0", "--input", value];
        let bench = octrt(&[&["bench", &model, "--format", "json"], &few[..]].concat()).json();
        assert_eq!(bench["results"][0]["macs"], 48);
        let profile = octrt(&[&["profile", &model, "--format", "json"], &few[..]].concat()).json();
        assert!(!profile["rows"].as_array().unwrap().is_empty());
        let compare = octrt(&["compare", &model, "x=random", "index=random", "--input", value]);
        assert!(compare.text().contains("values agree"), "{}", compare.stdout);
        let graph = octrt(&["compile", &model, "--emit", "graph", "--input", value]);
        assert!(graph.text().contains("f32[12,2,1]"), "{}", graph.stdout);
        let inspect = octrt(&["inspect", &model, "--passes", "--memory", "--input", value]);
        assert!(inspect.text().contains("MACs        48"), "{}", inspect.stdout);
    }
}

#[test]
fn inspect_says_what_decides_shapes() {
    let folder = Folder::new();
    let model = model(&folder);
    let inspect = octrt(&["inspect", &model]);
    assert!(inspect.text().contains("input       shape: i64[3], decides shapes\n"), "{}", inspect.stdout);
    assert!(inspect.text().contains("input       index: i64[2]\n"), "{}", inspect.stdout);
    assert!(
        inspect.text().contains("MACs        not known: input 'shape' i64[3] decides a shape"),
        "{}",
        inspect.stdout
    );
    let json = octrt(&["inspect", &model, "--format", "json"]).json();
    assert_eq!(
        (&json["inputs"][1]["decides_shapes"], &json["inputs"][2]["decides_shapes"]),
        (&true.into(), &serde_json::Value::Null)
    );
}

#[test]
fn compiled_models_are_for_their_values() {
    let folder = Folder::new();
    let (model, file) = (model(&folder), folder.path("values.octrt"));
    octrt(&["compile", &model, "-o", &file]).assert_fails(2, HINT);
    octrt(&["compile", &model, "-o", &file, "--input", "shape=[12,2,1]"]).text();
    let run = |shape: &str| octrt(&["run", &file, "random", shape, "random"]);
    assert!(run("[12,2,1]").text().contains("y: f32[2,2,1]"));
    assert!(run("random").text().contains("y: f32[2,2,1]"));
    run("[2,6,2]").assert_fails(
        2,
        "'shape' decides a shape, and the model was compiled for [12, 2, 1]: found [2, 6, 2]",
    );
    let inspect = octrt(&["inspect", &file]);
    let line = "input       shape: i64[3], decides shapes, compiled for [12, 2, 1]\n";
    assert!(inspect.text().contains(line), "{}", inspect.stdout);
    octrt(&["bench", &file, "--runs", "2"]).text();
}
