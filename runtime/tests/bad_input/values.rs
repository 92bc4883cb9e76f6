//! Models whose nodes do not fit each other, ask for too much, or meet values that they must not.

use octrt::{Error, ErrorKind, Model, Tensor, TensorRef};

use crate::build::*;
use crate::models::{case, check, with_weight};
use crate::support::hostile::{MEMORY, options};
use crate::support::proto::bytes;

#[test]
fn shapes_that_do_not_fit() {
    use ErrorKind::Corrupt;
    let gemm = |w: Vec<u8>, a: &[Vec<u8>]| with_weight("Gemm", w, a);
    let norm = parts(vec![node("BatchNormalization", &["x", "w", "w", "w", "w"], &["y"], &[])]);
    let joined = parts(vec![node("Concat", &["x", "w"], &["y"], &[int("axis", 0)])]);
    let w = |dims: &[i64]| f32s("w", dims, &vec![1.0; dims.iter().product::<i64>() as usize]);
    let places = |v: &[i64]| i64s("w", &[v.len() as i64], v);
    let cases = vec![
        case("broadcast", with_weight("Add", w(&[4]), &[]), Corrupt, &["'add' (Add)", "[2,3]", "[4]"]),
        case("matmul", with_weight("MatMul", w(&[2, 2]), &[]), Corrupt, &["'matmul' (MatMul)", "3", "2"]),
        case("gemm", gemm(w(&[4, 2]), &[]), Corrupt, &["'gemm' (Gemm)", "3", "4"]),
        case("gemm transposed", gemm(w(&[3, 2]), &[int("transB", 1)]), Corrupt, &["'gemm' (Gemm)", "3", "2"]),
        case("gemm rank", gemm(w(&[3]), &[]), Corrupt, &["'gemm' (Gemm)", "[3]"]),
        case("norm", norm.with(w(&[2])), Corrupt, &["(BatchNormalization)", "3", "[2]"]),
        case("concat", joined.with(w(&[1, 4])), Corrupt, &["'concat' (Concat)", "[2,3]", "[1,4]"]),
        case("reshape", with_weight("Reshape", places(&[7]), &[]), Corrupt, &["(Reshape)", "[2,3]", "7"]),
        case("two unknown", with_weight("Reshape", places(&[-1, -1]), &[]), Corrupt, &["(Reshape)", "-1"]),
        case("negative", with_weight("Reshape", places(&[-2, -3]), &[]), Corrupt, &["(Reshape)", "-2"]),
        case("expand", with_weight("Expand", places(&[2, 4]), &[]), Corrupt, &["(Expand)", "[2,3]", "[2,4]"]),
        case("gather", with_weight("Gather", places(&[2]), &[]), Corrupt, &["(Gather)", "-2 to 1", "2"]),
        case("squeeze", with_weight("Squeeze", places(&[0]), &[]), Corrupt, &["(Squeeze)", "2"]),
        case("unsqueeze", with_weight("Unsqueeze", places(&[9]), &[]), Corrupt, &["(Unsqueeze)", "9"]),
        case("split", with_weight("Split", places(&[1, 2]), &[]), Corrupt, &["(Split)"]),
        case("tile", with_weight("Tile", places(&[1]), &[]), Corrupt, &["(Tile)", "2", "1"]),
        case("tile negative", with_weight("Tile", places(&[1, -1]), &[]), Corrupt, &["(Tile)", "-1"]),
        case("pad", with_weight("Pad", places(&[1, 1]), &[]), Corrupt, &["(Pad)", "4", "2"]),
        case("missing input", parts(vec![node("MatMul", &["x"], &["y"], &[])]), Corrupt, &["(MatMul)", "1"]),
        case(
            "integers",
            with_weight("Add", places(&[1, 2, 3]), &[]),
            Corrupt,
            &["(Add)", "f32[2,3]", "i64[3]"],
        ),
    ];
    check(cases);
}

#[test]
fn tensors_beyond_the_limit() {
    use ErrorKind::Limit;
    let numbers = |v: &[i64]| i64s("w", &[v.len() as i64], v);
    let filled = parts(vec![node("ConstantOfShape", &["w"], &["y"], &[])]);
    let from = |v: &[i64]| filled.clone().with(numbers(v));
    let with = |op: &str, v: &[i64]| with_weight(op, numbers(v), &[]);
    // Each node doubles its input.
    let names: Vec<String> = std::iter::once("x".into()).chain((1..40).map(|i| format!("v{i}"))).collect();
    let double = |w: &[String]| node("Concat", &[&w[0], &w[0]], &[w[1].as_str()], &[int("axis", 0)]);
    let mut doubling: Vec<Vec<u8>> = names.windows(2).map(double).collect();
    doubling.push(node("Relu", &["v39"], &["y"], &[]));
    let range = parts(vec![node("Range", &["a", "b", "c"], &["y"], &[])])
        .with(i64s("a", &[], &[0]))
        .with(i64s("b", &[], &[i64::MAX]))
        .with(i64s("c", &[], &[1]));
    let weights = with_weight("Add", f32s("w", &[20_000], &[0.5; 20_000]), &[]).input(&[D::N(20_000)]);
    check(vec![
        case(
            "fill",
            from(&[1 << 20, 1 << 20]),
            Limit,
            &["'constantofshape' (ConstantOfShape)", "limit is 65536"],
        ),
        case("overflow", from(&[i64::MAX, i64::MAX]), Limit, &["'constantofshape' (ConstantOfShape)"]),
        case("expand", with("Expand", &[1 << 40, 1, 1]), Limit, &["'expand' (Expand)", "limit is 65536"]),
        case("tile", with("Tile", &[1 << 32, 1 << 20]), Limit, &["'tile' (Tile)", "limit is 65536"]),
        case("pad", with("Pad", &[0, 0, 0, 1 << 33]), Limit, &["'pad' (Pad)", "limit is 65536"]),
        case("range", range, Limit, &["'range' (Range)"]),
        case("doubling", parts(doubling), Limit, &["'concat' (Concat)", "limit is 65536"]),
        case("weights", weights, Limit, &["limit is 65536"]),
    ]);
}

#[test]
fn shapes_that_depend_on_data() {
    let p = parts(vec![
        node("Cast", &["x"], &["c"], &[int("to", I64 as i64)]),
        node("Reshape", &["c", "list"], &["s"], &[]),
        named_node("head", "Reshape", &["x", "s"], &["y"], &[]),
    ]);
    let e = Model::from_bytes(p.with(i64s("list", &[1], &[-1])).model(), &options(MEMORY)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    let message = e.to_string();
    assert!(message.contains("'head' (Reshape)") && message.contains("known before the model runs"), "{e}");
    assert!(message.contains("input 'x' f32[2,3]"), "{e}");
}

/// A shape that is an input: of another number of elements, too large, negative.
#[test]
fn shapes_that_a_run_gives() {
    let mut p = parts(vec![named_node("head", "Reshape", &["x", "s"], &["y"], &[])]);
    p.inputs.push(value("s", I64, &[D::N(2)]));
    let model = Model::from_bytes(p.model(), &options(MEMORY)).unwrap();
    let x = Tensor::new(&[2, 3], &[0.5f32; 6]).unwrap();
    let mut session = model.session().unwrap();
    let mut run = |shape: [i64; 2]| {
        let s = Tensor::new(&[2], &shape).unwrap();
        session.run(&[("x", x.view()), ("s", s.view())]).map(|y| y[0].1.shape().to_vec())
    };
    for (bad, kind) in [
        ([2, 4], ErrorKind::Input),
        ([i64::MAX, i64::MAX], ErrorKind::Limit),
        ([1 << 40, 1], ErrorKind::Input),
        ([-1, -1], ErrorKind::Input),
        ([-2, -3], ErrorKind::Input),
        ([i64::MIN, 1], ErrorKind::Input),
    ] {
        let e = run(bad).unwrap_err();
        assert_eq!(e.kind(), kind, "{bad:?}: {e}");
        assert!(e.to_string().contains("'head' (Reshape)"), "{bad:?}: {e}");
        assert_eq!(run([3, -1]).unwrap(), [3, 2]);
    }
}

/// `y = x * w`, `w` f32`[3]`, `x` f32`[n,3]`.
fn scale(w: [f32; 3]) -> Model {
    let p = with_weight("Mul", f32s("w", &[3], &w), &[]).input(&[D::Named("n"), D::N(3)]);
    Model::from_bytes(p.model(), &options(MEMORY)).unwrap()
}

#[test]
fn weights_that_are_no_numbers_are_told_and_computed_with() {
    let model = scale([f32::NAN, f32::INFINITY, 2.0]);
    let expected =
        ["initializer 'w': 1 of 3 elements are NaN", "initializer 'w': 1 of 3 elements are infinite"];
    assert_eq!(model.warnings(), expected);
    let x = Tensor::new(&[1, 3], &[1.0f32, -1.0, 4.0]).unwrap();
    let y = model.session().unwrap().run(&[("x", x.view())]).unwrap();
    let [a, b, c] = *y[0].1.elements::<f32>().unwrap() else { panic!("{:?}", y[0]) };
    assert!(a.is_nan() && b == f32::NEG_INFINITY && c == 8.0, "{a} {b} {c}");
    assert!(scale([1.0, 2.0, 3.0]).warnings().is_empty());
}

#[test]
fn inputs_of_a_run_that_do_not_fit() {
    let mut session = scale([1.0, 2.0, 3.0]).session().unwrap();
    let f32s = [0.5f32; 6];
    let ok = TensorRef::new(&[2, 3], &f32s).unwrap();
    let mut refused = |inputs: &[(&str, TensorRef<'_>)], says: &[&str]| {
        let e = session.run(inputs).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Input, "{e}");
        assert!(says.iter().all(|s| e.to_string().contains(s)), "{says:?} in: {e}");
    };
    refused(&[], &["'x'", "missing", "f32[n,3]"]);
    refused(&[("z", ok)], &["'z'", "'x'"]);
    refused(&[("x", ok), ("x", ok)], &["'x'", "twice"]);
    refused(&[("x", TensorRef::new(&[3, 2], &f32s).unwrap())], &["'x'", "f32[n,3]", "f32[3,2]"]);
    refused(&[("x", TensorRef::new(&[6], &f32s).unwrap())], &["'x'", "f32[n,3]", "f32[6]"]);
    refused(&[("x", TensorRef::new(&[2, 3], &[1i64; 6]).unwrap())], &["'x'", "f32", "i64[2,3]"]);
    refused(&[("x", TensorRef::new(&[2, 3], &[1.0f64; 6]).unwrap())], &["'x'", "f32", "f64[2,3]"]);
    assert!(TensorRef::new(&[2, 4], &f32s).is_err());
    let results = session.run(&[("x", ok)]).unwrap();
    assert_eq!(results[0].1.elements::<f32>().unwrap(), [0.5, 1.0, 1.5, 0.5, 1.0, 1.5]);
    let many = vec![0.0f32; 60_000];
    let large = [("x", TensorRef::new(&[20_000, 3], &many).unwrap())];
    let e = session.run(&large).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Limit, "{e}");
}

#[test]
fn indices_out_of_range_are_found_when_the_model_runs() {
    let mut p = parts(vec![named_node("rows", "Gather", &["t", "i"], &["y"], &[])]);
    p.inputs = vec![value("i", I64, &[D::Named("n")])];
    p.outputs = vec![bytes(1, "y")];
    let model = p.with(f32s("t", &[3, 1], &[1.0, 2.0, 3.0])).model();
    let mut session = Model::from_bytes(model, &options(MEMORY)).unwrap().session().unwrap();
    let mut rows = |i: &[i64]| -> Result<Vec<f32>, Error> {
        let y = session.run(&[("i", TensorRef::new(&[i.len()], i)?)])?;
        Ok(y[0].1.elements::<f32>()?.to_vec())
    };
    assert_eq!(rows(&[0, 2, -1, -3]).unwrap(), [1.0, 3.0, 3.0, 1.0]);
    for wrong in [3, -4, i64::MIN, i64::MAX] {
        let e = rows(&[0, wrong]).unwrap_err();
        assert!(matches!(&e, Error::Check { node, .. } if node == "rows"), "{e}");
        assert!(e.to_string().contains("-3 to 2"), "{e}");
    }
    assert_eq!(rows(&[]).unwrap(), [0.0f32; 0]);
}
