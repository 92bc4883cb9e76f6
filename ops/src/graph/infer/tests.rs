use super::*;
use crate::graph::{text, verify};
use crate::{DType, ValueId};

/// A batch of dynamic extent, flattened as exporters write it.
const FLATTEN: &str = r#"graph "g" {
  input %0 "x": f32[N,2,3]
  const %1: i64[1] = [0]
  const %2: i64[1] = [1]
  const %3: i64[1] = [-1]
  %4 = "shape" Shape { start = 0, end = none } (%0)
  %5 = "batch" Slice (%4, %1, %2)
  %6 = "target" Concat { axis = 0 } (%5, %3)
  %7 = "flat" Reshape { allow_zero = 0 } (%0, %6)
  output "y" = %7
}"#;

#[test]
fn shapes_that_are_computed_become_constants() {
    let graph = text::parse(FLATTEN, &[]).unwrap();
    let ty = TensorType::new(DType::F32, [5, 2, 3]);
    let typed = specialize(&graph, &[ty], Limits::default()).unwrap();
    verify::verify(&typed).unwrap();
    let names: Vec<&str> = typed.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["flat"]);
    assert_eq!(typed.ty(typed.outputs[0].value).unwrap().shape.dims(), [5, 6]);
    assert_eq!(typed.constant(ValueId(6)).unwrap().to_i64s(), Ok(vec![5, -1]));
}

#[test]
fn limits_hold_for_all_tensors_together() {
    let graph = text::parse(FLATTEN, &[]).unwrap();
    let ty = TensorType::new(DType::F32, [5, 2, 3]);
    let error = specialize(&graph, &[ty], Limits { max_bytes: 100 }).unwrap_err();
    assert!(matches!(error.source, OpError::TooLarge(_)), "{error}");
}
