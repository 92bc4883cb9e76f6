//! A problem as a graph, and its inputs as tensors.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::binary::{self, BinaryKind};
use octrt_ops::def::clip::Clip;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::conv;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::resize::{CoordinateTransform, NearestMode, Resize};
use octrt_ops::def::slice::Slice;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::unary::{self, UnaryKind};
use octrt_ops::window::{self, AutoPad};
use octrt_ops::{DType, Dim, Graph, Op, Tensor, ValueId};

use crate::data::{self, Role};
use crate::problem::{
    Binary, Conv, Counting, Gemm, GemmBias, Kind, Pads, Problem, Rounding, Unary, Up, Window,
};
use crate::shape;

/// Whether the graph says its extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extents {
    Fixed,
    /// Of the inputs, all but the channels are known only when the model runs.
    Dynamic,
}

/// The tensors of all inputs, in order. Sets differ in their numbers.
pub fn inputs(p: &Problem, set: usize) -> Vec<Tensor> {
    let one = |i: usize| match &p.nodes[i].kind {
        Kind::Input { shape, fill } => {
            let elements = data::elements(p, i, Role::Set(set), shape, *fill);
            Some(Tensor::new(shape.clone(), &elements).unwrap())
        }
        _ => None,
    };
    p.input_nodes().filter_map(one).collect()
}

/// The problem as a graph; `shapes` are those of its nodes.
pub fn graph(p: &Problem, shapes: &[Vec<usize>], extents: Extents) -> Graph {
    let mut b = Builder { p, shapes, extents, graph: Graph::new("problem"), values: Vec::new() };
    for node in 0..p.nodes.len() {
        let value = b.node(node);
        b.values.push(value);
    }
    let Builder { mut graph, values, .. } = b;
    for (i, node) in p.all_outputs().into_iter().enumerate() {
        graph.add_output(format!("y{i}"), values[node]);
    }
    graph
}

/// The window as operators have it.
fn attributes(w: &Window) -> window::Window {
    let (pads, auto_pad) = match &w.pads {
        Pads::Explicit(p) => (p.clone(), AutoPad::NotSet),
        Pads::SameUpper => (vec![], AutoPad::SameUpper),
        Pads::SameLower => (vec![], AutoPad::SameLower),
        Pads::Valid => (vec![], AutoPad::Valid),
    };
    let [kernel, strides, dilations] = [&w.kernel, &w.strides, &w.dilations].map(Clone::clone);
    window::Window { kernel, strides, dilations, pads, auto_pad }
}

struct Builder<'a> {
    p: &'a Problem,
    shapes: &'a [Vec<usize>],
    extents: Extents,
    graph: Graph,
    values: Vec<ValueId>,
}

impl Builder<'_> {
    fn floats(&mut self, shape: &[usize], v: &[f32]) -> Option<ValueId> {
        Some(self.graph.add_const("c", Tensor::new(shape.to_vec(), v).unwrap()))
    }

    fn ints(&mut self, v: &[usize]) -> Option<ValueId> {
        let v: Vec<i64> = v.iter().map(|&v| v as i64).collect();
        Some(self.graph.add_const("c", Tensor::new([v.len()], &v).unwrap()))
    }

    /// Adds the node's operator on its inputs and on these further ones.
    fn operator(&mut self, node: usize, op: impl Into<Op>, further: &[Option<ValueId>]) -> ValueId {
        let mut inputs: Vec<Option<ValueId>> =
            self.p.nodes[node].inputs.iter().map(|&i| Some(self.values[i])).collect();
        inputs.extend(further);
        self.graph.add_node(format!("n{node}"), op, inputs, &[&format!("v{node}")])[0]
    }

    fn src(&self, node: usize) -> Vec<usize> {
        self.p.nodes[node].inputs.first().map_or(vec![], |&i| self.shapes[i].clone())
    }

    fn node(&mut self, node: usize) -> ValueId {
        let p = self.p;
        match &p.nodes[node].kind {
            Kind::Input { shape, .. } => self.input(node, shape),
            Kind::Const { shape, fill } => {
                let elements = data::elements(p, node, Role::Elements, shape, *fill);
                self.graph.add_const(format!("c{node}"), Tensor::new(shape.clone(), &elements).unwrap())
            }
            Kind::Conv(c) => self.conv(node, c),
            Kind::ConvTranspose { conv, output_padding } => self.transposed(node, conv, output_padding),
            Kind::BatchNorm => self.batch_norm(node),
            Kind::Unary(u) => self.unary(node, *u),
            Kind::Binary(b) => self.operator(node, binary::Binary { kind: binary_kind(*b) }, &[]),
            Kind::Gemm(g) => self.gemm(node, g),
            Kind::MatMul => self.operator(node, MatMul {}, &[]),
            Kind::MaxPool(..) | Kind::AveragePool(..) | Kind::GlobalAverage | Kind::GlobalMax => {
                self.operator(node, pool(&p.nodes[node].kind), &[])
            }
            _ => self.moved(node),
        }
    }

    fn input(&mut self, node: usize, shape: &[usize]) -> ValueId {
        let dim = |(i, &d): (usize, &usize)| match self.extents {
            Extents::Dynamic if i != 1 => Dim::Dynamic(String::new()),
            _ => Dim::Fixed(d),
        };
        let dims = shape.iter().enumerate().map(dim).collect();
        self.graph.add_input(format!("x{node}"), DType::F32, dims)
    }

    fn conv(&mut self, node: usize, c: &Conv) -> ValueId {
        let mut parameters = Vec::new();
        if self.p.nodes[node].inputs.len() == 1 {
            let src = self.src(node);
            let wei = data::conv_weights(self.p, node, c, &src);
            parameters.push(self.floats(&shape::conv_weights(c, &src), &wei));
        }
        parameters.push(data::bias(self.p, node, c).and_then(|b| self.floats(&[c.oc], &b)));
        let op = conv::Conv { window: attributes(&c.window), group: c.group };
        self.operator(node, op, &parameters)
    }

    fn transposed(&mut self, node: usize, c: &Conv, output_padding: &[usize]) -> ValueId {
        let src = self.src(node);
        let wei = data::transposed_weights(self.p, node, c, &src);
        let wei = self.floats(&shape::transposed_weights(c, &src), &wei);
        let bias = data::bias(self.p, node, c).and_then(|b| self.floats(&[c.oc], &b));
        let (window, output_padding) = (attributes(&c.window), output_padding.to_vec());
        let op = ConvTranspose { window, group: c.group, output_padding, output_shape: vec![] };
        self.operator(node, op, &[wei, bias])
    }

    fn batch_norm(&mut self, node: usize) -> ValueId {
        let channels = self.src(node)[1];
        let n = data::norm(self.p, node, channels);
        let parameters = [n.scale, n.shift, n.mean, n.variance].map(|v| self.floats(&[channels], &v));
        self.operator(node, BatchNormalization { epsilon: data::EPSILON }, &parameters)
    }

    fn unary(&mut self, node: usize, u: Unary) -> ValueId {
        let kind = match u {
            Unary::Relu => UnaryKind::Relu,
            Unary::Sigmoid => UnaryKind::Sigmoid,
            Unary::HardSwish => UnaryKind::HardSwish,
            Unary::LeakyRelu(alpha) => return self.operator(node, LeakyRelu { alpha }, &[]),
            Unary::Clip(low, high) => {
                let limits = [low, high].map(|v| self.floats(&[], &[v]));
                return self.operator(node, Clip {}, &limits);
            }
            Unary::PRelu => {
                let src = self.src(node);
                let slopes = data::small(self.p, node, src[1]);
                let shape = [&[src[1]], &vec![1; src.len() - 2][..]].concat();
                let slopes = self.floats(&shape, &slopes);
                return self.operator(node, PRelu {}, &[slopes]);
            }
        };
        self.operator(node, unary::Unary { kind }, &[])
    }

    fn gemm(&mut self, node: usize, g: &Gemm) -> ValueId {
        let src = self.src(node);
        let (m, k) = if g.trans_a { (src[1], src[0]) } else { (src[0], src[1]) };
        let b = data::weights(self.p, node, &[k, g.n], k);
        let b = self.floats(&if g.trans_b { [g.n, k] } else { [k, g.n] }, &b);
        let c = match g.c {
            GemmBias::None => None,
            GemmBias::Row => self.floats(&[g.n], &data::small(self.p, node, g.n)),
            GemmBias::Column => self.floats(&[m, 1], &data::small(self.p, node, m)),
        };
        let Gemm { alpha, beta, trans_a, trans_b, .. } = *g;
        self.operator(node, gemm::Gemm { alpha, beta, trans_a, trans_b }, &[b, c])
    }

    fn moved(&mut self, node: usize) -> ValueId {
        let src = self.src(node);
        match &self.p.nodes[node].kind {
            Kind::Concat => self.operator(node, Concat { axis: 1 }, &[]),
            Kind::Flatten => self.operator(node, Flatten { axis: 1 }, &[]),
            Kind::Pad(p) => {
                let n = src.len() - 2;
                let pads = self.ints(&[&[0, 0], &p[..n], &[0, 0], &p[n..]].concat());
                self.operator(node, Pad { mode: PadMode::Constant }, &[pads])
            }
            Kind::Slice(begin, end) => {
                let parts = [*begin, *end, 1, 1].map(|v| self.ints(&[v]));
                self.operator(node, Slice {}, &parts)
            }
            Kind::ChannelsLast => {
                let perm = [0].into_iter().chain(2..src.len()).chain([1]).collect();
                self.operator(node, Transpose { perm }, &[])
            }
            Kind::Up(up) => {
                let scales = [vec![1.0f32; 2], vec![2.0; src.len() - 2]].concat();
                let scales = self.floats(&[src.len()], &scales);
                self.operator(node, resize(*up), &[None, scales])
            }
            other => unreachable!("{other:?} moves nothing"),
        }
    }
}

fn binary_kind(b: Binary) -> BinaryKind {
    match b {
        Binary::Add => BinaryKind::Add,
        Binary::Sub => BinaryKind::Sub,
        Binary::Mul => BinaryKind::Mul,
        Binary::Div => BinaryKind::Div,
        Binary::Max => BinaryKind::Max,
        Binary::Min => BinaryKind::Min,
    }
}

fn pool(kind: &Kind) -> Op {
    match kind {
        Kind::MaxPool(w, rounding) => {
            MaxPool { window: attributes(w), ceil_mode: *rounding == Rounding::Ceil }.into()
        }
        Kind::AveragePool(w, rounding, counting) => {
            let (ceil_mode, count_include_pad) = (*rounding == Rounding::Ceil, *counting == Counting::Padded);
            AveragePool { window: attributes(w), ceil_mode, count_include_pad }.into()
        }
        Kind::GlobalMax => GlobalPool { kind: GlobalPoolKind::Max }.into(),
        _ => GlobalPool { kind: GlobalPoolKind::Average }.into(),
    }
}

fn resize(up: Up) -> Resize {
    let (coordinates, nearest_mode) = match up {
        Up::Asymmetric => (CoordinateTransform::Asymmetric, NearestMode::Floor),
        Up::HalfPixel => (CoordinateTransform::HalfPixel, NearestMode::RoundPreferFloor),
    };
    Resize { coordinates, nearest_mode, ..Resize::nearest() }
}
