//! Inputs that decide shapes by what they hold: models are compiled for it as for dimensions.
#![allow(missing_docs)]

mod support;

use std::path::Path;

use octrt::{Error, ErrorKind, InputError, LoadOptions, Model, Specialization};
use octrt_ops::graph::text::parse;
use octrt_ops::{DType, Graph, Tensor, TensorType};
use support::{interpret, run};

/// Every kind of use: a shape, computed from sizes and another input's shape; axes; a length of floats; data.
const GRAPH: &str = r#"graph "values" {
  input %0 "x": f32[N,2,6]
  input %1 "sizes": i64[2]
  input %2 "axes": i64[1]
  input %3 "index": i64[2]
  input %4 "limit": f32[]
  const %5: f32[] = [0]
  const %6: f32[] = [0.5]
  %7 = "batch" Shape { start = 0, end = 1 } (%0)
  %8 = "target" Concat { axis = 0 } (%7, %1)
  %9 = "reshape" Reshape { allow_zero = 0 } (%0, %8)
  %10 = "max" Reduce { kind = max, keep_dims = 0, noop_with_empty_axes = 0 } (%9, %2)
  %11 = "gather" Gather { axis = 1 } (%10, %3)
  %12 = "range" Range (%5, %4, %6)
  output "y" = %11
  output "r" = %12
  output "sizes2" = %1
}"#;

fn graph(text: &str) -> Graph {
    parse(text, &[]).unwrap_or_else(|e| panic!("{e}"))
}

fn model(text: &str) -> Model {
    Model::from_graph(graph(text), &LoadOptions::default()).unwrap()
}

fn reshape(input: &str) -> String {
    format!(
        "graph \"g\" {{\n input %0 \"x\": f32[2,3,4]\n input %1 \"shape\": {input}\n \
         %2 = \"r\" Reshape {{ allow_zero = 0 }} (%0, %1)\n output \"y\" = %2\n}}"
    )
}

fn ints(elements: &[i64]) -> Tensor {
    Tensor::new([elements.len()], elements).unwrap()
}

fn floats(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    Tensor::new(shape.to_vec(), &(0..count).map(|i| (i * 7 % 11) as f32).collect::<Vec<_>>()).unwrap()
}

/// Inputs of [`GRAPH`].
fn inputs(n: usize, sizes: [i64; 2], axis: i64, limit: f32) -> Vec<Tensor> {
    vec![floats(&[n, 2, 6]), ints(&sizes), ints(&[axis]), ints(&[0, -1]), Tensor::scalar(limit)]
}

/// Runs with values that come, go and come back; more of them than are kept.
fn all() -> Vec<Vec<Tensor>> {
    let mut sets = Vec::new();
    for (sizes, axis) in [([3, 4], 1), ([4, 3], -1), ([-1, 2], 2), ([12, 1], 1), ([1, -1], 1), ([6, 2], -2)] {
        for limit in [0.0, 2.25] {
            sets.push(inputs(1 + sets.len() % 2, sizes, axis, limit));
        }
    }
    sets
}

#[test]
fn runs_with_changing_values() {
    let model = model(GRAPH);
    assert_eq!(model.value_inputs(), [1, 2, 4]);
    let mut session = model.session().unwrap();
    assert!(session.specialization().is_none() && session.output_shapes().is_none());
    let sets = all();
    for (i, set) in sets.iter().chain(&sets).enumerate() {
        let found = run(&mut session, set).unwrap();
        assert_eq!(found, interpret(&model, set).unwrap(), "run {i}");
        let on = session.specialization().unwrap();
        let types: Vec<TensorType> = set.iter().map(|t| t.ty().clone()).collect();
        assert_eq!(on.types(), types);
        assert_eq!(on.values().keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
        assert!(on.values().iter().all(|(&i, v)| v.bytes() == set[i].bytes()));
    }
    // What decides nothing may change.
    let mut set = sets[0].clone();
    run(&mut session, &set).unwrap();
    let code = model.memory().unwrap().code_bytes;
    set[3] = ints(&[-1, 0]);
    assert_eq!(run(&mut session, &set).unwrap(), interpret(&model, &set).unwrap());
    assert_eq!(model.memory().unwrap().code_bytes, code);
}

/// The code of the last few values is kept, and no more.
#[test]
fn what_is_kept_is_bounded() {
    let model = model(&reshape("i64[1]").replace("f32[2,3,4]", "f32[N]"));
    let mut session = model.session().unwrap();
    let mut code = Vec::new();
    for _ in 0..12 {
        run(&mut session, &[floats(&[code.len() + 1]), ints(&[-1])]).unwrap();
        code.push(model.memory().unwrap().code_bytes);
    }
    assert_eq!(code[4], code[11], "{code:?}");
}

#[test]
fn many_threads_with_changing_values() {
    let model = model(GRAPH);
    let sets = all();
    let expected: Vec<Vec<Tensor>> = sets.iter().map(|s| interpret(&model, s).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (model, sets, expected) = (&model, &sets, &expected);
            scope.spawn(move || {
                let mut session = model.session().unwrap();
                for i in 0..20 {
                    let set = (thread + i / 2) % 4;
                    assert_eq!(run(&mut session, &sets[set]).unwrap(), expected[set], "{thread}, run {i}");
                }
            });
        }
    });
}

#[test]
fn types_alone_are_not_enough() {
    let model = model(&reshape("i64[2]"));
    assert_eq!(model.outputs()[0].to_string(), "f32[...]");
    let types = [TensorType::new(DType::F32, [2, 3, 4]), TensorType::new(DType::I64, [2])];
    let mut session = model.session().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.octrt");
    let specialized = model.specialized(&Specialization::new(types.clone())).map(|_| ());
    let errors = [session.prepare(&types), specialized, model.save(&types, &path)].map(Result::unwrap_err);
    for e in errors {
        assert!(matches!(&e, Error::Input(InputError::ValueNeeded { name, .. }) if name == "shape"), "{e}");
        for part in ["'shape' i64[2]", "node 'r' (Reshape)", "input 1 (shape)"] {
            assert!(e.to_string().contains(part), "{part}: {e}");
        }
    }
    let shape = |elements: &[i64]| octrt::Tensor::new(&[elements.len()], elements).unwrap();
    let on = Specialization::new(types).with_value(1, shape(&[4, 6]));
    session.prepare_on(&on).unwrap();
    assert_eq!(session.output_shapes().unwrap()[0].dims(), [4, 6]);
    assert_eq!(session.specialization(), Some(on.clone()));
    let other = on.clone().with_value(1, octrt::Tensor::new(&[2], &[4i32, 6]).unwrap());
    assert!(matches!(session.prepare_on(&other), Err(Error::Input(InputError::WrongType { .. }))));
    let other = on.with_value(1, shape(&[4, 6, 1]));
    assert!(matches!(session.prepare_on(&other), Err(Error::Input(InputError::WrongShape { .. }))));
}

#[test]
fn bad_values_are_the_callers_fault() {
    let model = model(GRAPH);
    let mut session = model.session().unwrap();
    let mut fail = |set: Vec<Tensor>| run(&mut session, &set).unwrap_err();
    let e = fail(inputs(1, [5, 5], 1, 1.0));
    assert!(matches!(e, Error::Input(InputError::Shapes { .. })), "{e}");
    for part in ["'x': f32[1,2,6]", "'sizes': i64[2] = [5, 5]", "node 'reshape' (Reshape)"] {
        assert!(e.to_string().contains(part), "{part}: {e}");
    }
    for (sizes, axis, limit) in [
        ([i64::MAX, i64::MIN], 1, 1.0),
        ([-1, -1], 1, 1.0),
        ([3, 4], 7, 1.0),
        ([3, 4], i64::MIN, 1.0),
        ([3, 4], 1, f32::NAN),
        ([3, 4], 1, f32::INFINITY),
    ] {
        let e = fail(inputs(1, sizes, axis, limit));
        assert_eq!(e.kind(), ErrorKind::Input, "{sizes:?} {axis} {limit}: {e}");
    }
    let e = fail(inputs(1, [3, 4], 1, 1e30));
    assert_eq!(e.kind(), ErrorKind::Limit, "{e}");
    assert!(e.to_string().contains("node 'range' (Range)"), "{e}");
    let mut wrong = inputs(1, [3, 4], 1, 1.0);
    wrong[1] = Tensor::new([2], &[3i32, 4]).unwrap();
    let e = fail(wrong);
    assert!(matches!(&e, Error::Input(InputError::WrongType { name, .. }) if name == "sizes"), "{e}");
    // The session is as good as before.
    let set = inputs(2, [4, 3], 1, 1.0);
    assert_eq!(run(&mut session, &set).unwrap(), interpret(&model, &set).unwrap());
}

#[test]
fn what_may_not_decide_shapes() {
    let load = |text: &str| Model::from_graph(graph(text), &LoadOptions::default());
    let e = load(&reshape("i64[8193]")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    for part in ["node 'r' (Reshape)", "'shape' i64[8193]", "65536 bytes"] {
        assert!(e.to_string().contains(part), "{part}: {e}");
    }
    let data = r#"graph "g" {
  input %0 "x": f32[1,3]
  const %1: f32[] = [0]
  const %2: f32[] = [1]
  %3 = "max" Reduce { kind = max, keep_dims = 0, noop_with_empty_axes = 0 } (%0)
  %4 = "range" Range (%1, %3, %2)
  output "y" = %4
}"#;
    let e = load(data).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    assert!(e.to_string().contains("node 'range' (Range)") && e.to_string().contains("'x' f32[1,3]"), "{e}");
}

#[test]
fn compiled_models_are_for_their_values() {
    let model = model(GRAPH);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.octrt");
    let set = inputs(2, [3, 4], 1, 1.75);
    let mut session = model.session().unwrap();
    let expected = run(&mut session, &set).unwrap();
    let on = session.specialization().unwrap();
    model.save_on(&on, &path).unwrap();
    let again = Model::load(&path, &LoadOptions::default()).unwrap();
    assert_eq!((again.value_inputs(), again.compiled_for()), (model.value_inputs(), Some(on.clone())));
    assert_eq!(model.compiled_for(), None);
    let mut session = again.session().unwrap();
    assert_eq!(session.specialization(), Some(on.clone()));
    assert_eq!(run(&mut session, &set).unwrap(), expected);
    session.prepare(on.types()).unwrap();
    assert_eq!(run(&mut session, &set).unwrap(), expected);
    let mut other = set.clone();
    other[1] = ints(&[4, 3]);
    let e = run(&mut session, &other).unwrap_err();
    assert!(matches!(&e, Error::Input(InputError::OtherValue { name, .. }) if name == "sizes"), "{e}");
    let message =
        "'sizes' decides a shape, and the model was compiled for [3, 4]: found [4, 3]; compile it again";
    assert_eq!(e.to_string(), message);
    other[1] = set[1].clone();
    other[3] = ints(&[1, 1]);
    assert_eq!(run(&mut session, &other).unwrap(), interpret(&model, &other).unwrap());
    let again = Model::from_bytes(std::fs::read(&path).unwrap(), &LoadOptions::default()).unwrap();
    assert_eq!(run(&mut again.session().unwrap(), &set).unwrap(), expected);
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn the_cache_folder_knows_values() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("cache");
    let bytes = octrt_onnx::export(&graph(GRAPH), &Default::default()).unwrap();
    let options = LoadOptions::default().with_cache_dir(dir.clone());
    let sets = [inputs(1, [3, 4], 1, 1.0), inputs(1, [4, 3], 1, 1.0), inputs(1, [3, 4], 1, 2.0)];
    for round in 0..2 {
        let model = Model::from_bytes(bytes.clone(), &options).unwrap();
        assert_eq!(model.value_inputs(), [1, 2, 4]);
        for (i, set) in sets.iter().enumerate() {
            let mut session = model.session().unwrap();
            assert_eq!(run(&mut session, set).unwrap(), interpret(&model, set).unwrap());
            assert_eq!(session.specialization().unwrap().values().len(), 3);
            assert_eq!(entries(&dir), if round == 0 { i + 1 } else { sets.len() });
        }
    }
    // What decides nothing makes no new entry.
    let mut set = sets[0].clone();
    set[3] = ints(&[1, 1]);
    let model = Model::from_bytes(bytes, &options).unwrap();
    assert_eq!(run(&mut model.session().unwrap(), &set).unwrap(), interpret(&model, &set).unwrap());
    assert_eq!(entries(&dir), sets.len());
}

/// The elements that callers hand in are of the model's type, the graph's are not.
#[test]
fn values_that_are_converted() {
    use octrt::TensorRef;
    use support::proto::{bytes, number};
    const DOUBLE: u64 = 11;
    // The shape is a list of dimensions, none or one with a name.
    let info = |name: &str, shape: &[u8]| {
        let tensor = [number(1, DOUBLE), bytes(2, shape)].concat();
        [bytes(1, name), bytes(2, bytes(1, tensor))].concat()
    };
    let operands = ["a", "b", "c"];
    let node = [operands.map(|n| bytes(1, n)).concat(), bytes(2, "y"), bytes(3, "range"), bytes(4, "Range")];
    let inputs = operands.map(|n| bytes(11, info(n, &[]))).concat();
    let output = bytes(12, info("y", &bytes(1, bytes(2, "n"))));
    let graph = [bytes(1, node.concat()), bytes(2, "g"), inputs, output].concat();
    let model = [number(1, 8), bytes(7, graph), bytes(8, number(2, 13))].concat();
    let model = Model::from_bytes(model, &LoadOptions::default()).unwrap();
    assert_eq!(model.value_inputs(), [0, 1, 2]);
    let mut session = model.session().unwrap();
    for limit in [2.0f64, 3.0, 2.0] {
        let [a, b, c] = [[1.0], [limit], [0.5]];
        let inputs = [("a", &a), ("b", &b), ("c", &c)].map(|(n, v)| (n, TensorRef::new(&[], v).unwrap()));
        let y = session.run(&inputs).unwrap();
        let expected: Vec<f64> =
            (0..((limit - 1.0) * 2.0) as i32).map(|i| 1.0 + f64::from(i) / 2.0).collect();
        assert_eq!(y[0].1.elements::<f64>().unwrap(), expected);
        assert_eq!(session.specialization().unwrap().values()[&1].elements::<f64>().unwrap(), [limit]);
    }
}
