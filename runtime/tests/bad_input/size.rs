//! Models that are small as files and large in every other respect: many operands, outputs, nodes, dimensions.

use std::time::{Duration, Instant};

use crate::build::*;
use crate::support::hostile::{Reached, survive};
use crate::support::proto::bytes;

/// Far more than any of these models takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn assert_results(what: &str, p: &Parts) {
    let start = Instant::now();
    assert_eq!(survive(&p.model(), 1 << 22), Reached::Results, "{what}");
    println!("{what} {:?}", start.elapsed());
    assert!(start.elapsed() < PATIENCE, "{what} took {:?}", start.elapsed());
}

#[test]
fn many_operands() {
    for op in ["Concat", "Sum", "Max"] {
        let attributes = if op == "Concat" { vec![int("axis", 0)] } else { vec![] };
        assert_results(op, &parts(vec![node(op, &vec!["x"; 5000], &["y"], &attributes)]));
    }
}

#[test]
fn many_outputs() {
    let names: Vec<String> = (0..3000).map(|i| format!("v{i}")).collect();
    let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut p = parts(vec![node("Split", &["x"], &outputs, &[int("axis", 0)])]).input(&[D::N(3000)]);
    p.outputs = names.iter().map(|n| bytes(1, n)).collect();
    assert_results("Split", &p);
}

#[test]
fn deep_chains() {
    let n = 2_000;
    let names: Vec<String> = (0..n).map(|i| format!("v{i}")).collect();
    for op in ["Relu", "Identity"] {
        let mut nodes = vec![node(op, &["x"], &["v0"], &[])];
        nodes.extend(names.windows(2).map(|w| node(op, &[w[0].as_str()], &[w[1].as_str()], &[])));
        // In reverse order: the importer sorts.
        nodes.insert(0, node("Add", &[names[n - 1].as_str(), "x"], &["y"], &[]));
        nodes.reverse();
        assert_results(op, &parts(nodes));
    }
}

#[test]
fn many_different_nodes() {
    let names: Vec<String> = (0..200).map(|i| format!("v{i}")).collect();
    let mut nodes = vec![node("Relu", &["x"], &["v0"], &[])];
    for (i, w) in names.windows(2).enumerate() {
        let slope = float("alpha", i as f32 / 1000.0);
        nodes.push(node("LeakyRelu", &[w[0].as_str()], &[w[1].as_str()], &[slope]));
    }
    nodes.push(node("Add", &["v199", "x"], &["y"], &[]));
    assert_results("LeakyRelu", &parts(nodes));
}

#[test]
fn high_ranks() {
    for rank in [8, 64, 1000] {
        let mut dims = vec![1i64; rank];
        (dims[0], dims[rank / 2], dims[rank - 1]) = (2, 3, 2);
        let shape: Vec<D> = dims.iter().map(|&d| D::N(d)).collect();
        let ones = i64s("ones", &[rank as i64], &vec![1; rank]);
        let window = [ints("kernel_shape", &vec![1; rank - 2])];
        let nodes = [
            node("Relu", &["x"], &["y"], &[]),
            node("Transpose", &["x"], &["y"], &[]),
            node("ReduceSum", &["x"], &["y"], &[]),
            node("Softmax", &["x"], &["y"], &[]),
            node("Tile", &["x", "ones"], &["y"], &[]),
            node("Concat", &["x", "x"], &["y"], &[int("axis", -1)]),
            node("MatMul", &["x", "t"], &["y"], &[]),
            node("MaxPool", &["x"], &["y"], &window),
            node("GlobalAveragePool", &["x"], &["y"], &[]),
            node("Gather", &["x", "ones"], &["y"], &[int("axis", 0)]),
        ];
        for (i, n) in nodes.into_iter().enumerate() {
            let mut nodes = vec![n];
            if i == 6 {
                let mut perm: Vec<i64> = (0..rank as i64).collect();
                perm.swap(rank - 2, rank - 1);
                nodes.insert(0, node("Transpose", &["x"], &["t"], &[ints("perm", &perm)]));
            }
            let mut p = parts(nodes).input(&shape);
            if [4, 9].contains(&i) {
                p = p.with(ones.clone());
            }
            assert_results(&format!("rank {rank}, node {i}"), &p);
        }
    }
}
