//! The parts of a network: feature maps in two frequencies, and the nodes that PyTorch's exporter writes for them.

use std::sync::{Arc, LazyLock};

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::clip::Clip;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::resize::Resize;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::graph::text;
use octrt_ops::window::Window;
use octrt_ops::{DType, Dim, Graph, Op, Shape, Tensor, TensorType, ValueId};

use super::layer::{Affine, Channels};
use super::signal::Signal;
use super::{Ablation, Batch, Kind, Weights, ZooError};

mod conv;

/// Classes of ImageNet.
const CLASSES: usize = 1000;
/// Mean square of what goes into the sigmoids of squeeze and excitation: small, so that factors stay near a half.
const GATE: f64 = 0.25;

/// Zeros for the largest tensor of any network, which all tensors of [`Weights::Blank`] share.
static ZEROS: LazyLock<Arc<Vec<u8>>> = LazyLock::new(|| Arc::new(vec![0; 1 << 24]));

/// A feature map of one resolution.
#[derive(Clone, Copy)]
pub(super) struct Map {
    value: ValueId,
    channels: usize,
    signal: Signal,
}

/// A feature map in two frequencies, the low one of half the extent. At least one is there.
#[derive(Clone, Copy)]
pub(super) struct Maps {
    pub high: Option<Map>,
    pub low: Option<Map>,
}

impl From<Map> for Maps {
    fn from(high: Map) -> Self {
        Maps { high: Some(high), low: None }
    }
}

impl Maps {
    /// Channels by frequency.
    pub fn channels(&self) -> Channels {
        let count = |m: Option<Map>| m.map_or(0, |m| m.channels);
        Channels { high: count(self.high), low: count(self.low) }
    }
}

/// A network under construction.
pub(super) struct Net {
    graph: Graph,
    kind: Kind,
    /// What OctConvs are made of.
    pub ablation: Ablation,
    weights: Weights,
    epsilon: f32,
    /// Random tensors so far.
    drawn: u64,
    /// The scales of every upsampling.
    scales: Option<ValueId>,
    /// The limits of every ReLU6.
    limits: Option<[ValueId; 2]>,
}

type Made<T> = Result<T, ZooError>;

impl Net {
    /// A network whose normalisations have this `epsilon`, and its input.
    pub fn new(
        name: String,
        kind: Kind,
        weights: Weights,
        epsilon: f32,
        size: usize,
        batch: Batch,
    ) -> (Self, Map) {
        let batch = match batch {
            Batch::One => Dim::Fixed(1),
            Batch::Dynamic => Dim::Dynamic("batch".to_string()),
        };
        let mut net = Net::empty(name, kind, weights, epsilon);
        let x = net.input("x", batch, 3, size);
        (net, x)
    }

    fn empty(name: String, kind: Kind, weights: Weights, epsilon: f32) -> Self {
        let (graph, ablation) = (Graph::new(name), Ablation::default());
        Net { graph, kind, ablation, weights, epsilon, drawn: 0, scales: None, limits: None }
    }

    fn input(&mut self, name: &str, batch: Dim, channels: usize, size: usize) -> Map {
        let dims = vec![batch, Dim::Fixed(channels), Dim::Fixed(size), Dim::Fixed(size)];
        let value = self.graph.add_input(name, DType::F32, dims);
        Map { value, channels, signal: Signal::UNIT }
    }

    /// Adds global pooling and the classifier, and gives the graph.
    pub fn finish(mut self, x: Maps) -> Made<Graph> {
        let pooled = match (x.high, x.low) {
            (Some(high), None) => self.global_average("avgpool", high),
            _ => return Err(ZooError::Unmerged),
        };
        let flat = self.node("flatten", Flatten { axis: 1 }, vec![Some(pooled.value)]);
        let spread = (3.0 / (pooled.channels as f64 * pooled.signal.square)).sqrt();
        let weight = self.uniform("fc.weight", vec![CLASSES, pooled.channels], 0.0, spread)?;
        let bias = self.uniform("fc.bias", vec![CLASSES], 0.0, 0.1)?;
        let gemm = Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true };
        let y = self.node("fc", gemm, vec![Some(flat), Some(weight), Some(bias)]);
        self.graph.add_output("y", y);
        Ok(self.graph)
    }

    fn node(&mut self, name: &str, op: impl Into<Op>, inputs: Vec<Option<ValueId>>) -> ValueId {
        self.graph.add_node(name, op, inputs, &[name])[0]
    }

    /// A constant of numbers in `center` -+ `spread`.
    fn uniform(&mut self, name: &str, shape: Vec<usize>, center: f64, spread: f64) -> Made<ValueId> {
        let shape = Shape::new(shape);
        let tensor = match self.weights {
            Weights::Blank => Tensor::from_shared(TensorType::new(DType::F32, shape), ZEROS.clone(), 0)?,
            Weights::Seeded(seed) => {
                let seed = seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(self.drawn);
                let unit: Vec<f32> = text::random(&shape, seed)?.to_vec()?;
                let numbers = unit.iter().map(|&u| (center + spread * f64::from(u)) as f32);
                Tensor::new(shape, &numbers.collect::<Vec<f32>>())?
            }
        };
        self.drawn += 1;
        Ok(self.graph.add_const(name, tensor))
    }

    /// One convolution node; `spread` is that of its weights.
    fn window(
        &mut self,
        name: &str,
        x: Map,
        oc: usize,
        window: [usize; 2],
        g: usize,
        spread: f64,
    ) -> Made<Map> {
        let [k, s] = window;
        if !x.channels.is_multiple_of(g) || !oc.is_multiple_of(g) {
            return Err(ZooError::Groups { layer: name.to_string(), ic: x.channels, oc, groups: g });
        }
        let weight = self.uniform(&format!("{name}.weight"), vec![oc, x.channels / g, k, k], 0.0, spread)?;
        let conv = Conv {
            window: Window {
                kernel: vec![k; 2],
                strides: vec![s; 2],
                dilations: vec![1; 2],
                pads: vec![k / 2; 4],
                ..Window::default()
            },
            group: g,
        };
        let value = self.node(name, conv, vec![Some(x.value), Some(weight)]);
        Ok(Map { value, channels: oc, signal: Signal::UNIT })
    }

    /// A convolution outside the OctConvs: stem, end.
    pub fn plain_conv(&mut self, name: &str, x: Map, oc: usize, kernel: usize, stride: usize) -> Made<Map> {
        let fan = (kernel * kernel * x.channels) as f64 * x.signal.square;
        self.window(name, x, oc, [kernel, stride], 1, (3.0 / fan).sqrt())
    }

    /// A normalisation of one map.
    pub fn plain_norm(&mut self, name: &str, x: Map, affine: Affine) -> Made<Map> {
        let (mean, variance) = (x.signal.mean, x.signal.variance());
        let gain = match affine {
            Affine::Learned(gain) => gain,
            Affine::Fixed => 1.0,
        };
        let (scale, shift) = match affine {
            Affine::Learned(gain) => (0.1 * gain, 0.1 * gain),
            Affine::Fixed => (0.0, 0.0),
        };
        let mut inputs = vec![Some(x.value)];
        for (part, center, spread) in [
            ("weight", gain, scale),
            ("bias", 0.0, shift),
            ("running_mean", mean, 0.1 * variance.sqrt()),
            ("running_var", variance, 0.1 * variance),
        ] {
            inputs.push(Some(self.uniform(&format!("{name}.{part}"), vec![x.channels], center, spread)?));
        }
        let value = self.node(name, BatchNormalization { epsilon: self.epsilon }, inputs);
        Ok(Map { value, signal: Signal::centred(gain * gain), ..x })
    }

    /// `max(x, 0)` of one map.
    pub fn plain_relu(&mut self, name: &str, x: Map) -> Map {
        let value = self.node(name, Unary { kind: UnaryKind::Relu }, vec![Some(x.value)]);
        Map { value, signal: x.signal.rectified(), ..x }
    }

    /// `min(max(x, 0), 6)` of one map.
    pub fn plain_relu6(&mut self, name: &str, x: Map) -> Map {
        let graph = &mut self.graph;
        let [min, max] = *self.limits.get_or_insert_with(|| {
            [("zero", 0.0f32), ("six", 6.0)].map(|(name, n)| graph.add_const(name, Tensor::scalar(n)))
        });
        let value = self.node(name, Clip {}, vec![Some(x.value), Some(min), Some(max)]);
        Map { value, signal: x.signal.rectified(), ..x }
    }

    fn half(&mut self, name: &str, x: Map) -> Map {
        let pool = AveragePool {
            window: Window { kernel: vec![2; 2], strides: vec![2; 2], pads: vec![0; 4], ..Window::default() },
            ceil_mode: false,
            count_include_pad: true,
        };
        let value = self.node(name, pool, vec![Some(x.value)]);
        Map { value, signal: x.signal.pooled(), ..x }
    }

    fn twice(&mut self, name: &str, x: Map) -> Made<Map> {
        let scales = match self.scales {
            Some(scales) => scales,
            None => self.graph.add_const("scales", Tensor::new([4], &[1.0f32, 1.0, 2.0, 2.0])?),
        };
        self.scales = Some(scales);
        let value = self.node(name, Resize::nearest(), vec![Some(x.value), None, Some(scales)]);
        Ok(Map { value, ..x })
    }

    /// The maximum over windows of 3x3 in steps of 2.
    pub fn max_pool(&mut self, name: &str, x: Map) -> Map {
        let pool = MaxPool {
            window: Window {
                kernel: vec![3; 2],
                strides: vec![2; 2],
                dilations: vec![1; 2],
                pads: vec![1; 4],
                ..Window::default()
            },
            ceil_mode: false,
        };
        let value = self.node(name, pool, vec![Some(x.value)]);
        Map { value, signal: x.signal.maximum(), ..x }
    }

    fn global_average(&mut self, name: &str, x: Map) -> Map {
        let value = self.node(name, GlobalPool { kind: GlobalPoolKind::Average }, vec![Some(x.value)]);
        Map { value, signal: x.signal.mean_of_all(), ..x }
    }

    fn binary(&mut self, name: &str, kind: BinaryKind, a: Map, b: Map) -> ValueId {
        self.node(name, Binary { kind }, vec![Some(a.value), Some(b.value)])
    }

    fn plain_concat(&mut self, name: &str, a: Map, b: Map) -> Map {
        let value = self.node(name, Concat { axis: 1 }, vec![Some(a.value), Some(b.value)]);
        let signal = a.signal.beside(a.channels, b.signal, b.channels);
        Map { value, channels: a.channels + b.channels, signal }
    }

    /// The sum of two maps.
    pub fn plain_add(&mut self, name: &str, a: Map, b: Map) -> Map {
        let value = self.binary(name, BinaryKind::Add, a, b);
        Map { value, signal: a.signal.plus(b.signal), ..a }
    }

    /// `name` of the part for one frequency.
    fn part(&self, name: &str, side: &str) -> String {
        match self.kind {
            Kind::Vanilla => name.to_string(),
            Kind::Octave => format!("{name}.{side}"),
        }
    }

    fn each(&mut self, name: &str, x: Maps, f: impl Fn(&mut Net, &str, Map) -> Made<Map>) -> Made<Maps> {
        let (h, l) = (self.part(name, "h"), self.part(name, "l"));
        let high = x.high.map(|m| f(self, &h, m)).transpose()?;
        let low = x.low.map(|m| f(self, &l, m)).transpose()?;
        Ok(Maps { high, low })
    }

    /// Pairs of the same frequency by `f`; what has no partner stays.
    fn pairs(&mut self, name: &str, a: Maps, b: Maps, f: impl Fn(&mut Net, &str, Map, Map) -> Map) -> Maps {
        let (h, l) = (self.part(name, "h"), self.part(name, "l"));
        let mut pair = |name: &str, a: Option<Map>, b: Option<Map>| match (a, b) {
            (Some(a), Some(b)) => Some(f(self, name, a, b)),
            (a, b) => a.or(b),
        };
        Maps { high: pair(&h, a.high, b.high), low: pair(&l, a.low, b.low) }
    }

    /// A normalisation of each frequency.
    pub fn norm(&mut self, name: &str, x: Maps, affine: Affine) -> Made<Maps> {
        self.each(name, x, |net, name, m| net.plain_norm(name, m, affine))
    }

    /// ReLU of each frequency.
    pub fn relu(&mut self, name: &str, x: Maps) -> Made<Maps> {
        self.each(name, x, |net, name, m| Ok(net.plain_relu(name, m)))
    }

    /// ReLU6 of each frequency.
    pub fn relu6(&mut self, name: &str, x: Maps) -> Made<Maps> {
        self.each(name, x, |net, name, m| Ok(net.plain_relu6(name, m)))
    }

    /// A 2x2 average of each frequency.
    pub fn average_pool(&mut self, name: &str, x: Maps) -> Made<Maps> {
        self.each(name, x, |net, name, m| Ok(net.half(name, m)))
    }

    /// The sum by frequency.
    pub fn add(&mut self, name: &str, a: Maps, b: Maps) -> Maps {
        self.pairs(name, a, b, Net::plain_add)
    }

    /// Channels one after the other, by frequency.
    pub fn concat(&mut self, name: &str, a: Maps, b: Maps) -> Maps {
        self.pairs(name, a, b, Net::plain_concat)
    }

    /// Squeeze and excitation (Hu et al. 2018) over both frequencies: their means, one after the other, through two 1x1
    /// convolutions with bias, `middle` channels between them, and a sigmoid into factors for each channel.
    pub fn squeeze_excite(&mut self, name: &str, x: Maps, middle: usize) -> Made<Maps> {
        let means = self.each(&format!("{name}.pool"), x, |net, name, m| Ok(net.global_average(name, m)))?;
        let all = match (means.high, means.low) {
            (Some(h), Some(l)) => self.plain_concat(&format!("{name}.concat"), h, l),
            (Some(m), None) | (None, Some(m)) => m,
            (None, None) => return Err(ZooError::Unmerged),
        };
        let squeezed = self.biased(&format!("{name}.conv1"), all, middle, 1.0)?;
        let squeezed = self.plain_relu(&format!("{name}.relu"), squeezed);
        let (conv, gate) = (format!("{name}.conv2"), format!("{name}.sigmoid"));
        self.each(name, x, |net, part, m| {
            let side = &part[name.len()..];
            let factors = net.biased(&format!("{conv}{side}"), squeezed, m.channels, GATE)?;
            let sigmoid = Unary { kind: UnaryKind::Sigmoid };
            let factors = net.node(&format!("{gate}{side}"), sigmoid, vec![Some(factors.value)]);
            let factors = Map { value: factors, ..m };
            let value = net.binary(&format!("{name}.mul{side}"), BinaryKind::Mul, m, factors);
            Ok(Map { value, signal: m.signal.halved(), ..m })
        })
    }

    /// A 1x1 convolution with bias whose result has about this mean square.
    fn biased(&mut self, name: &str, x: Map, oc: usize, power: f64) -> Made<Map> {
        let fan = x.channels as f64 * x.signal.square;
        let y = self.window(name, x, oc, [1, 1], 1, (3.0 * power / fan).sqrt())?;
        let bias = self.uniform(&format!("{name}.bias"), vec![oc], 0.0, 0.1)?;
        if let Some(node) = self.graph.nodes.last_mut() {
            node.inputs.push(Some(bias));
        }
        Ok(Map { signal: Signal::centred(power), ..y })
    }
}
