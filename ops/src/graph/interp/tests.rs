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
