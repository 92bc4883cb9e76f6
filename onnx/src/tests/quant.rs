//! Quantised operators of domain `com.microsoft`: what they become.

use octrt_ops::graph::text;

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
