//! Small graphs, written one operator after the other.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::clip::Clip;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::resize::Resize;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::graph::text::random;
use octrt_ops::window;
use octrt_ops::{DType, Dim, Graph, Op, Tensor, ValueId};

/// A graph that is being written; constants are pseudorandom.
pub struct Net {
    pub graph: Graph,
    seed: u64,
    /// Axes behind the channels.
    pub axes: usize,
    /// What biases are near to.
    pub bias: f32,
}

/// The windows of a convolution or pooling, the same along all axes.
#[derive(Clone, Copy)]
pub struct Window {
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
    pub dilation: usize,
    pub group: usize,
}

/// Windows of this extent that keep the extents of the map.
pub const fn same(kernel: usize) -> Window {
    Window { kernel, stride: 1, pad: kernel / 2, dilation: 1, group: 1 }
}

impl Window {
    pub const fn stride(self, stride: usize) -> Window {
        Window { stride, ..self }
    }
    pub const fn pad(self, pad: usize) -> Window {
        Window { pad, ..self }
    }
    pub const fn group(self, group: usize) -> Window {
        Window { group, ..self }
    }
    pub const fn dilation(self, dilation: usize) -> Window {
        Window { dilation, ..self }
    }
}

impl Net {
    pub fn new() -> Net {
        Net { graph: Graph::new("net"), seed: 0, axes: 2, bias: 0.1 }
    }

    pub fn input(&mut self, dims: &[usize]) -> ValueId {
        let name = format!("x{}", self.graph.inputs.len());
        self.graph.add_input(name, DType::F32, dims.iter().map(|&d| Dim::Fixed(d)).collect())
    }

    pub fn constant(&mut self, t: Tensor) -> ValueId {
        self.graph.add_const("", t)
    }

    /// Numbers between `middle - spread` and `middle + spread`.
    pub fn numbers(&mut self, dims: &[usize], middle: f32, spread: f32) -> ValueId {
        self.seed += 1;
        let unit = random(&dims.to_vec().into(), self.seed).unwrap().to_vec::<f32>().unwrap();
        let scaled: Vec<f32> = unit.iter().map(|x| middle + spread * x).collect();
        self.constant(Tensor::new(dims.to_vec(), &scaled).unwrap())
    }

    pub fn node(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        let name = format!("n{}", self.graph.nodes.len());
        let inputs = inputs.iter().copied().map(Some).collect();
        self.graph.add_node(name.clone(), op, inputs, &[&name])[0]
    }

    /// A convolution from `ic` to `oc` channels with a bias; results are about as large as the input.
    pub fn conv(&mut self, x: ValueId, ic: usize, oc: usize, w: Window) -> ValueId {
        self.conv_padded(x, [ic, oc], w, &vec![w.pad; 2 * self.axes])
    }

    /// As [`Net::conv`], with pads of their own.
    pub fn conv_padded(&mut self, x: ValueId, [ic, oc]: [usize; 2], w: Window, pads: &[usize]) -> ValueId {
        let dims = [vec![oc, ic / w.group], vec![w.kernel; self.axes]].concat();
        let fan_in: usize = dims[1..].iter().product();
        let wei = self.numbers(&dims, 0.0, (3.0 / fan_in as f32).sqrt());
        let bias = self.numbers(&[oc], self.bias, 0.2);
        let op = Conv {
            window: window::Window {
                strides: vec![w.stride; self.axes],
                dilations: vec![w.dilation; self.axes],
                pads: pads.to_vec(),
                ..window::Window::default()
            },
            group: w.group,
        };
        self.node(op, &[x, wei, bias])
    }

    pub fn unary(&mut self, kind: UnaryKind, x: ValueId) -> ValueId {
        self.node(Unary { kind }, &[x])
    }

    pub fn relu(&mut self, x: ValueId) -> ValueId {
        self.unary(UnaryKind::Relu, x)
    }

    pub fn clip(&mut self, x: ValueId, lo: f32, hi: f32) -> ValueId {
        let (lo, hi) = (self.constant(Tensor::scalar(lo)), self.constant(Tensor::scalar(hi)));
        self.node(Clip {}, &[x, lo, hi])
    }

    pub fn binary(&mut self, kind: BinaryKind, a: ValueId, b: ValueId) -> ValueId {
        self.node(Binary { kind }, &[a, b])
    }

    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryKind::Add, a, b)
    }

    pub fn max_pool(&mut self, x: ValueId, w: Window) -> ValueId {
        let op = MaxPool {
            window: window::Window {
                kernel: vec![w.kernel; self.axes],
                strides: vec![w.stride; self.axes],
                pads: vec![w.pad; 2 * self.axes],
                ..window::Window::default()
            },
            ceil_mode: false,
        };
        self.node(op, &[x])
    }

    pub fn average_pool(&mut self, x: ValueId, w: Window) -> ValueId {
        let op = AveragePool {
            window: window::Window {
                kernel: vec![w.kernel; self.axes],
                strides: vec![w.stride; self.axes],
                pads: vec![w.pad; 2 * self.axes],
                ..window::Window::default()
            },
            ceil_mode: false,
            count_include_pad: true,
        };
        self.node(op, &[x])
    }

    pub fn global_pool(&mut self, x: ValueId, kind: GlobalPoolKind) -> ValueId {
        self.node(GlobalPool { kind }, &[x])
    }

    /// The mean over all axes behind the channels, without them.
    pub fn mean(&mut self, x: ValueId) -> ValueId {
        let axes = self.constant(Tensor::new([self.axes], &[2i64, 3, 4][..self.axes]).unwrap());
        self.node(
            Reduce { kind: ReduceKind::Mean, keep_dims: false, noop_with_empty_axes: false },
            &[x, axes],
        )
    }

    pub fn concat(&mut self, inputs: &[ValueId]) -> ValueId {
        self.node(Concat { axis: 1 }, inputs)
    }

    pub fn norm(&mut self, x: ValueId, channels: usize) -> ValueId {
        let [gamma, beta, mean] = [1.0, 0.0, 0.1].map(|middle| self.numbers(&[channels], middle, 0.3));
        let var = self.numbers(&[channels], 1.0, 0.5);
        self.node(BatchNormalization { epsilon: 1e-5 }, &[x, gamma, beta, mean, var])
    }

    /// Nearest upsampling by two.
    pub fn double(&mut self, x: ValueId) -> ValueId {
        let scales = self.constant(Tensor::new([4], &[1.0f32, 1.0, 2.0, 2.0]).unwrap());
        let name = format!("n{}", self.graph.nodes.len());
        self.graph.add_node(name.clone(), Resize::nearest(), vec![Some(x), None, Some(scales)], &[&name])[0]
    }

    pub fn flatten(&mut self, x: ValueId) -> ValueId {
        self.node(Flatten { axis: 1 }, &[x])
    }

    /// A product with a matrix `[n, k]`, and a bias.
    pub fn gemm(&mut self, x: ValueId, k: usize, n: usize) -> ValueId {
        let wei = self.numbers(&[n, k], 0.0, (3.0 / k as f32).sqrt());
        let bias = self.numbers(&[n], 0.1, 0.2);
        self.node(Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true }, &[x, wei, bias])
    }

    /// A product with a matrix `[k, n]`.
    pub fn matmul(&mut self, x: ValueId, k: usize, n: usize) -> ValueId {
        let wei = self.numbers(&[k, n], 0.0, (3.0 / k as f32).sqrt());
        self.node(MatMul {}, &[x, wei])
    }

    pub fn output(&mut self, x: ValueId) {
        let name = format!("y{}", self.graph.outputs.len());
        self.graph.add_output(name, x);
    }

    /// The graph with all types known.
    pub fn finish(&self) -> Graph {
        let types: Vec<_> = self.graph.inputs.iter().filter_map(|i| i.declared_type()).collect();
        specialize(&self.graph, &types, Limits::default()).unwrap()
    }
}

/// Inputs for a graph of fixed extents.
pub fn inputs(graph: &Graph) -> Vec<Tensor> {
    let one = |(i, input): (usize, &octrt_ops::graph::Input)| {
        random(&input.declared_type().unwrap().shape, 1000 + i as u64).unwrap()
    };
    graph.inputs.iter().enumerate().map(one).collect()
}
