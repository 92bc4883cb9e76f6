//! Functions of one and two numbers at NaN, infinities, zeros, halves and where results overflow or cancel: compiled
//! code, as vectors and element by element, against the reference.
#![allow(missing_docs)]

mod support;

use octrt::{LoadOptions, Model};
use octrt_ops::compute;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::compare::{Compare, CompareKind};
use octrt_ops::def::concat::Concat;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::expr::Scalar;
use octrt_ops::graph::{interp, text};
use octrt_ops::window::Window;
use octrt_ops::{DType, Dim, Graph, Op, Tensor, TensorType};
use support::{Tolerance, compare_all, run};

/// Below the smallest normal number compiled code has zeros.
const TOLERANCE: Tolerance = Tolerance { absolute: 1.2e-38, relative: 2e-6 };

const F32S: [f32; 40] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    0.0,
    -0.0,
    f32::MAX,
    f32::MIN,
    1e-30,
    -1e-30,
    88.72,
    88.73,
    -87.3,
    -88.0,
    -103.0,
    0.5,
    1.5,
    2.5,
    -0.5,
    -1.5,
    1.0,
    -1.0,
    3.0,
    -3.0,
    1e10,
    -1e10,
    2147483648.0,
    -2147483904.0,
    9.3e18,
    255.5,
    256.0,
    -0.9,
    20.0,
    -20.0,
    0.99999994,
    1.0000001,
    0.1,
    -0.1,
    1e-4,
    -7.0,
    10.0,
];

const I64S: [i64; 15] = [0, 1, -1, 2, -2, 3, 7, -7, i64::MAX, i64::MIN, 255, 256, 1 << 31, (1 << 24) + 1, 65];

/// The numbers in this type; floats are those of [`F32S`].
fn numbers(dtype: DType) -> Vec<Tensor> {
    match dtype {
        DType::F32 => F32S.map(Tensor::scalar).to_vec(),
        DType::F64 => F32S.map(|v| Tensor::scalar(f64::from(v))).to_vec(),
        DType::Bool => [false, true].map(Tensor::scalar).to_vec(),
        integer => {
            let of = |v: i64| compute::tensor(&TensorType::new(integer, []), &[Scalar::I64(v).cast(integer)]);
            I64S.map(|v| of(v).unwrap()).to_vec()
        }
    }
}

fn joined(parts: impl Iterator<Item = Tensor>) -> Tensor {
    let parts: Vec<Tensor> = parts.collect();
    let bytes = parts.iter().flat_map(|t| t.bytes().to_vec()).collect();
    let ty = octrt_ops::TensorType::new(parts[0].dtype(), [parts.len()]);
    Tensor::from_bytes(ty, bytes).unwrap()
}

/// How far results may be off: where a factor below the smallest normal number becomes zero, the product does.
fn tolerance(op: &Op) -> Tolerance {
    match op {
        Op::Unary(Unary { kind: UnaryKind::Mish }) => Tolerance { absolute: 103.0 * 1.2e-38, ..TOLERANCE },
        _ => TOLERANCE,
    }
}

/// Checks an operator on these inputs; those that it refuses are left out.
fn check(op: Op, inputs: &[Tensor]) {
    let mut graph = Graph::new("one");
    let add = |(i, t): (usize, &Tensor)| {
        Some(graph.add_input(format!("x{i}"), t.dtype(), t.shape().iter().map(|&d| Dim::Fixed(d)).collect()))
    };
    let values = inputs.iter().enumerate().map(add).collect();
    let (shown, tolerance) = (format!("{op:?} of {}", inputs[0].dtype()), tolerance(&op));
    let y = graph.add_node("n", op, values, &["y"]);
    graph.add_output("y", y[0]);
    let Ok(expected) = interp::run(&graph, inputs) else { return };
    let model = Model::from_graph(graph, &LoadOptions::default()).unwrap();
    let found = run(&mut model.session().unwrap(), inputs).unwrap();
    if let Err(e) = compare_all(&found, &expected, &|_| tolerance) {
        panic!("{shown} on {inputs:?}: {e}");
    }
}

#[test]
fn of_one_number() {
    for dtype in DType::ALL {
        let all = joined(numbers(dtype).into_iter());
        let ops = UnaryKind::ALL.iter().map(|&kind| Op::from(Unary { kind }));
        // Of the sine of a large number fewer digits are right.
        let large = |t: &Tensor| t.to_f64s().iter().any(|v| v.is_finite() && v.abs() > 1e6);
        let near = joined(numbers(dtype).into_iter().filter(|t| !large(t)));
        for op in ops.chain(DType::ALL.map(|to| Cast { to }.into())) {
            let periodic = [UnaryKind::Sin, UnaryKind::Cos, UnaryKind::Tan].map(|kind| Unary { kind }.into());
            let chosen = if periodic.contains(&op) { &near } else { &all };
            check(op.clone(), std::slice::from_ref(chosen));
            check(op.clone(), &[joined(numbers(dtype).into_iter().take(3))]);
        }
    }
}

#[test]
fn of_two_numbers() {
    for dtype in DType::ALL {
        for other in DType::ALL {
            let (xs, ys) = (numbers(dtype), numbers(other));
            let x = joined(xs.iter().flat_map(|x| ys.iter().map(move |_| x.clone())));
            let y = joined(xs.iter().flat_map(|_| ys.iter().cloned()));
            // A power is rounded before it is cut to an integer of up to 64 bits: it is not the same to the last bit.
            let cut = |kind| kind == BinaryKind::Pow && dtype.is_int() && other == DType::F64;
            let kinds = BinaryKind::ALL.iter().copied().filter(|kind| !cut(*kind));
            kinds.for_each(|kind| check(Binary { kind }.into(), &[x.clone(), y.clone()]));
            CompareKind::ALL.iter().for_each(|&kind| check(Compare { kind }.into(), &[x.clone(), y.clone()]));
        }
    }
}

/// The second part of a concatenation lies in lanes that the first part leaves unused: a convolution of the first part
/// alone does not see it.
#[test]
fn infinities_stay_in_their_part_of_a_concatenation() {
    let mut g = Graph::new("g");
    let conv = |name: &str, g: &mut Graph, x, [ic, oc]: [usize; 2]| {
        let w = text::random(&[oc, ic, 1, 1].into(), (ic + oc) as u64).unwrap();
        let w = g.add_const(format!("{name} weight"), w);
        let op = Conv { window: Window { kernel: vec![1, 1], ..Window::default() }, group: 1 };
        g.add_node(name, op, vec![Some(x), Some(w)], &[name])[0]
    };
    let input = |g: &mut Graph, name: &str| {
        g.add_input(name, DType::F32, [1, 8, 4, 4].into_iter().map(Dim::Fixed).collect())
    };
    let (x, y) = (input(&mut g, "x"), input(&mut g, "y"));
    let a = conv("a", &mut g, x, [8, 20]);
    let b = conv("b", &mut g, y, [8, 12]);
    let both = g.add_node("both", Concat { axis: 1 }, vec![Some(a), Some(b)], &["both"])[0];
    let late = conv("late", &mut g, a, [20, 16]);
    g.add_output("both", both);
    g.add_output("late", late);
    let finite = text::random(&[1, 8, 4, 4].into(), 1).unwrap();
    let infinite = Tensor::new([1, 8, 4, 4], &[f32::INFINITY; 128]).unwrap();
    let inputs = [finite, infinite];
    let model = Model::from_graph(g.clone(), &LoadOptions::default()).unwrap();
    let found = run(&mut model.session().unwrap(), &inputs).unwrap();
    let expected = interp::run(&g, &inputs).unwrap();
    assert!(expected[1].magnitude().is_finite() && !expected[0].magnitude().is_finite());
    let tolerance = Tolerance { absolute: 1e-5, relative: 1e-5 };
    compare_all(&found[1..], &expected[1..], &|_| tolerance).unwrap();
}

/// Powers whose exponent is known are products of the base and its roots.
#[test]
fn known_powers() {
    let x = joined(numbers(DType::F32).into_iter());
    for quarters in [2, 3, 4, 6, 8, 12, 16, -2, -3, -4, -6, -8, -12, -16, 5, 1] {
        let mut graph = Graph::new("power");
        let base = graph.add_input("x", DType::F32, vec![Dim::Fixed(F32S.len())]);
        let exponent = graph.add_const("y", Tensor::scalar(quarters as f32 / 4.0));
        let power = Binary { kind: BinaryKind::Pow };
        let y = graph.add_node("n", power, vec![Some(base), Some(exponent)], &["y"]);
        graph.add_output("y", y[0]);
        let expected = interp::run(&graph, std::slice::from_ref(&x)).unwrap();
        let model = Model::from_graph(graph, &LoadOptions::default()).unwrap();
        let found = run(&mut model.session().unwrap(), std::slice::from_ref(&x)).unwrap();
        if let Err(e) = compare_all(&found, &expected, &|_| TOLERANCE) {
            panic!("{quarters} quarters: {e}");
        }
    }
}
