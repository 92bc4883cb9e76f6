//! A problem: a small network as a list of nodes that name earlier ones. Its text form is in [`crate::text`].

/// Numbers of an input or a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// In [-1, 1).
    Unit,
    /// In [-8, 8): reaches the limit of ReLU6.
    Wide,
    /// In [-3, -1): a zero in a window shows in its maximum.
    Negative,
    /// In [1, 2): can be divided by.
    Positive,
    /// In [-1, 1), with some NaN and infinities of both signs.
    Special,
}

/// Padding of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pads {
    /// All begins, then all ends.
    Explicit(Vec<usize>),
    SameUpper,
    SameLower,
    Valid,
}

/// A window that slides over the spatial axes; one value per axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub kernel: Vec<usize>,
    pub strides: Vec<usize>,
    pub dilations: Vec<usize>,
    pub pads: Pads,
}

impl Window {
    /// A window with stride and dilation 1 and without padding.
    pub fn new(kernel: &[usize]) -> Self {
        let n = kernel.len();
        Window {
            kernel: kernel.to_vec(),
            strides: vec![1; n],
            dilations: vec![1; n],
            pads: Pads::Explicit(vec![0; 2 * n]),
        }
    }

    /// A window that is the same along all axes.
    pub fn uniform(axes: usize, kernel: usize, stride: usize, pad: usize) -> Self {
        Window {
            strides: vec![stride; axes],
            pads: Pads::Explicit(vec![pad; 2 * axes]),
            ..Window::new(&vec![kernel; axes])
        }
    }
}

/// Whether a window may hang over the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    Floor,
    Ceil,
}

/// What the divisor of an average counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    Inside,
    Padded,
}

/// Bias of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    None,
    /// In [-0.5, 0.5).
    Unit,
    /// In [-4, -3), below what the products add up to: results are negative.
    Negative,
}

/// A convolution, transposed or not. Its weights are constants that are drawn, or another value of the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    pub oc: usize,
    pub group: usize,
    pub bias: Bias,
    pub window: Window,
}

/// Functions of one tensor, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    Relu,
    Sigmoid,
    HardSwish,
    LeakyRelu(f32),
    Clip(f32, f32),
    /// A slope for each channel.
    PRelu,
}

/// Functions of two tensors, element by element, with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
}

/// How the x2 nearest resampling of the spatial axes is written; all mean `src[o / 2]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Up {
    Asymmetric,
    HalfPixel,
}

/// `alpha * A * B + beta * C` with constants B and C, or B another value of the problem.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gemm {
    pub n: usize,
    pub trans_a: bool,
    pub trans_b: bool,
    /// Extents of C: none, `[n]`, or `[m, 1]`.
    pub c: GemmBias,
    pub alpha: f32,
    pub beta: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GemmBias {
    None,
    Row,
    Column,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Input {
        shape: Vec<usize>,
        fill: Fill,
    },
    Const {
        shape: Vec<usize>,
        fill: Fill,
    },
    Conv(Conv),
    ConvTranspose {
        conv: Conv,
        output_padding: Vec<usize>,
    },
    BatchNorm,
    Unary(Unary),
    Binary(Binary),
    MaxPool(Window, Rounding),
    AveragePool(Window, Rounding, Counting),
    GlobalAverage,
    GlobalMax,
    /// Along the channels.
    Concat,
    Up(Up),
    /// Zeros around the spatial axes: all begins, then all ends.
    Pad(Vec<usize>),
    /// Channels `begin..end`.
    Slice(usize, usize),
    /// Channels to the end.
    ChannelsLast,
    Flatten,
    Gemm(Gemm),
    MatMul,
}

/// A node; its inputs are positions of earlier nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: Kind,
    pub inputs: Vec<usize>,
}

/// A network of one output per node. Outputs of the network are the last node and those named.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where constants and inputs are drawn from.
    pub seed: u64,
    pub nodes: Vec<Node>,
    pub outputs: Vec<usize>,
}

impl Problem {
    pub fn new(seed: u64) -> Self {
        Problem { seed, nodes: Vec::new(), outputs: Vec::new() }
    }

    /// Adds a node; gives its position.
    pub fn add(&mut self, kind: Kind, inputs: &[usize]) -> usize {
        self.nodes.push(Node { kind, inputs: inputs.to_vec() });
        self.nodes.len() - 1
    }

    /// Positions of all outputs: those named, then the last node.
    pub fn all_outputs(&self) -> Vec<usize> {
        let mut all = self.outputs.clone();
        all.push(self.nodes.len() - 1);
        all
    }

    /// Whether a node is the weights of a convolution.
    pub fn is_weights(&self, node: usize) -> bool {
        self.nodes.iter().any(|n| matches!(n.kind, Kind::Conv(_)) && n.inputs.get(1) == Some(&node))
    }

    /// Positions of the inputs.
    pub fn input_nodes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|&i| matches!(self.nodes[i].kind, Kind::Input { .. }))
    }
}
