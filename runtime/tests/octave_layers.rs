//! The octave structure of every OctConv case is the one that its description names.
#![allow(missing_docs)]

mod support;

use std::path::Path;

use octrt::Model;
use octrt_octave::{Groups, Layer, Octave, Order, StrideKind, UpKind};
use octrt_ops::TensorType;
use octrt_ops::graph::infer::{Limits, specialize};
use serde_json::{Value, json};
use support::{folders, load, npy_files, shared, stem};

/// The octave structure of a model for inputs as those in the folder.
fn find(model: &Model, inputs: &Path) -> Result<Octave, String> {
    let types: Vec<TensorType> = npy_files(inputs, "input").iter().map(|t| t.ty().clone()).collect();
    let graph = model.graph().ok_or("no graph")?;
    let graph = specialize(graph, &types, Limits::default()).map_err(|e| e.to_string())?;
    octrt_octave::find(&graph).map_err(|e| e.to_string())
}

/// What `case.json` says of a layer.
fn described(layer: &Layer) -> Value {
    let groups = match &layer.groups {
        Groups::Depthwise => json!("depthwise"),
        Groups::Of(groups) => json!(groups),
    };
    json!({
        "stride": layer.stride,
        "stride_kind": layer.stride_kind.map(StrideKind::name),
        "alpha_in": layer.alpha_in(),
        "alpha_out": layer.alpha_out(),
        "in_ch": layer.in_ch,
        "out_ch": layer.out_ch,
        "kernel": layer.kernel,
        "groups": groups,
        "convs": layer.convs.iter().map(|(r, _)| r.name()).collect::<Vec<_>>(),
        "down": layer.down.name(),
        "up": layer.up.map_or("none", UpKind::name),
        "order": layer.order.map(Order::name),
    })
}

/// The differences between what is found in a case and what its description says.
fn check(case: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(case.join("case.json")).map_err(|e| e.to_string())?;
    let paths = serde_json::from_str::<Value>(&text).map_err(|e| e.to_string())?["paths"].take();
    let model = load(&case.join("model.onnx")).map_err(|e| e.to_string())?;
    let octave = find(&model, case)?;
    let mut differences = Vec::new();
    let expected = paths["layers"].as_array().cloned().unwrap_or_default();
    if paths["octconv_layers"] != octave.layers.len() {
        differences.push(format!(
            "expected {} layers, found {}",
            paths["octconv_layers"],
            octave.layers.len()
        ));
    }
    for (i, layer) in octave.layers.iter().enumerate() {
        let found = described(layer);
        let mut expected = expected.get(i).cloned().unwrap_or(Value::Null);
        // A number stands for the extents of all axes.
        if let Some(k) = expected.get("kernel").and_then(Value::as_u64) {
            expected["kernel"] = json!(vec![k; layer.kernel.len()]);
        }
        for (key, found) in found.as_object().into_iter().flatten() {
            // One case does not name groups and the kind of stride.
            if let Some(expected) = expected.get(key).filter(|e| *e != found) {
                let name = &layer.name;
                differences.push(format!("layer {i} '{name}', {key}: expected {expected}, found {found}"));
            }
        }
        if expected.is_null() {
            differences.push(format!("layer {i} '{}' is not expected: {found}", layer.name));
        }
    }
    differences.extend(octave.near_misses.iter().map(|m| format!("near miss '{}': {}", m.node, m.reason)));
    Ok(differences)
}

#[test]
fn every_case_has_the_layers_that_it_names() {
    let Some(root) = shared("octconv") else { return };
    let cases = folders(&root);
    let mut failures = Vec::new();
    for case in &cases {
        let differences = check(case).unwrap_or_else(|e| vec![e]);
        if !differences.is_empty() {
            failures.push(format!("{}:\n  {}", stem(case), differences.join("\n  ")));
        }
    }
    println!("{} cases, {} differ", cases.len(), failures.len());
    assert!(
        failures.is_empty(),
        "{} of {} cases differ:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    assert!(cases.len() >= 39, "{} cases in {}", cases.len(), root.display());
}
