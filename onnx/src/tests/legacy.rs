//! Opsets 1 to 6: what their attributes mean, by the numbers that come out.

use octrt_ops::Tensor;
use octrt_ops::graph::interp;

use super::*;

/// `y` of one node of `x`, f32 of `shape` with the elements 0, 1, ..., and of `initializers`.
fn run(opset: i64, n: NodeProto, shape: &[usize], initializers: Vec<TensorProto>) -> Tensor {
    let mut m = with_opset(model(vec![n], initializers), opset);
    let dims: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
    graph_of(&mut m).input[0] = port("x", DataType::Float, &dims);
    let m = load(&m).expect("a model");
    assert_eq!(m.warnings, Vec::<String>::new());
    let elements: Vec<f32> = (0..shape.iter().product::<usize>()).map(|i| i as f32).collect();
    let x = Tensor::new(shape.to_vec(), &elements).expect("a tensor");
    interp::run(&m.graph, &[x]).expect("a result").remove(0)
}

fn f32s(t: &Tensor) -> Vec<f32> {
    t.to_vec().expect("floats")
}

#[test]
fn the_second_operand_lies_along_an_axis() {
    let add = |attributes| node("Add", &["x", "w"], &["y"], attributes);
    let w = || vec![f32_tensor("w", &[2], &[10.0, 20.0])];
    let y = run(6, add(vec![int("broadcast", 1), int("axis", 1)]), &[1, 2, 2, 1], w());
    assert_eq!(f32s(&y), [10.0, 11.0, 22.0, 23.0]);
    // An axis that is counted from the end; the last ones without any.
    let y = run(
        1,
        add(vec![int("broadcast", 1), int("axis", -2), ints("consumed_inputs", &[0, 0])]),
        &[2, 2],
        w(),
    );
    assert_eq!(f32s(&y), [10.0, 11.0, 22.0, 23.0]);
    let y = run(6, add(vec![int("broadcast", 1)]), &[2, 2], w());
    assert_eq!(f32s(&y), [10.0, 21.0, 12.0, 23.0]);
    let y = run(6, node("Sub", &["x", "x"], &["y"], vec![]), &[2], vec![]);
    assert_eq!(f32s(&y), [0.0, 0.0]);
    let less = node("Less", &["x", "w"], &["y"], vec![int("broadcast", 1), int("axis", 0)]);
    let y = run(1, less, &[2, 2], vec![f32_tensor("w", &[2], &[1.0, 3.0])]);
    assert_eq!(y.to_vec::<bool>(), Ok(vec![true, false, true, false]));
}

#[test]
fn slopes_are_per_channel() {
    let prelu = || node("PRelu", &["x", "w"], &["y"], vec![]);
    let negated = |shape: &[usize], w: TensorProto| f32s(&run(6, prelu(), shape, vec![w]));
    assert_eq!(negated(&[1, 2, 2], f32_tensor("w", &[2], &[2.0, 3.0])), [0.0, 1.0, 2.0, 3.0]);
    // Data below zero shows the slopes.
    let nodes = vec![node("Neg", &["x"], &["n"], vec![]), node("PRelu", &["n", "w"], &["y"], vec![])];
    for (w, expected) in [
        (f32_tensor("w", &[2], &[2.0, 3.0]), [0.0, -2.0, -6.0, -9.0]),
        (f32_tensor("w", &[1], &[2.0]), [0.0, -2.0, -4.0, -6.0]),
        (f32_tensor("w", &[2, 1], &[2.0, 3.0]), [0.0, -2.0, -6.0, -9.0]),
    ] {
        let mut m = with_opset(model(nodes.clone(), vec![w]), 6);
        graph_of(&mut m).input[0] = port("x", DataType::Float, &[1, 2, 2]);
        let m = load(&m).expect("a model");
        let x = Tensor::new([1, 2, 2], &[0f32, 1.0, 2.0, 3.0]).expect("a tensor");
        assert_eq!(f32s(&interp::run(&m.graph, &[x]).expect("a result")[0]), expected);
    }
}

#[test]
fn what_became_inputs_was_attributes() {
    let reshape = node("Reshape", &["x"], &["y"], vec![ints("shape", &[0, -1])]);
    assert_eq!(run(1, reshape, &[2, 3, 2], vec![]).shape().dims(), [2, 6]);
    let pad = node("Pad", &["x"], &["y"], vec![ints("paddings", &[1, 0]), float("value", 7.0)]);
    assert_eq!(f32s(&run(1, pad, &[2], vec![])), [7.0, 0.0, 1.0]);
    let cast = node("Cast", &["x"], &["y"], vec![text("to", "INT64")]);
    assert_eq!(run(1, cast, &[2], vec![]).to_vec::<i64>(), Ok(vec![0, 1]));
    let concat = node("Concat", &["x", "x"], &["y"], vec![]);
    assert_eq!(f32s(&run(1, concat, &[2, 1], vec![])), [0.0, 0.0, 1.0, 1.0]);
    let upsample =
        node("Upsample", &["x"], &["y"], vec![float("height_scale", 1.0), float("width_scale", 2.0)]);
    assert_eq!(f32s(&run(1, upsample, &[1, 1, 2, 1], vec![])), [0.0, 0.0, 1.0, 1.0]);
    let smooth = vec![float("height_scale", 2.0), float("width_scale", 1.0), text("mode", "bilinear")];
    let y = run(1, node("Upsample", &["x"], &["y"], smooth), &[1, 1, 2, 1], vec![]);
    assert_eq!(f32s(&y), [0.0, 0.5, 1.0, 1.0]);
    let clip = node("Clip", &["x"], &["y"], vec![float("min", 1.0), ints("consumed_inputs", &[0])]);
    assert_eq!(f32s(&run(1, clip, &[3], vec![])), [1.0, 1.0, 2.0]);
}

#[test]
fn tiles_lie_along_one_axis() {
    let tile = || node("Tile", &["x", "copies", "axis"], &["y"], vec![]);
    let numbers = |axis| vec![f32_tensor("copies", &[], &[2.0]), f32_tensor("axis", &[], &[axis])];
    assert_eq!(f32s(&run(1, tile(), &[2, 1], numbers(0.0))), [0.0, 1.0, 0.0, 1.0]);
    assert_eq!(f32s(&run(1, tile(), &[2, 1], numbers(1.0))), [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn splits_take_their_sizes_from_either() {
    let split = |inputs: &[&str], attributes| {
        let nodes = vec![
            node("Split", inputs, &["a", "b"], attributes),
            node("Concat", &["b", "a"], &["y"], vec![int("axis", 0)]),
        ];
        let mut m = with_opset(model(nodes, vec![f32_tensor("sizes", &[2], &[1.0, 2.0])]), 1);
        graph_of(&mut m).input[0] = port("x", DataType::Float, &[3]);
        let m = load(&m).expect("a model");
        let x = Tensor::new([3], &[0f32, 1.0, 2.0]).expect("a tensor");
        f32s(&interp::run(&m.graph, &[x]).expect("a result")[0])
    };
    assert_eq!(split(&["x"], vec![ints("split", &[1, 2])]), [1.0, 2.0, 0.0]);
    assert_eq!(split(&["x", "sizes"], vec![]), [1.0, 2.0, 0.0]);
}

#[test]
fn products_and_normalisations() {
    let gemm = node("Gemm", &["x", "w", "b"], &["y"], vec![int("broadcast", 1)]);
    let weights = vec![f32_tensor("w", &[2, 1], &[1.0, 2.0]), f32_tensor("b", &[1], &[5.0])];
    assert_eq!(f32s(&run(6, gemm, &[1, 2], weights)), [7.0]);
    let ones = || f32_tensor("w", &[1], &[1.0]);
    let inputs = ["x", "w", "w", "w", "w"];
    let stored =
        vec![int("is_test", 1), int("spatial", 1), float("epsilon", 0.0), ints("consumed_inputs", &[0; 5])];
    let norm = node("BatchNormalization", &inputs, &["y"], stored);
    assert_eq!(f32s(&run(1, norm, &[2, 1], vec![ones()])), [0.0, 1.0]);
    let dropout = node("Dropout", &["x"], &["y", "mask"], vec![int("is_test", 1), float("ratio", 0.5)]);
    assert_eq!(f32s(&run(6, dropout, &[2], vec![])), [0.0, 1.0]);
}

#[test]
fn wrong_types_are_told() {
    let cast =
        |to| error(&with_opset(model(vec![node("Cast", &["x"], &["y"], vec![text("to", to)])], vec![]), 1));
    assert!(cast("real").contains("attribute 'to': 'real' is no element type"));
    assert!(cast("STRING").contains("conversion to string"));
}
