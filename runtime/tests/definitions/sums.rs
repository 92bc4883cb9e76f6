//! Long sums as machine code against sums in f64: errors are bounded by twice those of ONNX Runtime 1.32 on the same
//! problems and data of the same distribution, on every target, and are the same for any number of threads.

use octrt::{LoadOptions, Model, Threads};
use octrt_compiler::{Precision, Target};
use octrt_ops::def::conv::Conv;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::graph::interp;
use octrt_ops::window::Window;
use octrt_ops::{DType, Dim, Graph, Op, Tensor};

use crate::check::{Random, targets};
use crate::support::{largest, run};

/// A graph of operators one after the other, each with constants behind its first input.
struct Problem {
    name: &'static str,
    graph: Graph,
    src: Tensor,
}

fn problem(name: &'static str, src: Tensor, nodes: Vec<(Op, Vec<Tensor>)>) -> Problem {
    let mut graph = Graph::new("sums");
    let dims = src.shape().iter().map(|&d| Dim::Fixed(d)).collect();
    let mut x = graph.add_input("x", src.dtype(), dims);
    for (i, (op, constants)) in nodes.into_iter().enumerate() {
        let constants: Vec<_> =
            constants.into_iter().enumerate().map(|(k, t)| graph.add_const(format!("c{i}.{k}"), t)).collect();
        let inputs = [x].into_iter().chain(constants).map(Some).collect();
        x = graph.add_node(format!("n{i}"), op, inputs, &[&format!("y{i}")])[0];
    }
    graph.add_output("y", x);
    Problem { name, graph, src }
}

/// Numbers in [0, 1).
fn positive(random: &mut Random, shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::new(shape.to_vec(), &(0..n).map(|_| random.float().abs()).collect::<Vec<_>>()).unwrap()
}

/// Numbers of both signs whose distribution is bell-shaped, with a deviation of 1.
fn normal(random: &mut Random, shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let mut one = || (0..12).map(|_| random.float() / 2.0).sum::<f32>();
    Tensor::new(shape.to_vec(), &(0..n).map(|_| one()).collect::<Vec<_>>()).unwrap()
}

fn average() -> Op {
    GlobalPool { kind: GlobalPoolKind::Average }.into()
}

fn softmax(axis: i64) -> Op {
    Softmax { axis, span: SoftmaxSpan::Axis, log: false }.into()
}

fn mean(axes: &[i64]) -> (Op, Vec<Tensor>) {
    let op = Reduce { kind: ReduceKind::Mean, keep_dims: true, noop_with_empty_axes: false };
    (op.into(), vec![Tensor::new([axes.len()], axes).unwrap()])
}

/// A convolution with as much padding as stride less 1.
fn conv(stride: usize, group: usize, wei: Tensor) -> (Op, Vec<Tensor>) {
    let op = Conv {
        window: Window { strides: vec![stride; 2], pads: vec![stride - 1; 4], ..Window::default() },
        group,
    };
    (op.into(), vec![wei])
}

/// A pointwise convolution that changes nothing: behind it, channels lie in blocks.
fn blocks(channels: usize) -> (Op, Vec<Tensor>) {
    let mut wei = vec![0.0f32; channels * channels];
    wei.iter_mut().step_by(channels + 1).for_each(|w| *w = 1.0);
    conv(1, 1, Tensor::new([channels, channels, 1, 1], &wei).unwrap())
}

fn gemm(random: &mut Random, shape: [usize; 2]) -> (Op, Vec<Tensor>) {
    let op = Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true };
    (op.into(), vec![normal(random, &shape)])
}

fn outputs(p: &Problem, target: Target, threads: Threads) -> Vec<Tensor> {
    let options =
        LoadOptions::default().with_target(target).with_precision(Precision::Strict).with_threads(threads);
    let model = Model::from_graph(p.graph.clone(), &options).unwrap();
    run(&mut model.session().unwrap(), std::slice::from_ref(&p.src)).unwrap()
}

/// Checks problems with bounds of the largest error, as a part of the largest expected magnitude.
fn check(problems: Vec<(Problem, f64)>) {
    let mut failures = Vec::new();
    for (p, bound) in problems {
        let expected = interp::run(&p.graph, std::slice::from_ref(&p.src)).unwrap().remove(0);
        for target in targets() {
            let found = outputs(&p, target, Threads::one()).remove(0);
            let pairs = found.to_f64s().into_iter().zip(expected.to_f64s());
            let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest(&expected);
            println!("{} on {target}: {error:.2e} of {bound:.2e}", p.name);
            if error.is_nan() || error > bound {
                failures.push(format!("{} on {target}: {error:.2e}, expected at most {bound:.2e}", p.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn averages() {
    let mut r = Random(1);
    let map = |r: &mut Random, shape: &[usize]| positive(r, shape);
    check(vec![
        (
            problem("average of 2048x2048", map(&mut r, &[1, 1, 2048, 2048]), vec![(average(), vec![])]),
            1.3e-5,
        ),
        (problem("average of 512x512", map(&mut r, &[1, 4, 512, 512]), vec![(average(), vec![])]), 3.9e-6),
        (problem("average of 56x56", map(&mut r, &[2, 4, 56, 56]), vec![(average(), vec![])]), 5.0e-7),
        (
            problem(
                "blocked average of 512x512",
                map(&mut r, &[1, 16, 512, 512]),
                vec![blocks(16), (average(), vec![])],
            ),
            3.9e-6,
        ),
        (
            problem(
                "blocked average of 3x40000",
                map(&mut r, &[1, 16, 3, 40_000]),
                vec![blocks(16), (average(), vec![])],
            ),
            3.9e-6,
        ),
        (problem("mean of 262144", map(&mut r, &[1, 1, 262_144]), vec![mean(&[2])]), 7.7e-7),
        (problem("means of 768", map(&mut r, &[64, 768]), vec![mean(&[1])]), 3.7e-7),
        (problem("means of 768 outer", map(&mut r, &[2, 768, 64]), vec![mean(&[1])]), 1.0e-6),
        (problem("means of 256x256", map(&mut r, &[1, 8, 256, 256]), vec![mean(&[2, 3])]), 1.8e-6),
    ]);
}

#[test]
fn softmax_denominators() {
    let mut r = Random(2);
    let of = |name, src, axis| problem(name, src, vec![(softmax(axis), vec![])]);
    let mut one = vec![0.0f32; 18_385];
    one[7] = 17.0;
    check(vec![
        (of("softmax of 262144", positive(&mut r, &[1, 262_144]), 1), 1.4e-6),
        (of("softmax of 262144 normal", normal(&mut r, &[1, 262_144]), 1), 6.6e-7),
        (of("softmax of a 17 and zeros", Tensor::new([1, 18_385], &one).unwrap(), 1), 9.5e-5),
        (of("softmax of 18385", normal(&mut r, &[2, 10, 18_385]), -1), 3.1e-7),
        (of("softmax of 3000 outer", normal(&mut r, &[1, 3000, 8]), 1), 3.1e-7),
    ]);
}

#[test]
fn a_softmax_of_many_sums_to_one() {
    let mut src = vec![0.0f32; 18_385];
    src[7] = 17.0;
    let p = problem("17", Tensor::new([1, 18_385], &src).unwrap(), vec![(softmax(1), vec![])]);
    let top = 1.0 / (1.0 + 18_384.0 * (-17.0f64).exp());
    for target in targets() {
        let y = outputs(&p, target, Threads::one()).remove(0).to_f64s();
        let sum: f64 = y.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "{target}: sums to {sum}");
        assert!((y[7] - top).abs() < 1e-5, "{target}: {} instead of {top}", y[7]);
    }
}

#[test]
fn products() {
    let mut r = Random(3);
    let mut of = |name, m: usize, k: usize| {
        let (src, node) = (normal(&mut r, &[m, k]), gemm(&mut r, [32, k]));
        problem(name, src, vec![node])
    };
    let mut problems = vec![
        (of("gemm 1x100000x32", 1, 100_000), 9.3e-7),
        (of("gemm 8x100000x32", 8, 100_000), 9.6e-7),
        (of("gemm 8x4608x32", 8, 4608), 5.8e-7),
        (of("gemm 1x2048x32", 1, 2048), 6.2e-7),
    ];
    let (src, wei) = (normal(&mut r, &[1, 2048, 8, 8]), normal(&mut r, &[32, 2048, 3, 3]));
    problems.push((problem("conv of 2048 channels", src, vec![conv(2, 1, wei)]), 6.0e-7));
    let (src, wei) = (normal(&mut r, &[1, 2048, 14, 14]), normal(&mut r, &[64, 128, 3, 3]));
    problems.push((problem("conv of 16 groups of 128 channels", src, vec![conv(2, 16, wei)]), 5.2e-7));
    // The weights are not known before the run: the definition is what is compiled.
    let mut graph = Graph::new("sums");
    let x = graph.add_input("x", DType::F32, vec![Dim::Fixed(16), Dim::Fixed(4608)]);
    let t =
        graph.add_node("t", octrt_ops::def::transpose::Transpose { perm: vec![1, 0] }, vec![Some(x)], &["t"])
            [0];
    let y = graph.add_node("n", MatMul {}, vec![Some(x), Some(t)], &["y"])[0];
    graph.add_output("y", y);
    problems.push((Problem { name: "matmul 16x4608x16", graph, src: normal(&mut r, &[16, 4608]) }, 9.0e-7));
    check(problems);
}

#[test]
fn threads_do_not_change_sums() {
    let mut r = Random(4);
    let problems = [
        problem("softmax", normal(&mut r, &[3, 18_385]), vec![(softmax(1), vec![])]),
        problem("softmax of outer axes", normal(&mut r, &[2, 3000, 5]), vec![(softmax(1), vec![])]),
        problem("average", normal(&mut r, &[1, 3, 200, 300]), vec![(average(), vec![])]),
        problem("blocked average", normal(&mut r, &[2, 20, 30, 1300]), vec![blocks(20), (average(), vec![])]),
        problem("mean", normal(&mut r, &[5, 4099]), vec![mean(&[0, 1])]),
        problem(
            "grouped conv",
            normal(&mut r, &[1, 1200, 5, 5]),
            vec![conv(2, 3, normal(&mut r, &[30, 400, 3, 3]))],
        ),
        problem("gemm", normal(&mut r, &[5, 3001]), vec![gemm(&mut r, [70, 3001])]),
        problem("conv", normal(&mut r, &[1, 700, 5, 5]), vec![conv(2, 1, normal(&mut r, &[40, 700, 3, 3]))]),
    ];
    for p in problems {
        for target in targets() {
            let one = outputs(&p, target, Threads::one());
            for n in [2, 3] {
                assert_eq!(outputs(&p, target, Threads::new(n).unwrap()), one, "{} on {target}", p.name);
            }
        }
    }
}

/// What is added to a sum is larger than its terms, as it is behind a folded normalisation: no term is rounded as it is.
#[test]
fn biases_larger_than_the_terms() {
    let mut r = Random(7);
    let mut convolved = |name, [c, oc, extent, kernel]: [usize; 4], group: usize| {
        let (op, mut constants) = conv(1, group, normal(&mut r, &[oc, c / group, kernel, kernel]));
        let bias: Vec<f32> = (0..oc).map(|i| 60_000.0 + i as f32).collect();
        constants.push(Tensor::new([oc], &bias).unwrap());
        let src = normal(&mut r, &[1, c, extent, extent]);
        // An ulp of the bias, which a sum of its own is rounded to by half of one.
        (problem(name, src, vec![(op, constants)]), 2f64.powi(-8) / 60_000.0)
    };
    check(vec![
        convolved("1x1 of 64 channels", [64, 48, 6, 1], 1),
        convolved("1x1 of 2048 channels", [2048, 32, 7, 1], 1),
        convolved("3x3 of 64 channels", [64, 32, 9, 3], 1),
        convolved("7x7 of 3 channels", [3, 32, 20, 7], 1),
        convolved("depthwise", [32, 32, 9, 3], 32),
        convolved("groups of 4", [32, 32, 9, 3], 8),
        convolved("groups of 20", [40, 40, 9, 3], 2),
    ]);
}
