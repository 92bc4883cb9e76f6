//! The image networks of the paper (Chen et al. 2019, "Drop an Octave"), vanilla and with OctConvs, as graphs with
//! random weights: the nodes are those that PyTorch's TorchScript exporter writes.
//!
//! In `oct-` networks every convolution but the stem is an OctConv in the semantics of the reference implementation
//! (`facebookresearch/OctConv`, `utils/symbol` and `utils/gluon`), also where alpha is 0: a stride of 2 is a 2x2 average
//! of the input before stride-1 convolutions; at stride 2 the path from low to high has no upsampling. Of `c` channels
//! `int(alpha * c)` are at low frequency. The last stage has alpha 0. Vanilla networks have strided convolutions.
//!
//! | networks | in the reference | what is at low frequency |
//! |---|---|---|
//! | `resnet*`, `resnext*` (32x4d), `se-resnet50` | symbol, style v2; Gluon, style v1 | stages 2 to 4 |
//! | `resnet152-deep*`: 3x3 stem, a light residual block instead of max pooling, strides in the last 1x1 | Gluon `resnet152_v1f` | stages 2 to 4 |
//! | `densenet121` | symbol | dense blocks 1 to 3 |
//! | `mobilenet-v1-*` | Gluon | up to the pointwise convolution of block 10, counted from 0 |
//! | `mobilenet-v2-*` | Gluon | the expanded channels of blocks 0 to 12 |
//!
//! # What is counted
//!
//! Multiply-accumulates are those of convolutions and the classifier, padding included; parameters are weights and
//! biases of both, and scale and shift of normalisations. The tests pin both and hold them against published figures.
//! These differ by what they count and by rounding:
//!
//! * Open Model Zoo's figures are 1.0 to 1.8 % above ours: they count normalisations, activations, pooling and sums too.
//! * The paper prints two or three digits. Its Oct-ResNet-152 is 0.7 % above ours, its MobileNets up to 0.9 %.
//! * `oct-resnet152-deep-se` has 0.2 % more parameters than the paper prints: the fixed normalisations (scale 1, shift 0)
//!   before its blocks count like others.
//! * The first block of the reference's Oct-MobileNet v2 has an expansion by 1, a 1x1 convolution which splits the
//!   channels; the vanilla network (Sandler et al. 2018) has none there. Without it the octave figures would be 3 %
//!   below the paper's, with it the vanilla one would be 4.5 % above.
//! * Style v1 has 3,840 parameters more than v2 in a ResNet: it normalises what convolutions give, v2 what they get.

mod ablation;
mod densenet;
mod layer;
mod mobilenet;
mod net;
mod resnet;
mod signal;

use std::fmt;
use std::str::FromStr;

use octrt_ops::{Graph, Op, OpError};

pub use ablation::{Ablation, Down, Exchange};
use densenet::DenseNet;
use mobilenet::{MobileNetV1, MobileNetV2};
use net::{Maps, Net};
use resnet::{Gate, ResNet, Stem};

/// Extents that all networks divide: by 32, and a low frequency in stage 4 needs an even extent there.
const STEP: usize = 32;
/// Largest extent of a picture.
const MAX_SIZE: usize = 8192;
/// What the names of networks with OctConvs begin with.
const OCTAVE: &str = "oct-";

/// Why a network cannot be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ZooError {
    /// No network has this name.
    #[error("unknown network '{0}': expected one of {names}, or one of these after '{OCTAVE}'", names = names())]
    Unknown(String),
    /// An alpha that is no fraction.
    #[error("alpha {0}: expected a number from 0 to 1")]
    Alpha(f64),
    /// A network with OctConvs needs an alpha.
    #[error("{0}: alpha is missing, the part of the channels at low frequency")]
    NoAlpha(Network),
    /// A vanilla network has no alpha.
    #[error("{0} is vanilla and has no alpha; the network with OctConvs is '{OCTAVE}{0}'")]
    Vanilla(Network),
    /// A vanilla network has no OctConvs to change.
    #[error("{0} is vanilla and has no OctConvs to take something from")]
    NoOctConvs(Network),
    /// A network that exists in one style.
    #[error("{0} has no style to choose; those with one are resnet26 to resnet200, resnext* and se-resnet50")]
    NoStyle(Network),
    /// An extent that the network does not divide.
    #[error("size {0}: expected a multiple of {STEP} up to {MAX_SIZE}")]
    Size(usize),
    /// Channels of one frequency that groups do not divide.
    #[error("{layer}: {groups} groups do not divide {ic} and {oc} channels; choose another alpha")]
    Groups {
        /// The convolution.
        layer: String,
        /// Channels that it reads.
        ic: usize,
        /// Channels that it gives.
        oc: usize,
        /// Groups.
        groups: usize,
    },
    /// The network ends in two frequencies, or none.
    #[error("the network does not end in one frequency")]
    Unmerged,
    /// A tensor that cannot be made.
    #[error(transparent)]
    Tensor(#[from] OpError),
}

/// What distinguishes a family's members.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Architecture {
    ResNet(ResNet),
    DenseNet(DenseNet),
    MobileNetV1(MobileNetV1),
    MobileNetV2(MobileNetV2),
}

/// Whether a network has OctConvs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has not.
    Vanilla,
    /// It has.
    Octave,
}

/// A network of the zoo. Prints and parses as its name: `resnet50`, `oct-resnet50`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    name: &'static str,
    architecture: Architecture,
    kind: Kind,
}

/// Where normalisation and activation stand in a residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// After the convolutions (He et al. 2015), epsilon 1e-5.
    V1,
    /// Before the convolutions (He et al. 2016), epsilon 1e-4: the paper's ablation networks.
    V2,
}

/// The first dimension of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// One picture.
    One,
    /// Known when the model runs.
    Dynamic,
}

/// The numbers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Random from this seed: weights as He et al. 2015 scale them, statistics that fit them, so that all activations
    /// stay around 1 for pictures of mean 0 and deviation 1.
    Seeded(u64),
    /// Zeros in memory that all tensors share, for counting.
    Blank,
}

/// What a network is built with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Part of the channels at low frequency, 0 to 1; none for vanilla networks.
    pub alpha: Option<f64>,
    /// Style of residual blocks; none for the network's own.
    pub style: Option<Style>,
    /// Height and width of the picture in pixels, a multiple of 32.
    pub size: usize,
    /// The first dimension of the input.
    pub batch: Batch,
    /// The numbers.
    pub weights: Weights,
}

const fn resnet(blocks: [usize; 4]) -> Architecture {
    Architecture::ResNet(ResNet { blocks, groups: 1, width: 64, stem: Stem::Shallow, gate: Gate::None })
}

const fn resnext(blocks: [usize; 4]) -> Architecture {
    Architecture::ResNet(ResNet { blocks, groups: 32, width: 128, stem: Stem::Shallow, gate: Gate::None })
}

const fn deep(gate: Gate) -> Architecture {
    Architecture::ResNet(ResNet { blocks: [3, 8, 36, 3], groups: 1, width: 64, stem: Stem::Deep, gate })
}

const SE_RESNET_50: ResNet =
    ResNet { blocks: [3, 4, 6, 3], groups: 1, width: 64, stem: Stem::Shallow, gate: Gate::SqueezeExcite };

/// Names without `oct-`, and what they stand for.
const NETWORKS: [(&str, Architecture); 15] = [
    ("resnet26", resnet([2, 2, 2, 2])),
    ("resnet50", resnet([3, 4, 6, 3])),
    ("resnet101", resnet([3, 4, 23, 3])),
    ("resnet152", resnet([3, 8, 36, 3])),
    ("resnet200", resnet([3, 24, 36, 3])),
    ("resnext50", resnext([3, 4, 6, 3])),
    ("resnext101", resnext([3, 4, 23, 3])),
    ("se-resnet50", Architecture::ResNet(SE_RESNET_50)),
    ("resnet152-deep", deep(Gate::None)),
    ("resnet152-deep-se", deep(Gate::SqueezeExcite)),
    ("densenet121", Architecture::DenseNet(DenseNet { layers: [6, 12, 24, 16] })),
    ("mobilenet-v1-0.75", Architecture::MobileNetV1(MobileNetV1 { multiplier: 0.75 })),
    ("mobilenet-v1-1.0", Architecture::MobileNetV1(MobileNetV1 { multiplier: 1.0 })),
    ("mobilenet-v2-1.0", Architecture::MobileNetV2(MobileNetV2 { multiplier: 1.0 })),
    ("mobilenet-v2-1.125", Architecture::MobileNetV2(MobileNetV2 { multiplier: 1.125 })),
];

fn names() -> String {
    NETWORKS.map(|(name, _)| name).join(", ")
}

impl Network {
    /// All of them: each vanilla, then with OctConvs.
    pub fn all() -> impl Iterator<Item = Network> {
        NETWORKS.into_iter().flat_map(|(name, architecture)| {
            [Kind::Vanilla, Kind::Octave].map(|kind| Network { name, architecture, kind })
        })
    }

    /// Whether it has OctConvs.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The network as a graph with input `x` `[1, 3, size, size]` and output `y` `[1, 1000]`, the classes' scores.
    ///
    /// # Errors
    /// [`ZooError`] when the options do not fit the network.
    pub fn graph(&self, options: &Options) -> Result<Graph, ZooError> {
        self.ablated(options, Ablation::default())
    }

    /// As [`Network::graph`], of other OctConvs.
    ///
    /// # Errors
    /// As [`Network::graph`], and [`ZooError::NoOctConvs`].
    pub fn ablated(&self, options: &Options, ablation: Ablation) -> Result<Graph, ZooError> {
        if self.kind == Kind::Vanilla && ablation != Ablation::default() {
            return Err(ZooError::NoOctConvs(*self));
        }
        let alpha = self.alpha(options)?;
        let Options { size, batch, weights, .. } = *options;
        if size == 0 || !size.is_multiple_of(STEP) || size > MAX_SIZE {
            return Err(ZooError::Size(size));
        }
        let style = self.style(options)?;
        let epsilon = if style == Style::V2 { 1e-4 } else { 1e-5 };
        let (mut net, x) = Net::new(self.to_string(), self.kind, weights, epsilon, size, batch);
        net.ablation = ablation;
        let end: Maps = match &self.architecture {
            Architecture::ResNet(family) => family.build(&mut net, x, alpha, style)?,
            Architecture::DenseNet(family) => family.build(&mut net, x, alpha)?,
            Architecture::MobileNetV1(family) => family.build(&mut net, x, alpha)?,
            Architecture::MobileNetV2(family) => family.build(&mut net, x, alpha, self.kind)?,
        };
        net.finish(end)
    }

    fn alpha(&self, options: &Options) -> Result<f64, ZooError> {
        match (self.kind, options.alpha) {
            (Kind::Vanilla, None) => Ok(0.0),
            (Kind::Vanilla, Some(_)) => Err(ZooError::Vanilla(*self)),
            (Kind::Octave, None) => Err(ZooError::NoAlpha(*self)),
            (Kind::Octave, Some(alpha)) if (0.0..=1.0).contains(&alpha) => Ok(alpha),
            (Kind::Octave, Some(alpha)) => Err(ZooError::Alpha(alpha)),
        }
    }

    /// The style asked for, or the network's own. DenseNet's normalisations stand before the convolutions.
    fn style(&self, options: &Options) -> Result<Style, ZooError> {
        let (own, has_choice) = match &self.architecture {
            Architecture::ResNet(family) => match family.stem {
                Stem::Shallow => (Style::V2, true),
                Stem::Deep => (Style::V1, false),
            },
            Architecture::DenseNet(_) => (Style::V2, false),
            Architecture::MobileNetV1(_) | Architecture::MobileNetV2(_) => (Style::V1, false),
        };
        match options.style {
            Some(_) if !has_choice => Err(ZooError::NoStyle(*self)),
            style => Ok(style.unwrap_or(own)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.kind == Kind::Octave { OCTAVE } else { "" };
        write!(f, "{prefix}{}", self.name)
    }
}

impl FromStr for Network {
    type Err = ZooError;
    fn from_str(text: &str) -> Result<Self, ZooError> {
        Network::all().find(|n| n.to_string() == text).ok_or_else(|| ZooError::Unknown(text.to_string()))
    }
}

/// One OctConv of stride 1 as a graph: `channels` in and out, `int(alpha * channels)` of both at low frequency, windows of
/// `kernel` x `kernel`. Inputs `x_h` `[1, _, size, size]` and `x_l` of half the extent, outputs `y_h` and `y_l`; those
/// without channels are not there. The weights are [`Weights::Blank`].
///
/// # Errors
/// [`ZooError::Alpha`] and [`ZooError::Tensor`].
pub fn octconv(channels: usize, alpha: f64, kernel: usize, size: usize) -> Result<Graph, ZooError> {
    if !(0.0..=1.0).contains(&alpha) {
        return Err(ZooError::Alpha(alpha));
    }
    Net::octconv(channels, alpha, kernel, size)
}

/// Learned numbers of a graph: weights and biases of convolutions and matrix products, scale and shift of
/// normalisations.
pub fn parameters(graph: &Graph) -> usize {
    let has_learned = |op: &Op| matches!(op, Op::Conv(_) | Op::Gemm(_) | Op::BatchNormalization(_));
    let nodes = graph.nodes.iter().filter(|n| has_learned(&n.op));
    let values = nodes.flat_map(|n| n.inputs.iter().skip(1).take(2).flatten());
    values.filter_map(|&v| graph.constant(v)).map(|t| t.numel()).sum()
}
