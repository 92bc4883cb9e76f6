//! Quantised operators of domain `com.microsoft`: what they become.

use octrt_ops::Tensor;
use octrt_ops::graph::{interp, text};

use super::*;

const DOMAIN: &str = "com.microsoft";

/// A model of one node of the domain, which is declared with version 1.
fn model_of(op: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> ModelProto {
    let node = NodeProto { domain: DOMAIN.into(), ..node(op, inputs, &["y"], attribute) };
    let byte = |name: &str| TensorProto { int32_data: vec![1], ..tensor(name, DataType::Uint8, &[]) };
    let mut m = model(vec![node], vec![f32_tensor("s", &[], &[0.5]), byte("z")]);
    m.opset_import.push(OperatorSetIdProto { domain: DOMAIN.into(), version: 1 });
    m
}

/// Operators with their attributes and inputs, the constants by name.
fn nodes(m: &ModelProto) -> Vec<String> {
    let graph = load(m).expect("a graph").graph;
    let all: Vec<String> = text::print(&graph).lines().map(str::to_string).collect();
    let node =
        |l: &String| l.trim().strip_prefix('%').and_then(|l| l.split("\" ").nth(2)).map(str::to_string);
    all.iter().filter_map(node).collect()
}

const QUANTIZE: &str = "QuantizeLinear { axis = 1, block_size = 0, output_dtype = none, precision = none }";
const DEQUANTIZE: &str = "DequantizeLinear { axis = 1, block_size = 0 }";

/// That the nodes of `m` are `expected`, given with their inputs, between those that quantise.
#[track_caller]
fn between(m: &ModelProto, operands: usize, expected: &str) {
    let found = nodes(m);
    assert_eq!(found.len(), operands + 2, "{found:?}");
    assert!(found[..operands].iter().all(|n| n.starts_with(DEQUANTIZE)), "{found:?}");
    assert!(found[operands].starts_with(expected), "{found:?}");
    assert!(found[operands + 1].starts_with(QUANTIZE), "{found:?}");
}

#[test]
fn operators_on_numbers() {
    let unary = ["x", "s", "z", "s", "z"];
    let binary = ["x", "s", "z", "x", "s", "z", "s", "z"];
    between(&model_of("QLinearAdd", &binary, vec![]), 2, "Binary { kind = add }");
    between(&model_of("QLinearMul", &binary, vec![]), 2, "Binary { kind = mul }");
    between(&model_of("QLinearSigmoid", &unary, vec![]), 1, "Unary { kind = sigmoid }");
    let slope = vec![float("alpha", 0.5)];
    between(&model_of("QLinearLeakyRelu", &unary, slope), 1, "LeakyRelu { alpha = 0.5f }");
    let first = vec![int("channels_last", 0)];
    between(&model_of("QLinearGlobalAveragePool", &unary, first), 1, "GlobalPool { kind = average }");
    let kernel = vec![ints("kernel_shape", &[2, 2]), int("count_include_pad", 1)];
    between(&model_of("QLinearAveragePool", &unary, kernel), 1, "AveragePool { kernel = [2, 2]");
    let operands = ["s", "z", "x", "s", "z", "x", "s", "z", "x", "s", "z"];
    between(&model_of("QLinearConcat", &operands, vec![int("axis", 1)]), 3, "Concat { axis = 1 }");
}

#[test]
fn x_is_divided_in_the_type_of_the_scale() {
    let half = TensorProto { int32_data: vec![0x3800], ..tensor("h", DataType::Float16, &[]) };
    let precision_at = |opset: i64, scale: &str, attributes: Vec<AttributeProto>| {
        let quantize = node("QuantizeLinear", &["x", scale, "z"], &["y"], attributes);
        let byte = TensorProto { int32_data: vec![1], ..tensor("z", DataType::Uint8, &[]) };
        let mut m = model(vec![quantize], vec![f32_tensor("s", &[], &[0.5]), half.clone(), byte]);
        m.opset_import[0].version = opset;
        let found = nodes(&m);
        found[0]
            .split_once("precision = ")
            .expect("an attribute")
            .1
            .split_once(' ')
            .expect("an end")
            .0
            .to_string()
    };
    let precision = |scale: &str, attributes| precision_at(23, scale, attributes);
    let given = |elem: DataType| vec![int("precision", elem as i64)];
    assert_eq!(precision("s", vec![]), "none");
    assert_eq!(precision("h", vec![]), "f16");
    assert_eq!(precision_at(21, "h", vec![]), "none");
    assert_eq!(precision("h", given(DataType::Float)), "none");
    assert_eq!(precision("h", given(DataType::Bfloat16)), "bf16");
    assert_eq!(precision("s", given(DataType::Float16)), "f16");
}

#[test]
fn qgemm_sums_in_integers() {
    let tags = |inputs: &[&str], attributes| {
        let first = |n: &String| n.split_once(' ').map_or(n.clone(), |(tag, _)| tag.to_string());
        nodes(&model_of("QGemm", inputs, attributes)).iter().map(first).collect::<Vec<String>>().join(" ")
    };
    let all = ["x", "s", "z", "x", "s", "z", "x", "s", "z"];
    let turned = vec![int("transB", 1), float("alpha", 2.0)];
    let expected = "Transpose MatMulInteger Binary Cast Binary Binary Binary Binary QuantizeLinear";
    assert_eq!(tags(&all, turned), expected);
    assert_eq!(tags(&all[..6], vec![]), "MatMulInteger Cast Binary Binary Binary");
}

#[test]
fn errors() {
    let unary = ["x", "s", "z", "s", "z"];
    let last = |op: &str| model_of(op, &unary, vec![int("channels_last", 1)]);
    assert!(error(&last("QLinearGlobalAveragePool")).contains("channels_last is 1"));
    assert!(error(&model_of("QLinearAveragePool", &unary, vec![])).contains("'kernel_shape' is missing"));
    assert!(error(&model_of("QLinearSigmoid", &unary[..4], vec![])).contains("zero point is omitted"));
    assert!(error(&model_of("QLinearSigmoid", &["x", "", "z", "s"], vec![])).contains("input 1 is missing"));
    assert!(error(&model_of("QLinearConcat", &["s", "z"], vec![int("axis", 1)])).contains("found 2"));
    assert!(error(&model_of("QLinearConcat", &unary, vec![])).contains("'axis' is missing"));
    assert!(error(&model_of("Unknown", &unary, vec![])).contains("the operator is not supported"));
    let mut undeclared = model_of("QLinearSigmoid", &unary, vec![]);
    undeclared.opset_import.pop();
    assert!(error(&undeclared).contains("no opset of domain 'com.microsoft'"));
}

/// Scales of each direction and of each column; zero points and none.
#[test]
fn weights_of_lstm_become_numbers() {
    let lstm = |op: &str, inputs: &[&str], weights: Vec<TensorProto>| {
        let bidirectional = vec![text("direction", "bidirectional"), int("hidden_size", 1)];
        let mut node = node(op, inputs, &["y"], bidirectional);
        node.domain = if op == "LSTM" { String::new() } else { DOMAIN.into() };
        let mut m = model(vec![node], weights);
        m.opset_import.push(OperatorSetIdProto { domain: DOMAIN.into(), version: 1 });
        let graph = graph_of(&mut m);
        graph.input = vec![port("x", DataType::Float, &[2, 1, 2])];
        graph.output = vec![port("y", DataType::Float, &[2, 2, 1, 1])];
        let x = Tensor::new([2, 1, 2], &[0.5f32, -1.0, 2.0, 0.25]).expect("a tensor");
        interp::run(&load(&m).expect("a graph").graph, &[x]).expect("outputs").remove(0)
    };
    let (w, r): (Vec<i32>, Vec<i32>) =
        ((0..16).map(|i| i * 16).collect(), (0..8).map(|i| i * 5 - 20).collect());
    let bytes = |name: &str, elem, dims: &[i64], v: &[i32]| TensorProto {
        int32_data: v.to_vec(),
        ..tensor(name, elem, dims)
    };
    let r_scale: Vec<f32> = (1..9).map(|i| i as f32 / 64.0).collect();
    let quantised = lstm(
        "DynamicQuantizeLSTM",
        &["x", "w", "r", "", "", "", "", "", "ws", "wz", "rs", ""],
        vec![
            bytes("w", DataType::Uint8, &[2, 2, 4], &w),
            bytes("r", DataType::Int8, &[2, 1, 4], &r),
            f32_tensor("ws", &[2], &[0.0078125, 0.00390625]),
            bytes("wz", DataType::Uint8, &[2], &[128, 7]),
            f32_tensor("rs", &[2, 4], &r_scale),
        ],
    );
    // [direction, column, input]
    let numbers = |d: usize, i: usize, c: usize| {
        (w[d * 8 + i * 4 + c] - [128, 7][d]) as f32 * [0.0078125, 0.00390625][d]
    };
    let w: Vec<f32> = (0..16).map(|k| numbers(k / 8, k % 2, k / 2 % 4)).collect();
    let r: Vec<f32> = r.iter().zip(&r_scale).map(|(r, s)| *r as f32 * s).collect();
    let expected = lstm(
        "LSTM",
        &["x", "w", "r"],
        vec![f32_tensor("w", &[2, 4, 2], &w), f32_tensor("r", &[2, 4, 1], &r)],
    );
    assert_eq!(quantised, expected);
    assert!(expected.to_f64s().iter().all(|v| v.abs() > 1e-3), "{expected:?}");
}
