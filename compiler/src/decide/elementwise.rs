//! What a node computes element by element, as an expression of elements of its inputs.

use octrt_ops::compute::{BufferKind, Compute};
use octrt_ops::expr::{BufId, Env, Expr, Scalar, VarId, eval};
use octrt_ops::graph::infer::with_args;
use octrt_ops::{DType, Graph, Node, Op, OpError, Shape, Tensor, ValueId};

/// A node whose result has an element for each of an input, made of it and of elements of the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Elementwise {
    /// The element: `b0[]` is one of the first tensor of `reads`, `b1[]` of the second.
    pub value: Expr,
    /// The tensors.
    pub reads: Vec<Read>,
}

/// A tensor whose elements belong to those of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Where it comes from.
    pub source: Source,
    /// For each axis of the result, whether elements along it are others: all axes but those of one element for a tensor
    /// of the result's shape.
    pub varies: Vec<bool>,
}

/// Where elements come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A value of the graph.
    Value(ValueId),
    /// A tensor that the compiler has made.
    Made(Tensor),
}

/// What a node computes of each element; `None` where it is not one of f32 tensors that is.
pub fn of(graph: &Graph, node: &Node) -> Option<Elementwise> {
    let [result] = node.outputs[..] else { return None };
    let ty = graph.ty(result).ok()?;
    let inputs = node.inputs.iter().flatten();
    let floats = |v: &ValueId| {
        graph.ty(*v).is_ok_and(|ty| ty.dtype == DType::F32)
            || graph.constant(*v).is_some_and(|t| t.numel() == 1)
    };
    if ty.dtype != DType::F32 || ty.shape.numel() == 0 || !inputs.into_iter().all(floats) {
        return None;
    }
    match &node.op {
        Op::BatchNormalization(_) => normalisation(graph, node, &ty.shape),
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Celu(_)
        | Op::Clip(_)
        | Op::Elu(_)
        | Op::Gelu(_)
        | Op::HardSigmoid(_)
        | Op::LeakyRelu(_)
        | Op::PRelu(_)
        | Op::Selu(_)
        | Op::Shrink(_)
        | Op::Swish(_)
        | Op::ThresholdedRelu(_) => {
            let compute = with_args(graph, node, |args| node.op.as_operator().compute(args)).ok()?.ok()?;
            definition(graph, node, &compute, &ty.shape)
        }
        _ => None,
    }
}

/// The definition of one stage without a reduction.
fn definition(graph: &Graph, node: &Node, compute: &Compute, shape: &Shape) -> Option<Elementwise> {
    let [stage] = &compute.stages[..] else { return None };
    if stage.reduce.is_some() || stage.update.is_some() || !compute.checks.is_empty() {
        return None;
    }
    let mut reads: Vec<Read> = Vec::new();
    let mut known = true;
    let value = stage.body.map(&mut |e| match e {
        Expr::Load(b, index) => {
            let read = read(graph, node, &compute.buffers[b.index()].kind, index, shape);
            known &= read.is_some();
            match read? {
                Found::Number(x) => Some(Expr::f32(x)),
                Found::Read(read) => {
                    let k = reads.iter().position(|r| *r == read).unwrap_or_else(|| {
                        reads.push(read);
                        reads.len() - 1
                    });
                    Some(Expr::load(BufId(k as u32), []))
                }
            }
        }
        Expr::Var(_) => {
            known = false;
            None
        }
        _ => None,
    });
    (known && !reads.is_empty()).then_some(Elementwise { value, reads })
}

/// What an element that is loaded comes to.
enum Found {
    Number(f32),
    Read(Read),
}

fn read(graph: &Graph, node: &Node, kind: &BufferKind, index: &[Expr], shape: &Shape) -> Option<Found> {
    let BufferKind::Input(i) = kind else { return None };
    let v = node.input(*i)?;
    if let Some(t) = graph.constant(v).filter(|t| t.numel() == 1) {
        return Some(Found::Number(t.to_vec::<f32>().ok()?.first().copied()?));
    }
    // Axes are aligned at the last.
    let skipped = shape.rank().checked_sub(index.len())?;
    let mut varies = vec![false; shape.rank()];
    for (at, e) in index.iter().enumerate() {
        match e {
            Expr::Var(VarId(l)) if *l as usize == skipped + at => {
                varies[skipped + at] = shape[skipped + at] > 1
            }
            Expr::Const(Scalar::I64(0)) => {}
            _ => return None,
        }
    }
    Some(Found::Read(Read { source: Source::Value(v), varies }))
}

/// A normalisation by constants: a factor and a summand of each channel.
fn normalisation(graph: &Graph, node: &Node, shape: &Shape) -> Option<Elementwise> {
    let Op::BatchNormalization(op) = &node.op else { return None };
    let values: Option<Vec<Vec<f64>>> =
        (1..5).map(|i| graph.constant_input(node, i).map(Tensor::to_f64s)).collect();
    let values = values?;
    let [gamma, beta, mean, var] = &values[..] else { return None };
    let [scale, shift] = op.affine([gamma, beta, mean, var]);
    if shape.rank() < 2 {
        return None;
    }
    // [channels, 1, ..], as the axes are aligned at the last.
    let dims: Vec<usize> = std::iter::once(scale.len()).chain(vec![1; shape.rank() - 2]).collect();
    let only = |axis: usize| (0..shape.rank()).map(move |i| i == axis && shape[i] > 1).collect::<Vec<_>>();
    let made = |values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
        Some(Read { source: Source::Made(Tensor::new(dims.clone(), &values).ok()?), varies: only(1) })
    };
    let src = Read { source: Source::Value(node.input(0)?), varies: shape.iter().map(|n| *n > 1).collect() };
    let value = Expr::load(BufId(0), []) * Expr::load(BufId(1), []) + Expr::load(BufId(2), []);
    Some(Elementwise { value, reads: vec![src, made(&scale)?, made(&shift)?] })
}

impl Read {
    /// Whether it has an element of its own for each of the result.
    pub fn is_whole(&self, shape: &Shape) -> bool {
        self.varies.iter().zip(shape.iter()).all(|(varies, n)| *varies || *n == 1)
    }

    /// Whether its elements depend on no other axes than these.
    pub fn only_along(&self, axes: &[usize]) -> bool {
        self.varies.iter().enumerate().all(|(i, varies)| !varies || axes.contains(&i))
    }

    /// The value of the graph that it is.
    pub fn value(&self) -> Option<ValueId> {
        match self.source {
            Source::Value(v) => Some(v),
            Source::Made(_) => None,
        }
    }
}

/// Whether an expression of a result and of elements of tensors is 0 where all of them are.
pub fn keeps_zero(value: &Expr) -> bool {
    struct Zero;
    impl Env for Zero {
        fn var(&self, _: VarId) -> i64 {
            0
        }
        fn load(&self, _: BufId, _: &[i64]) -> Result<Scalar, OpError> {
            Ok(Scalar::F32(0.0))
        }
    }
    let value = value.map(&mut |e| (*e == Expr::Acc).then(|| Expr::f32(0.0)));
    eval(&value, &Zero).is_ok_and(|x| x.to_f64() == 0.0)
}
