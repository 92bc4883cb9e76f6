//! If: which branch becomes part of the graph, and what of the other one matters.

use octrt_ops::graph::{interp, text};
use octrt_ops::{DType, Tensor};

use super::*;
use crate::proto::FunctionProto;
use crate::proto::tensor_shape_proto::dimension::Value as DimValue;

fn graph(nodes: Vec<NodeProto>, output: &str) -> GraphProto {
    let output = ValueInfoProto { name: output.into(), r#type: None };
    GraphProto { name: "branch".into(), node: nodes, output: vec![output], ..GraphProto::default() }
}

fn branch(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(Box::new(graph)), ..attribute(name, AttributeType::Graph) }
}

/// `If(condition) -> output`
fn choose(condition: &str, output: &str, then: GraphProto, other: GraphProto) -> NodeProto {
    let branches = vec![branch("then_branch", then), branch("else_branch", other)];
    NodeProto { name: format!("if {output}"), ..node("If", &[condition], &[output], branches) }
}

/// A graph of one node.
fn one(op: &str, input: &str) -> GraphProto {
    graph(vec![node(op, &[input], &["result"], vec![])], "result")
}

fn condition(value: bool) -> TensorProto {
    TensorProto { int32_data: vec![value.into()], ..tensor("c", DataType::Bool, &[]) }
}

/// Names of the nodes.
fn nodes(m: &ModelProto) -> Vec<String> {
    let m = load(m).expect("a model");
    assert_eq!(m.warnings, Vec::<String>::new());
    m.graph.nodes.iter().map(|n| n.name.clone()).collect()
}

#[test]
fn a_constant_condition_leaves_one_branch() {
    for (value, expected) in [(true, "if y/Abs_0"), (false, "if y/Neg_0")] {
        let m = model(vec![choose("c", "y", one("Abs", "x"), one("Neg", "x"))], vec![condition(value)]);
        assert_eq!(nodes(&m), [expected]);
    }
}

#[test]
fn names_of_a_branch_are_known_inside_it_only() {
    let mut then = one("Abs", "w");
    then.initializer.push(f32_tensor("w", &[1], &[-2.0]));
    let nodes = vec![
        choose("c", "a", then, one("Neg", "w")),
        node("Add", &["w", "a"], &["sum"], vec![]),
        choose("c", "b", one("Exp", "sum"), one("Neg", "w")),
        node("Add", &["b", "x"], &["y"], vec![]),
    ];
    let m = load(&model(nodes, vec![condition(true), f32_tensor("w", &[1], &[0.5])])).expect("a model");
    let text = text::print(&m.graph);
    expect_test::expect![[r#"
        graph "g" {
          input %0 "x": f32[1,4,6,6]
          const %1 "c": bool[] = [true]
          const %2 "w": f32[1] = [0.5]
          const %3 "w": f32[1] = [-2.0]
          %4 "result" = n0 "if a/Abs_0" Unary { kind = abs } (%3)
          %5 "sum" = n1 "Add_1" Binary { kind = add } (%2, %4)
          %6 "result" = n2 "if b/Exp_0" Unary { kind = exp } (%5)
          %7 "y" = n3 "Add_3" Binary { kind = add } (%6, %0)
          output "y" = %7
        }
    "#]]
    .assert_eq(&text);
}

/// `If(Shape(x)[1] == channels) -> y`, as exporters of PyTorch write `squeeze`.
fn squeeze(channels: i64) -> ModelProto {
    let nodes = vec![
        node("Shape", &["x"], &["shape"], vec![]),
        node("Gather", &["shape", "one"], &["extent"], vec![]),
        node("Equal", &["extent", "channels"], &["c"], vec![]),
        choose(
            "c",
            "y",
            graph(vec![node("Loop", &["x"], &["r"], vec![])], "r"),
            graph(vec![node("Neg", &["x"], &["r"], vec![])], "r"),
        ),
    ];
    let channels = TensorProto { name: "channels".into(), ..i64_tensor("", &[channels]) };
    model(nodes, vec![i64_tensor("one", &[1]), channels])
}

#[test]
fn conditions_follow_from_fixed_shapes() {
    assert_eq!(nodes(&squeeze(1)), ["if y/Neg_0"]);
    expect_test::expect![[r#"
        the model uses what is not supported:
          Loop (ai.onnx, opset 13): the operator is not supported; node 'if y/Loop_0'"#]]
    .assert_eq(&error(&squeeze(4)));
}

/// The model with an extent of `x` that is known later.
fn dynamic(mut m: ModelProto, axis: usize) -> ModelProto {
    if let Some(type_proto::Value::TensorType(t)) =
        &mut graph_of(&mut m).input[0].r#type.as_mut().expect("a type").value
    {
        t.shape.as_mut().expect("a shape").dim[axis].value = Some(DimValue::DimParam("N".into()));
    }
    m
}

#[test]
fn conditions_that_are_known_later_leave_both_branches() {
    let mut m = dynamic(squeeze(1), 1);
    assert!(error(&m).contains("node 'if y/Loop_0'"), "{}", error(&m));
    if let Some(then) = &mut graph_of(&mut m).node[3].attribute[0].g {
        then.node[0].op_type = "Squeeze".into();
        then.node[0].input.push("one".into());
    }
    let m = load(&m).expect("a model");
    let tags: Vec<&str> = m.graph.nodes.iter().map(|n| n.op.tag()).collect();
    assert_eq!(tags, ["Shape", "Gather", "Compare", "Squeeze", "Unary", "If"]);
    let run = |shape: [usize; 4]| {
        let x = Tensor::new(shape, &vec![1f32; shape.iter().product()]).expect("a tensor");
        interp::run(&m.graph, &[x]).expect("a result").remove(0)
    };
    assert_eq!(run([1, 1, 6, 6]), Tensor::new([1, 6, 6], &[1f32; 36]).expect("a tensor"));
    assert_eq!(run([1, 2, 6, 6]), Tensor::new([1, 2, 6, 6], &[-1f32; 72]).expect("a tensor"));
}

#[test]
fn conditions_that_are_data_leave_both_branches() {
    let mut m = model(vec![choose("c", "y", one("Abs", "x"), one("Neg", "x"))], vec![]);
    graph_of(&mut m).input.push(port("c", DataType::Bool, &[]));
    let m = load(&m).expect("a model");
    let x = Tensor::new([1, 4, 6, 6], &[-1f32; 144]).expect("a tensor");
    for (c, expected) in [(true, 1f32), (false, 1f32)] {
        let found = interp::run(&m.graph, &[x.clone(), Tensor::scalar(c)]).expect("a result");
        assert_eq!(found[0], Tensor::new([1, 4, 6, 6], &[expected; 144]).expect("a tensor"));
    }
    assert_eq!(m.graph.inputs[1].dtype, DType::Bool);
}

#[test]
fn branches_within_branches_and_within_functions() {
    let inner = graph(vec![choose("k", "t", one("Abs", "p"), one("Exp", "p"))], "t");
    let keep = FunctionProto {
        name: "Keep".into(),
        domain: "local".into(),
        input: vec!["p".into()],
        output: vec!["q".into()],
        node: vec![
            node("Constant", &[], &["k"], vec![tensor_attribute("value", condition(false))]),
            choose("k", "q", one("Neg", "p"), inner),
        ],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 18 }],
        ..FunctionProto::default()
    };
    let call = |input: &str, output: &str| NodeProto {
        domain: "local".into(),
        name: "call".into(),
        ..node("Keep", &[input], &[output], vec![])
    };
    // The function is called in a branch too, and its names are also names around it.
    let nodes_of = vec![
        node("Relu", &["x"], &["t"], vec![]),
        call("t", "p"),
        choose("c", "y", graph(vec![call("p", "v")], "v"), one("Neg", "x")),
    ];
    let mut m = model(nodes_of, vec![condition(true)]);
    m.functions = vec![keep];
    assert_eq!(nodes(&m), ["Relu_0", "call/if q/if t/Exp_0", "if y/call/if q/if t/Exp_0"]);
}

#[test]
fn what_only_the_other_branch_reads_refuses_nothing() {
    let around = |value| {
        let nodes =
            vec![node("Loop", &["x"], &["l"], vec![]), choose("c", "y", one("Abs", "x"), one("Neg", "l"))];
        model(nodes, vec![condition(value)])
    };
    assert_eq!(nodes(&around(true)), ["if y/Abs_0"]);
    assert!(error(&around(false)).contains("node 'Loop_0'"));
}

#[test]
fn a_branch_may_show_a_value_around_it() {
    let m = model(vec![choose("c", "y", graph(vec![], "x"), one("Neg", "x"))], vec![condition(true)]);
    let m = load(&m).expect("a model");
    assert!(m.graph.nodes.is_empty());
    assert_eq!(m.graph.outputs[0].value, m.graph.inputs[0].value);
}

#[test]
fn what_is_wrong_with_branches() {
    let with = |then: GraphProto| {
        error(&model(vec![choose("c", "y", then, one("Neg", "x"))], vec![condition(true)]))
    };
    expect_test::expect!["invalid model: node 'if y' (If): 'nowhere', which a branch reads, is not defined by any node, input or initializer"]
        .assert_eq(&with(one("Abs", "nowhere")));
    expect_test::expect!["invalid model: node 'if y' (If): 'r', which a branch reads, is not defined by any node, input or initializer"]
        .assert_eq(&with(graph(vec![], "r")));
    let mut inputs = one("Abs", "x");
    inputs.input.push(port("i", DataType::Float, &[1]));
    expect_test::expect!["invalid model: node 'if y' (If): a branch has no inputs, found 'i'"]
        .assert_eq(&with(inputs));
    let mut outputs = one("Abs", "x");
    outputs.output.push(outputs.output[0].clone());
    expect_test::expect![
        "invalid model: node 'if y' (If): attribute 'then_branch': expected a graph of 1 outputs, found 2"
    ]
    .assert_eq(&with(outputs));
    let cycle = graph(vec![node("Abs", &["b"], &["a"], vec![]), node("Abs", &["a"], &["b"], vec![])], "a");
    expect_test::expect![
        "invalid model: graph: its nodes form a cycle: if y/Abs_0 -> if y/Abs_1 -> if y/Abs_0"
    ]
    .assert_eq(&with(cycle));
    let m = model(vec![node("If", &["c"], &["y"], vec![])], vec![condition(true)]);
    assert!(error(&m).contains("attribute 'then_branch' is missing"), "{}", error(&m));
    let m = model(vec![choose("x", "y", one("Abs", "x"), one("Neg", "x"))], vec![]);
    assert_eq!(load(&m).expect("a model").graph.nodes.len(), 3);
    let wrong =
        model(vec![choose("w", "y", one("Abs", "x"), one("Neg", "x"))], vec![f32_tensor("w", &[1], &[1.0])]);
    assert!(error(&wrong).contains("expected one bool, found f32[1]"), "{}", error(&wrong));
}
