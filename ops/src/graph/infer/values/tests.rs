use super::*;
use crate::graph::{interp, text, verify};

/// The graph of the lines of a text.
fn graph(lines: &str) -> Graph {
    text::parse(&format!("graph \"g\" {{\n{lines}\n}}"), &[]).unwrap_or_else(|e| panic!("{e}"))
}

fn types(tensors: &[Tensor]) -> Vec<TensorType> {
    tensors.iter().map(|t| t.ty().clone()).collect()
}

fn ints(elements: &[i64]) -> Tensor {
    Tensor::new([elements.len()], elements).unwrap()
}

fn floats(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    Tensor::new(shape.to_vec(), &(0..count).map(|i| i as f32 - 3.0).collect::<Vec<_>>()).unwrap()
}

/// Specialises on the tensors, checks that the result means the same, and returns the inputs that became constants.
fn taken(graph: &Graph, tensors: &[Tensor]) -> Vec<usize> {
    let value = |i: usize| Some(tensors[i].clone());
    let found = specialize_on(graph, &types(tensors), &value, Limits::default());
    let Specialized { graph: fixed, values } = found.unwrap_or_else(|e| panic!("{e:?}"));
    verify::verify(&fixed).unwrap();
    let name = |g: &Graph, i: usize| g.value(g.inputs[i].value).name.clone();
    assert_eq!(fixed.inputs.len(), graph.inputs.len());
    assert!((0..fixed.inputs.len()).all(|i| name(&fixed, i) == name(graph, i)));
    assert!(fixed.nodes.iter().flat_map(|n| &n.outputs).all(|v| fixed.value(*v).ty.is_some()));
    assert_eq!(interp::run(&fixed, tensors).unwrap(), interp::run(graph, tensors).unwrap());
    assert!(values.iter().all(|(&i, t)| *t == tensors[i]));
    values.into_keys().collect()
}

fn error(graph: &Graph, tensors: &[Tensor]) -> GraphError {
    let value = |i: usize| Some(tensors[i].clone());
    match specialize_on(graph, &types(tensors), &value, Limits::default()) {
        Err(SpecializeError::Graph(e)) => e,
        other => panic!("{other:?}"),
    }
}

fn needed(graph: &Graph, tensors: &[Tensor]) -> Vec<usize> {
    needs(graph, &types(tensors)).inputs.into_iter().collect()
}

const RESHAPE: &str = r#"
  input %0 "x": f32[2,3,4]
  input %1 "shape": i64[2]
  %2 = "y" Reshape { allow_zero = 0 } (%0, %1)
  output "y" = %2"#;

#[test]
fn an_input_that_is_a_shape() {
    let graph = graph(RESHAPE);
    let tensors = [floats(&[2, 3, 4]), ints(&[6, -1])];
    assert_eq!((taken(&graph, &tensors), needed(&graph, &tensors)), (vec![1], vec![1]));
    assert_eq!(needs(&graph, &types(&tensors)).outputs, [Some(DType::F32)]);
    let e = error(&graph, &[floats(&[2, 3, 4]), ints(&[5, 5])]);
    assert!(matches!(e.source, OpError::Invalid(_)) && e.op == "Reshape", "{e}");
}

#[test]
fn what_is_not_given_is_asked_for() {
    let graph = graph(RESHAPE);
    let found =
        specialize_on(&graph, &types(&[floats(&[2, 3, 4]), ints(&[6, 4])]), &|_| None, Limits::default());
    match found {
        Err(SpecializeError::ValueNeeded { input: 1, source }) => {
            assert_eq!((source.node.as_str(), source.op.as_str()), ("y", "Reshape"));
            assert!(source.source.message().contains("input 1 (shape)"), "{source}");
        }
        other => panic!("{other:?}"),
    }
    let other = |_| Some(ints(&[6, 4, 1]));
    let found =
        specialize_on(&graph, &types(&[floats(&[2, 3, 4]), ints(&[6, 4])]), &other, Limits::default());
    let Err(SpecializeError::Graph(e)) = found else { panic!("{found:?}") };
    assert_eq!(e.to_string(), "'shape': input: expected i64[2], found i64[3]");
}

#[test]
fn several_inputs_of_one_node() {
    let graph = graph(
        r#"
  input %0 "x": f32[5,6]
  input %1 "starts": i64[2]
  input %2 "ends": i64[2]
  input %3 "axes": i64[2]
  input %4 "steps": i64[2]
  %5 = "y" Slice (%0, %1, %2, %3, %4)
  output "y" = %5"#,
    );
    let tensors = [floats(&[5, 6]), ints(&[0, 5]), ints(&[4, -9]), ints(&[0, 1]), ints(&[1, -2])];
    assert_eq!((taken(&graph, &tensors), needed(&graph, &tensors)), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
}

/// Sizes go through casts, arithmetic and lists, together with what a shape says; floats decide lengths.
#[test]
fn what_is_computed_of_inputs() {
    let graph = graph(
        r#"
  input %0 "x": f32[N,3]
  input %1 "size": i32[1]
  input %2 "limit": f32[]
  const %3: i64[1] = [2]
  const %4: f32[] = [0]
  const %5: f32[] = [0.5]
  %6 = "shape" Shape { start = 0, end = 1 } (%0)
  %7 = "wide" Cast { to = i64 } (%1)
  %8 = "twice" Binary { kind = mul } (%7, %3)
  %9 = "target" Concat { axis = 0 } (%8, %6, %3)
  %10 = "sum" Reduce { kind = sum, keep_dims = 1, noop_with_empty_axes = 0 } (%0)
  %11 = "y" Expand (%10, %9)
  %12 = "z" Range (%4, %2, %5)
  output "y" = %11
  output "z" = %12"#,
    );
    let tensors = [floats(&[4, 3]), Tensor::new([1], &[3i32]).unwrap(), Tensor::scalar(2.75f32)];
    assert_eq!((taken(&graph, &tensors), needed(&graph, &tensors)), (vec![1, 2], vec![1, 2]));
    assert_eq!(needs(&graph, &types(&tensors)).outputs, [Some(DType::F32); 2]);
}

#[test]
fn what_decides_nothing_stays_an_input() {
    let graph = graph(
        r#"
  input %0 "x": f32[5,6]
  input %1 "index": i64[2]
  input %2 "shape": i64[1]
  %3 = "g" Gather { axis = 0 } (%0, %1)
  %4 = "y" Reshape { allow_zero = 0 } (%3, %2)
  output "y" = %4"#,
    );
    let tensors = [floats(&[5, 6]), ints(&[4, -1]), ints(&[12])];
    assert_eq!((taken(&graph, &tensors), needed(&graph, &tensors)), (vec![2], vec![2]));
}

/// An input that is an output too stays one, whatever the nodes read.
#[test]
fn an_input_that_is_an_output() {
    let graph = graph(&RESHAPE.replace("output \"y\" = %2", "output \"y\" = %2\n output \"s\" = %1"));
    assert_eq!(taken(&graph, &[floats(&[2, 3, 4]), ints(&[24, 1])]), [1]);
}

/// Shapes behind one that is not known are made up.
#[test]
fn needs_behind_needs() {
    let graph = graph(
        r#"
  input %0 "x": f32[2,12]
  input %1 "shape": i64[3]
  input %2 "pads": i64[6]
  input %3 "axes": i64[1]
  input %4 "index": i64[1]
  %5 = "r" Reshape { allow_zero = 0 } (%0, %1)
  %6 = "p" Pad { mode = constant } (%5, %2)
  %7 = "m" Reduce { kind = max, keep_dims = 0, noop_with_empty_axes = 0 } (%6, %3)
  %8 = "g" Gather { axis = 1 } (%7, %4)
  output "y" = %8"#,
    );
    let tensors = [floats(&[2, 12]), ints(&[2, 3, 4]), ints(&[0, 1, 0, 0, 0, 2]), ints(&[-1]), ints(&[1])];
    assert_eq!((taken(&graph, &tensors), needed(&graph, &tensors)), (vec![1, 2, 3], vec![1, 2, 3]));
}

#[test]
fn data_do_not_decide_shapes() {
    let graph = graph(
        r#"
  input %0 "x": f32[1,3]
  const %1: f32[] = [0]
  const %2: f32[] = [1]
  const %3: i64[1] = [1]
  %4 = "max" Reduce { kind = max, keep_dims = 0, noop_with_empty_axes = 0 } (%0)
  %5 = "range" Range (%1, %4, %2)
  output "y" = %5"#,
    );
    let e = error(&graph, &[floats(&[1, 3])]);
    assert!(matches!(e.source, OpError::DataDependent(_)), "{e}");
    for part in ["node 'range' (Range)", "input 1 (limit)", "'x' f32[1,3]", "at most 64 floats"] {
        assert!(e.to_string().contains(part), "{part}: {e}");
    }
    assert!(needed(&graph, &[floats(&[1, 3])]).is_empty());
}

#[test]
fn large_values_do_not_decide_shapes() {
    let graph = graph(&RESHAPE.replace("i64[2]", "i64[N]"));
    let large = ints(&vec![1; VALUE_BYTES / 8 + 1]);
    let e = error(&graph, &[floats(&[2, 3, 4]), large]);
    assert!(matches!(e.source, OpError::DataDependent(_)), "{e}");
    assert!(e.to_string().contains("'shape' i64[8193]") && e.to_string().contains("65536 bytes"), "{e}");
    assert!(may_decide(&TensorType::new(DType::I64, [VALUE_BYTES / 8])));
    assert!(!may_decide(&TensorType::new(DType::F32, [VALUE_FLOATS + 1])));
    assert!(!may_decide(&TensorType::new(DType::I64, [usize::MAX, usize::MAX])));
}

/// What is not there yet breaks no rule.
#[test]
fn graphs_that_wait_for_values_are_valid() {
    verify::verify(&graph(RESHAPE)).unwrap();
}

/// The condition of an If is asked for, and what decides shapes in the branch that it takes: nothing of the other branch.
#[test]
fn conditions_decide_what_else_is_asked_for() {
    let graph = graph(
        r#"
  input %0 "x": f32[2,3]
  input %1 "rate": i64[]
  input %2 "then_shape": i64[2]
  input %3 "else_shape": i64[1]
  const %4: i64[] = [16000]
  %5 = "is_wide" Compare { kind = equal } (%1, %4)
  %6 = "a" Reshape { allow_zero = 0 } (%0, %2)
  %7 = "b" Reshape { allow_zero = 0 } (%0, %3)
  %8 = "if" If (%5, %6, %7)
  %9 = "z" Unary { kind = neg } (%8)
  output "z" = %9"#,
    );
    let tensors =
        |rate: i64| [floats(&[2, 3]), Tensor::new([], &[rate]).unwrap(), ints(&[3, 2]), ints(&[-1])];
    assert_eq!(taken(&graph, &tensors(16_000)), [1, 2]);
    assert_eq!(taken(&graph, &tensors(8_000)), [1, 3]);
    let unasked = |rate: i64, i: usize| {
        let value = |k: usize| (k != i).then(|| tensors(rate)[k].clone());
        specialize_on(&graph, &types(&tensors(rate)), &value, Limits::default())
    };
    assert!(unasked(16_000, 3).is_ok() && unasked(8_000, 2).is_ok());
    for (rate, input, node) in [(16_000, 1, "if"), (16_000, 2, "a"), (8_000, 3, "b")] {
        match unasked(rate, input) {
            Err(SpecializeError::ValueNeeded { input: found, source }) => {
                assert_eq!((found, source.node.as_str()), (input, node));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Behind a node that takes none of the extents tried, element types are not made up.
#[test]
fn element_types_are_told_where_they_follow() {
    let graph = graph(
        r#"
  input %0 "x": i8[?,3]
  input %1 "shape": i64[2]
  const %2: i64[2] = [2, 7]
  %3 = "wide" Expand (%0, %2)
  %4 = "late" Unary { kind = neg } (%3)
  %5 = "early" Reshape { allow_zero = 0 } (%0, %1)
  %6 = "after" Unary { kind = neg } (%5)
  output "a" = %4
  output "b" = %6"#,
    );
    let found = needs(&graph, &[TensorType::new(DType::I8, [64, 3]), TensorType::new(DType::I64, [2])]);
    assert_eq!(found.outputs, [None, Some(DType::I8)]);
}
