//! What no output needs refuses nothing.

use super::*;

fn names(m: &ModelProto) -> Vec<String> {
    let m = load(m).expect("a model");
    m.graph.nodes.iter().map(|n| n.name.clone()).collect()
}

#[test]
fn nodes_that_nothing_needs_are_left_out() {
    let mut custom = node("Custom", &["u"], &["v"], vec![]);
    custom.domain = "com.example".into();
    let nodes = vec![
        node("Loop", &["x"], &["u"], vec![]),
        custom,
        // Wrong attributes of a known operator, and a user of what is not known.
        node("Concat", &["v", "x"], &["c"], vec![]),
        node("Neg", &["x"], &["y"], vec![]),
        node("Print", &["x"], &[], vec![]),
    ];
    assert_eq!(names(&model(nodes, vec![])), ["Neg_3"]);
}

#[test]
fn initializers_that_nothing_needs_may_be_anything() {
    let strange = || tensor("s", DataType::String, &[0]);
    let nodes =
        |input: &str| vec![node("Neg", &["s"], &["u"], vec![]), node("Abs", &[input], &["y"], vec![])];
    assert_eq!(names(&model(nodes("x"), vec![strange()])), ["Abs_1"]);
    let message = error(&model(nodes("u"), vec![strange()]));
    assert!(message.contains("initializer 's': its elements are string"), "{message}");
}

#[test]
fn outputs_that_are_not_computed_may_be_used_by_what_nothing_needs() {
    let dropout = node("Dropout", &["x"], &["y", "mask"], vec![]);
    let dead = node("Not", &["mask"], &["n"], vec![]);
    assert_eq!(names(&model(vec![dropout, dead], vec![])), ["Dropout_0"]);
}

#[test]
fn everything_on_the_way_to_an_output_is_listed() {
    let nodes = vec![
        node("Loop", &["x"], &["a"], vec![]),
        node("Scan", &["a"], &["b"], vec![]),
        node("Loop", &["x"], &["dead"], vec![]),
        node("Neg", &["b"], &["y"], vec![]),
    ];
    expect_test::expect![[r#"
        the model uses what is not supported:
          Loop (ai.onnx, opset 13): the operator is not supported; node 'Loop_0'
          Scan (ai.onnx, opset 13): the operator is not supported; node 'Scan_1'"#]]
    .assert_eq(&error(&model(nodes, vec![])));
}
