//! Header, inputs and outputs, names and order.

use expect_test::expect;
use octrt_ops::{DType, Dim};

use super::*;
use crate::proto::tensor_shape_proto::dimension::Value as DimValue;
use crate::proto::{SparseTensorProto, StringStringEntryProto};
use crate::{ElemType, Unsupported, unsupported};

fn relu() -> Vec<NodeProto> {
    vec![node("Relu", &["x"], &["y"], vec![])]
}

#[test]
fn the_header_is_kept() {
    let mut m = model(relu(), vec![]);
    m.producer_name = "me".into();
    m.producer_version = "2".into();
    m.metadata_props.push(StringStringEntryProto { key: "author".into(), value: "you".into() });
    let m = load(&m).expect("a model");
    assert_eq!((m.opset, m.ir_version, m.producer.as_str()), (13, 8, "me 2"));
    assert_eq!(m.metadata.get("author").map(String::as_str), Some("you"));
    assert_eq!((m.graph.name.as_str(), m.graph.nodes[0].name.as_str()), ("g", "Relu_0"));
    assert_eq!(m.outputs[0].elem, Some(ElemType::F32));
}

#[test]
fn what_is_no_model_is_corrupt() {
    let corrupt = |bytes: &'static [u8]| match import(Bytes::from_static(bytes), &NoExternalData) {
        Err(e @ OnnxError::Corrupt { .. }) => e.to_string(),
        other => panic!("{other:?}"),
    };
    expect!["not a valid ONNX file: model: the file is empty"].assert_eq(&corrupt(b""));
    assert!(corrupt(b"hello, world").contains("not an ONNX model"));
    assert!(corrupt(b"\x89PNG\r\n\x1a\n").contains("not an ONNX model"));
    assert!(corrupt(&[0x08, 0x07]).contains("it has no graph"));
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
    expect!["not a valid ONNX file: model: the file is a Git LFS pointer, not the model; 'git lfs pull' fetches the model"]
        .assert_eq(&corrupt(pointer));
    let mut m = model(relu(), vec![]);
    m.ir_version = 0;
    assert!(error(&m).contains("its ir_version is 0"));
}

#[test]
fn versions_that_are_too_old_or_missing() {
    let mut m = model(relu(), vec![]);
    m.ir_version = 2;
    assert!(error(&m).contains("expected ir_version 3 or later, found 2"));
    let mut m = model(relu(), vec![]);
    m.opset_import.clear();
    assert!(error(&m).contains("declares no opset"));
    let mut m = model(relu(), vec![]);
    m.opset_import.push(OperatorSetIdProto { domain: "ai.onnx".into(), version: 12 });
    assert!(error(&m).contains("declared with opset 13 and opset 12"));
}

#[test]
fn newer_opsets_are_read_with_a_warning() {
    let m = load(&with_opset(model(relu(), vec![]), 99)).expect("a model");
    assert_eq!(m.warnings.len(), 1);
}

#[test]
fn initializers_that_are_inputs_are_constants() {
    let add = node("Add", &["x", "w"], &["y"], vec![]);
    let mut m = model(vec![add], vec![f32_tensor("w", &[1], &[1.0]), f32_tensor("unused", &[1], &[])]);
    let input = port("w", DataType::Float, &[1]);
    graph_of(&mut m).input.insert(0, input);
    let m = load(&m).expect("a model");
    assert_eq!(m.graph.inputs.len(), 1);
    assert_eq!(m.inputs[0].name, "x");
}

#[test]
fn extents_may_be_unknown() {
    let mut m = model(relu(), vec![]);
    let mut input = port("x", DataType::Float16, &[-1, 0, 0, 5]);
    let dims = match &mut input.r#type.as_mut().expect("a type").value {
        Some(type_proto::Value::TensorType(t)) => &mut t.shape.as_mut().expect("a shape").dim,
        _ => panic!("a tensor"),
    };
    dims[1].value = Some(DimValue::DimParam("N".into()));
    dims[2].value = None;
    graph_of(&mut m).input[0] = input;
    let loaded = load(&m).expect("a model");
    let unknown = || Dim::Dynamic(String::new());
    assert_eq!(loaded.graph.inputs[0].dims, [unknown(), Dim::Dynamic("N".into()), unknown(), Dim::Fixed(5)]);
    assert_eq!(loaded.graph.inputs[0].dtype, DType::F32);
    assert_eq!(loaded.inputs[0].elem, Some(ElemType::F16));

    // A question mark tells nothing: two are two dimensions.
    let mut input = port("x", DataType::Float, &[-1, -1]);
    if let Some(type_proto::Value::TensorType(t)) = &mut input.r#type.as_mut().expect("a type").value {
        let dims = &mut t.shape.as_mut().expect("a shape").dim;
        dims.iter_mut().for_each(|d| d.value = Some(DimValue::DimParam("?".into())));
    }
    graph_of(&mut m).input[0] = input;
    assert_eq!(load(&m).expect("a model").graph.inputs[0].dims, [unknown(), unknown()]);

    graph_of(&mut m).input[0] = port("x", DataType::Float, &[1, -2]);
    expect!["invalid model: input 'x': extent -2 of axis 1 is negative"].assert_eq(&error(&m));
    graph_of(&mut m).input[0] = port("x", DataType::Float, &[0]);
    assert_eq!(
        load(&m).expect("a model").warnings,
        ["input 'x': extents that are 0 are taken as unknown: axes [0]"]
    );
}

#[test]
fn everything_unsupported_is_listed_at_once() {
    let mut loop_node = node("Loop", &["x"], &["a"], vec![]);
    loop_node.name = "loop1".into();
    let mut custom = node("Relu", &["a"], &["b"], vec![]);
    custom.domain = "com.example".into();
    let nodes = vec![
        loop_node,
        node("Loop", &["x"], &["c"], vec![]),
        custom,
        node("HardSwish", &["b"], &["d"], vec![]),
        node("Sum", &["c", "d", "t", "s"], &["y"], vec![]),
    ];
    let mut m = model(nodes, vec![tensor("t", DataType::Complex64, &[0])]);
    let sparse = SparseTensorProto { values: Some(f32_tensor("s", &[1], &[1.0])) };
    graph_of(&mut m).sparse_initializer.push(sparse);
    expect![[r#"
        the model uses what is not supported:
          initializer 's': it is sparse
          initializer 't': its elements are complex64
          Loop (ai.onnx, opset 13): the operator is not supported; nodes 'loop1', 'Loop_1'
          Relu (com.example, opset 0): operators of domain 'com.example' are not supported; node 'Relu_2'
          HardSwish (ai.onnx, opset 13): the operator exists from opset 14 on, the model declares 13; node 'HardSwish_3'"#]]
    .assert_eq(&error(&m));
    let listed = unsupported(bytes(&m)).expect("a list");
    assert_eq!(load(&m), Err(OnnxError::Unsupported(listed.clone())));
    assert!(matches!(&listed[2], Unsupported::Op { op, nodes, .. } if op == "Loop" && nodes.len() == 2));
}

#[test]
fn inputs_that_are_no_tensors_are_not_supported() {
    let mut m = model(relu(), vec![]);
    let sequence = type_proto::Sequence { elem_type: None };
    graph_of(&mut m).input[0].r#type =
        Some(TypeProto { value: Some(type_proto::Value::SequenceType(Box::new(sequence))) });
    assert!(error(&m).contains("input 'x': it is a sequence; expected a tensor"));
    graph_of(&mut m).input[0] = port("x", DataType::Complex64, &[1]);
    assert!(error(&m).contains("input 'x': its elements are complex64"));
    graph_of(&mut m).input[0].r#type = None;
    assert!(error(&m).contains("input 'x': it has no element type"));
}

#[test]
fn nodes_are_sorted() {
    let nodes = vec![
        node("Abs", &["b"], &["y"], vec![]),
        node("Exp", &["x"], &["a"], vec![]),
        node("Neg", &["a"], &["b"], vec![]),
        node("Relu", &["x"], &["unused"], vec![]),
    ];
    let m = load(&model(nodes, vec![])).expect("a model");
    let names: Vec<&str> = m.graph.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["Exp_1", "Neg_2", "Abs_0"]);
    assert_eq!(m.warnings.len(), 1);
}

#[test]
fn names_that_are_wrong() {
    let cycle = vec![
        node("Relu", &["x"], &["r"], vec![]),
        node("Add", &["r", "c"], &["a"], vec![]),
        node("Neg", &["a"], &["b"], vec![]),
        node("Abs", &["b"], &["c"], vec![]),
        node("Exp", &["c"], &["y"], vec![]),
    ];
    expect!["invalid model: graph: its nodes form a cycle: Add_1 -> Neg_2 -> Abs_3 -> Add_1"]
        .assert_eq(&error(&model(cycle, vec![])));
    let itself = vec![node("Add", &["x", "y"], &["y"], vec![])];
    expect!["invalid model: graph: its nodes form a cycle: Add_0 -> Add_0"]
        .assert_eq(&error(&model(itself, vec![])));
    let missing = vec![node("Add", &["x", "w"], &["y"], vec![])];
    expect![
        "invalid model: node 'Add_0' (Add): input 1 'w' is not defined by any node, input or initializer"
    ]
    .assert_eq(&error(&model(missing, vec![])));
    let twice = vec![node("Relu", &["x"], &["y"], vec![]), node("Abs", &["x"], &["y"], vec![])];
    expect!["invalid model: node 'Abs_1' (Abs): output 'y' is also defined by node 'Relu_0' (Relu)"]
        .assert_eq(&error(&model(twice, vec![])));
    let input = vec![node("Relu", &["x"], &["x"], vec![])];
    expect!["invalid model: node 'Relu_0' (Relu): output 'x' is also defined by an input or initializer"]
        .assert_eq(&error(&model(input, vec![])));
    expect!["invalid model: output 'y': it is not defined by any node, input or initializer"]
        .assert_eq(&error(&model(vec![], vec![])));
    let weights = || f32_tensor("w", &[1], &[1.0]);
    expect!["invalid model: initializer 'w': it is defined twice"]
        .assert_eq(&error(&model(relu(), vec![weights(), weights()])));
    let mut m = model(relu(), vec![]);
    graph_of(&mut m).output.clear();
    expect!["invalid model: graph: it has no outputs"].assert_eq(&error(&m));
}
