//! Graphs through the whole compiler, run and compared with the interpreter.
#![allow(missing_docs)]

use octrt::{Error, ErrorKind, InputError, LoadOptions, Model, Specialization, TensorRef, Threads};
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::graph::interp;
use octrt_ops::{DType, Dim, Graph, Tensor, TensorType};

fn dynamic(name: &str) -> Dim {
    Dim::Dynamic(name.to_string())
}

/// `y = (a + b) * w`, `a` of `[n,3]`, `b` of `[n,3]`.
fn graph() -> Graph {
    let mut g = Graph::new("sum");
    let a = g.add_input("a", DType::F32, vec![dynamic("n"), Dim::Fixed(3)]);
    let b = g.add_input("b", DType::F32, vec![dynamic("n"), Dim::Fixed(3)]);
    let w = g.add_const("w", Tensor::new([3], &[1.0f32, 2.0, 3.0]).unwrap());
    let sum = g.add_node("sum", Binary { kind: BinaryKind::Add }, vec![Some(a), Some(b)], &["s"]);
    let y = g.add_node("scale", Binary { kind: BinaryKind::Mul }, vec![Some(sum[0]), Some(w)], &["y"]);
    g.add_output("y", y[0]);
    g
}

fn inputs(n: usize) -> [Vec<f32>; 2] {
    [(0..n * 3).map(|i| i as f32 / 3.0).collect(), (0..n * 3).map(|i| 1.0 - i as f32).collect()]
}

fn expected(n: usize) -> Vec<f32> {
    let tensors = inputs(n).map(|x| Tensor::new([n, 3], &x).unwrap());
    interp::run(&graph(), &tensors).unwrap()[0].to_vec().unwrap()
}

#[test]
fn dynamic_dimensions_are_planned_anew() {
    let model = Model::from_graph(graph(), &LoadOptions::default()).unwrap();
    assert_eq!(model.inputs()[1].to_string(), "f32[n,3]");
    assert!(model.fixed_input_types().is_none());
    let mut session = model.session().unwrap();
    for n in [1, 4, 4000, 4, 1, 2, 3, 5, 6, 1] {
        let ([a, b], shape) = (inputs(n), [n, 3]);
        let a = TensorRef::new(&shape, &a).unwrap();
        let b = TensorRef::new(&shape, &b).unwrap();
        let y = session.run(&[("b", b), ("a", a)]).unwrap();
        assert_eq!(y[0].1.elements::<f32>().unwrap(), expected(n));
    }
}

#[test]
fn threads_change_nothing() {
    let n = 50_001;
    let model = Model::from_graph(graph(), &LoadOptions::default()).unwrap();
    let ([a, b], shape) = (inputs(n), [n, 3]);
    for count in [1, 2] {
        let mut session = model.session().unwrap().with_threads(Threads::new(count).unwrap());
        let a = TensorRef::new(&shape, &a).unwrap();
        let b = TensorRef::new(&shape, &b).unwrap();
        let y = session.run(&[("a", a), ("b", b)]).unwrap();
        assert_eq!(y[0].1.elements::<f32>().unwrap(), expected(n));
    }
}

#[test]
fn dimensions_of_one_name_are_equal() {
    let mut session = Model::from_graph(graph(), &LoadOptions::default()).unwrap().session().unwrap();
    let a = TensorRef::new(&[1, 3], &[0.0f32; 3]).unwrap();
    let b = TensorRef::new(&[2, 3], &[0.0f32; 6]).unwrap();
    let e = session.run(&[("a", a), ("b", b)]).unwrap_err();
    assert!(matches!(e, Error::Input(InputError::DimsDiffer { .. })), "{e}");
    assert_eq!(e.to_string(), "'b': dimension 'n' is 1 in another input, found f32[2,3]");
}

#[test]
fn graphs_that_break_a_rule_are_refused() {
    let mut g = graph();
    g.nodes[1].inputs[0] = Some(octrt_ops::ValueId(99));
    let e = Model::from_graph(g, &LoadOptions::default()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt);
}

#[test]
fn the_limit_covers_the_tensors_of_a_run() {
    let options = LoadOptions::default().with_max_memory(1000);
    let model = Model::from_graph(graph(), &options).unwrap();
    let e = model
        .specialized(&Specialization::new([(); 2].map(|()| TensorType::new(DType::F32, [100, 3]))))
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Limit);
}
