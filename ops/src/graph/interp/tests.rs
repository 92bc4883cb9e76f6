use super::*;
use crate::graph::text;

fn f32s(values: &[f32]) -> Tensor {
    Tensor::new([values.len()], values).unwrap()
}

#[test]
fn outputs_may_show_inputs_and_constants() {
    let text = r#"graph "g" {
        input %0 "x": f32[N]
        const %1: f32[1] = [5]
        output "x again" = %0
        output "five" = %1
        output "x once more" = %0
    }"#;
    let graph = text::parse(text, &[]).unwrap();
    let (x, five) = (f32s(&[1.0, 2.0]), f32s(&[5.0]));
    assert_eq!(run(&graph, std::slice::from_ref(&x)), Ok(vec![x.clone(), five, x]));
}

#[test]
fn inputs_must_fit_their_declaration() {
    let text = r#"graph "g" {
        input %0 "x": f32[N]
        input %1 "y": f32[N]
        output "z" = %0
    }"#;
    let graph = text::parse(text, &[]).unwrap();
    let message = |inputs: &[Tensor]| run(&graph, inputs).unwrap_err().to_string();
    assert_eq!(message(&[]), "'g': expected 2 inputs, found 0");
    assert_eq!(message(&[f32s(&[1.0]), Tensor::scalar(1i64)]), "'y': input: expected f32[N], found i64[]");
    assert_eq!(
        message(&[f32s(&[1.0]), f32s(&[1.0, 2.0])]),
        "'y': input: dimension 'N' is 1 elsewhere, found f32[2]"
    );
}

/// `(x + c) * x` with an unused minus in between.
const ARITHMETIC: &str = r#"graph "g" {
  input %0 "x": f32[N]
  const %1: f32[1] = [1]
  %2 = "sum" Binary { kind = add } (%0, %1)
  %3 = "unused" Unary { kind = neg } (%2)
  %4 = "product" Binary { kind = mul } (%2, %0)
  output "y" = %4
  output "sum" = %2
}"#;

#[test]
fn nodes_run_in_order_and_are_seen() {
    let graph = text::parse(ARITHMETIC, &[]).unwrap();
    let mut seen = Vec::new();
    let outputs =
        run_visiting(&graph, &[f32s(&[1.0, 2.0])], &mut |id, values| seen.push((id, values.to_vec())))
            .unwrap();
    assert_eq!(outputs, [f32s(&[2.0, 6.0]), f32s(&[2.0, 3.0])]);
    let values = [[2.0, 3.0], [-2.0, -3.0], [2.0, 6.0]];
    let expected: Vec<_> = (0..).map(NodeId).zip(values.map(|v| vec![f32s(&v)])).collect();
    assert_eq!(seen, expected);
}

#[test]
fn errors_name_the_node() {
    let graph = text::parse(&ARITHMETIC.replace("f32[1] = [1]", "i64[1] = [1]"), &[]).unwrap();
    let message = run(&graph, &[f32s(&[1.0])]).unwrap_err().to_string();
    assert!(message.starts_with("node 'sum' (Add): "), "{message}");
    let graph = text::parse(&ARITHMETIC.replace("%3 =", "%3: f32[7] ="), &[]).unwrap();
    let message = run(&graph, &[f32s(&[1.0])]).unwrap_err().to_string();
    assert_eq!(message, "node 'unused' (Neg): output 0: expected f32[7], found f32[1]");
}
