//! Graphs through the whole compiler, run and compared with the interpreter.
#![allow(missing_docs)]

use octrt::ops::def::binary::{Binary, BinaryFn};
use octrt::ops::graph::interp;
use octrt::ops::{DType, Dim, Graph, Tensor, TensorType};
use octrt::{Error, ErrorKind, InputError, LoadOptions, Model, TensorRef, Threads};

fn dynamic(name: &str) -> Dim {
    Dim::Dynamic(name.to_string())
}

/// `y = (a + b) * w`, `a` of `[n,3]`, `b` of `[n,3]`.
fn graph() -> Graph {
    let mut g = Graph::new("sum");
    let a = g.add_input("a", DType::F32, vec![dynamic("n"), Dim::Fixed(3)]);
    let b = g.add_input("b", DType::F32, vec![dynamic("n"), Dim::Fixed(3)]);
    let w = g.add_const("w", Tensor::new([3], &[1.0f32, 2.0, 3.0]).unwrap());
    let sum = g.add_node("sum", Binary { f: BinaryFn::Add }, vec![Some(a), Some(b)], &["s"]);
    let y = g.add_node("scale", Binary { f: BinaryFn::Mul }, vec![Some(sum[0]), Some(w)], &["y"]);
    g.add_output("y", y[0]);
    g
}
