//! Functions of the model.

use super::*;
use crate::proto::FunctionProto;

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: name.into(),
        domain: "local".into(),
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: outputs.iter().map(|s| s.to_string()).collect(),
        node: nodes,
        opset_import: vec![
            OperatorSetIdProto { domain: String::new(), version: 18 },
            OperatorSetIdProto { domain: "local".into(), version: 1 },
        ],
        ..FunctionProto::default()
    }
}

fn call(name: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto { domain: "local".into(), name: "call".into(), ..node(name, inputs, outputs, attributes) }
}

fn referring(name: &str, to: &str) -> AttributeProto {
    AttributeProto { ref_attr_name: to.into(), ..attribute(name, AttributeType::Float) }
}

#[test]
fn calls_become_the_nodes_of_the_function() {
    let inner = function(
        "Act",
        &["v"],
        &["w"],
        vec![node("LeakyRelu", &["v"], &["w"], vec![referring("alpha", "a")])],
    );
    let body = vec![
        call(
            "Act",
            &["p"],
            &["t"],
            vec![AttributeProto { ref_attr_name: "slope".into(), ..attribute("a", AttributeType::Float) }],
        ),
        node("Clip", &["t", "q"], &["r"], vec![]),
    ];
    let outer = FunctionProto {
        attribute_proto: vec![float("slope", 0.5)],
        ..function("Outer", &["p", "q"], &["r", "p"], body)
    };
    let nodes = vec![
        call("Outer", &["x"], &["a"], vec![float("slope", 0.25)]),
        call("Outer", &["a"], &["b", "c"], vec![]),
        node("Add", &["b", "c"], &["y"], vec![]),
    ];
    let mut m = model(nodes, vec![]);
    m.functions = vec![outer, inner];
    let m = load(&m).expect("a model");
    let text = octrt_ops::graph::text::print(&m.graph);
    expect_test::expect![[r#"
        graph "g" {
          input %0 "x": f32[1,4,6,6]
          %1 "call@1/t" = n0 "call/call/LeakyRelu_0" LeakyRelu { alpha = 0.25f } (%0)
          %2 "a" = n1 "call/Clip_1" Clip (%1)
          %3 "call@3/t" = n2 "call/call/LeakyRelu_0" LeakyRelu { alpha = 0.5f } (%2)
          %4 "b" = n3 "call/Clip_1" Clip (%3)
          %5 "c" = n4 "call/output_0" Identity (%2)
          %6 "y" = n5 "Add_2" Binary { kind = add } (%4, %5)
          output "y" = %6
        }
    "#]]
    .assert_eq(&text);
}

#[test]
fn calls_that_cannot_be_expanded() {
    let mut m = model(vec![call("F", &["x"], &["y"], vec![])], vec![]);
    m.functions = vec![function("F", &["a"], &["b"], vec![call("F", &["a"], &["b"], vec![])])];
    assert!(error(&m).contains("functions call each other more than 32 deep"), "{}", error(&m));
    m.functions = vec![function("F", &[], &["b"], vec![])];
    assert!(error(&m).contains("the function has 0 inputs and 1 outputs, found 1 inputs and 1 outputs"));
    let f = function("F", &["a"], &["b"], vec![]);
    m.functions = vec![f.clone(), f];
    assert!(error(&m).contains("function 'F': it is defined twice"));
    m.functions = vec![function("F", &["a"], &["b"], vec![])];
    assert!(error(&m).contains("output 'y': it is not defined"), "{}", error(&m));
}

#[test]
fn exponential_expansion_is_stopped() {
    let twice = |from: &str, to: &str| {
        let calls = (0..16).map(|i| call(to, &["a"], &[&format!("o{i}")], vec![])).collect();
        function(from, &["a"], &["b"], calls)
    };
    let names: Vec<String> = (0..20).map(|i| format!("F{i}")).collect();
    let mut m = model(vec![call("F0", &["x"], &["y"], vec![])], vec![]);
    m.functions = names.windows(2).map(|pair| twice(&pair[0], &pair[1])).collect();
    m.functions.push(function("F19", &["a"], &["b"], vec![]));
    assert!(matches!(load(&m), Err(OnnxError::TooLarge { .. })));
}
