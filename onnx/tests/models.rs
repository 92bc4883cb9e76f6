//! Imports every model of the shared data.

use std::collections::BTreeMap;

use octrt_onnx::{Bytes, Imported, unsupported};
use octrt_ops::def::resize::{CoordinateTransform, NearestMode};
use octrt_ops::graph::verify;
use octrt_ops::{Dim, Op};

mod shared;
use shared::{data, load, models};

/// Numbers of nodes by name of the operator.
fn counts(model: &Imported) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for node in &model.graph.nodes {
        *counts.entry(node.op.tag()).or_default() += 1;
    }
    counts
}

#[test]
fn every_model_imports() {
    let Some(data) = data() else { return };
    let paths = models(&data);
    assert!(paths.len() >= 40, "{} models", paths.len());
    for path in &paths {
        let model = load(path);
        assert!(!model.graph.nodes.is_empty() && !model.outputs.is_empty(), "{}", path.display());
        verify::structure(&model.graph).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(model.warnings, Vec::<String>::new(), "{}", path.display());
        assert_eq!(model.inputs.len(), model.graph.inputs.len());
        let bytes = Bytes::from(std::fs::read(path).expect("a readable model"));
        assert_eq!(unsupported(bytes), Ok(Vec::new()), "{}", path.display());
    }
}

/// `case.json` counts the nodes of the ONNX file in `"ops": {"Conv": 12, ...}`.
fn declared_counts(case: &str) -> BTreeMap<String, usize> {
    let start = case.find("\"ops\": {").expect("a count of operators") + 8;
    let end = start + case[start..].find('}').expect("the end of the count");
    case[start..end]
        .split(',')
        .map(|item| {
            let (name, count) = item.split_once(':').expect("a name and a number");
            (name.trim().trim_matches('"').to_string(), count.trim().parse().expect("a number"))
        })
        .collect()
}

#[test]
fn octconv_cases_have_the_nodes_they_declare() {
    let Some(data) = data() else { return };
    let paths = models(&data.join("octconv"));
    assert_eq!(paths.len(), 39);
    for path in &paths {
        let case = std::fs::read_to_string(path.with_file_name("case.json")).expect("a case.json");
        let declared = declared_counts(&case);
        let of = |name: &str| declared.get(name).copied().unwrap_or(0);
        let model = load(path);
        let found = counts(&model);
        let check = |tag: &str, expected: usize| {
            assert_eq!(found.get(tag).copied().unwrap_or(0), expected, "{tag} in {}", path.display());
        };
        for tag in ["Conv", "AveragePool", "BatchNormalization", "ConvTranspose", "MaxPool", "Concat", "Clip"]
        {
            check(tag, of(tag));
        }
        check("Resize", of("Resize") + of("Upsample"));
        // Every Sum of these models has two operands.
        check("Binary", of("Add") + of("Sum") + of("Mul"));
        check("Unary", of("Relu") + of("Sigmoid"));
    }
}

#[test]
fn an_old_dialect_becomes_the_same_operators() {
    let Some(data) = data() else { return };
    let model = load(&data.join("octconv/mxnet_style7/model.onnx"));
    assert_eq!((model.opset, model.ir_version, model.inputs.len()), (7, 3, 1));
    let resize = model.graph.nodes.iter().find_map(|n| match &n.op {
        Op::Resize(r) => Some((r, n)),
        _ => None,
    });
    let (resize, node) = resize.expect("a Resize");
    assert_eq!(resize.coordinates, CoordinateTransform::Asymmetric);
    assert_eq!(resize.nearest_mode, NearestMode::Floor);
    let scales = node.inputs[2].and_then(|v| model.graph.constant(v)).expect("constant scales");
    assert_eq!(scales.to_vec::<f32>().expect("floats"), [1.0, 1.0, 2.0, 2.0]);
}

#[test]
fn dynamic_extents_keep_their_names() {
    let Some(data) = data() else { return };
    let model = load(&data.join("octconv/fb_s1_dyn_batch/model.onnx"));
    assert!(matches!(&model.graph.inputs[0].dims[0], Dim::Dynamic(name) if !name.is_empty()));
    assert!(matches!(model.graph.inputs[0].dims[1], Dim::Fixed(_)));
}

#[test]
fn weights_beside_the_model_equal_those_inside() {
    let Some(data) = data() else { return };
    let folder = data.join("models/oct_resnet20_cifar10_a05");
    let inside = load(&folder.join("model_dynamo.onnx"));
    let beside = load(&folder.join("model_external.onnx"));
    assert_eq!(inside.graph.nodes, beside.graph.nodes);
    assert_eq!(inside.graph.values, beside.graph.values);
}
