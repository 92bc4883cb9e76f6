use super::*;
use crate::graph::infer::{Knowledge, Limits, specialize};
use crate::graph::{interp, text, verify};
use crate::{DType, Tensor, TensorType};

/// `squeeze` where axis 1 has one element, as exporters of PyTorch write it; the branches cannot both be right.
const SQUEEZE: &str = r#"graph "g" {
  input %0 "x": f32[N,C]
  const %1: i64[1] = [1]
  const %2: i64[1] = [2]
  const %3: i64[] = [1]
  %4 "shape" = n0 "shape" Shape { start = 0, end = none } (%0)
  %5 "channels" = n1 "channels" Slice (%4, %1, %2)
  %6 "one" = n2 "one" Compare { kind = equal } (%5, %3)
  %7 "narrow" = n3 "narrow" Squeeze (%0, %1)
  %8 "then" = n4 "then" Unary { kind = neg } (%7)
  %9 "else" = n5 "else" Unary { kind = abs } (%0)
  %10 "y" = n6 "if" If (%6, %8, %9)
  %11 "z" = n7 "z" Unary { kind = relu } (%10)
  output "z" = %11
  output "y" = %10
}"#;

fn f32s(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), values).unwrap()
}

fn graph(text: &str) -> Graph {
    let graph = text::parse(text, &[]).unwrap();
    verify::verify(&graph).unwrap();
    graph
}

fn specialized(graph: &Graph, shape: &[usize]) -> Result<Graph, GraphError> {
    specialize(graph, &[TensorType::new(DType::F32, shape.to_vec())], Limits::default())
}

#[test]
fn only_the_branch_that_is_taken_is_left() {
    let graph = graph(SQUEEZE);
    for (shape, expected) in [([2, 1], ["narrow", "then", "z"].as_slice()), ([2, 3], &["else", "z"])] {
        let typed = specialized(&graph, &shape).unwrap();
        verify::verify(&typed).unwrap();
        let names: Vec<&str> = typed.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, expected);
        assert!(typed.values.iter().all(|v| v.ty.is_some()));
        let outputs: Vec<&str> = typed.outputs.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(outputs, ["z", "y"]);
    }
}

#[test]
fn the_interpreter_takes_the_branch_too() {
    let graph = graph(SQUEEZE);
    let narrow = interp::run(&graph, &[f32s(&[2, 1], &[1.0, -2.0])]).unwrap();
    assert_eq!(narrow, [f32s(&[2], &[0.0, 2.0]), f32s(&[2], &[-1.0, 2.0])]);
    let wide = interp::run(&graph, &[f32s(&[1, 2], &[1.0, -2.0])]).unwrap();
    assert_eq!(wide, [f32s(&[1, 2], &[1.0, 2.0]), f32s(&[1, 2], &[1.0, 2.0])]);
}

#[test]
fn what_goes_wrong_in_a_branch_that_is_taken_is_an_error() {
    // The condition the other way round: axis 1 is squeezed where it has several elements.
    let graph = graph(&SQUEEZE.replace("If (%6, %8, %9)", "If (%6, %9, %8)"));
    let error = specialized(&graph, &[2, 3]).unwrap_err();
    assert_eq!((error.node.as_str(), error.op.as_str()), ("narrow", "Squeeze"));
    assert_eq!(interp::run(&graph, &[f32s(&[1, 2], &[1.0, -2.0])]).unwrap_err().node, "narrow");
    assert!(specialized(&graph, &[2, 1]).is_ok());
    assert!(interp::run(&graph, &[f32s(&[2, 1], &[1.0, -2.0])]).is_ok());
}

/// A branch within a branch, and conditions that are data.
const NESTED: &str = r#"graph "g" {
  input %0 "x": f32[2]
  input %1 "outer": bool[]
  const %2 "inner": bool[] = [1]
  const %3: i64[1] = [7]
  %4 "impossible" = n0 "impossible" Reshape { allow_zero = 0 } (%0, %3)
  %5 "a" = n1 "inner if" If (%2, %0, %4)
  %6 "b" = n2 "outer if" If (%1, %5, %4)
  output "y" = %6
}"#;

#[test]
fn conditions_that_are_data_are_refused_when_types_are_inferred() {
    let graph = graph(NESTED);
    let types = [TensorType::new(DType::F32, [2]), TensorType::new(DType::Bool, [])];
    let error = specialize(&graph, &types, Limits::default()).unwrap_err();
    assert_eq!(error.node, "outer if");
    assert!(matches!(error.source, OpError::DataDependent(_)), "{error}");
    // The interpreter knows the data.
    let x = f32s(&[2], &[1.0, 2.0]);
    let run = |outer: bool| interp::run(&graph, &[x.clone(), Tensor::scalar(outer)]);
    assert_eq!(run(true), Ok(vec![x.clone()]));
    assert_eq!(run(false).unwrap_err().node, "impossible");
}

#[test]
fn what_no_output_needs_whichever_branch_is_taken_is_told() {
    let needed = unconditional(&graph(SQUEEZE));
    assert_eq!(needed, [true, true, true, false, false, false, true, true]);
    assert_eq!(unconditional(&graph(NESTED)), [false, false, true]);
}

#[test]
fn conditions_are_known_from_shapes_and_from_constants_of_any_size() {
    let fixed = graph(&SQUEEZE.replace("f32[N,C]", "f32[2,1]"));
    let mut known = Knowledge::default();
    let condition = fixed.nodes[2].outputs[0];
    assert_eq!(known.constant(&fixed, condition), Some(&Tensor::new([1], &[true]).unwrap()));
    assert_eq!(known.constant(&fixed, fixed.outputs[0].value), None);
    assert_eq!(Knowledge::default().constant(&graph(SQUEEZE), condition), None);

    let large = graph(
        r#"graph "g" {
          const %0: f32[100000] = fill(2)
          const %1: f32[] = [200000]
          %2 = "negative" Unary { kind = neg } (%0)
          %3 = "sum" Reduce { kind = sum, keep_dims = 0, noop_with_empty_axes = 0 } (%2)
          %4 = "less" Compare { kind = less } (%3, %1)
          %5 = "if" If (%4, %0, %2)
          output "y" = %5
        }"#,
    );
    let condition = large.nodes[2].outputs[0];
    assert_eq!(Knowledge::default().constant(&large, condition), Some(&Tensor::scalar(true)));
    let typed = specialize(&large, &[], Limits::default()).unwrap();
    assert!(typed.nodes.is_empty(), "{typed:?}");
}

#[test]
fn knowledge_grows_with_the_graph() {
    let whole = graph(&SQUEEZE.replace("f32[N,C]", "f32[2,3]"));
    let mut known = Knowledge::default();
    let part =
        Graph { nodes: whole.nodes[..1].to_vec(), values: whole.values[..5].to_vec(), ..whole.clone() };
    let shape = whole.nodes[0].outputs[0];
    assert_eq!(known.constant(&part, shape).unwrap().to_i64s(), Ok(vec![2, 3]));
    let condition = whole.nodes[2].outputs[0];
    assert_eq!(known.constant(&whole, condition), Some(&Tensor::new([1], &[false]).unwrap()));
}
