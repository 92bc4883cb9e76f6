//! ONNX models that no exporter would write.
#![allow(dead_code)]

use octrt_onnx::Bytes;

use crate::support::proto::{bytes, number};

pub use crate::support::proto::elem::{F32, I64};

/// An extent as a model declares it.
#[derive(Clone, Copy)]
pub enum D {
    N(i64),
    Named(&'static str),
}

/// The parts of a model.
#[derive(Clone)]
pub struct Parts {
    pub nodes: Vec<Vec<u8>>,
    pub initializers: Vec<Vec<u8>>,
    pub inputs: Vec<Vec<u8>>,
    pub outputs: Vec<Vec<u8>>,
    pub functions: Vec<Vec<u8>>,
    /// Domain and version.
    pub opsets: Vec<(&'static str, u64)>,
}

/// A model of opset 17 with input `x` f32`[2,3]` and output `y`.
pub fn parts(nodes: Vec<Vec<u8>>) -> Parts {
    Parts {
        nodes,
        initializers: vec![],
        inputs: vec![value("x", F32, &[D::N(2), D::N(3)])],
        outputs: vec![bytes(1, "y")],
        functions: vec![],
        opsets: vec![("", 17)],
    }
}

impl Parts {
    #[must_use]
    pub fn with(mut self, initializer: Vec<u8>) -> Self {
        self.initializers.push(initializer);
        self
    }

    /// With `x` as its only input.
    #[must_use]
    pub fn input(mut self, dims: &[D]) -> Self {
        self.inputs = vec![value("x", F32, dims)];
        self
    }

    pub fn model(&self) -> Bytes {
        let graph: Vec<u8> =
            [(1, &self.nodes), (5, &self.initializers), (11, &self.inputs), (12, &self.outputs)]
                .into_iter()
                .flat_map(|(field, messages)| messages.iter().flat_map(move |m| bytes(field, m)))
                .chain(bytes(2, "bad"))
                .collect();
        let opset =
            |&(domain, version): &(&str, u64)| bytes(8, [bytes(1, domain), number(2, version)].concat());
        let opsets: Vec<u8> = self.opsets.iter().flat_map(opset).collect();
        let functions: Vec<u8> = self.functions.iter().flat_map(|f| bytes(25, f)).collect();
        [number(1, 8), bytes(7, graph), opsets, functions].concat().into()
    }
}

fn strings(field: u64, names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|n| bytes(field, n)).collect()
}

/// A node named as its operator in small letters.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    named_node(&op.to_lowercase(), op, inputs, outputs, attributes)
}

pub fn named_node(
    name: &str,
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    let attributes: Vec<u8> = attributes.iter().flat_map(|a| bytes(5, a)).collect();
    [strings(1, inputs), strings(2, outputs), bytes(3, name), bytes(4, op), attributes].concat()
}

/// A function of domain `f`.
pub fn function(name: &str, input: &str, output: &str, nodes: &[Vec<u8>]) -> Vec<u8> {
    let nodes: Vec<u8> = nodes.iter().flat_map(|n| bytes(7, n)).collect();
    let opset = |domain, version| bytes(9, [bytes(1, domain), number(2, version)].concat());
    [bytes(1, name), bytes(4, input), bytes(5, output), nodes, opset("", 17), opset("f", 1), bytes(10, "f")]
        .concat()
}

/// A call of a function of domain `f`.
pub fn call(name: &str, input: &str, output: &str) -> Vec<u8> {
    [named_node(name, name, &[input], &[output], &[]), bytes(7, "f")].concat()
}

pub fn int(name: &str, v: i64) -> Vec<u8> {
    [bytes(1, name), number(3, v as u64), number(20, 2)].concat()
}

pub fn ints(name: &str, v: &[i64]) -> Vec<u8> {
    let v: Vec<u8> = v.iter().flat_map(|&v| number(8, v as u64)).collect();
    [bytes(1, name), v, number(20, 7)].concat()
}

pub fn float(name: &str, v: f32) -> Vec<u8> {
    [bytes(1, name), vec![2 << 3 | 5], v.to_le_bytes().to_vec(), number(20, 1)].concat()
}

/// A tensor of any element type from its raw bytes, whatever its extents say.
pub fn tensor(name: &str, elem: u64, dims: &[i64], raw: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&d| number(1, d as u64)).collect();
    [dims, number(2, elem), bytes(8, name), bytes(9, raw)].concat()
}

pub fn f32s(name: &str, dims: &[i64], v: &[f32]) -> Vec<u8> {
    tensor(name, F32, dims, &v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
}

pub fn i64s(name: &str, dims: &[i64], v: &[i64]) -> Vec<u8> {
    tensor(name, I64, dims, &v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
}

pub fn value(name: &str, elem: u64, dims: &[D]) -> Vec<u8> {
    let dim = |d: &D| match d {
        D::N(n) => bytes(1, number(1, *n as u64)),
        D::Named(name) => bytes(1, bytes(2, name)),
    };
    let shape: Vec<u8> = dims.iter().flat_map(dim).collect();
    let tensor = [number(1, elem), bytes(2, shape)].concat();
    [bytes(1, name), bytes(2, bytes(1, tensor))].concat()
}
